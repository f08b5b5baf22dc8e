//! Tasks that nobody owns, as their polls go on: the thread that polls counts and wakes by a word of
//! its own, while others wake, abort, clone and drop by the other.

use super::loom_tests::{Counted, Rt, assert_freed, poll};
use crate::primitives::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, thread};
use std::future::poll_fn;
use std::sync::Arc as StdArc;
use std::task::{Poll, Waker};

use Ordering::Relaxed;

/// Where a poll leaves its waker. No lock of the model's: what passes through it is ordered by the
/// task alone.
type Left = StdArc<std::sync::Mutex<Option<Waker>>>;

/// A task that yields stays held, without a step in the shared word: a wake that comes in any of
/// its polls is followed by one that sees the news.
#[test]
fn loom_yield_against_wake() {
    loom::model(|| {
        let rt = Rt::new();
        let (flag, left) = (Arc::new(AtomicBool::new(false)), Left::default());
        let (seen, leaves, mut yields) = (flag.clone(), left.clone(), 2);
        let handle = rt.spawn(poll_fn(move |cx| {
            if seen.load(Relaxed) {
                return Poll::Ready(());
            }
            leaves.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
            if yields > 0 {
                yields -= 1;
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }));
        rt.run();
        let waker = left.lock().unwrap().take().unwrap();
        // Once more, by the shared word this time, and then twice by the other.
        waker.wake_by_ref();
        let other = thread::spawn(move || {
            flag.store(true, Relaxed);
            waker.wake();
        });
        rt.run();
        other.join().unwrap();
        rt.run();
        assert!(handle.is_finished(), "the wake was lost");
        drop((handle, left));
        assert_freed(rt);
    });
}

/// The same where the task yields while the wake comes.
#[test]
fn loom_wake_while_it_yields() {
    loom::model(|| {
        let rt = Rt::new();
        let (flag, left) = (Arc::new(AtomicBool::new(false)), Left::default());
        let (seen, leaves, mut polls) = (flag.clone(), left.clone(), 0);
        let handle = rt.spawn(poll_fn(move |cx| {
            polls += 1;
            if seen.load(Relaxed) {
                return Poll::Ready(());
            }
            if polls == 1 {
                *leaves.lock().unwrap() = Some(cx.waker().clone());
            } else if polls < 4 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }));
        rt.run();
        let waker = left.lock().unwrap().take().unwrap();
        let other = {
            let waker = waker.clone();
            thread::spawn(move || {
                flag.store(true, Relaxed);
                waker.wake();
            })
        };
        waker.wake();
        rt.run();
        other.join().unwrap();
        rt.run();
        assert!(handle.is_finished(), "the wake was lost");
        drop((handle, left));
        assert_freed(rt);
    });
}

/// References that a poll makes are given up elsewhere, and the other way round, while it ends in one
/// of three ways: it waits, yields, or is the last. None is lost, and none counted twice.
fn counts_of_a_poll(ends: Option<bool>) {
    loom::model(move || {
        let rt = Rt::new();
        let (left, back) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let (leaves, takes, mut polls) = (left.clone(), back.clone(), 0);
        drop(rt.spawn(poll_fn(move |cx| {
            polls += 1;
            // From elsewhere, and given up here.
            drop(takes.lock().take());
            if polls > 2 {
                return Poll::Ready(());
            }
            *leaves.lock() = Some([cx.waker().clone(), cx.waker().clone()]);
            match ends {
                Some(true) if polls > 1 => return Poll::Ready(()),
                Some(_) => cx.waker().wake_by_ref(),
                None => {}
            }
            Poll::Pending
        })));
        let other = {
            let (left, back) = (left.clone(), back.clone());
            thread::spawn(move || {
                let taken: Option<[Waker; 2]> = left.lock().take();
                if let Some([one, two]) = taken {
                    *back.lock() = Some(one.clone());
                    drop(one);
                    two.wake();
                }
            })
        };
        rt.run();
        other.join().unwrap();
        rt.run();
        let wakes = left.lock().take();
        wakes.into_iter().flatten().for_each(Waker::wake);
        rt.run();
        let wakes = left.lock().take();
        wakes.into_iter().flatten().for_each(Waker::wake);
        rt.run();
        assert_eq!(rt.0.live_tasks(), 0, "a wake was lost");
        drop((left, back));
        assert_freed(rt);
    });
}

#[test]
fn loom_counts_of_a_poll_that_waits() {
    counts_of_a_poll(None);
}

#[test]
fn loom_counts_of_a_poll_that_yields() {
    counts_of_a_poll(Some(false));
}

#[test]
fn loom_counts_of_the_last_poll() {
    counts_of_a_poll(Some(true));
}

/// The last reference but the live one is given up elsewhere while the task ends: whoever is the last
/// frees the cell.
#[test]
fn loom_last_reference_against_the_last_poll() {
    loom::model(|| {
        let rt = Rt::new();
        let left = Arc::new(Mutex::new(None));
        let leaves = left.clone();
        drop(rt.spawn(poll_fn(move |cx| {
            *leaves.lock() = Some(cx.waker().clone());
            Poll::Ready(())
        })));
        let other = {
            let left = left.clone();
            thread::spawn(move || {
                let taken: Option<Waker> = left.lock().take();
                taken.into_iter().for_each(Waker::wake);
            })
        };
        rt.run();
        other.join().unwrap();
        drop(left.lock().take());
        assert_freed(rt);
    });
}

/// An abort comes while the task, which never waits, goes from one poll to the next.
#[test]
fn loom_abort_against_a_yield() {
    loom::model(|| {
        let rt = Rt::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let (counted, mut yields) = (Counted(drops.clone()), 3);
        let mut handle = rt.spawn(poll_fn(move |cx| {
            let _counted = &counted;
            if yields > 0 {
                yields -= 1;
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        }));
        let abort = handle.abort_handle();
        let other = thread::spawn(move || abort.abort());
        rt.run();
        other.join().unwrap();
        rt.run();
        let Poll::Ready(Err(error)) = poll(&mut handle, Waker::noop()) else {
            panic!("the abort was lost");
        };
        assert!(error.is_cancelled());
        assert_eq!(drops.load(Relaxed), 1);
        drop(handle);
        assert_freed(rt);
    });
}

/// Two threads have news of their own, while a third polls.
#[test]
fn loom_two_wakes_against_a_poll() {
    loom::model(|| {
        let rt = Rt::new();
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let (seen, left) = (flags.clone(), Left::default());
        let leaves = left.clone();
        let handle = rt.spawn(poll_fn(move |cx| {
            if seen.iter().all(|flag| flag.load(Relaxed)) {
                return Poll::Ready(());
            }
            leaves.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
            Poll::Pending
        }));
        rt.run();
        let waker = left.lock().unwrap().take().unwrap();
        let others = [0, 1].map(|at| {
            let (flags, waker) = (flags.clone(), waker.clone());
            thread::spawn(move || {
                flags[at].store(true, Relaxed);
                waker.wake();
            })
        });
        waker.wake();
        rt.run();
        for other in others {
            other.join().unwrap();
        }
        rt.run();
        assert!(handle.is_finished(), "a wake was lost");
        drop((handle, left));
        assert_freed(rt);
    });
}
