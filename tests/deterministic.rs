//! Deterministic runtimes: virtual time, seeded orders, and closures among the tasks.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::channel::oneshot;
use mainspring::hooks::{Finish, Hooks, TaskId, TaskInfo};
use mainspring::task::Busy;
use mainspring::time::{self, Instant, advance, sleep, sleep_until, timeout};
use mainspring::{
    Budget, Handle, LocalRuntime, block_on, spawn, spawn_blocking, spawn_local, yield_now,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use watchdog::within;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn seeded(seed: u64) -> LocalRuntime {
    LocalRuntime::builder().deterministic(seed).build().unwrap()
}

/// What `run` panics with.
fn message_of<R>(run: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).err().expect("it panics");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

// --- virtual time

#[test]
fn time_stands_still_while_anything_runs_and_jumps_to_the_deadline() {
    within(|| {
        seeded(1).block_on(async {
            let start = Instant::now();
            for _ in 0..100 {
                yield_now().await;
            }
            thread::sleep(ms(2));
            assert_eq!(start.elapsed(), Duration::ZERO);
            sleep(DAY).await;
            assert_eq!(start.elapsed(), DAY);
            // A step of the wheel is a millisecond, as in real time.
            sleep(Duration::from_micros(1500)).await;
            assert_eq!(start.elapsed(), DAY + ms(2));
            assert!(timeout(HOUR, pending::<()>()).await.is_err());
            assert_eq!(start.elapsed(), DAY + ms(2) + HOUR);
        });
    });
}

#[test]
fn each_deadline_is_met_exactly_and_in_order() {
    within(|| {
        for seed in 0..20 {
            seeded(seed).block_on(async {
                let start = Instant::now();
                let order = Rc::new(RefCell::new(Vec::new()));
                // Over several levels of the wheel.
                let tasks: Vec<_> = (0..200_u64)
                    .map(|n| {
                        let (order, after) = (Rc::clone(&order), ms(((n * 67) % 200).pow(3)));
                        spawn_local(async move {
                            sleep(after).await;
                            assert_eq!(start.elapsed(), after);
                            order.borrow_mut().push(after);
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
                assert!(order.borrow().is_sorted());
            });
        }
    });
}

#[test]
fn sleeps_without_end_do_not_move_time() {
    within(|| {
        let rt = seeded(1);
        for _ in 0..3 {
            drop(rt.spawn_local(async { sleep(Duration::MAX).await }));
        }
        rt.block_on(async {
            let start = Instant::now();
            let (tx, rx) = oneshot::channel();
            let thread = thread::spawn(move || {
                thread::sleep(ms(20));
                tx.send(()).unwrap();
            });
            rx.await.unwrap();
            thread.join().unwrap();
            assert_eq!(start.elapsed(), Duration::ZERO);
        });
        while rt.turn(Budget::new()).unwrap().has_more {}
    });
}

#[test]
fn a_timer_that_is_moved_to_the_present_fires_while_time_stands() {
    within(|| {
        for seed in 0..20 {
            seeded(seed).block_on(async {
                time::pause();
                let start = Instant::now();
                let mut later = Box::pin(sleep(HOUR));
                std::future::poll_fn(|cx| {
                    assert!(later.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                // The look that every run begins with would find it.
                for _ in 0..3 {
                    yield_now().await;
                }
                later.as_mut().reset(start - ms(1));
                later.await;
                assert_eq!(start.elapsed(), Duration::ZERO);
            });
        }
    });
}

#[test]
fn time_may_be_moved_from_another_thread() {
    within(|| {
        seeded(1).block_on(async {
            let start = Instant::now();
            time::pause();
            let handle = Handle::current();
            let thread = thread::spawn(move || {
                let _entered = handle.enter();
                // The runtime sleeps by then, as a rule.
                thread::sleep(ms(20));
                futures::executor::block_on(advance(ms(2)));
                let moved = start.elapsed();
                thread::sleep(ms(20));
                time::resume();
                moved
            });
            sleep(ms(5)).await;
            assert_eq!(start.elapsed(), ms(5));
            assert_eq!(thread.join().unwrap(), ms(2));
        });
    });
}

#[test]
fn moments_before_the_start_exist() {
    seeded(1).block_on(async {
        let now = Instant::now();
        assert_eq!(now - (now - DAY), DAY);
    });
}

#[test]
fn a_paused_clock_moves_by_hand_only() {
    within(|| {
        seeded(3).block_on(async {
            time::pause();
            let start = Instant::now();
            let order = Rc::new(RefCell::new(Vec::new()));
            for after in [30, 10, 20] {
                let order = Rc::clone(&order);
                drop(spawn_local(async move {
                    sleep(ms(after)).await;
                    order.borrow_mut().push((after, start.elapsed()));
                    // Armed on the way, and due on the way.
                    sleep(ms(5)).await;
                    order.borrow_mut().push((after + 5, start.elapsed()));
                }));
            }
            advance(ms(26)).await;
            assert_eq!(start.elapsed(), ms(26));
            assert_eq!(
                *order.borrow(),
                [10, 15, 20, 25].map(|after| (after, ms(after))),
                "each at its moment, and what it leads to before the next"
            );
            advance(Duration::from_micros(8999)).await;
            assert_eq!(start.elapsed(), Duration::from_micros(34_999));
            assert_eq!(order.borrow().len(), 5);
            time::resume();
            sleep(ms(1)).await;
            assert_eq!(order.borrow().len(), 6);
        });
    });
}

#[test]
fn advances_side_by_side_end_at_their_own_moments() {
    within(|| {
        for seed in 0..20 {
            seeded(seed).block_on(async {
                time::pause();
                let start = Instant::now();
                let given_up = timeout(ms(1), advance(HOUR));
                let tasks = [7, 3, 5, 3].map(|after| {
                    spawn_local(async move {
                        advance(ms(after)).await;
                        assert_eq!(start.elapsed(), ms(after));
                    })
                });
                assert!(given_up.await.is_err());
                for task in tasks {
                    task.await.unwrap();
                }
                assert_eq!(start.elapsed(), ms(7));
                advance(Duration::ZERO).await;
                assert_eq!(start.elapsed(), ms(7));
            });
        }
    });
}

#[test]
fn an_advance_works_while_time_runs_too() {
    within(|| {
        seeded(3).block_on(async {
            let start = Instant::now();
            advance(Duration::from_nanos(1)).await;
            assert_eq!(start.elapsed(), Duration::from_nanos(1));
        });
    });
}

#[test]
fn real_time_cannot_be_moved() {
    block_on(async {
        for message in
            [message_of(time::pause), message_of(time::resume), message_of(|| advance(HOUR))]
        {
            assert!(message.contains("deterministic(seed)"), "{message}");
        }
    });
    let message = message_of(time::pause);
    assert!(message.contains("where no runtime runs"), "{message}");
    let other = seeded(1).block_on(std::future::poll_fn(|_| Poll::Ready(Box::pin(advance(HOUR)))));
    let message = message_of(|| seeded(2).block_on(other));
    assert!(message.contains("await it there"), "{message}");
}

#[test]
fn a_thread_is_waited_for_in_real_time() {
    within(|| {
        seeded(5).block_on(async {
            let start = Instant::now();
            let (handle, (tx, rx)) = (Handle::current(), oneshot::channel());
            let thread = thread::spawn(move || {
                thread::sleep(ms(20));
                handle.spawn(async move {
                    sleep(HOUR).await;
                    tx.send(()).unwrap();
                })
            });
            rx.await.unwrap();
            thread.join().unwrap().await.unwrap();
            assert_eq!(start.elapsed(), HOUR);
        });
    });
}

// --- the order

/// The order in which tasks that are all ready run.
fn order(seed: u64, tasks: usize) -> Vec<usize> {
    seeded(seed).block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let all: Vec<_> = (0..tasks)
            .map(|n| {
                let order = Rc::clone(&order);
                spawn_local(async move { order.borrow_mut().push(n) })
            })
            .collect();
        for task in all {
            task.await.unwrap();
        }
        order.take()
    })
}

#[test]
fn the_seed_decides_who_runs_next() {
    let orders: BTreeSet<_> = (0..300).map(|seed| order(seed, 4)).collect();
    assert_eq!(orders.len(), 24, "every order there is");
    for seed in 0..50 {
        assert_eq!(order(seed, 20), order(seed, 20));
    }
}

#[test]
fn the_root_takes_part() {
    let before: BTreeSet<_> = (0..200)
        .map(|seed| {
            seeded(seed).block_on(async {
                let ran = Rc::new(Cell::new(0));
                for _ in 0..3 {
                    let ran = Rc::clone(&ran);
                    drop(spawn_local(async move { ran.set(ran.get() + 1) }));
                }
                yield_now().await;
                ran.get()
            })
        })
        .collect();
    assert_eq!(before.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn the_root_has_the_same_chance_as_a_task() {
    let polls = Rc::new(Cell::new(0_u32));
    let rt = seeded(1);
    drop(rt.spawn_local({
        let polls = Rc::clone(&polls);
        async move {
            loop {
                polls.set(polls.get() + 1);
                yield_now().await;
            }
        }
    }));
    rt.block_on(async {
        for _ in 0..10_000 {
            yield_now().await;
        }
    });
    assert!((9_000..11_000).contains(&polls.get()), "{} polls beside 10000", polls.get());
}

#[test]
fn timers_of_one_moment_fire_in_any_order() {
    let orders: BTreeSet<Vec<u64>> = (0..100)
        .map(|seed| {
            seeded(seed).block_on(async {
                let order = Rc::new(RefCell::new(Vec::new()));
                let moment = Instant::now() + ms(5);
                let all = [1, 2, 3].map(|n| {
                    let order = Rc::clone(&order);
                    spawn_local(async move {
                        sleep_until(moment).await;
                        order.borrow_mut().push(n);
                    })
                });
                for task in all {
                    task.await.unwrap();
                }
                order.take()
            })
        })
        .collect();
    assert_eq!(orders.len(), 6);
}

#[test]
fn wakers_of_one_moment_are_woken_in_any_order() {
    let orders: BTreeSet<Vec<u64>> = (0..100)
        .map(|seed| {
            seeded(seed).block_on(async {
                use futures::StreamExt;
                let moment = Instant::now() + ms(5);
                // One task, whose parts are woken each by itself.
                let parts: futures::stream::FuturesUnordered<_> = [1, 2, 3]
                    .into_iter()
                    .map(|n| async move {
                        sleep_until(moment).await;
                        n
                    })
                    .collect();
                parts.collect().await
            })
        })
        .collect();
    assert_eq!(orders.len(), 6);
}

#[test]
fn whoever_yields_without_end_starves_nobody() {
    within(|| {
        for seed in 0..20 {
            let rt = seeded(seed);
            for _ in 0..30 {
                drop(rt.spawn_local(async {
                    loop {
                        yield_now().await;
                    }
                }));
            }
            rt.block_on(async {
                for n in 0..20 {
                    assert_eq!(spawn(async move { n }).await.unwrap(), n);
                }
                for _ in 0..100 {
                    yield_now().await;
                }
            });
        }
    });
}

// --- closures that block

#[test]
fn closures_run_on_the_thread_itself_when_they_are_picked() {
    within(|| {
        let here = thread::current().id();
        let first: BTreeSet<_> = (0..50)
            .map(|seed| {
                seeded(seed).block_on(async {
                    let order = Arc::new(Mutex::new(Vec::new()));
                    let (a, b) = (Arc::clone(&order), Arc::clone(&order));
                    let closure = spawn_blocking(move || {
                        a.lock().unwrap().push("closure");
                        (thread::current().id(), mainspring::task::id())
                    });
                    let task = spawn(async move { b.lock().unwrap().push("task") });
                    let id = closure.id();
                    assert_eq!(closure.await.unwrap(), (here, id));
                    task.await.unwrap();
                    order.lock().unwrap()[0]
                })
            })
            .collect();
        assert_eq!(first.len(), 2, "now the one, now the other");
    });
}

#[test]
fn closures_are_what_they_are_in_a_pool() {
    #[derive(Default)]
    struct Told(Mutex<Vec<(&'static str, TaskId)>>);
    impl Told {
        fn note(&self, what: &'static str, task: &TaskInfo) {
            self.0.lock().unwrap().push((what, task.id));
        }
    }
    impl Hooks for Told {
        fn on_spawn(&self, task: &TaskInfo) {
            self.note("spawn", task);
        }
        fn on_poll_start(&self, task: &TaskInfo) {
            self.note("poll", task);
        }
        fn on_blocking_start(&self, task: &TaskInfo) {
            self.note("start", task);
        }
        fn on_blocking_end(&self, task: &TaskInfo) {
            self.note("end", task);
        }
        fn on_finish(&self, task: &TaskInfo, how: Finish) {
            self.note(if how == Finish::Cancelled { "cancelled" } else { "finish" }, task);
        }
    }
    within(|| {
        let told = Arc::new(Told::default());
        let rt = LocalRuntime::builder().deterministic(4).hooks(told.clone()).build().unwrap();
        let (id, aborted) = rt.block_on(async {
            let panics = spawn_blocking(|| panic!("of the closure"));
            assert!(panics.await.unwrap_err().is_panic());
            told.0.lock().unwrap().clear();

            let nested = spawn_blocking(|| {
                let message = message_of(|| block_on(async {}));
                assert!(message.contains("inside a closure of spawn_blocking"), "{message}");
                for _ in 0..1000 {
                    // No budget: each would be turned away in a task at some time.
                    futures::executor::block_on(mainspring::coop::consume_budget());
                }
                (spawn_blocking(|| 1), spawn(async { 2 }))
            });
            let id = nested.id();
            let (closure, task) = nested.await.unwrap();
            assert_eq!(closure.await.unwrap() + task.await.unwrap(), 3);

            let held = Arc::new(());
            let inside = Arc::clone(&held);
            let aborted = spawn_blocking(move || drop(inside));
            aborted.abort();
            let aborted_id = aborted.id();
            assert!(aborted.await.unwrap_err().is_cancelled());
            assert_eq!(Arc::strong_count(&held), 1);
            (id, aborted_id)
        });
        let told = told.0.lock().unwrap();
        let of = |id| told.iter().filter(|t| t.1 == id).map(|t| t.0).collect::<Vec<_>>();
        assert_eq!(of(id), ["spawn", "start", "finish", "end"]);
        assert_eq!(of(aborted), ["spawn", "cancelled"]);
    });
}

#[test]
fn the_queue_of_closures_is_bounded_here_too() {
    within(|| {
        for seed in 0..20 {
            let rt = LocalRuntime::builder().deterministic(seed).blocking_queue(2).build().unwrap();
            let limits = rt.handle().blocking();
            rt.block_on(async {
                let placed = [1, 2].map(|n| spawn_blocking(move || n));
                assert_eq!((limits.queued(), limits.in_use(), limits.threads()), (2, 0, 0));
                assert!(matches!(mainspring::try_spawn_blocking(|| 3), Err(Busy(_))));
                // They wait for a place; who goes does not run.
                let waiting = spawn_blocking(|| 4);
                drop(spawn_blocking(|| unreachable!("its handle was dropped")));
                for (handle, n) in placed.into_iter().chain([waiting]).zip([1, 2, 4]) {
                    assert_eq!(handle.await.unwrap(), n);
                }
                assert_eq!(limits.queued(), 0);
                let inside = limits.clone();
                let seen = spawn_blocking(move || (inside.queued(), inside.in_use()));
                assert_eq!(seen.await.unwrap(), (0, 1));
                // An aborted one gives its place back when its turn comes.
                for _ in 0..5 {
                    let task = mainspring::try_spawn_blocking(|| ()).unwrap();
                    task.abort();
                    assert!(task.await.unwrap_err().is_cancelled());
                }
                assert_eq!(limits.queued(), 0);
            });
        }
    });
}

#[test]
fn closures_that_have_not_started_end_with_the_runtime() {
    within(|| {
        let rt = seeded(1);
        let (handle, held) = (rt.handle(), Arc::new(()));
        let closures = [(); 3].map(|()| {
            let held = Arc::clone(&held);
            handle.spawn_blocking(move || drop(held))
        });
        drop(rt);
        assert_eq!(Arc::strong_count(&held), 1);
        for closure in closures {
            assert!(futures::executor::block_on(closure).unwrap_err().is_cancelled());
        }
        let late = handle.spawn_blocking(|| ());
        assert!(futures::executor::block_on(late).unwrap_err().is_cancelled());
    });
}

#[test]
fn closures_from_another_thread_against_the_end_of_the_runtime() {
    within(|| {
        for round in 0..300 {
            let rt = seeded(round);
            let handle = rt.handle();
            let other = thread::spawn(move || {
                loop {
                    let closure = handle.spawn_blocking(|| ());
                    if closure.is_finished() {
                        return;
                    }
                }
            });
            (0..round * 20).for_each(|_| std::hint::spin_loop());
            drop(rt);
            other.join().unwrap();
        }
    });
}

#[test]
fn a_closure_from_another_thread_runs_here() {
    within(|| {
        let rt = seeded(1);
        let handle = rt.handle();
        let here = thread::current().id();
        let other = thread::spawn(move || handle.spawn_blocking(|| thread::current().id()));
        assert_eq!(rt.block_on(other.join().unwrap()).unwrap(), here);
    });
}
