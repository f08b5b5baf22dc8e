//! Models of those who wait for a token, and of one among them that gives up.

use super::CapacityLimiter;
use crate::primitives::{Arc, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;

#[test]
fn loom_limiter_a_token_comes_back_past_one_that_gives_up() {
    model(3, || {
        let limiter = Arc::new(CapacityLimiter::new(1));
        let data = Arc::new(UnsafeCell::new(0));
        let held = limiter.try_acquire_on_behalf_of(0).unwrap();
        let quitter = {
            let limiter = limiter.clone();
            thread::spawn(move || drop(give_up(limiter.acquire_on_behalf_of(1))))
        };
        let waiter = {
            let (limiter, data) = (limiter.clone(), data.clone());
            thread::spawn(move || {
                let token = block_on(limiter.acquire_on_behalf_of(2)).unwrap();
                // SAFETY: whoever has the token has the data.
                data.with_mut(|data| unsafe { *data += 1 });
                drop(token);
            })
        };
        // SAFETY: as above.
        data.with_mut(|data| unsafe { *data += 1 });
        drop(held);
        quitter.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(limiter.statistics().borrowed_tokens, 0);
        assert_eq!(limiter.statistics().tasks_waiting, 0);
    });
}

#[test]
fn loom_limiter_the_total_changes_as_one_waits_and_one_gives_up() {
    model(3, || {
        let limiter = Arc::new(CapacityLimiter::new(0));
        let changer = {
            let limiter = limiter.clone();
            thread::spawn(move || {
                limiter.set_total_tokens(2);
                limiter.set_total_tokens(1);
            })
        };
        let quitter = {
            let limiter = limiter.clone();
            thread::spawn(move || drop(give_up(limiter.acquire_on_behalf_of(1))))
        };
        drop(block_on(limiter.acquire_on_behalf_of(2)).unwrap());
        changer.join().unwrap();
        quitter.join().unwrap();
        assert_eq!(limiter.available_tokens(), 1);
        assert!(limiter.books.lock().borrowers.is_empty());
    });
}
