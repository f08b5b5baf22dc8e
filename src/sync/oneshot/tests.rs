use super::{Receiver, RecvError, Sender, TryRecvError, channel};
use crate::coop;
use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;

/// A value that counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted() -> (Counted, impl Fn() -> usize) {
    let drops = Arc::new(AtomicUsize::new(0));
    (Counted(drops.clone()), move || drops.load(Ordering::Relaxed))
}

#[test]
fn a_value_arrives_whether_it_was_sent_before_or_after_the_wait_began() {
    let (sender, receiver) = channel();
    sender.send(7).unwrap();
    assert_eq!(block_on(receiver), Ok(7));

    let (sender, receiver) = channel();
    let waiting = Task::waiting(receiver);
    sender.send(String::from("later")).unwrap();
    assert_eq!(waiting.woken().as_deref(), Ok("later"));
}

#[test]
fn a_sender_that_goes_is_an_error() {
    let (sender, receiver) = channel::<u32>();
    let waiting = Task::waiting(receiver);
    drop(sender);
    assert_eq!(waiting.woken(), Err(RecvError));
    let (sender, receiver) = channel::<u32>();
    drop(sender);
    assert_eq!(block_on(receiver), Err(RecvError));
}

#[test]
fn a_value_comes_back_when_the_receiver_is_gone_or_closed() {
    let (sender, receiver) = channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(7), Err(7));

    let (sender, mut receiver) = channel();
    receiver.close();
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(sender.send(7), Err(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(block_on(receiver), Err(RecvError));
}

#[test]
fn a_closed_receiver_does_not_wait_for_the_sender_to_go() {
    let (sender, mut receiver) = channel::<u32>();
    let bell = Bell::new();
    assert!(bell.poll(&mut receiver).is_pending());
    receiver.close();
    assert_eq!(bell.clones(), 0);
    assert_eq!(bell.poll(&mut receiver), Poll::Ready(Err(RecvError)));
    drop(sender);
    assert_eq!(bell.rings(), 0);
}

#[test]
fn a_value_that_was_sent_before_the_close_is_received() {
    let (sender, mut receiver) = channel();
    sender.send(7).unwrap();
    receiver.close();
    assert_eq!(block_on(&mut receiver), Ok(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    receiver.close();

    let (sender, mut receiver) = channel();
    sender.send(8).unwrap();
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(8));
}

#[test]
fn try_recv_tells_not_yet_from_never() {
    let (sender, mut receiver) = channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(7).unwrap();
    assert_eq!(receiver.try_recv(), Ok(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    let (sender, mut receiver) = channel::<u32>();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(block_on(receiver), Err(RecvError));
}

#[test]
fn a_receiver_tells_whether_a_value_is_there_and_whether_it_is_done() {
    let (sender, mut receiver) = channel();
    assert!(receiver.is_empty() && !receiver.is_terminated());
    sender.send(7).unwrap();
    assert!(!receiver.is_empty() && !receiver.is_terminated());
    assert_eq!(Bell::new().poll(&mut receiver), Poll::Ready(Ok(7)));
    assert!(receiver.is_empty() && receiver.is_terminated());

    let (sender, mut receiver) = channel::<u32>();
    drop(sender);
    assert!(receiver.is_empty() && !receiver.is_terminated(), "nobody was told of the end");
    assert_eq!(Bell::new().poll(&mut receiver), Poll::Ready(Err(RecvError)));
    assert!(receiver.is_terminated());
}

#[test]
fn the_sender_sees_the_receiver_go() {
    for close in [false, true] {
        let (mut sender, mut receiver) = channel::<u32>();
        let mut bell = Bell::new();
        assert!(sender.poll_closed(&mut bell.context()).is_pending());
        assert!(sender.poll_closed(&mut bell.context()).is_pending());
        assert_eq!(bell.clones(), 1, "the same waker is not cloned again");
        let old = std::mem::replace(&mut bell, Bell::new());
        assert!(sender.poll_closed(&mut bell.context()).is_pending());
        assert_eq!(old.clones(), 0);
        if close {
            receiver.close();
        }
        drop(receiver);
        assert_eq!((old.rings(), bell.rings(), bell.clones()), (0, 1, 0));
        assert!(sender.poll_closed(&mut bell.context()).is_ready());
        block_on(sender.closed());
    }
}

#[test]
fn both_sides_may_wait_at_once() {
    let (mut sender, mut receiver) = channel();
    let (tx, rx) = (Bell::new(), Bell::new());
    assert!(sender.poll_closed(&mut tx.context()).is_pending());
    assert!(rx.poll(&mut receiver).is_pending());
    sender.send(7).unwrap();
    assert_eq!((tx.rings(), tx.clones()), (0, 0));
    assert_eq!((rx.rings(), rx.clones()), (1, 0));
    assert_eq!(rx.poll(&mut receiver), Poll::Ready(Ok(7)));

    let (mut sender, mut receiver) = channel::<u32>();
    assert!(sender.poll_closed(&mut tx.context()).is_pending());
    assert!(rx.poll(&mut receiver).is_pending());
    drop(receiver);
    assert_eq!((tx.rings(), tx.clones()), (1, 0));
    assert_eq!((rx.rings(), rx.clones()), (0, 0));
    drop(sender);

    let (mut sender, mut receiver) = channel::<u32>();
    assert!(sender.poll_closed(&mut tx.context()).is_pending());
    assert!(rx.poll(&mut receiver).is_pending());
    drop(sender);
    assert_eq!((tx.rings(), tx.clones()), (0, 0));
    assert_eq!((rx.rings(), rx.clones()), (1, 0));
}

#[test]
fn only_the_last_waker_is_woken() {
    let (sender, mut receiver) = channel();
    let (old, new) = (Bell::new(), Bell::new());
    assert!(old.poll(&mut receiver).is_pending());
    assert!(new.poll(&mut receiver).is_pending());
    assert!(new.poll(&mut receiver).is_pending());
    assert_eq!((old.clones(), new.clones()), (0, 1));
    sender.send(7).unwrap();
    assert_eq!((old.rings(), new.rings()), (0, 1));
    assert_eq!(new.clones(), 0);
}

#[test]
fn values_are_dropped_once_wherever_they_end() {
    // Received.
    let (value, drops) = counted();
    let (sender, receiver) = channel();
    sender.send(value).unwrap();
    let value = block_on(receiver).unwrap();
    assert_eq!(drops(), 0);
    drop(value);
    assert_eq!(drops(), 1);
    // Sent and not received; with and without having been closed.
    for close in [false, true] {
        let (value, drops) = counted();
        let (sender, mut receiver) = channel();
        sender.send(value).unwrap();
        if close {
            receiver.close();
        }
        drop(receiver);
        assert_eq!(drops(), 1);
    }
    // Refused.
    let (value, drops) = counted();
    let (sender, receiver) = channel();
    drop(receiver);
    let back = sender.send(value);
    assert_eq!(drops(), 0);
    drop(back);
    assert_eq!(drops(), 1);
}

#[test]
fn a_value_that_panics_when_dropped_harms_nobody() {
    struct Bad(#[expect(dead_code)] Counted);
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("a bad value");
        }
    }
    let (value, drops) = counted();
    let (sender, receiver) = channel();
    sender.send(Bad(value)).ok().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    assert_eq!(drops(), 1);
}

#[test]
fn bad_wakers_keep_nothing_from_arriving() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a bad waker");
        }
    }
    fn poll<T>(receiver: &mut Receiver<T>) -> bool {
        let waker = std::sync::Arc::new(Bad).into();
        Pin::new(receiver).poll(&mut Context::from_waker(&waker)).is_pending()
    }
    use std::future::Future;
    let (sender, mut receiver) = channel();
    assert!(poll(&mut receiver));
    sender.send(7).unwrap();
    assert_eq!(receiver.try_recv(), Ok(7));
    let (sender, mut receiver) = channel::<u32>();
    assert!(poll(&mut receiver));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_waker_may_own_the_other_end() {
    struct Owner(crate::primitives::Mutex<Option<Sender<u32>>>);
    impl Wake for Owner {
        fn wake(self: std::sync::Arc<Self>) {
            drop(self.0.lock().take());
        }
    }
    // The receiver holds its waker, which holds the sender: dropping the receiver drops the waker,
    // which drops the sender, which frees what both shared.
    let (sender, mut receiver) = channel();
    let owner = Owner(crate::primitives::Mutex::new(Some(sender)));
    let waker = std::sync::Arc::new(owner).into();
    use std::future::Future;
    let poll = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    drop(waker);
    drop(receiver);
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_receiver_that_is_done_is_not_polled_again() {
    let (sender, mut receiver) = channel();
    sender.send(7).unwrap();
    let bell = Bell::new();
    assert!(bell.poll(&mut receiver).is_ready());
    let _ = bell.poll(&mut receiver);
}

#[test]
fn both_ends_take_part_in_the_budget_when_they_make_progress() {
    let _budget = coop::start();
    let bell = Bell::new();
    let (mut sender, mut receiver) = channel::<u32>();
    for _ in 0..2 * coop::BUDGET {
        assert!(bell.poll(&mut receiver).is_pending());
        assert!(sender.poll_closed(&mut bell.context()).is_pending());
    }
    assert_eq!(bell.rings(), 0, "to find nothing costs nothing");
    for _ in 0..coop::BUDGET {
        let (sender, receiver) = channel();
        sender.send(7).unwrap();
        assert!(Task::new(receiver).poll().is_ready());
    }
    sender.send(7).unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(bell.poll(&mut receiver).is_pending());
    assert_eq!(bell.rings(), 1, "it yields, it does not wait");
}

#[test]
fn values_are_aligned_and_may_have_no_size() {
    #[repr(align(128))]
    #[derive(Debug)]
    struct Wide(u8);
    let (sender, receiver) = channel();
    sender.send(Wide(7)).unwrap();
    assert_eq!(block_on(receiver).unwrap().0, 7);
    let (sender, receiver) = channel();
    sender.send(()).unwrap();
    assert_eq!(block_on(receiver), Ok(()));
}

#[test]
fn a_thread_blocks_until_the_value_comes_or_cannot() {
    let (sender, receiver) = channel();
    let waits = thread::spawn(move || receiver.blocking_recv());
    thread::yield_now();
    sender.send(7).unwrap();
    assert_eq!(waits.join().unwrap(), Ok(7));
    let (sender, receiver) = channel::<u32>();
    let waits = thread::spawn(move || receiver.blocking_recv());
    thread::yield_now();
    drop(sender);
    assert_eq!(waits.join().unwrap(), Err(RecvError));
}

#[test]
fn a_task_is_not_blocked() {
    let (sender, receiver) = channel();
    sender.send(7).unwrap();
    let _budget = coop::start();
    let panic = catch_unwind(|| receiver.blocking_recv()).unwrap_err();
    assert!(panic.downcast::<String>().unwrap().contains("await the receiver instead"));
}

#[test]
fn each_value_ends_once_between_threads() {
    const ROUNDS: usize = 3_000;
    let drops = Arc::new(AtomicUsize::new(0));
    let (hand_over, ends) = std::sync::mpsc::sync_channel::<(usize, Receiver<Counted>)>(1);
    let receiving = thread::spawn(move || {
        for (round, mut receiver) in ends {
            match round % 5 {
                // A receiver that was polled, by two wakers, is dropped while the sender completes.
                0 => {
                    if Task::new(&mut receiver).poll().is_pending() {
                        let _ = Task::new(&mut receiver).poll();
                    }
                }
                1 => {
                    let _ = Task::new(&mut receiver).poll();
                    receiver.close();
                    drop(receiver.try_recv());
                }
                2 => drop(receiver),
                3 => drop(block_on(receiver)),
                // The waker changes while the sender completes.
                _ => {
                    if Task::new(&mut receiver).poll().is_pending() {
                        drop(block_on(receiver));
                    }
                }
            }
        }
    });
    let mut made = 0;
    for round in 0..ROUNDS {
        let (mut sender, receiver) = channel();
        hand_over.send((round, receiver)).unwrap();
        if round % 7 == 0 {
            let _ = sender.poll_closed(&mut Bell::new().context());
        }
        if round % 11 == 0 {
            drop(sender);
        } else {
            made += 1;
            drop(sender.send(Counted(drops.clone())));
        }
    }
    drop(hand_over);
    receiving.join().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), made);
}
