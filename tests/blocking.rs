//! `spawn_blocking`, its pool, its limits and its end, through the public API.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/pool.rs"]
mod pool;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use mainspring::hooks::{Finish, Hooks, TaskInfo, TaskKind};
use mainspring::offload::with_signals_unblocked;
use mainspring::task::{self, Busy, JoinError};
use mainspring::time::sleep;
use mainspring::{Handle, LocalRuntime, coop, spawn, spawn_blocking, try_spawn_blocking};
use pool::{counts, held, occupy, runtime, until};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

#[test]
fn no_thread_before_the_first_closure_and_none_after_the_keep_alive() {
    within(|| {
        let alive = Duration::from_millis(20);
        let rt = LocalRuntime::builder().blocking_keep_alive(alive).build().unwrap();
        let limits = rt.handle().blocking();
        assert_eq!((limits.limit(), limits.queue_limit()), (64, 1024), "the defaults");
        assert_eq!(counts(&limits), (0, 0, 0));
        rt.block_on(async {
            let here = thread::current().id();
            let there = spawn_blocking(|| thread::current().id()).await.unwrap();
            assert_ne!(here, there);
        });
        until(|| limits.idle() == 1);
        assert_eq!(limits.threads(), 1);
        until(|| limits.threads() == 0);
        assert_eq!(limits.idle(), 0);
        assert_eq!(rt.block_on(async { spawn_blocking(|| 5).await.unwrap() }), 5, "and again");
    });
}

#[test]
fn a_closure_has_an_id_a_runtime_and_no_budget() {
    within(|| {
        let rt = runtime(2, 8);
        rt.block_on(async {
            let task = spawn_blocking(|| {
                let spent = futures::executor::block_on(async {
                    for _ in 0..10 * u32::from(coop::BUDGET) {
                        // With a budget this would return Pending, and never be polled again.
                        assert!(futures::poll!(std::pin::pin!(coop::consume_budget())).is_ready());
                    }
                    task::try_id()
                });
                // A task and a timer of the runtime, waited for on this thread.
                let of_runtime = spawn(async {
                    sleep(Duration::from_millis(1)).await;
                    thread::current().id()
                });
                let nested = Handle::current().spawn_blocking(task::id);
                let from_timer = futures::executor::block_on(async {
                    sleep(Duration::from_millis(1)).await;
                    of_runtime.await.unwrap()
                });
                let nested = (nested.id(), futures::executor::block_on(nested).unwrap());
                (spent, from_timer, nested)
            });
            let id = task.id();
            let (seen, ran_on, nested) = task.await.unwrap();
            assert_eq!(seen, Some(id));
            assert_eq!(ran_on, thread::current().id(), "threads of the pool run no tasks");
            assert_eq!(nested.0, nested.1);
        });
        assert_eq!(task::try_id(), None);
    });
}

fn message(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string())).unwrap()
}

#[test]
fn what_a_closure_may_not_do_is_refused_with_a_sentence() {
    within(|| {
        let rt = runtime(1, 1);
        let refused = rt.block_on(async {
            let task = spawn_blocking(|| {
                let nested = message(|| mainspring::block_on(async {}));
                let local = message(|| drop(mainspring::spawn_local(async {})));
                (nested, local)
            });
            task.await.unwrap()
        });
        assert!(refused.0.contains("inside a closure of spawn_blocking"), "{}", refused.0);
        assert!(refused.1.contains("spawn_local"), "{}", refused.1);
        let outside = message(|| drop(spawn_blocking(|| ())));
        assert!(outside.contains("Handle::spawn_blocking"), "{outside}");
        let outside = message(|| drop(try_spawn_blocking(|| ())));
        assert!(outside.contains("Handle::try_spawn_blocking"), "{outside}");
    });
}

