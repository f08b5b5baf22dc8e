//! All shards of a runtime together: who gets a task that was woken, wherever that was.

use super::bell::Bell;
use super::idle::Idle;
use super::rescuers::Rescuers;
use super::seat::{Seat, Surplus};
use super::shard::{Left, Shard};
use super::tally::Tally;
use crate::context;
use crate::driver::{Clock, Driver};
use crate::hooks::{HookSet, Metrics, TaskId, TaskKind};
use crate::primitives::{
    AtomicBool, AtomicUsize, Injector, Ordering, Steal, Stealer, ThreadKey, full_fence,
};
use crate::task::{
    Birth, Found, Home, NoSuchShard, Notice, Placement, Runnable, Schedule, Spawn, TaskDump,
};
use crossbeam_utils::CachePadded;
use std::num::NonZeroU64;
use std::sync::Arc;

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shards {
    runtime: NonZeroU64,
    each: Box<[CachePadded<Shard>]>,
    /// The seats of those who stand in for workers; their numbers come after those of the workers.
    pub(super) rescuers: Rescuers,
    /// What threads have queued that are no workers.
    pub(super) injector: Injector<Runnable>,
    pub(super) idle: Idle,
    /// How many threads are marked as stuck.
    stuck: AtomicUsize,
    /// Ends the sleep of the sentry.
    pub(super) bell: Bell,
    pub(super) tally: Tally,
    closing: AtomicBool,
    ended: AtomicBool,
}

impl Shards {
    /// For these workers, and so many that may stand in for them.
    pub(super) fn new(
        runtime: NonZeroU64,
        each: impl IntoIterator<Item = Shard>,
        rescuers: usize,
    ) -> Self {
        let each: Box<[_]> = each.into_iter().map(CachePadded::new).collect();
        Self {
            runtime,
            idle: Idle::new(each.len(), rescuers),
            each,
            rescuers: Rescuers::new(rescuers),
            injector: Injector::new(),
            stuck: AtomicUsize::new(0),
            bell: Bell::default(),
            tally: Tally::default(),
            closing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// The clock of the runtime.
    pub(super) fn clock(&self) -> &Clock {
        self.each[0].driver.clock()
    }

    pub(super) fn each(&self) -> &[CachePadded<Shard>] {
        &self.each
    }

    /// The seat of this number: workers come first.
    #[inline]
    pub(super) fn seat(&self, number: usize) -> &Seat {
        match self.each.get(number) {
            Some(shard) => &shard.seat,
            None => self.rescuers.seat(number - self.each.len()),
        }
    }

    /// The seats that there may be something in, with their numbers, but for those of the workers.
    pub(super) fn seats_of_rescuers(&self) -> impl Iterator<Item = (usize, &Seat)> {
        let workers = self.each.len();
        self.rescuers.at_work().map(move |(index, seat)| (workers + index, seat))
    }

    /// The seat of the present thread, if it runs tasks here.
    #[inline]
    pub(super) fn here(&self) -> Option<&Seat> {
        context::worker_of(self.runtime).map(|seat| self.seat(seat))
    }

    /// The driver in which the thread of this seat sleeps.
    fn driver_of(&self, seat: usize) -> &Driver {
        let shard = match seat.checked_sub(self.each.len()) {
            None => seat,
            Some(rescuer) => self.rescuers.serves(rescuer),
        };
        &self.each[shard].driver
    }

    /// When a task is born that is spawned now.
    #[inline]
    fn birth(&self) -> Birth {
        let known = self.here().and_then(|shard| shard.counters.present.get());
        known.unwrap_or_else(exact_birth)
    }

    /// Queues a task that was woken or spawned.
    #[inline]
    pub(super) fn schedule(&self, task: Runnable) {
        let pushed = match self.here() {
            Some(shard) => shard.push(task),
            None => Err(task),
        };
        match pushed {
            Ok(surplus) => self.call_for(surplus),
            Err(task) => self.inject(task),
        }
    }

    /// Queues a task from a thread that is no worker.
    pub(super) fn inject(&self, task: Runnable) {
        self.injector.push(task);
        full_fence();
        if self.idle.wants_call() {
            self.call();
        }
        // The fence stands between the push and this look, and whoever ends the runtime has the two
        // the other way round: so one of the two takes the task out.
        if self.ended.load(Ordering::Relaxed) {
            self.drop_queued();
        }
    }

    /// Calls somebody for work that was pushed by the worker that runs here, if there is a surplus.
    #[inline]
    pub(super) fn call_for(&self, surplus: Surplus) {
        if surplus == Surplus::Yes {
            full_fence();
            if self.idle.wants_call() {
                self.call();
            }
        }
    }

    #[cold]
    fn call(&self) {
        if self.is_forked() {
            return;
        }
        if let Some(seat) = self.idle.call() {
            self.driver_of(seat).unpark();
        }
    }

    /// Calls somebody for what lies behind a thread that is stuck, whoever searches; `false` if nobody is
    /// parked.
    pub(super) fn call_for_relief(&self) -> bool {
        let called = self.idle.call_anyhow();
        called.into_iter().for_each(|seat| self.driver_of(seat).unpark());
        called.is_some()
    }

    /// Whether any thread is marked as stuck.
    #[inline]
    pub(super) fn has_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed) > 0
    }

