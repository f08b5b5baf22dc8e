//! Models of rounds, and of one that takes its arrival back.

use super::Barrier;
use crate::primitives::{Arc, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;

#[test]
fn loom_barrier_two_meet_past_one_that_gives_up() {
    model(3, || {
        let barrier = Arc::new(Barrier::new(2));
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || {
                // Where the third is there, this makes a round with it, which it does not see.
                let first = give_up(barrier.wait());
                first.is_some_and(|first| first.is_leader())
            })
        };
        let quitter = give_up(barrier.wait()).is_some();
        let led = other.join().unwrap();
        // Whoever came second in time led; nothing is left of the one that came first.
        assert!(!(quitter && led), "two led one round of two");
        assert_eq!(barrier.round.lock().arrived, 0);
    });
}

#[test]
fn loom_barrier_a_round_has_one_leader_and_orders_what_was_before() {
    model(3, || {
        let barrier = Arc::new(Barrier::new(2));
        let data = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
        let meet = |barrier: Arc<Barrier>, data: Arc<[UnsafeCell<u32>; 2]>, me: usize| {
            // SAFETY: before the round, each has its own.
            data[me].with_mut(|data| unsafe { *data = 7 });
            let led = block_on(barrier.wait()).is_leader();
            // SAFETY: after the round nobody writes.
            assert_eq!(data[1 - me].with(|data| unsafe { *data }), 7);
            led
        };
        // One has come, and gone again.
        assert!(give_up(barrier.wait()).is_none());
        let other = {
            let (barrier, data) = (barrier.clone(), data.clone());
            thread::spawn(move || meet(barrier, data, 1))
        };
        let led = meet(barrier, data, 0);
        assert!(led != other.join().unwrap());
    });
}

#[test]
fn loom_barrier_rounds_follow_each_other_with_one_that_gives_up_among_them() {
    model(2, || {
        let barrier = Arc::new(Barrier::new(2));
        let quitter = {
            let barrier = barrier.clone();
            thread::spawn(move || give_up(barrier.wait()).is_some())
        };
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || give_up(barrier.wait()).is_some())
        };
        let led = give_up(barrier.wait()).is_some();
        let led = [led, quitter.join().unwrap(), other.join().unwrap()];
        // Three arrivals make at most one round of two.
        assert!(led.iter().filter(|led| **led).count() <= 1);
        assert_eq!(barrier.round.lock().arrived, 0);
    });
}