fn panics_and_aborts_are_told_as_those_of_tasks(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 8);
        let handle = rt.handle();
        let held = occupy(&handle);
        let ran = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&ran);
        let aborted = handle.spawn_blocking(move || seen.fetch_add(1, Ordering::SeqCst));
        aborted.abort();
        drop(held);
        rt.block_on(async {
            assert!(aborted.await.unwrap_err().is_cancelled());
            let error: JoinError = spawn_blocking(|| panic!("oh {}", 1)).await.unwrap_err();
            assert!(error.is_panic() && error.to_string().ends_with("panicked: oh 1"));
            assert_eq!(spawn_blocking(|| 3).await.unwrap(), 3, "the thread goes on");
        });
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        assert_eq!(handle.blocking().threads(), 1);
    });
}

fn try_spawn_blocking_gives_the_closure_back_when_full(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 2);
        let handle = rt.handle();
        let held = occupy(&handle);
        let queued: Vec<_> = (0..2).map(|n| handle.try_spawn_blocking(move || n)).collect();
        assert_eq!(counts(&handle.blocking()), (1, 2, 1));
        let text = String::from("kept");
        let Busy(closure) = handle.try_spawn_blocking(move || text).unwrap_err();
        assert_eq!(closure(), "kept");
        drop(held);
        rt.block_on(async {
            for (n, task) in queued.into_iter().enumerate() {
                assert_eq!(task.unwrap().await.unwrap(), n);
            }
        });
    });
}

fn where_the_queue_is_full_closures_wait_in_their_handles_in_order(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 1);
        let handle = rt.handle();
        let limits = handle.blocking();
        let held = occupy(&handle);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..5)
            .map(|n| {
                let order = Arc::clone(&order);
                handle.spawn_blocking(move || order.lock().unwrap().push(n))
            })
            .collect();
        assert_eq!(counts(&limits), (1, 1, 1), "only one has a place");
        assert!(handle.try_spawn_blocking(|| ()).is_err(), "nobody comes before those who wait");
        drop(held);
        rt.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    });
}

fn dropping_or_aborting_a_handle_without_a_place_drops_the_closure_at_once(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 1);
        let handle = rt.handle();
        let held = occupy(&handle);
        let alive = Arc::new(());
        let closure = || {
            let alive = Arc::clone(&alive);
            move || drop(alive)
        };
        let placed = handle.spawn_blocking(closure());
        let dropped = handle.spawn_blocking(closure());
        let aborted = handle.spawn_blocking(closure());
        let last = handle.spawn_blocking(closure());
        assert_eq!(Arc::strong_count(&alive), 5);
        drop(dropped);
        assert_eq!(Arc::strong_count(&alive), 4, "at once, though the pool is busy");
        aborted.abort();
        assert_eq!(Arc::strong_count(&alive), 3);
        assert!(aborted.is_finished());
        drop(placed);
        assert_eq!(Arc::strong_count(&alive), 3, "one that has a place is only detached");
        drop(held);
        rt.block_on(async {
            assert!(aborted.await.unwrap_err().is_cancelled());
            last.await.unwrap();
        });
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

fn no_memory_is_kept_for_handles_that_did_not_get_a_place(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 1);
        let handle = rt.handle();
        let held = occupy(&handle);
        let placed = handle.spawn_blocking(|| ());
        let alive = Arc::new(());
        for _ in 0..10_000 {
            let alive = Arc::clone(&alive);
            drop(handle.spawn_blocking(move || drop(alive)));
        }
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(handle.blocking().queued(), 1);
        drop(held);
        rt.block_on(placed).unwrap();
    });
}

