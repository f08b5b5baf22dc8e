//! Many stalls at once, and hooks that do not take what is told.
#![cfg(all(target_os = "linux", not(loom)))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/threads.rs"]
mod threads;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{block, gate, release, until, wait};
use mainspring::hooks::{Hooks, Stall, StallKind};
use mainspring::task::TaskId;
use mainspring::time::sleep;
use mainspring::{Runtime, spawn};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Tasks and timers go on.
fn goes_on(rt: &Runtime) {
    let task = rt.spawn(async {
        for _ in 0..5 {
            spawn(sleep(ms(1))).await.unwrap();
        }
    });
    wait(task);
}

#[derive(Default)]
struct Told(Mutex<Vec<(Option<TaskId>, StallKind)>>);

impl Hooks for Told {
    fn on_stall(&self, stall: &Stall) {
        self.0.lock().unwrap().push((stall.task.as_ref().map(|task| task.id), stall.kind));
    }
}

#[test]
fn a_lock_that_all_want() {
    within(|| {
        const THREADS: usize = 2 + 8;
        let told = Arc::<Told>::default();
        let builder = Runtime::builder().worker_threads(2).max_rescuers(THREADS - 2);
        let rt = builder.thread_name("lock").hooks(told.clone()).build().unwrap();
        let lock = Arc::new(Mutex::new(0));
        let (release, blocks) = gate();
        let (begin, begun) = mpsc::channel();
        let holds = rt.spawn({
            let lock = lock.clone();
            async move {
                let mut lock = lock.lock().unwrap();
                begin.send(()).unwrap();
                blocks();
                *lock += 1;
            }
        });
        begun.recv().unwrap();
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let lock = lock.clone();
                rt.spawn(async move { *lock.lock().unwrap() += 1 })
            })
            .collect();
        until(|| told.0.lock().unwrap().len() >= THREADS);
        // There would be time for more of them.
        thread::sleep(ms(200));
        let stalls = told.0.lock().unwrap().clone();
        assert!(stalls.iter().all(|(_, kind)| *kind == StallKind::Blocked), "{stalls:?}");
        let ids: BTreeSet<_> = stalls.iter().map(|(task, _)| task.unwrap()).collect();
        assert_eq!((stalls.len(), ids.len()), (THREADS, THREADS), "each poll once");
        assert!(ids.contains(&holds.id()));
        let metrics = rt.handle().metrics();
        assert_eq!((metrics.stalls, metrics.rescuers), (THREADS as u64, THREADS - 2));
        assert_eq!(threads::named("lock-").len(), THREADS + 2, "the sentry, and who tells");
        drop(release);
        wait(holds);
        tasks.into_iter().for_each(wait);
        assert_eq!(*lock.lock().unwrap(), 501);
        assert_eq!(rt.live_tasks(), 0);
    });
}

struct Panics(AtomicUsize);

impl Hooks for Panics {
    fn on_stall(&self, _: &Stall) {
        self.0.fetch_add(1, SeqCst);
        panic!("on_stall panics on purpose");
    }
}

#[test]
fn a_hook_that_panics_is_told_no_more_and_nothing_else_changes() {
    within(|| {
        let told = Arc::new(Panics(AtomicUsize::new(0)));
        let builder = Runtime::builder().worker_threads(2).hooks(told.clone());
        let rt = builder.report_stall_after(ms(10)).build().unwrap();
        let handle = rt.handle();
        for round in 1..=3 {
            let blocked = block(&rt, 4);
            until(|| handle.metrics().stalls >= round * 4);
            goes_on(&rt);
            release(blocked);
            until(|| told.0.load(SeqCst) == 1);
        }
        assert!(handle.metrics().rescues > 0);
    });
}

/// Says each time that it is called, and waits until it may return.
struct Waits {
    called: Mutex<mpsc::Sender<()>>,
    goes: Mutex<mpsc::Receiver<()>>,
}

impl Hooks for Waits {
    fn on_stall(&self, _: &Stall) {
        self.called.lock().unwrap().send(()).unwrap();
        let _ = self.goes.lock().unwrap().recv();
    }
}

fn waits() -> (Arc<Waits>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((called, calls), (go, goes)) = (mpsc::channel(), mpsc::channel());
    (Arc::new(Waits { called: Mutex::new(called), goes: Mutex::new(goes) }), calls, go)
}

#[test]
fn a_hook_that_blocks_keeps_nobody_and_is_not_told_of_all() {
    within(|| {
        let (hooks, calls, go) = waits();
        let builder = Runtime::builder().worker_threads(2).hooks(hooks);
        let rt = builder.report_stall_after(ms(2)).stall_after(ms(2)).build().unwrap();
        let handle = rt.handle();
        // One is being told, 64 wait for that, and the rest is but counted.
        for _ in 0..18 {
            let before = handle.metrics().stalls;
            let blocked = block(&rt, 4);
            until(|| handle.metrics().stalls >= before + 4);
            goes_on(&rt);
            release(blocked);
        }
        assert!(handle.metrics().stalls >= 72);
        calls.recv().unwrap();
        drop(go);
        // In the end all are told that are to be. The handle keeps the hooks.
        drop((rt, handle));
        assert_eq!(1 + calls.iter().count(), 65);
    });
}

#[test]
fn the_end_of_a_runtime_waits_for_a_hook_only_as_long_as_it_may() {
    within(|| {
        let (hooks, calls, go) = waits();
        let builder = Runtime::builder().worker_threads(2).thread_name("told");
        let rt = builder.hooks(hooks).report_stall_after(ms(2)).build().unwrap();
        let blocked = block(&rt, 2);
        calls.recv().unwrap();
        release(blocked);
        let left = rt.shutdown_timeout(ms(50));
        assert_eq!((left.tasks.len(), left.threads, left.blocking), (0, 0, 0));
        assert!(calls.try_recv().is_err(), "it is in the first one still");
        drop(go);
        until(|| threads::named("told-").is_empty());
    });
}
