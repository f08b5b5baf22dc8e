//! Threads that stand in for the workers of whole runtimes.

use crate::context;
use crate::driver::KernelTimers;
use crate::hooks::{HookSet, Hooks};
use crate::primitives::Mutex;
use crate::scheduler::no_executor::NoExecutor;
use crate::scheduler::sentry::Stalls;
use crate::scheduler::workers::{Settings, Workers};
use crate::sync::oneshot;
use crate::task::spawn;
use std::panic::Location;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Tells what there was in calls between duties, and wakes somebody there.
struct Tells {
    entered: mpsc::SyncSender<(&'static str, bool)>,
    wakes: Mutex<Vec<oneshot::Sender<()>>>,
}

impl Tells {
    fn tell(&self, call: &'static str, worker: usize) {
        if worker > 0 {
            let _ = self.entered.send((call, context::is_entered()));
            let wake = self.wakes.lock().pop();
            wake.into_iter().for_each(|wake| wake.send(()).unwrap());
        }
    }
}

impl Hooks for Tells {
    fn on_worker_start(&self, worker: usize) {
        self.tell("start", worker);
    }

    fn on_worker_stop(&self, worker: usize) {
        self.tell("stop", worker);
    }
}

/// The seat of the thread is looked at by nobody then.
#[test]
fn who_is_woken_by_hooks_of_a_thread_as_it_begins_and_ends_is_run() {
    let (entered, calls) = mpsc::sync_channel(16);
    let (wakes, waits): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
    let hooks = Tells { entered, wakes: Mutex::new(wakes) };
    let settings = Settings {
        workers: 1,
        timer_resolution: Duration::from_millis(1),
        kernel_timers: KernelTimers::Unused,
        thread_name: String::from("rescuers"),
        stack_size: None,
        hooks: HookSet::new(Some(Arc::new(hooks)), None),
        stalls: Stalls { keep_alive: Duration::ZERO, ..Stalls::default() },
    };
    let workers = Workers::start(settings, |_| Arc::new(NoExecutor)).unwrap();
    let homes = &*workers.homes;
    let woken: Vec<_> =
        waits.into_iter().map(|wait| spawn(homes, wait, Location::caller())).collect();
    let (end, blocked) = mpsc::channel::<()>();
    let blocks = spawn(homes, async move { blocked.recv().is_err() }, Location::caller());
    let patience = Duration::from_secs(20);
    assert_eq!(calls.recv_timeout(patience), Ok(("start", true)));
    drop(end);
    assert_eq!(calls.recv_timeout(patience), Ok(("stop", true)));
    assert_eq!(blocks.wait(patience).ok().unwrap().ok(), Some(true));
    for task in woken {
        task.wait(patience).ok().unwrap().unwrap().unwrap();
    }
}