fn a_higher_limit_helps_at_once_and_a_lower_one_as_closures_end(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 64);
        let handle = rt.handle();
        let limits = handle.blocking();
        let (releases, closures): (Vec<_>, Vec<_>) = (0..6).map(|_| held()).unzip();
        for closure in closures {
            drop(handle.spawn_blocking(closure));
        }
        until(|| counts(&limits) == (1, 5, 1));
        limits.set_limit(4).unwrap();
        until(|| counts(&limits) == (4, 2, 4));
        limits.set_limit(2).unwrap();
        assert_eq!(limits.in_use(), 4, "nothing that runs is stopped");
        let mut releases = releases.into_iter();
        drop(releases.next());
        drop(releases.next());
        until(|| counts(&limits) == (2, 2, 2));
        limits.set_limit(64).unwrap();
        until(|| counts(&limits) == (4, 0, 4));
        drop(releases);
        until(|| limits.idle() == 4);
        limits.set_limit(1).unwrap();
        until(|| limits.threads() == 1);
        assert!(limits.set_limit(0).unwrap_err().to_string().contains("0 threads"));
    });
}

fn the_queue_can_be_made_longer_and_shorter(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 1);
        let handle = rt.handle();
        let limits = handle.blocking();
        let held = occupy(&handle);
        let tasks: Vec<_> = (0..5).map(|n| handle.spawn_blocking(move || n)).collect();
        assert_eq!(limits.queued(), 1);
        limits.set_queue_limit(3).unwrap();
        assert_eq!(limits.queued(), 3, "two of those who waited have a place now");
        limits.set_queue_limit(2).unwrap();
        assert_eq!((limits.queued(), limits.queue_limit()), (3, 2), "nothing is dropped");
        drop(held);
        rt.block_on(async {
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), n);
            }
        });
        let held = occupy(&handle);
        let placed: Vec<_> = (0..4).map(|_| handle.try_spawn_blocking(|| ()).is_ok()).collect();
        assert_eq!(placed, [true, true, false, false]);
        drop(held);
    });
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn note(&self, what: &str, task: &TaskInfo) {
        if task.kind == TaskKind::Blocking {
            assert!(task.location.file().ends_with("blocking.rs"));
            self.0.lock().unwrap().push(format!("{what} {:?}", task.id));
        }
    }
}

impl Hooks for Log {
    fn on_spawn(&self, task: &TaskInfo) {
        self.note("spawn", task);
    }
    fn on_blocking_start(&self, task: &TaskInfo) {
        assert_eq!(thread::current().name(), Some("mainspring-pool"));
        self.note("start", task);
    }
    fn on_blocking_end(&self, task: &TaskInfo) {
        self.note("end", task);
    }
    fn on_finish(&self, task: &TaskInfo, how: Finish) {
        self.note(&format!("{how:?}"), task);
    }
    fn on_poll_start(&self, task: &TaskInfo) {
        self.note("poll", task);
    }
}

#[test]
fn hooks_hear_of_closures() {
    within(|| {
        let log = Arc::new(Log::default());
        let rt = LocalRuntime::builder()
            .hooks(Arc::clone(&log) as Arc<dyn Hooks>)
            .blocking_threads(1)
            .build()
            .unwrap();
        let task = rt.handle().spawn_blocking(|| ());
        let first = task.id();
        rt.block_on(task).unwrap();
        let held = occupy(&rt.handle());
        let _ = std::mem::take(&mut *log.0.lock().unwrap());
        let aborted = rt.handle().spawn_blocking(|| ());
        let second = aborted.id();
        aborted.abort();
        drop(held);
        assert!(rt.block_on(aborted).is_err());
        let panics = rt.handle().spawn_blocking(|| panic!("told"));
        let third = panics.id();
        assert!(rt.block_on(panics).is_err());
        assert_ne!(first, second);
        drop(rt);
        let seen = log.0.lock().unwrap();
        let of = |id| {
            let id = format!(" {id:?}");
            let events = seen.iter().filter_map(|event| event.strip_suffix(&id));
            events.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(of(second), "spawn, Cancelled", "it never started");
        assert_eq!(of(third), "spawn, start, Panicked, end");
    });
}

fn sixty_four_long_closures_run_side_by_side(on: Flavour) {
    within(move || {
        let rt = on.with_pool(64, 1024);
        let barrier = Arc::new(std::sync::Barrier::new(64));
        rt.block_on(async {
            let tasks: Vec<_> = (0..64)
                .map(|_| {
                    let barrier = Arc::clone(&barrier);
                    spawn_blocking(move || barrier.wait().is_leader())
                })
                .collect();
            let mut leaders = 0;
            for task in tasks {
                leaders += usize::from(task.await.unwrap());
            }
            assert_eq!(leaders, 1);
        });
    });
}

fn signals_of_the_process_do_not_come_to_threads_of_the_pool(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 1);
        let status = rt.block_on(async {
            spawn_blocking(|| std::fs::read_to_string("/proc/thread-self/status")).await.unwrap()
        });
        // Only Linux tells.
        let Ok(status) = status else { return };
        let mask = |status: &str| {
            let line = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        let blocked = mask(&status);
        let bit = |signal: u32| 1u64 << (signal - 1);
        for (signal, name) in [(1, "HUP"), (2, "INT"), (10, "USR1"), (15, "TERM"), (17, "CHLD")] {
            assert_ne!(blocked & bit(signal), 0, "SIG{name} is blocked");
        }
        for (signal, name) in [(4, "ILL"), (7, "BUS"), (8, "FPE"), (11, "SEGV")] {
            assert_eq!(blocked & bit(signal), 0, "SIG{name} is not");
        }
        let here = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert_eq!(mask(&here) & bit(15), 0, "the thread that started it has its own mask back");
    });
}

