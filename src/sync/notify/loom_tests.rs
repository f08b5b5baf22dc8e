//! Models of those who are notified, and of one among them that gives up.

use super::Notify;
use crate::primitives::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;
use std::pin::pin;

#[test]
fn loom_notify_one_meets_one_that_waits_and_one_that_gives_up() {
    model(3, || {
        let notify = Arc::new(Notify::new());
        let data = Arc::new(UnsafeCell::new(0));
        let notifier = {
            let (notify, data) = (notify.clone(), data.clone());
            thread::spawn(move || {
                // SAFETY: nobody reads it before it is notified.
                data.with_mut(|data| unsafe { *data = 7 });
                notify.notify_one();
            })
        };
        // What the one that gives up was given and told of is gone; else it is passed on.
        if give_up(notify.notified()).is_none() {
            block_on(notify.notified());
        }
        // SAFETY: there was a notification, so the writer is done with it.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        notifier.join().unwrap();
        assert!(give_up(notify.notified()).is_none(), "there was one");
    });
}

#[test]
fn loom_notify_one_is_passed_on_by_one_that_gives_up_to_one_in_another_thread() {
    model(3, || {
        let notify = Arc::new(Notify::new());
        let waiter = {
            let notify = notify.clone();
            thread::spawn(move || block_on(notify.notified()))
        };
        let quitter = {
            let notify = notify.clone();
            thread::spawn(move || {
                if give_up(notify.notified()).is_some() {
                    notify.notify_one();
                }
            })
        };
        notify.notify_one();
        quitter.join().unwrap();
        waiter.join().unwrap();
        assert!(give_up(notify.notified()).is_none(), "there was one");
    });
}

#[test]
fn loom_notify_one_and_last_reach_two_past_one_that_gives_up() {
    model(2, || {
        let notify = Arc::new(Notify::new());
        let others: Vec<_> = [Notify::notify_one, Notify::notify_last]
            .into_iter()
            .map(|tell| {
                let notify = notify.clone();
                thread::spawn(move || tell(&notify))
            })
            .collect();
        let mut first = pin!(notify.notified());
        let mut second = pin!(notify.notified());
        let mut third = Box::pin(notify.notified());
        // They wait before they are awaited, so that two notifications do not become one.
        let told = [first.as_mut().enable(), second.as_mut().enable(), third.as_mut().enable()];
        drop(third);
        let kept = told.iter().filter(|told| **told).count();
        for other in others {
            other.join().unwrap();
        }
        // Both came while somebody waited, but for those that were kept and not told of.
        if kept == 0 {
            block_on(first);
            block_on(second);
        }
    });
}

#[test]
fn loom_notify_waiters_reaches_a_future_that_was_made_before_one_looked() {
    model(3, || {
        let notify = Arc::new(Notify::new());
        let data = Arc::new((UnsafeCell::new(0), AtomicBool::new(false)));
        let notifier = {
            let (notify, data) = (notify.clone(), data.clone());
            thread::spawn(move || {
                // SAFETY: nobody reads it before it is notified.
                data.0.with_mut(|data| unsafe { *data = 7 });
                data.1.store(true, Ordering::Release);
                notify.notify_waiters();
            })
        };
        let notified = notify.notified();
        give_up(notify.notified());
        if !data.1.load(Ordering::Relaxed) {
            block_on(notified);
            // SAFETY: there was a notification, so the writer is done with it.
            assert_eq!(data.0.with(|data| unsafe { *data }), 7);
        }
        notifier.join().unwrap();
        assert!(give_up(notify.notified()).is_none(), "nothing is kept");
    });
}

#[test]
fn loom_notify_waiters_meets_notify_one_and_one_that_gives_up() {
    model(2, || {
        let notify = Arc::new(Notify::new());
        let all = {
            let notify = notify.clone();
            thread::spawn(move || notify.notify_waiters())
        };
        let one = {
            let notify = notify.clone();
            thread::spawn(move || notify.notify_one())
        };
        let gave_up = give_up(notify.notified()).is_none();
        if gave_up {
            // Whatever the other got, the one notification is still there, or comes.
            block_on(notify.notified());
        }
        all.join().unwrap();
        one.join().unwrap();
    });
}

#[test]
fn loom_notify_two_leave_as_all_are_notified() {
    model(3, || {
        let notify = Arc::new(Notify::new());
        let quitter = {
            let notify = notify.clone();
            thread::spawn(move || give_up(notify.notified()))
        };
        let all = {
            let notify = notify.clone();
            thread::spawn(move || notify.notify_waiters())
        };
        give_up(notify.notified());
        quitter.join().unwrap();
        all.join().unwrap();
        // The word is as it was: one notification is kept, and only one.
        notify.notify_one();
        block_on(notify.notified());
        assert!(give_up(notify.notified()).is_none());
    });
}

#[test]
fn loom_notify_two_that_become_one_carry_what_both_did() {
    model(2, || {
        let notify = Arc::new(Notify::new());
        let done = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let notifiers: Vec<_> = (0..2)
            .map(|n| {
                let (notify, done) = (notify.clone(), done.clone());
                thread::spawn(move || {
                    done[n].store(7, Ordering::Relaxed);
                    notify.notify_one();
                })
            })
            .collect();
        if give_up(notify.notified()).is_none() {
            block_on(notify.notified());
        }
        let seen = [done[0].load(Ordering::Relaxed), done[1].load(Ordering::Relaxed)];
        for notifier in notifiers {
            notifier.join().unwrap();
        }
        if give_up(notify.notified()).is_none() {
            assert_eq!(seen, [7, 7], "the one that came stands for both");
        }
    });
}

#[test]
fn loom_notify_waiters_past_a_queue_is_seen_by_one_that_was_not_polled() {
    model(3, || {
        // One of std: futures own it.
        let notify = std::sync::Arc::new(Notify::new());
        let data = Arc::new(UnsafeCell::new(0));
        let mut early = Box::pin(notify.clone().notified_owned());
        let mut queued = Box::pin(notify.notified());
        assert!(!queued.as_mut().enable());
        let other = {
            let data = data.clone();
            thread::spawn(move || {
                if early.as_mut().enable() {
                    // SAFETY: it was notified, so the writer is done with it.
                    assert_eq!(data.with(|data| unsafe { *data }), 7);
                }
            })
        };
        // SAFETY: nobody reads it before it is notified.
        data.with_mut(|data| unsafe { *data = 7 });
        notify.notify_waiters();
        drop(queued);
        other.join().unwrap();
        assert!(give_up(notify.notified()).is_none(), "nothing is kept");
    });
}

#[test]
fn loom_notify_waiters_meets_a_queue_that_has_just_emptied() {
    model(3, || {
        // One of std: futures own it.
        let notify = std::sync::Arc::new(Notify::new());
        let mut queued = Box::pin(notify.clone().notified_owned());
        assert!(!queued.as_mut().enable());
        let leaving = thread::spawn(move || drop(queued));
        notify.notify_waiters();
        // The word says what is so: nobody waits, and nothing is kept until somebody notifies.
        assert!(give_up(notify.notified()).is_none());
        leaving.join().unwrap();
        notify.notify_one();
        assert!(give_up(notify.notified()).is_some());
        assert!(give_up(notify.notified()).is_none());
    });
}
