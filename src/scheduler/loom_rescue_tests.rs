//! Models of what is done about a worker that is stuck: each race of its protocol in this folder's
//! README.md.
//!
//! Workers, and those who stand in for them, are whole threads, over the drivers that they sleep in. The
//! main thread is the sentry: it marks, calls and enlists as that does, at moments that no clock decides.
//! A worker is stuck in a real poll, that of a task which waits for the model to let it go. So whatever is
//! lost shows as a deadlock, and what is counted twice in the counts at the end.

use super::loom_shards_tests::{Scene, join};
use super::rescuer;
use super::rescuers::{Duty, Enlisted};
use super::seat::Word;
use crate::hooks::HookSet;
use crate::primitives::{Arc, AtomicU32, NewThread, Ordering, Parker, thread};
use crate::task::{JoinHandle, Spawn, spawn, spawn_pinned};
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
    /// Spawns a task in whose poll somebody stays until it is let go; and waits until that is so.
    fn block(&self) -> (JoinHandle<()>, Arc<Parker>) {
        let (begun, go) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
        let (begins, waits) = (begun.clone(), go.clone());
        let task = self.spawn(async move {
            begins.unpark();
            waits.park();
        });
        begun.park();
        (task, go)
    }

    fn word(&self, seat: usize) -> Word {
        self.homes.shards.seat(seat).running.get()
    }

    /// Sends somebody to stand in for a worker, in the place of nobody, or of one that is stuck.
    fn rescue(&self, shard: usize, before: Option<usize>) -> thread::JoinHandle<()> {
        let shards = self.shards();
        let stuck = before.unwrap_or(shard);
        let duty = Duty { shard, before, stuck, within: self.word(stuck) };
        assert!(!duty.within.is_nothing(), "it is in a poll");
        shards.mark(stuck, true);
        let Enlisted::New(index) = shards.rescuers.enlist(duty) else { panic!("none is free") };
        let start = rescuer::Start {
            thread: NewThread::new(),
            shards,
            index,
            outside: self.outside(),
            executor: StdArc::new(super::no_executor::NoExecutor),
            hooks: HookSet::default(),
            seed: 7,
            keep_alive: Duration::ZERO,
        };
        thread::spawn(move || rescuer::rescue(start, duty))
    }

    /// What the sentry sees when a poll is over: the marks go away.
    fn unmark_all(&self) {
        let shards = &self.homes.shards;
        let numbers = shards.each().len() + super::loom_shards_tests::RESCUERS;
        (0..numbers).for_each(|number| shards.mark(number, false));
    }
}

/// A worker comes back as somebody adopts its driver, and a task is injected meanwhile. One of them comes
/// to it, and both come to their end.
#[test]
fn loom_adopt_against_return() {
    model(1, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (blocks, go) = scene.block();
        loom::explore();
        let rescuer = scene.rescue(0, None);
        let injected = scene.spawn(async {});
        go.unpark();
        join(injected);
        join(blocks);
        scene.unmark_all();
        scene.end_somehow([worker, rescuer]);
    });
}

/// Somebody who stands in takes the notice of a task that only the worker can run. It is passed on.
#[test]
fn loom_notice_against_return() {
    model(1, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (blocks, go) = scene.block();
        let rescuer = scene.rescue(0, None);
        loom::explore();
        let homes = StdArc::clone(&scene.homes);
        let leaves = thread::spawn(move || {
            spawn_pinned(&*homes, 0, || async {}, Location::caller()).unwrap_or_else(|_| panic!())
        });
        go.unpark();
        join(leaves.join().unwrap());
        join(blocks);
        scene.unmark_all();
        scene.end_somehow([worker, rescuer]);
    });
}

/// The worker comes back, finds nothing, and sleeps in its driver as the one that stood in leaves it: a wake
/// from then on reaches the worker.
#[test]
fn loom_reclaim_against_sleep() {
    model(2, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (blocks, go) = scene.block();
        let rescuer = scene.rescue(0, None);
        // It stands in, and is about to sleep.
        join(scene.spawn(async {}));
        loom::explore();
        go.unpark();
        join(blocks);
        join(scene.spawn(async {}));
        scene.unmark_all();
        scene.end_somehow([worker, rescuer]);
    });
}

/// Who stands in is stuck as well, and another takes its place: what is queued behind the first is run, and
/// each of the three ends when it is let go.
#[test]
fn loom_rescuer_stalls_and_is_adopted_from() {
    model(1, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (blocks, go) = scene.block();
        let first = scene.rescue(0, None);
        let (homes, begun, go_too) =
            (StdArc::clone(&scene.homes), Arc::new(Parker::new()), Arc::new(Parker::new()));
        let (begins, waits) = (begun.clone(), go_too.clone());
        let spawns_and_blocks = scene.spawn(async move {
            // It stands in the slot of who blocks then.
            let behind = spawn(&*homes, async {}, Location::caller());
            begins.unpark();
            waits.park();
            behind
        });
        begun.park();
        loom::explore();
        let second = scene.rescue(0, Some(1));
        let injected = scene.spawn(async {});
        join(injected);
        go_too.unpark();
        join(join(spawns_and_blocks));
        go.unpark();
        join(blocks);
        scene.unmark_all();
        scene.end_somehow([worker, first, second]);
    });
}

/// A worker is called to relieve another as it is about to park: it comes, and takes what stands in the
/// slot behind the poll.
#[test]
fn loom_relief_against_park() {
    model(2, || {
        let mut scene = Scene::new(2);
        let stuck = scene.work(0);
        let homes = StdArc::clone(&scene.homes);
        let (begun, go) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
        let (begins, waits) = (begun.clone(), go.clone());
        let blocks = scene.spawn(async move {
            let behind = spawn(&*homes, async move { waits.unpark() }, Location::caller());
            begins.unpark();
            // It ends only if somebody else runs the one behind it.
            go.park();
            behind
        });
        begun.park();
        loom::explore();
        let relieves = scene.work(1);
        scene.homes.shards.mark(0, true);
        // Once a tick.
        while !scene.homes.shards.call_for_relief() {
            thread::yield_now();
        }
        join(join(blocks));
        scene.unmark_all();
        scene.end_somehow([stuck, relieves]);
    });
}

/// All are told to end while somebody stands in for a worker that is stuck.
#[test]
fn loom_shutdown_during_rescue() {
    model(1, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (blocks, go) = scene.block();
        let rescuer = scene.rescue(0, None);
        loom::explore();
        let homes = StdArc::clone(&scene.homes);
        let spawns = thread::spawn(move || {
            // It is run, or cancelled.
            let task = spawn(&*homes, async {}, Location::caller());
            let _ = task.wait(Duration::MAX);
        });
        go.unpark();
        scene.end_before([worker, rescuer], [spawns]);
        drop(blocks);
    });
}

/// The name of a task is looked up as it ends, and its cell with it.
#[test]
fn loom_report_against_task_end() {
    model(2, || {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (blocks, go) = scene.block();
        let (id, word) = (blocks.id(), scene.word(0));
        loom::explore();
        go.unpark();
        drop(blocks);
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