    /// Marks a thread as stuck, or takes the mark away; by the sentry only.
    pub(super) fn mark(&self, seat: usize, stuck: bool) {
        if self.seat(seat).mark(stuck) {
            match stuck {
                true => self.stuck.fetch_add(1, Ordering::Release),
                false => self.stuck.fetch_sub(1, Ordering::Release),
            };
        }
    }

    /// Whether this worker is in the middle of something that takes long.
    #[cfg(feature = "http")]
    pub(super) fn is_stuck(&self, worker: usize) -> bool {
        self.each.get(worker).is_some_and(|shard| shard.is_stuck())
    }

    /// Whether the workers are in the parent of this process: their locks may have been held at the fork,
    /// and are so for good here.
    fn is_forked(&self) -> bool {
        self.each[0].driver.check_process().is_err()
    }

    /// Leaves something for one worker.
    pub(super) fn leave(&self, shard: usize, left: Left) {
        if self.is_forked() {
            return;
        }
        let shard = &self.each[shard];
        match shard.leave(left) {
            Ok(()) => shard.driver.unpark(),
            Err(refused) => drop(refused),
        }
    }

    /// Whether something lies where any worker may take it.
    pub(super) fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || self.each.iter().any(|shard| !shard.stealer.is_empty())
            || self.seats_of_rescuers().any(|(_, seat)| !seat.stealer.is_empty())
    }

    /// Whether more lies somewhere than the worker there keeps to itself, or lies where all may take it.
    pub(super) fn has_surplus(&self) -> bool {
        !self.injector.is_empty()
            || self.each.iter().any(|shard| shard.had_surplus())
            || self.seats_of_rescuers().any(|(_, seat)| seat.had_surplus())
    }

    /// Whether the runtime is about to end, so that tasks are not polled any more.
    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// All tasks were asked to end: the workers see to that, and end.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        for shard in &self.each {
            shard.driver.unpark();
        }
        self.rescuers.close();
    }

    /// No worker comes to what is queued from now on: it is dropped, which cancels it.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        full_fence();
        self.drop_queued();
    }

    /// Drops what lies where any thread may take it.
    pub(super) fn drop_queued(&self) {
        loop {
            match self.injector.steal() {
                Steal::Success(task) => drop(task),
                Steal::Retry => {}
                Steal::Empty => break,
            }
        }
        for shard in &self.each {
            drop_stealable(&shard.stealer);
            drop(shard.slot.take());
            drop(shard.take_placed());
        }
        for (_, seat) in self.seats_of_rescuers() {
            drop_stealable(&seat.stealer);
            drop(seat.slot.take());
        }
    }
}

