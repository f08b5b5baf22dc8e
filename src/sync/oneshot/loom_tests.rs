//! Models of the races between sending, receiving, closing and going.

use super::{RecvError, TryRecvError, channel};
use crate::primitives::{Arc, AtomicUsize, Ordering, thread};
use loom::future::block_on;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts; its count is an atomic of the model.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bell() -> (std::sync::Arc<Count>, Waker) {
    let count = std::sync::Arc::new(Count(AtomicUsize::new(0)));
    (count.clone(), Waker::from(count))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

#[test]
fn loom_oneshot_send_meets_receive() {
    model(3, || {
        let (sender, receiver) = channel();
        // An `Arc` of the model: it would see a value that leaks or is dropped twice.
        let sending = thread::spawn(move || sender.send(Arc::new(7)).unwrap());
        assert_eq!(*block_on(receiver).unwrap(), 7);
        sending.join().unwrap();
    });
}

#[test]
fn loom_oneshot_sender_goes_while_receiver_waits() {
    model(3, || {
        let (sender, receiver) = channel::<Arc<u32>>();
        let going = thread::spawn(move || drop(sender));
        assert_eq!(block_on(receiver).unwrap_err(), RecvError);
        going.join().unwrap();
    });
}

#[test]
fn loom_oneshot_polled_receiver_is_dropped_while_sender_completes() {
    model(3, || {
        let (count, waker) = bell();
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || drop(sender.send(Arc::new(7))));
        let polled = poll(&mut receiver, &waker);
        drop(polled);
        drop(receiver);
        sending.join().unwrap();
        drop(waker);
        assert!(count.0.load(Ordering::SeqCst) <= 1);
        assert_eq!(std::sync::Arc::strong_count(&count), 1, "a waker leaked");
    });
}

#[test]
fn loom_oneshot_waker_changes_while_sender_completes() {
    model(3, || {
        let ((old, old_waker), (new, new_waker)) = (bell(), bell());
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || sender.send(Arc::new(7)).unwrap());
        let mut polled = poll(&mut receiver, &old_waker);
        if polled.is_pending() {
            polled = poll(&mut receiver, &new_waker);
        }
        sending.join().unwrap();
        if polled.is_pending() {
            // Whom the receiver was polled for last is woken, and nobody else.
            assert_eq!(new.0.load(Ordering::SeqCst), 1);
            assert_eq!(old.0.load(Ordering::SeqCst), 0);
            assert!(poll(&mut receiver, &new_waker).is_ready());
        }
        drop((receiver, old_waker, new_waker));
        assert_eq!(std::sync::Arc::strong_count(&old), 1, "a waker leaked");
        assert_eq!(std::sync::Arc::strong_count(&new), 1, "a waker leaked");
    });
}

#[test]
fn loom_oneshot_close_send_and_poll_race() {
    model(3, || {
        let (count, waker) = bell();
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || sender.send(Arc::new(7)).is_ok());
        let polled = poll(&mut receiver, &waker);
        receiver.close();
        let after = match polled {
            Poll::Ready(outcome) => outcome.is_ok(),
            Poll::Pending => receiver.try_recv().is_ok(),
        };
        // Sent exactly if received: what comes after the close comes back.
        assert_eq!(sending.join().unwrap(), after);
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Closed);
        drop((receiver, waker));
        assert_eq!(std::sync::Arc::strong_count(&count), 1, "a waker leaked");
    });
}

#[test]
fn loom_oneshot_sender_waits_for_the_receiver_to_go() {
    model(3, || {
        let (mut sender, mut receiver) = channel::<Arc<u32>>();
        let (count, waker) = bell();
        let going = thread::spawn(move || {
            let _ = poll(&mut receiver, &waker);
            receiver.close();
            drop(receiver);
        });
        block_on(sender.closed());
        assert!(sender.send(Arc::new(7)).is_err());
        going.join().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&count), 1, "a waker leaked");
    });
}

#[test]
fn loom_oneshot_both_wait_and_both_go() {
    model(3, || {
        let ((tx, tx_waker), (rx, rx_waker)) = (bell(), bell());
        let (mut sender, mut receiver) = channel::<Arc<u32>>();
        let other = {
            let tx_waker = tx_waker.clone();
            thread::spawn(move || {
                let closed = sender.poll_closed(&mut Context::from_waker(&tx_waker));
                drop(sender);
                closed
            })
        };
        let polled = poll(&mut receiver, &rx_waker);
        drop(receiver);
        let closed = other.join().unwrap();
        drop((polled, closed, tx_waker, rx_waker));
        assert!(tx.0.load(Ordering::SeqCst) <= 1 && rx.0.load(Ordering::SeqCst) <= 1);
        assert_eq!(std::sync::Arc::strong_count(&tx), 1, "a waker leaked");
        assert_eq!(std::sync::Arc::strong_count(&rx), 1, "a waker leaked");
    });
}
