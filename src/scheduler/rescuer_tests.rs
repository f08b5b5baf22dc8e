//! Threads that stand in for the workers of whole runtimes.

use super::*;
use crate::context::Calls;
use crate::driver::{Clock, KernelTimers};
use crate::primitives::{Mutex, unique_id};
use crate::scheduler::no_executor::NoExecutor;
use crate::scheduler::sentry::Stalls;
use crate::scheduler::shards::Homes;
use crate::scheduler::workers::{Settings, Workers};
use crate::sync::oneshot;
use crate::task::spawn;
use std::panic::Location;
use std::sync::mpsc;

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

/// The worker may have taken its driver back, and sleep, when its notice was taken here.
#[test]
fn a_notice_that_was_taken_is_passed_on_to_the_worker() {
    let (runtime, step) = (unique_id(), Duration::from_millis(1));
    let elsewhere = NewThread::new().key();
    let driver = Driver::for_thread(elsewhere, runtime, Clock::real(), step, KernelTimers::Unused);
    let driver = Arc::new(driver.unwrap());
    let shard = Shard::new(elsewhere, Arc::clone(&driver));
    let shards = Arc::new(Shards::new(runtime, [shard], 1));
    let homes = Arc::new(Homes::new(&shards, &[elsewhere], &HookSet::default()));
    let spawn = homes.clone();
    let start = Start {
        thread: NewThread::new(),
        shards: Arc::clone(&shards),
        index: 0,
        outside: Outside { driver, spawn, calls: Arc::<Calls>::default() },
        executor: Arc::new(NoExecutor),
        hooks: HookSet::default(),
        seed: 7,
        keep_alive: Duration::ZERO,
    };
    let stands_in = move || {
        let mut rescuer = Rescuer::sit_down(start);
        let shard = &shards.each()[0];
        assert!(shard.adopter.adopt(None, 1));
        shards.rescuers.begin(0, 0);
        shard.driver.unpark();
        assert!(!rescuer.take_inbox(shard) && !shard.driver.is_notified());
        rescuer.let_go(shard);
        assert!(shard.driver.is_notified() && !shards.rescuers.any_at_work());
        assert_eq!(shard.adopter.get(), None);
    };
    std::thread::spawn(stands_in).join().unwrap();
    homes.retire_from(0);
}
