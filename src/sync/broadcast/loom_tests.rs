//! Models of sending against receiving, giving up and going.

use super::{RecvError, TryRecvError, channel};
use crate::primitives::{Arc, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;

#[test]
fn loom_broadcast_send_meets_one_that_waits_and_one_that_gives_up() {
    model(3, || {
        let (sender, mut receiver) = channel::<Arc<u32>>(1);
        let mut beside = receiver.resubscribe();
        let quitter = thread::spawn(move || {
            let got = give_up(beside.recv());
            assert!(got.is_none_or(|got| *got.unwrap() == 7));
        });
        // An `Arc` of the model: it would see a message that leaks or is dropped twice.
        let sending = thread::spawn(move || {
            assert!(sender.send(Arc::new(7)).is_ok());
            sender
        });
        assert_eq!(*block_on(receiver.recv()).unwrap(), 7);
        quitter.join().unwrap();
        let sender = sending.join().unwrap();
        assert!(sender.is_empty());
    });
}

#[test]
fn loom_broadcast_last_sender_goes_and_all_messages_come_first() {
    model(2, || {
        let (sender, mut receiver) = channel(2);
        let other = sender.clone();
        let data = Arc::new(UnsafeCell::new(0));
        let senders = [
            thread::spawn(move || assert!(sender.send(1).is_ok())),
            thread::spawn({
                let data = Arc::clone(&data);
                move || {
                    assert!(other.send(2).is_ok());
                    // SAFETY: nobody reads it before the sender is dropped.
                    data.with_mut(|data| unsafe { *data = 7 });
                    drop(other);
                }
            }),
        ];
        give_up(receiver.resubscribe().recv());
        let (one, two) = (block_on(receiver.recv()), block_on(receiver.recv()));
        assert_eq!(one.unwrap() + two.unwrap(), 3);
        assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
        // SAFETY: both senders were dropped, so the writer is done with it.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn loom_broadcast_overwriting_meets_a_slow_receiver_and_one_that_goes() {
    model(2, || {
        let (sender, mut slow) = channel(1);
        let mut going = sender.subscribe();
        let goer = thread::spawn(move || {
            give_up(going.recv());
            drop(going);
        });
        let sending = thread::spawn(move || {
            assert!(sender.send(Arc::new(1)).is_ok());
            assert!(sender.send(Arc::new(2)).is_ok());
        });
        match block_on(slow.recv()) {
            Ok(first) => assert_eq!(*first, 1),
            Err(error) => assert_eq!(error, RecvError::Lagged(1)),
        }
        assert_eq!(*block_on(slow.recv()).unwrap(), 2);
        assert_eq!(block_on(slow.recv()).unwrap_err(), RecvError::Closed);
        goer.join().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn loom_broadcast_last_receiver_goes_while_senders_wait_for_that_and_send() {
    model(3, || {
        let (sender, receiver) = channel(1);
        let other = sender.clone();
        let going = thread::spawn(move || drop(receiver));
        let sending = thread::spawn(move || {
            give_up(other.closed());
            drop(other.send(Arc::new(1)));
        });
        block_on(sender.closed());
        sending.join().unwrap();
        assert!(sender.is_empty(), "nothing is kept for nobody");
        going.join().unwrap();
    });
}

#[test]
fn loom_broadcast_try_recv_tells_of_the_end_only_after_the_last_message() {
    model(3, || {
        let (sender, mut receiver) = channel(1);
        let weak = sender.downgrade();
        let sending = thread::spawn(move || assert!(sender.send(1).is_ok()));
        let upgrading = thread::spawn(move || drop(weak.upgrade()));
        give_up(receiver.resubscribe().recv());
        let mut got = receiver.try_recv();
        if got == Err(TryRecvError::Empty) {
            got = block_on(receiver.recv()).map_err(|_| TryRecvError::Closed);
        }
        assert_eq!(got, Ok(1));
        sending.join().unwrap();
        upgrading.join().unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    });
}
