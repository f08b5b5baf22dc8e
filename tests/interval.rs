//! Ticks, and sleeps whose moment is moved.
//!
//! Ticks are tested in virtual time, under several seeds; that a thread's sleep is cut short, in real.
#![cfg(not(loom))]

#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use futures::FutureExt;
use mainspring::time::{Instant, MissedTick, interval, interval_at, sleep, sleep_until, timeout};
use mainspring::{sim, spawn_local, yield_now};
use one_thread::block_on;
use std::time::Duration;
use watchdog::within;

const HOUR: Duration = Duration::from_secs(3600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_first_tick_is_at_once_and_the_others_keep_the_rhythm() {
    within(|| {
        sim::check(0..20, || async {
            let mut ticks = interval(ms(5));
            let first = ticks.tick().now_or_never().expect("at once");
            for n in 1..4 {
                let due = ticks.tick().await;
                assert_eq!(due, first + ms(5) * n, "however late it was noticed");
                assert!(Instant::now() >= due);
            }
        });
    });
}

#[test]
fn a_rhythm_with_a_start_of_its_own() {
    within(|| {
        sim::check(0..20, || async {
            let now = Instant::now();
            let mut ticks = interval_at(now + ms(30), ms(5));
            for due in [30, 35, 40] {
                assert_eq!(ticks.tick().await, now + ms(due));
                assert_eq!(now.elapsed(), ms(due));
            }
            // Begun in the past, ticks were missed.
            for (missed, second) in [(MissedTick::Burst, 35), (MissedTick::Skip, 50)] {
                let mut ticks = interval_at(now + ms(30), ms(5));
                ticks.set_missed_tick(missed);
                sleep_until(now + ms(47)).await;
                assert_eq!(ticks.tick().now_or_never(), Some(now + ms(30)));
                assert_eq!(ticks.tick().await, now + ms(second));
            }
        });
    });
    let zero = std::panic::catch_unwind(|| block_on(async { interval_at(Instant::now(), ms(0)) }));
    assert!(zero.is_err());
}

#[test]
fn a_tick_given_up_is_not_lost() {
    within(|| {
        sim::check(0..20, || async {
            let mut ticks = interval(ms(20));
            let first = ticks.tick().await;
            assert!(timeout(ms(1), ticks.tick()).await.is_err());
            assert_eq!(ticks.tick().await, first + ms(20));
        });
    });
}

#[test]
fn what_was_missed_follows_the_setting() {
    within(|| {
        sim::check(0..20, || async {
            for missed in [MissedTick::Burst, MissedTick::Delay, MissedTick::Skip] {
                let mut ticks = interval(ms(4));
                ticks.set_missed_tick(missed);
                assert_eq!((ticks.missed_tick(), ticks.period()), (missed, ms(4)));
                let first = ticks.tick().await;
                sleep(ms(18)).await;
                assert_eq!(ticks.tick().await, first + ms(4), "the one that was due");
                let noticed = Instant::now();
                let next = ticks.tick().await;
                match missed {
                    MissedTick::Burst => assert_eq!(next, first + ms(8)),
                    MissedTick::Delay => assert!(next >= first + ms(18 + 4) && next >= noticed),
                    MissedTick::Skip => {
                        assert!(next >= first + ms(20));
                        assert_eq!((next - first).as_nanos() % ms(4).as_nanos(), 0, "in rhythm");
                    }
                }
            }
        });
    });
}

#[test]
fn reset_puts_the_next_tick_a_period_from_now() {
    within(|| {
        sim::check(0..20, || async {
            let mut ticks = interval(ms(10));
            ticks.tick().await;
            sleep(ms(4)).await;
            let before = Instant::now();
            ticks.reset();
            assert!(ticks.tick().await >= before + ms(10));
        });
    });
}

#[test]
#[should_panic(expected = "longer than zero")]
fn a_period_of_zero_is_refused() {
    block_on(async { drop(interval(Duration::ZERO)) });
}

#[test]
fn an_extended_sleep_waits_for_the_later_moment() {
    within(|| {
        block_on(async {
            let start = Instant::now();
            let mut idle = sleep(ms(3));
            assert!((&mut idle).now_or_never().is_none(), "armed");
            for n in 1..=20 {
                idle.reset(start + ms(3 + n));
            }
            assert_eq!(idle.deadline(), start + ms(23));
            (&mut idle).await;
            assert!(start.elapsed() >= ms(23));
        });
    });
}

#[test]
fn a_shortened_sleep_wakes_whoever_waits_for_it_already() {
    within(|| {
        block_on(async {
            let sleeping = std::rc::Rc::new(std::cell::RefCell::new(sleep(HOUR)));
            let other = sleeping.clone();
            let waits = spawn_local(std::future::poll_fn(move |cx| {
                std::pin::Pin::new(&mut *other.borrow_mut()).poll_unpin(cx)
            }));
            yield_now().await;
            let deadline = Instant::now() + ms(3);
            sleeping.borrow_mut().reset(deadline);
            waits.await.unwrap();
            assert!(Instant::now() >= deadline);
        });
    });
}

#[test]
fn a_sleep_that_is_over_can_be_used_again() {
    within(|| {
        block_on(async {
            let mut again = sleep_until(Instant::now());
            for _ in 0..3 {
                (&mut again).await;
                assert!(again.is_elapsed());
                let next = Instant::now() + ms(2);
                again.reset(next);
                assert!(!again.is_elapsed());
                (&mut again).await;
                assert!(Instant::now() >= next);
            }
            again.reset(Instant::now() - HOUR);
            again.await;
        });
    });
}
