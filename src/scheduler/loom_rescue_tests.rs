//! Models of what is done about a worker that is stuck: each race of its protocol in this folder's
//! README.md.
//!
//! Those who stand in for a worker are whole threads, and so are workers from the moment on when they come
//! back from what they were stuck in; which is where models begin, on their main thread. That is the sentry
//! before: it marks, calls and enlists as the sentry does, at moments that no clock decides. The last task
//! ends the runtime; so what is lost shows as a deadlock, and what is counted twice in the counts.

use super::loom_shards_tests::{RESCUERS, Scene, join};
use super::rescuer::{self, InAPoll};
use super::rescuers::{Duty, Enlisted};
use super::seat::{Beside, Word};
use super::worker;
use crate::hooks::{HookSet, Hooks};
use crate::primitives::{Arc, AtomicU32, NewThread, Ordering, Parker, thread};
use crate::task::{Spawn, spawn, spawn_pinned};
use std::future::Future;
use std::panic::Location;
use std::sync::Arc as StdArc;
use std::time::Duration;

use Ordering::Relaxed;

/// A model that begins to branch with `loom::explore`, of so many preemptions. It is longer than others: a
/// life of three threads.
fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    (model.preemption_bound, model.max_branches) = (Some(preemptions), 20_000);
    model.expect_explicit_explore = true;
    model.check(f);
}

impl Scene {
    /// What the sentry does for a worker that is stuck, in the place of nobody, or of one who is stuck too.
    fn rescue(&self, within: Word, before: Option<usize>) -> thread::JoinHandle<()> {
        self.rescue_and_tell(within, before, HookSet::default())
    }

    /// The same, with somebody who is told of it.
    fn rescue_and_tell(
        &self,
        within: Word,
        before: Option<usize>,
        hooks: HookSet,
    ) -> thread::JoinHandle<()> {
        let shards = self.shards();
        let stuck = before.unwrap_or(0);
        shards.mark(stuck, true);
        let duty = Duty { shard: 0, before, stuck, within };
        let Enlisted::New(index) = shards.rescuers.enlist(duty) else { panic!("none is free") };
        let start = rescuer::Start { hooks, ..self.rescuer(index) };
        thread::spawn(move || rescuer::rescue(start, duty))
    }

    fn rescuer(&self, index: usize) -> rescuer::Start {
        rescuer::Start {
            thread: NewThread::new(),
            shards: self.shards(),
            index,
            outside: self.outside(),
            executor: StdArc::new(super::no_executor::NoExecutor),
            hooks: HookSet::default(),
            seed: 7,
            keep_alive: Duration::ZERO,
        }
    }

    /// A worker's thread, for the main thread of a model, which is in the middle of something.
    fn worker_in_a_poll(&mut self) -> (worker::Start, Word) {
        let start = self.start(0);
        let running = &self.homes.shards.seat(0).running;
        running.enter_beside(Beside::Wakers, 1);
        (start, running.get())
    }

    /// The worker comes back from that, goes on, and ends when the runtime does.
    fn come_back(&self, start: worker::Start) {
        self.homes.shards.seat(0).running.leave(0);
        worker::work(start);
    }

    /// A task that ends the runtime: so a model that loses it has no end.
    fn last(&self) -> impl Future<Output = ()> + Send + use<> {
        let homes = StdArc::clone(&self.homes);
        async move {
            homes.close();
            homes.shards.close();
        }
    }

    /// Ends the scene when this thread has, which nobody tells to any more: its end must not need that.
    fn end_after(
        self,
        rescuer: thread::JoinHandle<()>,
        others: impl IntoIterator<Item = thread::JoinHandle<()>>,
    ) {
        rescuer.join().unwrap();
        self.end_before([], others);
    }

    /// What the sentry sees when nothing is stuck any more.
    fn unmark_all(&self) {
        let shards = &self.homes.shards;
        (0..shards.each().len() + RESCUERS).for_each(|number| shards.mark(number, false));
    }
}

