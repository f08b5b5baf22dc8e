//! Models of sending against waiting, giving up and going.

use super::channel;
use crate::primitives::{Arc, AtomicUsize, UnsafeCell, thread};
use crate::sync::loom_tests::{Count, give_up, model};
use loom::future::block_on;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Waker};

#[test]
fn loom_watch_send_meets_one_that_waits_and_one_that_gives_up() {
    model(3, || {
        let (sender, mut receiver) = channel(0);
        let mut beside = receiver.clone();
        let quitter = thread::spawn(move || {
            let told = give_up(beside.changed());
            assert!(told.is_none() || *beside.borrow() >= 1);
        });
        let sending = thread::spawn(move || {
            sender.send(1).unwrap();
            sender
        });
        assert!(block_on(receiver.changed()).is_ok());
        assert_eq!(*receiver.borrow_and_update(), 1);
        quitter.join().unwrap();
        drop(sending.join().unwrap());
        assert!(block_on(receiver.changed()).is_err());
    });
}

#[test]
fn loom_watch_last_sender_goes_and_the_last_value_is_seen_first() {
    model(2, || {
        let (sender, mut receiver) = channel(0);
        let other = sender.clone();
        let senders = [
            thread::spawn(move || sender.send_modify(|value| *value += 1)),
            thread::spawn(move || drop(other)),
        ];
        let mut beside = receiver.clone();
        give_up(beside.changed());
        assert!(block_on(receiver.changed()).is_ok());
        assert_eq!(*receiver.borrow(), 1);
        assert!(block_on(receiver.changed()).is_err());
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn loom_watch_two_modify_and_both_count() {
    model(2, || {
        let (sender, mut receiver) = channel(0);
        let other = sender.clone();
        let senders = [
            thread::spawn(move || sender.send_modify(|value| *value += 1)),
            thread::spawn(move || other.send_modify(|value| *value += 1)),
        ];
        give_up(receiver.changed());
        assert_eq!(*block_on(receiver.wait_for(|value| *value == 2)).unwrap(), 2);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn loom_watch_last_receiver_goes_while_senders_wait_for_that_and_send() {
    model(3, || {
        let (sender, receiver) = channel(0);
        let other = sender.clone();
        let going = thread::spawn(move || drop(receiver));
        let sending = thread::spawn(move || {
            give_up(other.closed());
            match other.send(1) {
                Ok(()) => 1,
                Err(error) => error.0 - 1,
            }
        });
        block_on(sender.closed());
        let sent = sending.join().unwrap();
        assert_eq!(*sender.borrow(), sent);
        assert!(sender.send(2).is_err());
        going.join().unwrap();
    });
}

#[test]
fn loom_watch_what_was_done_before_a_send_and_before_the_end_is_seen() {
    model(2, || {
        let (sender, mut receiver) = channel(());
        let other = sender.clone();
        let [sent, left] = [(); 2].map(|()| Arc::new(UnsafeCell::new(0)));
        // SAFETY: it is written before a send or a drop, and read by those who know of that.
        let write = |data: &UnsafeCell<i32>| data.with_mut(|data| unsafe { *data = 7 });
        // SAFETY: as above.
        let read = |data: &UnsafeCell<i32>| data.with(|data| unsafe { *data });
        let sending = {
            let data = Arc::clone(&sent);
            thread::spawn(move || {
                write(&data);
                sender.send(()).unwrap();
            })
        };
        let leaving = {
            let data = Arc::clone(&left);
            thread::spawn(move || {
                write(&data);
                drop(other);
            })
        };
        give_up(receiver.clone().changed());
        // One that stays in the queue, so that the send takes the longer way.
        let (mut beside, waker) =
            (receiver.clone(), Waker::from(StdArc::new(Count(AtomicUsize::new(0)))));
        let mut beside = pin!(beside.changed());
        let _ = beside.as_mut().poll(&mut Context::from_waker(&waker));
        // Without a look at the value, which would take a lock.
        if receiver.has_changed() == Ok(true) {
            assert_eq!(read(&sent), 7);
            receiver.mark_unchanged();
        } else {
            assert!(block_on(receiver.changed()).is_ok());
            assert_eq!(read(&sent), 7);
        }
        if receiver.has_changed() == Ok(false) {
            assert!(block_on(receiver.changed()).is_err());
        }
        assert_eq!(read(&left), 7);
        sending.join().unwrap();
        leaving.join().unwrap();
    });
}
