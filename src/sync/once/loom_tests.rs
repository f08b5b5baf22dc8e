//! Models of those who ask for a value at once, and of one among them that gives up.

use super::{OnceCell, SetOnce};
use crate::primitives::{Arc, AtomicUsize, Ordering, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;
use std::future::pending;

#[test]
fn loom_once_two_make_one_value_past_one_that_gives_up() {
    model(3, || {
        let cell = Arc::new(OnceCell::new());
        let made = Arc::new(AtomicUsize::new(0));
        let ask = |cell: &OnceCell<UnsafeCell<usize>>, made: &AtomicUsize| {
            let value = block_on(cell.get_or_init(async || {
                made.fetch_add(1, Ordering::Relaxed);
                UnsafeCell::new(7)
            }));
            // SAFETY: nobody writes it.
            assert_eq!(value.with(|value| unsafe { *value }), 7);
        };
        let other = {
            let (cell, made) = (cell.clone(), made.clone());
            thread::spawn(move || ask(&cell, &made))
        };
        give_up(cell.get_or_init(pending));
        ask(&cell, &made);
        other.join().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_once_a_turn_passes_through_those_that_give_up_and_fail() {
    model(2, || {
        let cell = Arc::new(OnceCell::new());
        let quitter = {
            let cell = cell.clone();
            thread::spawn(move || drop(give_up(cell.get_or_init(pending))))
        };
        let failing = {
            let cell = cell.clone();
            thread::spawn(move || {
                let _ = block_on(cell.get_or_try_init(async || Err::<u32, ()>(())));
            })
        };
        assert_eq!(block_on(cell.get_or_init(async || 7)), &7);
        quitter.join().unwrap();
        failing.join().unwrap();
    });
}

#[test]
fn loom_once_a_turn_given_to_one_that_has_just_given_up_is_not_lost() {
    model(3, || {
        let cell = Arc::new(OnceCell::new());
        let failing = {
            let cell = cell.clone();
            thread::spawn(move || {
                let _ = block_on(cell.get_or_try_init(async || Err::<u32, ()>(())));
            })
        };
        give_up(cell.get_or_init(pending));
        assert_eq!(block_on(cell.get_or_init(async || 7)), &7);
        failing.join().unwrap();
    });
}

#[test]
fn loom_once_set_meets_one_that_makes_and_one_that_looks() {
    model(3, || {
        let cell = Arc::new(OnceCell::new());
        let setter = {
            let cell = cell.clone();
            thread::spawn(move || cell.set(1).is_ok())
        };
        let looking = {
            let cell = cell.clone();
            thread::spawn(move || cell.get().copied())
        };
        give_up(cell.get_or_init(pending));
        let value = *block_on(cell.get_or_init(async || 2));
        assert_eq!(value, if setter.join().unwrap() { 1 } else { 2 });
        assert!(looking.join().unwrap().is_none_or(|seen| seen == value));
    });
}

#[test]
fn loom_set_once_two_set_while_one_waits_and_one_gives_up() {
    model(3, || {
        let once = Arc::new(SetOnce::new());
        let setters: Vec<_> = (1..3)
            .map(|n| {
                let once = once.clone();
                thread::spawn(move || {
                    let won = once.set(n).is_ok();
                    assert!(once.get().is_some(), "whoever set it, it is set");
                    if won { n } else { 0 }
                })
            })
            .collect();
        give_up(once.wait());
        let seen = *block_on(once.wait());
        let won: u32 = setters.into_iter().map(|setter| setter.join().unwrap()).sum();
        assert_eq!(seen, won);
    });
}

#[test]
fn loom_set_once_who_sees_that_it_is_set_does_not_wait() {
    model(3, || {
        let once = Arc::new(SetOnce::new());
        let setter = {
            let once = once.clone();
            thread::spawn(move || once.set(1).unwrap())
        };
        give_up(once.wait());
        if once.initialized() {
            assert_eq!(give_up(once.wait()), Some(&1));
        }
        setter.join().unwrap();
    });
}
