//! Sleeps and time-outs: never early, in order, and in the hands of whoever polls last.
//!
//! What does not need the real clock is tested in virtual time, under several seeds.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/wakers.rs"]
mod wakers;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Any, Flavour, on_every_flavour};
use futures::channel::oneshot;
use mainspring::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};
use mainspring::{LocalRuntime, sim, spawn_local, yield_now};
use one_thread::block_on;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use wakers::Counter;
use watchdog::within;

const HOUR: Duration = Duration::from_secs(3600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

#[test]
fn never_early() {
    within(|| {
        block_on(async {
            let tasks: Vec<_> = (0..500_u64)
                .map(|n| {
                    spawn_local(async move {
                        let wanted = Duration::from_micros(n * 97);
                        let (start, system) = (Instant::now(), std::time::Instant::now());
                        sleep(wanted).await;
                        assert!(start.elapsed() >= wanted);
                        assert!(system.elapsed() >= wanted);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            // A deadline counts from the call, however long the poll before was.
            for _ in 0..10 {
                let start = std::time::Instant::now();
                while start.elapsed() < ms(2) {}
                let start = std::time::Instant::now();
                sleep(ms(1)).await;
                assert!(start.elapsed() >= ms(1));
            }
        });
    });
}

#[test]
fn zero_and_past_are_over_at_once() {
    within(|| {
        sim::check(0..20, || async {
            assert!(futures::poll!(Box::pin(sleep(Duration::ZERO))).is_ready());
            let now = Instant::now();
            assert!(futures::poll!(Box::pin(sleep_until(now))).is_ready());
            assert!(futures::poll!(Box::pin(sleep_until(now - HOUR))).is_ready());
            let over = sleep_until(now);
            assert!(over.is_elapsed() && over.deadline() == now);
        });
    });
}

#[test]
fn the_longest_durations_never_end() {
    within(|| {
        sim::check(0..20, || async {
            for long in [Duration::MAX, Duration::from_secs(u64::MAX), ms(1 << 32), ms(1 << 44)] {
                let mut forever = Box::pin(sleep(long));
                assert!(futures::poll!(&mut forever).is_pending());
                sleep(ms(2)).await;
                assert!(futures::poll!(&mut forever).is_pending());
                assert!(!forever.is_elapsed());
                assert!(timeout(ms(1), &mut forever).await.is_err());
                assert_eq!(timeout(long, async { 1 }).await, Ok(1));
            }
        });
    });
}

#[test]
fn they_fire_in_the_order_of_their_deadlines() {
    within(|| {
        block_on(async {
            let order = Rc::new(RefCell::new(Vec::new()));
            // So far away that all are armed before the first is due, however busy the machine.
            let start = Instant::now() + ms(500);
            // Across the borders of the wheel's levels, and shuffled.
            let tasks: Vec<_> = (0..200_u64)
                .map(|n| {
                    let order = Rc::clone(&order);
                    let after = ms((n * 67) % 200);
                    spawn_local(async move {
                        sleep_until(start + after).await;
                        order.borrow_mut().push(after);
                    })
                })
                .collect();
            yield_now().await;
            // So long that many are due at once.
            while start.elapsed() < ms(50) {}
            for task in tasks {
                task.await.unwrap();
            }
            assert!(order.borrow().is_sorted(), "{:?}", order.borrow());
            assert_eq!(order.borrow().len(), 200);
        });
    });
}

#[test]
fn a_sleep_that_is_dropped_wakes_nobody() {
    within(|| {
        sim::check(0..20, || async {
            let (counter, waker) = Counter::new();
            let mut cx = Context::from_waker(&waker);
            let mut sleeps: Vec<_> = (0..100).map(|_| Box::pin(sleep(ms(3)))).collect();
            for sleep in &mut sleeps {
                assert!(sleep.as_mut().poll(&mut cx).is_pending());
            }
            drop(sleeps);
            let mut kept = Box::pin(sleep(ms(3)));
            assert!(kept.as_mut().poll(&mut cx).is_pending());
            sleep(ms(10)).await;
            assert_eq!(counter.count(), 1);
            assert!(kept.as_mut().poll(&mut cx).is_ready());
            assert_eq!(std::sync::Arc::strong_count(&counter), 2, "a waker was kept");
        });
    });
}

#[test]
fn the_latest_waker_is_woken() {
    within(|| {
        sim::check(0..20, || async {
            let (first, first_waker) = Counter::new();
            let (second, second_waker) = Counter::new();
            let mut sleeping = Box::pin(sleep(ms(3)));
            for waker in [&first_waker, &second_waker, &first_waker, &second_waker] {
                assert!(sleeping.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
            sleep(ms(10)).await;
            assert_eq!((first.count(), second.count()), (0, 1));
            assert!(futures::poll!(&mut sleeping).is_ready());
            assert!(futures::poll!(&mut sleeping).is_ready(), "it stays ready");
        });
    });
}

/// A sleep that was polled once, on a runtime that is given back.
fn polled_on(rt: &Any, duration: Duration) -> Pin<Box<Sleep>> {
    let mut polled = None;
    rt.block_on(async {
        let mut sleeping = Box::pin(sleep(duration));
        assert!(futures::poll!(&mut sleeping).is_pending());
        polled = Some(sleeping);
    });
    polled.unwrap()
}

fn a_sleep_moves_to_another_runtime_after_the_end_of_its_first(on: Flavour) {
    within(move || {
        let a = on.runtime();
        let start = std::time::Instant::now();
        let (mut short, over) = (polled_on(&a, ms(20)), polled_on(&a, ms(1)));
        drop(a);
        thread::spawn(move || {
            on.block_on(async {
                short.as_mut().await;
                assert!(start.elapsed() >= ms(20));
                over.await;
            });
        })
        .join()
        .unwrap();
    });
}

fn a_sleep_moves_to_another_runtime_while_its_first_stands_still(on: Flavour) {
    within(move || {
        let a = on.runtime();
        let start = std::time::Instant::now();
        let sleeping = polled_on(&a, ms(20));
        on.block_on(sleeping);
        assert!(start.elapsed() >= ms(20));

        // Dropped elsewhere after the move, and before it.
        let mut moved = polled_on(&a, HOUR);
        on.block_on(async { assert!(futures::poll!(&mut moved).is_pending()) });
        drop(moved);
        drop(polled_on(&a, HOUR));
        a.block_on(async { sleep(ms(1)).await });
    });
}

fn a_sleep_waits_through_the_end_of_its_runtime_in_another(on: Flavour) {
    within(move || {
        let (a, b) = (on.runtime(), on.runtime());
        let start = std::time::Instant::now();
        let sleeping = polled_on(&a, ms(30));
        let task = b.spawn(sleeping);
        b.block_on(yield_now());
        drop(a);
        b.block_on(task).unwrap();
        assert!(start.elapsed() >= ms(30));
    });
}

fn the_end_of_a_runtime_wakes_those_who_sleep_in_it(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let (counter, waker) = Counter::new();
        let mut sleeping = polled_on(&rt, HOUR);
        rt.block_on(async {
            assert!(sleeping.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        });
        drop(rt);
        assert_eq!(counter.count(), 1);
        assert!(!sleeping.is_elapsed());
    });
}

#[test]
fn time_outs() {
    within(|| {
        sim::check(0..20, || async {
            assert_eq!(timeout(HOUR, async { 1 }).await, Ok(1));
            assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1), "ready counts");
            let elapsed = timeout(Duration::ZERO, pending::<()>()).await.unwrap_err();
            assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
            let start = Instant::now();
            assert!(timeout(ms(5), pending::<()>()).await.is_err());
            assert!(start.elapsed() >= ms(5));
            assert_eq!(
                timeout(HOUR, timeout(ms(2), sleep(HOUR))).await.map(|r| r.is_err()),
                Ok(true)
            );

            // The future is dropped by the time the error is there.
            let alive = Rc::new(());
            let held = Rc::clone(&alive);
            let limited = timeout(ms(2), async move {
                let _held = held;
                pending::<()>().await;
            });
            let mut limited = std::pin::pin!(limited);
            assert!(limited.as_mut().await.is_err());
            assert_eq!(Rc::strong_count(&alive), 1);

            // One that becomes ready in the very poll in which the time is over wins.
            let late = Cell::new(false);
            let both = timeout(
                ms(2),
                poll_fn(|_| if late.replace(true) { Poll::Ready(3) } else { Poll::Pending }),
            );
            assert_eq!(both.await, Ok(3));
        });
    });
}

fn a_time_out_holds_its_future_once(on: Flavour) {
    let work = || async {
        let large = [0_u8; 1024];
        mainspring::yield_now().await;
        std::hint::black_box(&large);
    };
    on.runtime().block_on(async {
        let nested = timeout(ms(1), timeout(ms(1), timeout(ms(1), work())));
        assert!(size_of_val(&nested) <= size_of_val(&work()) + 3 * 128);
    });
}

#[test]
fn a_hundred_thousand_at_once() {
    within(|| {
        let rt = runtime();
        let fired = Rc::new(Cell::new(0));
        let count = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
        rt.block_on(async {
            let start = Instant::now();
            let tasks: Vec<_> = (0..count)
                .map(|n| {
                    let fired = Rc::clone(&fired);
                    spawn_local(async move {
                        let deadline = start + ms(n % 300);
                        sleep_until(deadline).await;
                        assert!(Instant::now() >= deadline);
                        fired.set(fired.get() + 1);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(fired.get(), count);
        assert_eq!(rt.live_tasks(), 0);
    });
}

fn a_timer_armed_by_a_spawn_from_outside_shortens_a_long_sleep(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let handle = rt.handle();
        let (tx, rx) = oneshot::channel();
        let thread = thread::spawn(move || {
            // Long enough for the other thread to fall asleep until its own timer.
            thread::sleep(ms(20));
            drop(handle.spawn(async move {
                sleep(ms(5)).await;
                tx.send(()).unwrap();
            }));
        });
        rt.block_on(async {
            let mut long = Box::pin(sleep(HOUR));
            assert!(futures::poll!(&mut long).is_pending());
            rx.await.unwrap();
            assert!(futures::poll!(&mut long).is_pending());
        });
        thread.join().unwrap();
    });
}

fn a_sleep_of_this_runtime_is_polled_and_dropped_by_another_thread(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        for _ in 0..50 {
            let sleeps: Vec<_> = (0..20).map(|n| polled_on(&rt, ms(1 + n % 3))).collect();
            let other = thread::spawn(move || {
                on.block_on(async move {
                    for (n, sleeping) in sleeps.into_iter().enumerate() {
                        if n % 2 == 0 {
                            sleeping.await;
                        }
                    }
                });
            });
            rt.block_on(async { sleep(ms(2)).await });
            other.join().unwrap();
        }
    });
}

#[test]
fn an_idle_thread_does_not_spin_until_a_far_deadline() {
    struct Parks(std::sync::atomic::AtomicUsize);
    impl mainspring::hooks::Hooks for Parks {
        fn on_park(&self, _: usize) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    within(|| {
        let parks = std::sync::Arc::new(Parks(Default::default()));
        let rt = LocalRuntime::builder().hooks(parks.clone()).build().unwrap();
        rt.block_on(async {
            // Further than a kernel's wait can be asked for, at a border of the wheel, and near.
            let mut far: Vec<_> =
                [ms(1 << 32), ms((1 << 32) + 1), Duration::MAX].map(|d| Box::pin(sleep(d))).into();
            for far in &mut far {
                assert!(futures::poll!(far).is_pending());
            }
            sleep(ms(100)).await;
        });
        let parks = parks.0.load(std::sync::atomic::Ordering::Relaxed);
        assert!(parks <= 10, "{parks} sleeps of the thread for one timer");
    });
}

#[test]
fn one_deadline_limits_several_waits() {
    within(|| {
        sim::check(0..20, || async {
            let deadline = Instant::now() + ms(10);
            assert_eq!(timeout_at(deadline, sleep(ms(7))).await, Ok(()));
            assert!(timeout_at(deadline, sleep(ms(7))).await.is_err());
            assert_eq!(Instant::now(), deadline);
            // It has passed: what is ready counts, and nothing else.
            assert_eq!(timeout_at(deadline - HOUR, async { 5 }).await, Ok(5));
            assert!(timeout_at(deadline, yield_now()).await.is_err());
            assert_eq!(timeout_at(deadline + Duration::MAX, sleep(HOUR)).await, Ok(()));
        });
    });
}

#[test]
fn fine_sleeps_end_one_after_the_other() {
    within(|| {
        let resolution = Duration::from_micros(50);
        let rt = LocalRuntime::builder().timer_resolution(resolution).build().unwrap();
        rt.block_on(async {
            for _ in 0..5 {
                sleep(Duration::from_micros(300)).await;
            }
        });
    });
}

on_every_flavour! {
    a_sleep_waits_through_the_end_of_its_runtime_in_another,
    a_sleep_moves_to_another_runtime_after_the_end_of_its_first,
    a_sleep_moves_to_another_runtime_while_its_first_stands_still,
    the_end_of_a_runtime_wakes_those_who_sleep_in_it,
    a_time_out_holds_its_future_once,
    a_timer_armed_by_a_spawn_from_outside_shortens_a_long_sleep,
    a_sleep_of_this_runtime_is_polled_and_dropped_by_another_thread,
}
