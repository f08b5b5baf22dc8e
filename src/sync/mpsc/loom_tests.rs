//! Models of the races between sending, receiving, waiting for room, closing and going. Each has
//! one among its actors that begins to wait and gives up.

use super::{TryRecvError, channel, unbounded_channel};
use crate::primitives::{Arc, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;

#[test]
fn loom_mpsc_send_meets_receive() {
    model(3, || {
        let (sender, mut receiver) = channel(2);
        // An `Arc` of the model: it would see a message that leaks or is dropped twice.
        let sending = thread::spawn(move || block_on(sender.send(Arc::new(7))).unwrap());
        if let Some(message) = give_up(receiver.recv()) {
            assert_eq!(message.as_deref(), Some(&7));
        } else {
            assert_eq!(block_on(receiver.recv()).as_deref(), Some(&7));
        }
        assert!(block_on(receiver.recv()).is_none());
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_place_becomes_free_as_a_sender_begins_to_wait() {
    model(3, || {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        assert!(give_up(sender.send(13)).is_none());
        let waiting = thread::spawn(move || block_on(sender.send(1)).unwrap());
        assert_eq!(receiver.try_recv(), Ok(0));
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), None);
        waiting.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_sender_that_gives_up_passes_its_place_on() {
    model(2, || {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let quitter = {
            let sender = sender.clone();
            thread::spawn(move || matches!(give_up(sender.send(10)), Some(Ok(()))))
        };
        let waiter = thread::spawn(move || block_on(sender.send(1)).unwrap());
        let mut sum = 0;
        while let Some(n) = block_on(receiver.recv()) {
            sum += n;
        }
        waiter.join().unwrap();
        assert_eq!(sum, if quitter.join().unwrap() { 11 } else { 1 });
    });
}

#[test]
fn loom_mpsc_a_place_is_free_only_after_its_message_was_received() {
    model(3, || {
        let (sender, mut receiver) = channel(2);
        let data = Arc::new(UnsafeCell::new(0));
        sender.try_send(()).unwrap();
        sender.try_send(()).unwrap();
        // From here on the receiver has both, and takes no lock.
        assert_eq!(receiver.try_recv(), Ok(()));
        sender.try_send(()).unwrap();
        let other = {
            let data = data.clone();
            thread::spawn(move || {
                drop(give_up(sender.reserve_many(1)));
                if sender.try_send(()).is_err() {
                    block_on(sender.send(())).unwrap();
                }
                // SAFETY: the place was given up after the other was done with it.
                data.with_mut(|data| unsafe { *data += 1 });
            })
        };
        // SAFETY: the message is still in the channel, so no other can be.
        data.with_mut(|data| unsafe { *data += 1 });
        assert_eq!(receiver.try_recv(), Ok(()));
        other.join().unwrap();
        assert_eq!(receiver.len(), 2);
    });
}

#[test]
fn loom_mpsc_many_places_are_waited_for_past_one_that_gives_up() {
    model(3, || {
        let (sender, mut receiver) = channel(2);
        sender.try_send(0).unwrap();
        sender.try_send(0).unwrap();
        let many = {
            let sender = sender.clone();
            thread::spawn(move || {
                block_on(sender.reserve_many(2)).unwrap().for_each(|permit| permit.send(1));
            })
        };
        let _ = give_up(sender.send(10));
        drop(sender);
        let mut all = Vec::new();
        while let Some(n) = block_on(receiver.recv()) {
            all.push(n);
        }
        many.join().unwrap();
        assert_eq!(all.iter().filter(|n| **n == 1).count(), 2);
    });
}

#[test]
fn loom_mpsc_the_receiver_goes_as_messages_come() {
    model(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || {
            // What is not sent comes back, what is sent is dropped: the model sees a leak.
            let first = block_on(sender.send(Arc::new(1)));
            let second = block_on(sender.send(Arc::new(2)));
            assert!(first.is_ok() || second.is_err());
            block_on(sender.closed());
            assert!(sender.is_closed());
            assert_eq!(*block_on(sender.send(Arc::new(3))).unwrap_err().0, 3);
        });
        drop(give_up(receiver.recv()));
        drop(receiver);
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_permit_is_used_as_the_receiver_goes() {
    model(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || {
            if let Ok(permit) = block_on(sender.reserve()) {
                permit.send(Arc::new(7));
            }
        });
        drop(give_up(receiver.recv()));
        drop(receiver);
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_a_permit_that_is_dropped_serves_the_next() {
    model(3, || {
        let (sender, mut receiver) = channel(1);
        let permit = sender.try_reserve().unwrap();
        let waiting = {
            let sender = sender.clone();
            thread::spawn(move || block_on(sender.send(1)).unwrap())
        };
        drop(give_up(sender.reserve()));
        drop(permit);
        assert_eq!(block_on(receiver.recv()), Some(1));
        waiting.join().unwrap();
        assert_eq!(sender.capacity(), 1);
    });
}

#[test]
fn loom_mpsc_close_meets_reserve() {
    model(3, || {
        let (sender, mut receiver) = channel(1);
        let reserving = thread::spawn(move || {
            drop(give_up(sender.reserve()));
            let reserved = block_on(sender.reserve()).map(|permit| permit.send(Arc::new(7)));
            (reserved.is_ok(), sender)
        });
        receiver.close();
        // With a sender that stays, the end is that of the close.
        let received = block_on(receiver.recv());
        let (reserved, _sender) = reserving.join().unwrap();
        assert_eq!(received.is_some(), reserved);
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
    });
}

#[test]
fn loom_mpsc_a_permit_is_dropped_as_the_receiver_waits_for_the_end() {
    model(3, || {
        let (sender, mut receiver) = channel::<Arc<u32>>(2);
        let permit = sender.clone().try_reserve_owned().unwrap();
        let dropping = thread::spawn(move || drop(permit.release()));
        receiver.close();
        drop(give_up(receiver.recv()));
        assert!(block_on(receiver.recv()).is_none());
        dropping.join().unwrap();
        drop(sender);
    });
}

#[test]
fn loom_mpsc_upgrade_meets_the_drop_of_the_last_sender() {
    model(2, || {
        let (sender, mut receiver) = channel(1);
        let weak = sender.downgrade();
        let upgrading = thread::spawn(move || match weak.upgrade() {
            Some(sender) => sender.try_send(Arc::new(7)).is_ok(),
            None => false,
        });
        let dropping = thread::spawn(move || drop(sender));
        let early = give_up(receiver.recv()).flatten();
        let received = early.or_else(|| block_on(receiver.recv())).is_some();
        assert_eq!(upgrading.join().unwrap(), received);
        assert!(block_on(receiver.recv()).is_none(), "an end is final");
        dropping.join().unwrap();
    });
}

#[test]
fn loom_mpsc_unbounded_send_meets_receive_and_the_end() {
    model(3, || {
        let (sender, mut receiver) = unbounded_channel();
        let sending = thread::spawn(move || {
            sender.send(Arc::new(1)).unwrap();
            sender.send(Arc::new(2)).unwrap();
        });
        let mut sum = 0;
        if let Some(Some(n)) = give_up(receiver.recv()) {
            sum += *n;
        }
        while let Some(n) = block_on(receiver.recv()) {
            sum += *n;
        }
        assert_eq!(sum, 3);
        sending.join().unwrap();
    });
}

#[test]
fn loom_mpsc_two_send_and_the_one_that_is_full_waits() {
    model(2, || {
        let (sender, mut receiver) = channel(1);
        let senders: Vec<_> = (1..3)
            .map(|n| {
                let sender = sender.clone();
                thread::spawn(move || block_on(sender.send(n)).unwrap())
            })
            .collect();
        drop(give_up(sender.reserve()));
        drop(sender);
        let mut sum = 0;
        while let Some(n) = block_on(receiver.recv()) {
            sum += n;
        }
        assert_eq!(sum, 3);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}