/// A worker comes back as somebody adopts its driver, and a task lies in the injector. One of them comes to
/// it, and both come to their end.
#[test]
fn loom_adopt_against_return() {
    model(2, || {
        let mut scene = Scene::new(1);
        let (worker, within) = scene.worker_in_a_poll();
        let (last, homes) = (scene.last(), StdArc::clone(&scene.homes));
        thread::spawn(move || drop(spawn(&*homes, last, Location::caller()))).join().unwrap();
        loom::explore();
        let rescuer = scene.rescue(within, None);
        scene.come_back(worker);
        scene.unmark_all();
        scene.end_after(rescuer, []);
    });
}

/// Somebody who stands in takes the notice of a task that only the worker can run. It is passed on.
#[test]
fn loom_notice_against_return() {
    model(2, || {
        let mut scene = Scene::new(1);
        let (worker, within) = scene.worker_in_a_poll();
        let (last, homes) = (scene.last(), StdArc::clone(&scene.homes));
        let leaves = thread::spawn(move || {
            drop(
                spawn_pinned(&*homes, 0, || last, Location::caller()).unwrap_or_else(|_| panic!()),
            );
        });
        leaves.join().unwrap();
        loom::explore();
        let rescuer = scene.rescue(within, None);
        scene.come_back(worker);
        scene.unmark_all();
        scene.end_after(rescuer, []);
    });
}

/// Blocks the first thread that stands in as it is about to park, until a task has run.
struct Blocks {
    has_run: AtomicU32,
    runs: Parker,
}

impl Hooks for Blocks {
    fn on_park(&self, worker: usize) {
        if worker == 1 && self.has_run.load(Relaxed) == 0 {
            self.runs.park();
        }
    }
}

/// The worker comes back and sleeps as somebody adopts its driver, who takes the notice of a task that only
/// the worker can run, and does not return from a hook before that has run. The worker does not sleep
/// beside it.
#[test]
fn loom_adopt_against_sleep() {
    model(1, || {
        let mut scene = Scene::new(1);
        let (worker, within) = scene.worker_in_a_poll();
        let (last, homes) = (scene.last(), StdArc::clone(&scene.homes));
        let blocks = StdArc::new(Blocks { has_run: AtomicU32::new(0), runs: Parker::new() });
        let hooks = HookSet::new(Some(StdArc::clone(&blocks) as StdArc<dyn Hooks>), None);
        loom::explore();
        let rescuer = scene.rescue_and_tell(within, None, hooks);
        let leaves = thread::spawn(move || {
            let pinned = move || async move {
                blocks.has_run.store(1, Relaxed);
                blocks.runs.unpark();
                last.await;
            };
            drop(spawn_pinned(&*homes, 0, pinned, Location::caller()).unwrap_or_else(|_| panic!()));
        });
        scene.come_back(worker);
        scene.unmark_all();
        scene.end_after(rescuer, [leaves]);
    });
}

/// Who stands in has taken the notice of a task that only the worker can run, and is in a poll that waits
/// for that task. The worker comes back, and finds it.
#[test]
fn loom_return_beside_one_in_a_poll() {
    model(2, || {
        let mut scene = Scene::new(1);
        let start = scene.start(0);
        let ran = Arc::new(Parker::new());
        let (tells, homes) = (ran.clone(), StdArc::clone(&scene.homes));
        let leaves = thread::spawn(move || {
            let pinned = move || async move { tells.unpark() };
            drop(spawn_pinned(&*homes, 0, pinned, Location::caller()).unwrap_or_else(|_| panic!()));
        });
        leaves.join().unwrap();
        let shards = scene.shards();
        let within = scene.homes.shards.seat(0).running.get();
        let first = shards.rescuers.enlist(Duty { shard: 0, before: None, stuck: 0, within });
        assert_eq!(first, Enlisted::New(0));
        let stands_in = InAPoll::new(scene.rescuer(0), 0, || {
            assert!(shards.each()[0].driver.take_notified());
        });
        loom::explore();
        let worker = thread::spawn(move || worker::work(start));
        ran.park();
        scene.homes.close();
        scene.homes.shards.close();
        stands_in.come_back();
        scene.end_before([worker], []);
    });
}

