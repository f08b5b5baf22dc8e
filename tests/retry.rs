//! Trying again: when, how long after, how often, and which error is given.
#![cfg(not(loom))]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::group::{Backoff, retry};
use mainspring::time::{Instant, sleep, timeout};
use mainspring::{sim, spawn};
use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs under a few seeds, in virtual time.
fn check<F: Future<Output = ()>>(test: impl Fn() -> F + Send + 'static) {
    within(move || sim::check(0..20, test));
}

#[test]
fn it_is_tried_again_at_exact_moments() {
    check(|| async {
        let start = Instant::now();
        let tries = RefCell::new(Vec::new());
        let backoff = Backoff::exponential(ms(100)).factor(3).max_delay(ms(1000)).max_tries(6);
        let result = retry(backoff, async || {
            tries.borrow_mut().push(start.elapsed());
            Err::<(), _>(tries.borrow().len())
        });
        assert_eq!(result.await, Err(6), "the last error");
        assert_eq!(*tries.borrow(), [0, 100, 400, 1300, 2300, 3300].map(ms));
    });
}

#[test]
fn a_value_ends_it() {
    check(|| async {
        let start = Instant::now();
        let tries = Cell::new(0);
        let result = retry(Backoff::constant(ms(50)), || {
            tries.set(tries.get() + 1);
            let number = tries.get();
            async move {
                sleep(ms(5)).await;
                if number == 3 { Ok("third") } else { Err(()) }
            }
        });
        assert_eq!(result.await, Ok("third"));
        assert_eq!(start.elapsed(), ms(5 * 3 + 50 * 2), "a wait begins when the try has failed");
    });
}

#[test]
fn by_default_five_times() {
    check(|| async {
        let tries = Cell::new(0);
        let result = retry(Backoff::constant(ms(1)), || {
            tries.set(tries.get() + 1);
            ready(Err::<(), _>("no"))
        });
        assert_eq!((result.await, tries.get()), (Err("no"), 5));
        for (limit, tried) in [(0, 1), (1, 1), (2, 2)] {
            let tries = Cell::new(0);
            let result = retry(Backoff::constant(ms(1)).max_tries(limit), || {
                tries.set(tries.get() + 1);
                ready(Err::<(), _>("no"))
            });
            assert_eq!((result.await, tries.get()), (Err("no"), tried));
        }
    });
}

#[test]
fn what_is_not_worth_it_is_not_tried_again() {
    check(|| async {
        let start = Instant::now();
        let mut errors = vec!["fatal", "busy", "busy"];
        let told = RefCell::new(Vec::new());
        let result = retry(Backoff::exponential(ms(10)).max_tries(None), || {
            ready(Err::<(), _>(errors.pop().unwrap()))
        })
        .when(|error| *error == "busy")
        .notify(|error, delay| told.borrow_mut().push((*error, delay)));
        assert_eq!(result.await, Err("fatal"));
        assert_eq!(*told.borrow(), [("busy", ms(10)), ("busy", ms(20))]);
        assert_eq!(start.elapsed(), ms(30));
    });
}

#[test]
fn jitter_follows_the_seed_and_stays_in_its_bounds() {
    within(|| {
        let waits = |seed| {
            let waited = async {
                let mut told = Vec::new();
                let backoff = Backoff::exponential(ms(100)).jitter().max_tries(6);
                let result = retry(backoff, || ready(Err::<(), _>(())));
                result.notify(|(), delay| told.push(delay)).await.unwrap_err();
                told
            };
            sim::run(seed, waited).0
        };
        let mut shortest = Duration::MAX;
        let mut longest = Duration::ZERO;
        for seed in 0..100 {
            let told = waits(seed);
            assert_eq!(told, waits(seed), "the same each time");
            assert_ne!(told, waits(seed + 1));
            for (delay, limit) in told.iter().zip([100, 200, 400, 800, 1600]) {
                assert!(*delay <= ms(limit), "{told:?}");
            }
            shortest = shortest.min(told[4]);
            longest = longest.max(told[4]);
        }
        assert!(shortest < ms(160) && longest > ms(1440), "{shortest:?} {longest:?}");
    });
}

#[test]
fn dropping_it_drops_the_try() {
    check(|| async {
        struct Guard<'a>(&'a Cell<bool>);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = Cell::new(false);
        let never = retry(Backoff::constant(ms(1)), async || {
            let _guard = Guard(&dropped);
            pending::<Result<(), ()>>().await
        });
        assert!(timeout(ms(5), never).await.is_err());
        assert!(dropped.get());

        // And what a try holds is dropped before the wait.
        let dropped = Cell::new(false);
        let waits = retry(Backoff::constant(ms(100)), || {
            let guard = Guard(&dropped);
            async move {
                let _guard = &guard;
                Err::<(), _>(())
            }
        });
        let waits = waits.notify(|(), _| assert!(dropped.get()));
        assert!(timeout(ms(5), waits).await.is_err());
    });
}

#[test]
fn tries_without_waits_let_others_run() {
    check(|| async {
        let busy = spawn(async {
            retry(Backoff::constant(Duration::ZERO).max_tries(None), || ready(Err::<(), _>(())))
                .await
        });
        // Time stands still while anything can run, so this is about turns, not about time.
        for _ in 0..10 {
            mainspring::yield_now().await;
        }
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn without_a_wait_it_needs_no_runtime() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut once = std::pin::pin!(retry(Backoff::constant(ms(1)), || ready(Ok::<_, ()>(1))));
    assert!(once.as_mut().poll(&mut cx).is_ready());
    let again = catch_unwind(AssertUnwindSafe(|| once.as_mut().poll(&mut cx)));
    assert!(again.is_err(), "polled again");
    let mut waits = std::pin::pin!(retry(Backoff::constant(ms(1)), || ready(Err::<(), _>(()))));
    assert!(catch_unwind(AssertUnwindSafe(|| waits.as_mut().poll(&mut cx))).is_err());
}
