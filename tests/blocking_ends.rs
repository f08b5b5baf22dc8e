//! The end of pools, closures that are stuck or panic, and what the system refuses.
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
use mainspring::LocalRuntime;
use mainspring::task::Busy;
use pool::{counts, held, occupy, runtime, until};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use watchdog::within;

fn the_end_cancels_what_is_queued_or_waits_and_waits_for_what_runs(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 1);
        let handle = rt.handle();
        let (entered, inside) = mpsc::channel();
        let running = handle.spawn_blocking(move || {
            entered.send(()).unwrap();
            thread::sleep(Duration::from_millis(50));
            9
        });
        inside.recv().unwrap();
        let queued = handle.spawn_blocking(|| 1);
        let waiting = handle.spawn_blocking(|| 2);
        drop(rt);
        assert!(running.is_finished(), "it was waited for");
        futures::executor::block_on(async {
            assert_eq!(running.await.unwrap(), 9);
            assert!(queued.await.unwrap_err().is_cancelled());
            assert!(waiting.await.unwrap_err().is_cancelled());
            assert!(handle.spawn_blocking(|| 3).await.unwrap_err().is_cancelled());
        });
        assert!(handle.try_spawn_blocking(|| ()).is_err());
        assert_eq!(counts(&handle.blocking()), (0, 0, 0));
    });
}

#[test]
fn a_task_that_ends_with_the_runtime_frees_the_closure_that_waits_for_it() {
    within(|| {
        let rt = runtime(1, 1);
        let (tx, rx) = mpsc::channel::<()>();
        drop(rt.spawn_local(async move {
            let _tx = tx;
            std::future::pending::<()>().await;
        }));
        let waits = rt.handle().spawn_blocking(move || rx.recv().is_err());
        until(|| rt.handle().blocking().in_use() == 1);
        assert_eq!(rt.shutdown_timeout(Duration::from_secs(60)).blocking, 0);
        assert!(futures::executor::block_on(waits).unwrap());
    });
}

fn a_stuck_closure_is_left_behind_and_counted(on: Flavour) {
    within(move || {
        let rt = on.with_pool(2, 8);
        let handle = rt.handle();
        let held = occupy(&handle);
        let before = Instant::now();
        let left = rt.shutdown_timeout(Duration::from_millis(50));
        assert_eq!(left.blocking, 1);
        assert!(before.elapsed() >= Duration::from_millis(50), "it was given its time");
        assert_eq!(handle.blocking().in_use(), 1);
        drop(held);
        until(|| handle.blocking().threads() == 0);
    });
}

#[test]
fn dropping_a_runtime_waits_five_seconds_for_a_stuck_closure() {
    waits_five_seconds(Flavour::LOCAL);
}

#[test]
fn dropping_one_of_several_workers_waits_as_long() {
    waits_five_seconds(Flavour::TWO_WORKERS);
}

fn waits_five_seconds(on: Flavour) {
    within(move || {
        let rt = on.with_pool(2, 8);
        let handle = rt.handle();
        let held = occupy(&handle);
        let before = Instant::now();
        drop(rt);
        assert!(before.elapsed() >= Duration::from_secs(5));
        assert_eq!(handle.blocking().in_use(), 1);
        drop(held);
    });
}