fn drop_stealable(stealer: &Stealer<Runnable>) {
    loop {
        match stealer.steal() {
            Steal::Success(task) => drop(task),
            Steal::Retry => {}
            Steal::Empty => return,
        }
    }
}

/// The present, by a fresh reading of the clock.
#[cold]
fn exact_birth() -> Birth {
    Birth::from_nanos(Clock::real().now().as_nanos())
}

/// What the tasks of a shard point to, which any worker may run.
#[derive(Debug)]
pub(super) struct Anywhere(pub(super) Arc<Shards>);

impl Schedule for Anywhere {
    #[inline]
    fn schedule(&self, task: Runnable) {
        self.0.schedule(task);
    }
}

/// What the tasks of a shard point to that stay there.
#[derive(Debug)]
pub(super) struct There {
    shards: Arc<Shards>,
    shard: usize,
}

impl Schedule for There {
    fn schedule(&self, task: Runnable) {
        let pushed = match context::worker_of(self.shards.runtime) == Some(self.shard) {
            true => self.shards.each[self.shard].push_pinned(task),
            false => Err(task),
        };
        if let Err(task) = pushed {
            self.shards.leave(self.shard, Left::Pinned(task));
        }
    }

    fn notice(&self, notice: Notice) {
        self.shards.leave(self.shard, Left::Notice(notice));
    }
}

/// The homes of all tasks of a runtime, and how more of them are spawned.
#[derive(Debug)]
pub(super) struct Homes {
    pub(super) shards: Arc<Shards>,
    /// Of each worker, for tasks that it has spawned.
    pub(super) of_shards: Box<[Arc<Home<Anywhere>>]>,
    /// Of each worker, for tasks that stay there.
    pub(super) pinned: Box<[Arc<Home<There>>]>,
    /// For tasks that other threads have spawned.
    pub(super) outside: Arc<Home<Anywhere>>,
}

impl Homes {
    /// Homes for workers whose threads need not have begun.
    pub(super) fn new(shards: &Arc<Shards>, threads: &[ThreadKey], hooks: &HookSet) -> Self {
        let anywhere = || Anywhere(Arc::clone(shards));
        let there = |shard| There { shards: Arc::clone(shards), shard };
        let threads = || threads.iter().copied().enumerate();
        Self {
            shards: Arc::clone(shards),
            of_shards: threads()
                .map(|(_, thread)| Home::of_shard(thread, anywhere(), hooks.clone()))
                .collect(),
            pinned: threads()
                .map(|(shard, thread)| Home::of_pinned(thread, there(shard), hooks.clone()))
                .collect(),
            outside: Home::of_nobody(anywhere(), hooks.clone()),
        }
    }

    /// How many tasks have been spawned and have not ended.
    pub(super) fn live_tasks(&self) -> usize {
        // First: what ends from here on may be counted still, and nothing is left out that lives.
        let ended = self.shards.each().iter().map(|shard| shard.graves.ended());
        let ended = ended.fold(0, usize::wrapping_add);
        let spawned = self.of_shards.iter().map(|home| home.live_and_buried_tasks());
        let stays = self.pinned.iter().map(|home| home.live_tasks());
        let all = spawned.chain(stays).fold(self.outside.live_tasks(), usize::wrapping_add);
        all.wrapping_sub(ended)
    }

    /// The same and those that have ended, but are in a list still.
    pub(super) fn listed_tasks(&self) -> usize {
        let spawned: usize = self.of_shards.iter().map(|home| home.live_tasks()).sum();
        let pinned: usize = self.pinned.iter().map(|home| home.live_tasks()).sum();
        spawned + pinned + self.outside.live_tasks()
    }