/// The worker comes back, finds nothing, and sleeps in its driver, as the one that stood in leaves it.
#[test]
fn loom_reclaim_against_sleep() {
    model(1, || {
        let mut scene = Scene::new(1);
        let (worker, within) = scene.worker_in_a_poll();
        let rescuer = scene.rescue(within, None);
        let shards = scene.shards();
        // It has adopted the driver, and has run this.
        let ran = Arc::new(Parker::new());
        let tells = ran.clone();
        drop(scene.spawn(async move { tells.unpark() }));
        ran.park();
        loom::explore();
        let last = scene.last();
        let homes = StdArc::clone(&scene.homes);
        let injects = thread::spawn(move || drop(spawn(&*homes, last, Location::caller())));
        scene.come_back(worker);
        assert!(!shards.each()[0].adopter.is_there());
        scene.unmark_all();
        scene.end_after(rescuer, [injects]);
    });
}

/// Who stands in is stuck as well, and comes back as another takes its place. What is queued behind it is
/// run by one of the two.
#[test]
fn loom_rescuer_stalls_and_is_adopted_from() {
    model(2, || {
        let mut scene = Scene::new(1);
        // It never comes back, and is nobody's thread.
        let (never_back, within) = scene.worker_in_a_poll();
        let shards = scene.shards();
        let first = shards.rescuers.enlist(Duty { shard: 0, before: None, stuck: 0, within });
        assert_eq!(first, Enlisted::New(0));
        let (last, homes) = (scene.last(), StdArc::clone(&scene.homes));
        let stuck = InAPoll::new(scene.rescuer(0), 0, move || {
            drop(spawn(&*homes, last, Location::caller()));
        });
        let within = shards.seat(1).running.get();
        loom::explore();
        let second = scene.rescue(within, Some(1));
        stuck.come_back();
        drop(never_back);
        scene.unmark_all();
        scene.homes.retire_from(0);
        scene.end_after(second, []);
    });
}

/// A worker is called to relieve another as it is about to park: it comes, and takes what stands in the
/// slot behind the poll.
#[test]
fn loom_relief_against_park() {
    model(2, || {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(0);
        let ran = Arc::new(Parker::new());
        let tells = ran.clone();
        drop(scene.spawn(async move { tells.unpark() }));
        loom::explore();
        let relieves = scene.work(1);
        scene.homes.shards.mark(0, true);
        // Once a tick.
        while !scene.homes.shards.call_for_relief() {
            thread::yield_now();
        }
        ran.park();
        scene.unmark_all();
        scene.end_somehow([relieves]);
    });
}

/// All are told to end while somebody stands in for a worker, which comes back.
#[test]
fn loom_shutdown_during_rescue() {
    model(2, || {
        let mut scene = Scene::new(1);
        let (worker, within) = scene.worker_in_a_poll();
        loom::explore();
        let rescuer = scene.rescue(within, None);
        scene.homes.close();
        scene.homes.shards.close();
        scene.come_back(worker);
        scene.unmark_all();
        scene.end_after(rescuer, []);
    });
}

/// The name of a task is looked up as it ends, and its cell with it.
#[test]
fn loom_report_against_task_end() {
    model(2, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (begun, go) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
        let (begins, waits) = (begun.clone(), go.clone());
        let task = scene.spawn(async move {
            begins.unpark();
            waits.park();
        });
        begun.park();
        let (id, word) = (task.id(), scene.homes.shards.seat(0).running.get());
        loom::explore();
        go.unpark();
        drop(task);
        let found = scene.homes.find(&|task| word.begun().is_ok_and(|end| end.is_of(task)));
        assert!(found.is_none_or(|found| found.info.id == id));
        scene.end_somehow([worker]);
    });
}

/// The sentry falls asleep as a worker leaves its park: it does not sleep while that one polls.
#[test]
fn loom_deep_sleep_against_unpark() {
    model(2, || {
        let mut scene = Scene::new(1);
        let shards = scene.shards();
        let parker = shards.bell.hang_up();
        let worker = scene.work(0);
        join(scene.spawn(async {}));
        loom::explore();
        let (polls, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(Parker::new()));
        let (tells, waits) = (polls.clone(), seen.clone());
        let task = scene.spawn(async move {
            tells.store(1, Relaxed);
            waits.park();
        });
        loop {
            let before = polls.load(Relaxed) == 1;
            shards.bell.sleep_deep(&parker, || shards.idle.are_all_parked());
            if before || polls.load(Relaxed) == 1 {
                break;
            }
            thread::yield_now();
        }
        seen.unpark();
        join(task);
        scene.end_somehow([worker]);
    });
}