fn a_full_pool_of_stuck_closures_holds_nobody_up(on: Flavour) {
    within(move || {
        let rt = on.with_pool(3, 3);
        let handle = rt.handle();
        let limits = handle.blocking();
        let (releases, stuck): (Vec<_>, Vec<_>) = (0..3).map(|_| held()).unzip();
        for closure in stuck {
            drop(handle.spawn_blocking(closure));
        }
        until(|| counts(&limits) == (3, 0, 3));
        let ran = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..6)
            .map(|_| {
                let ran = Arc::clone(&ran);
                handle.spawn_blocking(move || ran.fetch_add(1, Ordering::SeqCst))
            })
            .collect();
        until(|| limits.queued() == 3);
        assert_eq!(rt.shutdown_timeout(Duration::from_millis(20)).blocking, 3);
        assert_eq!(counts(&limits), (3, 0, 3));
        for task in others {
            assert!(task.is_finished(), "answered by the end, which waits for nobody's place");
            assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
        }
        drop(releases);
        until(|| limits.threads() == 0);
        assert_eq!(Arc::strong_count(&ran), 1);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

/// Counts its drops, each of which panics.
struct Thorn(Arc<AtomicUsize>);

impl Drop for Thorn {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        if !thread::panicking() {
            panic!("in a drop");
        }
    }
}

fn drops_that_panic_cost_no_thread_and_no_answer(on: Flavour) {
    within(move || {
        let rt = on.with_pool(1, 8);
        let handle = rt.handle();
        let limits = handle.blocking();
        let drops = Arc::new(AtomicUsize::new(0));
        let thorn = || Thorn(Arc::clone(&drops));
        let held = occupy(&handle);
        // As an output that nobody takes, a payload that nobody takes, and a capture left over.
        let output = thorn();
        drop(handle.spawn_blocking(move || output));
        let payload = thorn();
        drop(handle.spawn_blocking(move || std::panic::panic_any(payload)));
        let capture = thorn();
        let panics = handle.spawn_blocking(move || drop(capture));
        drop(held);
        assert!(rt.block_on(panics).unwrap_err().is_panic());
        assert_eq!(drops.load(Ordering::SeqCst), 3);
        assert_eq!((limits.threads(), limits.queued()), (1, 0), "still the first thread");
        // And in what the end finds queued, with and without a place.
        let held = occupy(&handle);
        let left: Vec<_> = (0..10)
            .map(|_| {
                let capture = thorn();
                handle.spawn_blocking(move || drop(capture))
            })
            .collect();
        assert_eq!(limits.queued(), 8);
        assert_eq!(rt.shutdown_timeout(Duration::from_millis(10)).blocking, 1);
        assert_eq!(drops.load(Ordering::SeqCst), 13);
        for task in left {
            assert!(futures::executor::block_on(task).unwrap_err().is_panic());
        }
        drop(held);
        until(|| limits.threads() == 0);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod niceness {
    use super::*;
    use rustix::process::getpriority_process;
    use rustix::thread::gettid;
    use std::sync::Barrier;

    /// That of the calling thread.
    fn own() -> i32 {
        getpriority_process(Some(gettid())).unwrap()
    }

    /// What each of four threads of a pool has.
    fn of_four(rt: &LocalRuntime) -> Vec<i32> {
        let all_there = Arc::new(Barrier::new(4));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let all_there = Arc::clone(&all_there);
                rt.handle().spawn_blocking(move || {
                    all_there.wait();
                    own()
                })
            })
            .collect();
        tasks.into_iter().map(|task| rt.block_on(task).unwrap()).collect()
    }

    #[test]
    fn what_is_added_holds_on_every_thread_of_the_pool_and_nowhere_else() {
        within(|| {
            let before = own();
            let rt = LocalRuntime::builder().blocking_niceness(3).build().unwrap();
            // Threads start each other here, and must not add to each other's.
            assert_eq!(of_four(&rt), [(before + 3).min(19); 4]);
            assert_eq!(rt.block_on(async { own() }), before);
            assert_eq!(own(), before);
            let rt = LocalRuntime::builder().build().unwrap();
            assert_eq!(of_four(&rt), [before; 4], "none by default");
        });
    }

    #[test]
    fn what_cannot_be_added_is_refused() {
        let error = LocalRuntime::builder().blocking_niceness(20).build().unwrap_err();
        assert!(error.to_string().contains("by 20: add 0 to 19"), "{error}");
        let rt = LocalRuntime::builder().blocking_niceness(19).build().unwrap();
        assert_eq!(of_four(&rt), [19; 4]);
    }
}

mod refused_threads {
    //! In a process of its own, since the limit is the user's and not the test's.

    use super::*;
    use rustix::process::{Resource, Rlimit, Uid, getrlimit, getuid, setrlimit};

    const CHILD: &str = "MAINSPRING_TEST_REFUSED_THREADS";

    #[test]
    fn where_the_system_refuses_threads_closures_wait_or_are_answered() {
        if std::env::var_os(CHILD).is_some() {
            return within(child);
        }
        let name =
            "refused_threads::where_the_system_refuses_threads_closures_wait_or_are_answered";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("as many as were wanted"), "the child did not run: {told}");
    }

    fn allow_threads(allow: bool) {
        let maximum = getrlimit(Resource::Nproc).maximum;
        let current = if allow { maximum } else { Some(1) };
        setrlimit(Resource::Nproc, Rlimit { current, maximum }).unwrap();
    }

    fn child() {
        if getuid().is_root() {
            // The limit does not bind root. Only this thread, and those it starts, change.
            rustix::thread::set_thread_uid(Uid::from_raw(61_234)).unwrap();
        }
        let rt = runtime(4, 8);
        let handle = rt.handle();
        let limits = handle.blocking();

        allow_threads(false);
        assert!(thread::Builder::new().spawn(|| ()).is_err(), "the limit does not bind");
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |ran: &Arc<AtomicUsize>| {
            let ran = Arc::clone(ran);
            move || ran.fetch_add(1, Ordering::SeqCst)
        };
        let Busy(closure) = handle.try_spawn_blocking(count(&ran)).unwrap_err();
        closure();
        assert_eq!(ran.load(Ordering::SeqCst), 1, "it came back whole");
        let refused = handle.spawn_blocking(count(&ran));
        assert!(rt.block_on(refused).unwrap_err().is_cancelled());
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        assert_eq!(counts(&limits), (0, 0, 0));

        allow_threads(true);
        let held = occupy(&handle);
        allow_threads(false);
        let queued: Vec<_> = (0..8).map(|_| handle.spawn_blocking(count(&ran))).collect();
        assert_eq!(counts(&limits), (1, 8, 1), "queued for the one thread there is");
        let waiting = handle.spawn_blocking(count(&ran));
        drop(held);
        rt.block_on(async {
            for task in queued {
                task.await.unwrap();
            }
            waiting.await.unwrap();
        });
        assert_eq!(ran.load(Ordering::SeqCst), 10);
        assert_eq!(limits.threads(), 1);

        allow_threads(true);
        let (release, hold): (Vec<_>, Vec<_>) = (0..4).map(|_| super::held()).unzip();
        hold.into_iter().for_each(|closure| drop(handle.spawn_blocking(closure)));
        until(|| limits.in_use() == 4);
        println!("as many as were wanted");
        drop(release);
    }
}

on_every_flavour! {
    the_end_cancels_what_is_queued_or_waits_and_waits_for_what_runs,
    a_stuck_closure_is_left_behind_and_counted,
    a_full_pool_of_stuck_closures_holds_nobody_up,
    drops_that_panic_cost_no_thread_and_no_answer,
}