    /// Admits no more tasks, and asks all to end.
    pub(super) fn close(&self) {
        self.of_shards.iter().for_each(|home| home.close());
        self.pinned.iter().for_each(|home| home.close());
        self.outside.close();
    }
}

impl Spawn for Homes {
    #[inline]
    fn place(&self) -> Placement {
        // A thread that stands in for a worker makes tasks as others do: not for long.
        let here = context::worker_of(self.shards.runtime);
        let home = here.and_then(|seat| self.of_shards.get(seat)).unwrap_or(&self.outside);
        Placement::new(home, context::next_task_id())
    }

    fn place_on(&self, shard: usize) -> Result<Placement, NoSuchShard> {
        let home = self.of_shards.get(shard).ok_or(NoSuchShard(()))?;
        Ok(Placement::new(home, context::next_task_id()))
    }

    fn place_pinned(&self, shard: usize) -> Result<Placement, NoSuchShard> {
        let home = self.pinned.get(shard).ok_or(NoSuchShard(()))?;
        Ok(Placement::new(home, context::next_task_id()))
    }

    #[inline]
    fn submit(&self, task: Runnable) {
        match task.admit(self.shards.birth()) {
            Ok(task) => self.shards.schedule(task),
            Err(refused) => drop(refused),
        }
    }

    fn submit_on(&self, shard: usize, task: Runnable) {
        match task.admit(self.shards.birth()) {
            Ok(task) => self.shards.leave(shard, Left::Task(task)),
            Err(refused) => drop(refused),
        }
    }

    fn submit_pinned(&self, shard: usize, task: Runnable) {
        match task.admit(self.shards.birth()) {
            Ok(task) => self.pinned[shard].schedule(task),
            Err(refused) => drop(refused),
        }
    }

    fn workers(&self) -> usize {
        self.of_shards.len()
    }

    fn staying(&self, shard: usize, beside: Option<TaskKind>) -> usize {
        let all = self.pinned.get(shard).map_or(0, |home| home.live_tasks());
        all.saturating_sub(usize::from(beside == Some(TaskKind::Pinned)))
    }

    #[cfg(feature = "http")]
    fn is_stuck(&self, shard: usize) -> bool {
        self.shards.is_stuck(shard)
    }

    fn dump(&self, into: &mut Vec<TaskDump>) {
        for (shard, home) in self.of_shards.iter().enumerate() {
            home.dump(Some(shard), exact_birth, into);
        }
        for (shard, home) in self.pinned.iter().enumerate() {
            home.dump(Some(shard), exact_birth, into);
        }
        self.outside.dump(None, exact_birth, into);
    }

    fn find(&self, wanted: &dyn Fn(TaskId) -> bool) -> Option<Found> {
        let spawned = || self.of_shards.iter().find_map(|home| home.find(wanted));
        let pinned = || self.pinned.iter().find_map(|home| home.find(wanted));
        spawned().or_else(pinned).or_else(|| self.outside.find(wanted))
    }