fn a_process_hears_signals_if_it_is_started_so(on: Flavour) {
    within(move || {
        let status = || {
            let shown = Command::new("grep").args(["SigBlk", "/proc/self/status"]).output();
            shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned())
        };
        let rt = on.with_pool(1, 1);
        let seen = rt.block_on(async {
            let task = spawn_blocking(move || [with_signals_unblocked(status), status()]);
            task.await.unwrap()
        });
        // Only Linux tells.
        let [Ok(within), Ok(without)] = seen else { return };
        let Some(mask) = within.split_whitespace().nth(1) else { return };
        assert_eq!(u64::from_str_radix(mask, 16), Ok(0));
        assert_ne!(without, within, "blocked again, and inherited");
    });
}

#[test]
fn nothing_of_a_runtime_stays_behind_when_its_threads_have_ended() {
    within(|| {
        let log = Arc::new(Log::default());
        let hooks = Arc::clone(&log) as Arc<dyn Hooks>;
        let rt = LocalRuntime::builder().hooks(hooks).blocking_threads(2).build().unwrap();
        let handle = rt.handle();
        let limits = handle.blocking();
        rt.block_on(async {
            // A closure that holds its own runtime, by a handle and a task.
            let own = Handle::current();
            spawn_blocking(move || drop(own.spawn(std::future::pending::<()>()))).await.unwrap();
        });
        let both = Arc::new(std::sync::Barrier::new(2));
        for _ in 0..2 {
            let both = Arc::clone(&both);
            drop(handle.spawn_blocking(move || both.wait().is_leader()));
        }
        until(|| limits.idle() == 2);
        let held = occupy(&handle);
        assert_eq!(rt.shutdown_timeout(Duration::ZERO).blocking, 1, "not the one without a job");
        drop((handle, held));
        until(|| limits.threads() == 0);
        drop(limits);
        until(|| Arc::strong_count(&log) == 1);
    });
}

on_every_flavour! {
    panics_and_aborts_are_told_as_those_of_tasks,
    try_spawn_blocking_gives_the_closure_back_when_full,
    where_the_queue_is_full_closures_wait_in_their_handles_in_order,
    dropping_or_aborting_a_handle_without_a_place_drops_the_closure_at_once,
    no_memory_is_kept_for_handles_that_did_not_get_a_place,
    a_higher_limit_helps_at_once_and_a_lower_one_as_closures_end,
    the_queue_can_be_made_longer_and_shorter,
    sixty_four_long_closures_run_side_by_side,
    signals_of_the_process_do_not_come_to_threads_of_the_pool,
    a_process_hears_signals_if_it_is_started_so,
}