    fn measure(&self, metrics: &mut Metrics) {
        for shard in self.shards.each() {
            metrics.workers.push(shard.counters.read(shard.queued()));
            let waiting = shard.driver.count();
            metrics.timers += waiting.timers;
            metrics.registrations += waiting.registrations;
        }
        metrics.injector += self.shards.injector.len();
        self.shards.tally.measure(metrics);
        self.shards.rescuers.measure(metrics);
        metrics.alive_tasks += self.live_tasks();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::{Driver, KernelTimers};
    use crate::primitives::{thread, unique_id};
    use crate::task::{Ran, spawn, spawn_pinned};
    use std::collections::VecDeque;
    use std::panic::Location;
    use std::time::Duration;

    /// A runtime whose only worker is the present thread.
    fn one_worker() -> (Arc<Shards>, Homes) {
        let (runtime, thread, step) = (unique_id(), ThreadKey::current(), Duration::from_millis(1));
        let timers = KernelTimers::Unused;
        let driver = Driver::for_thread(thread, runtime, Clock::real(), step, timers);
        let shard = Shard::new(thread, Arc::new(driver.unwrap()));
        let shards = Arc::new(Shards::new(runtime, [shard], 0));
        let homes = Homes::new(&shards, &[thread], &HookSet::default());
        context::work_for(runtime, 0);
        (shards, homes)
    }

    /// A worker that is stuck does not come to its inbox, and the end does not wait for it.
    #[cfg(feature = "http")]
    #[test]
    fn what_was_to_begin_on_a_worker_that_is_stuck_is_dropped_at_the_end() {
        let (runtime, step) = (unique_id(), Duration::from_millis(1));
        // The number of a thread that never begins.
        let elsewhere = crate::primitives::NewThread::new().key();
        let driver =
            Driver::for_thread(elsewhere, runtime, Clock::real(), step, KernelTimers::Unused);
        let shards =
            Arc::new(Shards::new(runtime, [Shard::new(elsewhere, Arc::new(driver.unwrap()))], 0));
        let homes = Homes::new(&shards, &[elsewhere], &HookSet::default());
        let placed = crate::task::spawn_on(&homes, 0, async {}, Location::caller()).unwrap();
        assert!(!placed.is_finished());
        shards.end();
        assert!(placed.is_finished());
        assert_eq!(homes.live_tasks(), 0);
        homes.retire_from(0);
    }

    /// What was a surplus when it was pushed is one for a searcher, too, when the worker has gone on.
    #[test]
    fn what_a_worker_polls_and_what_is_in_its_slot_counts_for_others() {
        let on_worker = || {
            let (shards, homes) = one_worker();
            let shard = &shards.each()[0];
            let push = || drop(spawn(&homes, async {}, Location::caller()));
            let push_back = || {
                shard.dispatch(push);
                (shard.surplus(), shards.has_surplus())
            };
            assert!(!shards.has_surplus());
            assert_eq!(push_back(), (Surplus::No, true), "behind the one that it polls");
            shard.keep(3);
            assert_eq!((shard.surplus(), shards.has_surplus()), (Surplus::No, false));
            assert_eq!(push_back(), (Surplus::No, false));
            push();
            assert_eq!((shard.surplus(), shards.has_surplus()), (Surplus::No, true));
            assert_eq!(push_back(), (Surplus::Yes, true));
            shard.keep(1);
            for _ in 0..4 {
                assert!(shards.has_surplus());
                let Some(task) = shard.pop() else { panic!("not queued") };
                assert!(matches!(task.run(), Ran::Done));
            }
            assert!(!shards.has_surplus());
            push();
            assert!(!shards.has_surplus(), "nobody takes it out of the slot");
            shards.drop_queued();
            homes.of_shards[0].retire();
            homes.pinned[0].retire();
        };
        thread::spawn(on_worker).join().unwrap();
    }

    /// As in what crossbeam frees for others while it works at the queue.
    #[test]
    fn what_is_queued_while_the_queue_is_in_use_is_found_later() {
        let on_worker = || {
            let (shards, homes) = one_worker();
            let shard = &shards.each()[0];
            shard.with_queue(|_| {
                drop(spawn(&homes, async {}, Location::caller()));
                drop(spawn_pinned(&homes, 0, || async {}, Location::caller()));
            });
            let Steal::Success(task) = shards.injector.steal() else { panic!("not injected") };
            assert!(matches!(task.run(), Ran::Done));
            assert!(shard.driver.take_notified());
            let mut left = shard.take_inbox(VecDeque::new());
            let Some(Left::Pinned(task)) = left.pop_front() else { panic!("not left") };
            assert!(matches!(task.run(), Ran::Done));
            assert_eq!(homes.live_tasks(), 0);
            homes.of_shards[0].retire();
            homes.pinned[0].retire();
        };
        thread::spawn(on_worker).join().unwrap();
    }
}
