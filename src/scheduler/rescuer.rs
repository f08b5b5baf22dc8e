//! A thread that stands in for a worker that is stuck, while nobody else has time for that.
//!
//! It has a seat of its own, and adopts the driver of the worker: it looks for events there, wakes and runs
//! tasks, and sleeps there. It searches as workers do, beginning with what lies behind the one that is
//! stuck. It is done when it is not the adopter any more: the worker came back, or it was stuck itself and
//! somebody has taken its place. What it has queued goes to the injector then. While it stands in it may
//! take a notice that was meant for the worker; so it leaves one when it is done.

use super::idle;
use super::rescuers::Duty;
use super::runner::Runner;
use super::shard::Shard;
use super::shards::Shards;
use crate::context::{self, Current, DefaultExecutor, EnterGuard, Outside, Runs};
use crate::driver::{Driver, Turn, Turned};
use crate::hooks::{HookSet, Hooks};
use crate::primitives::{NewThread, Parker, full_fence, thread};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What such a thread gets along.
pub(super) struct Start {
    pub(super) thread: NewThread,
    pub(super) shards: Arc<Shards>,
    /// Which of the rescuers it is.
    pub(super) index: usize,
    pub(super) outside: Outside,
    pub(super) executor: Arc<dyn DefaultExecutor>,
    pub(super) hooks: HookSet,
    pub(super) seed: u64,
    pub(super) keep_alive: Duration,
}

/// The life of a rescuer's thread, which begins with a duty.
pub(super) fn rescue(start: Start, duty: Duty) {
    let keep_alive = start.keep_alive;
    let mut rescuer = Rescuer::sit_down(start);
    let parker = Arc::new(Parker::new());
    let number = rescuer.runner.number;
    // For hooks, which find of the runtime what they find on a worker.
    let entered = rescuer.enter(Arc::clone(&rescuer.outside.driver));
    rescuer.tell_between(|hooks| hooks.on_worker_start(number));
    let mut duty = Some(duty);
    while let Some(present) = duty {
        rescuer.stand_in(present);
        duty = rescuer.runner.shards.rescuers.wait(rescuer.index, &parker, keep_alive);
    }
    rescuer.tell_between(|hooks| hooks.on_worker_stop(number));
    drop(entered);
    rescuer.stand_up();
}

struct Rescuer {
    runner: Runner,
    index: usize,
    outside: Outside,
    executor: Arc<dyn DefaultExecutor>,
}

impl Rescuer {
    fn sit_down(start: Start) -> Self {
        let Start { thread, shards, index, outside, executor, hooks, seed, keep_alive: _ } = start;
        thread.begin();
        let number = shards.each().len() + index;
        context::work_for(outside.driver.runtime(), number);
        shards.rescuers.seat(index).sit_down();
        let runner = Runner::new(shards, number, hooks, seed);
        Self { runner, index, outside, executor }
    }

    fn stand_up(self) {
        let (shards, index) = (Arc::clone(&self.runner.shards), self.index);
        drop(self);
        shards.rescuers.seat(index).stand_up();
        shards.rescuers.dismiss(index);
    }

    /// Makes the runtime that of this thread, with a driver for what waits.
    fn enter(&self, driver: Arc<Driver>) -> EnterGuard {
        let Outside { driver: _, spawn, calls } = self.outside.clone();
        let executor = Arc::clone(&self.executor);
        context::enter(Rc::new(Current { driver, spawn, executor, calls, runs: Runs::Send }))
    }

    /// Calls a hook while it stands in for nobody, so that nobody would come to what that queues here.
    fn tell_between(&mut self, event: impl FnOnce(&dyn Hooks)) {
        self.runner.tell(event);
        self.leave_queued();
    }

    /// Stands in for a worker, for as long as it is needed.
    fn stand_in(&mut self, duty: Duty) {
        let shards = Arc::clone(&self.runner.shards);
        let is_stuck = || shards.seat(duty.stuck).running.get() == duty.within;
        let shard = &shards.each()[duty.shard];
        if !is_stuck() || !shard.adopter.adopt(duty.before, self.runner.number) {
            return;
        }
        // Who comes back looks at the adopter after a full fence, before it sleeps: one of the two sees
        // the other. A worker that slept here beside this thread would miss what this thread is told.
        full_fence();
        if duty.before.is_none() && !is_stuck() {
            shard.adopter.let_go(self.runner.number);
            return;
        }
        shards.rescuers.begin(self.index, duty.shard);
        shards.tally.rescue();
        let (number, stuck) = (self.runner.number, duty.stuck);
        let entered = self.enter(Arc::clone(&shard.driver));
        let now = self.runner.clock().now();
        self.runner.is_back(now);
        self.runner.tell(|hooks| hooks.on_rescue(number, stuck));
        self.take_inbox_of(shard);
        self.run(shard);
        self.let_go(shard);
        drop(entered);
    }

    fn run(&mut self, shard: &Shard) {
        while self.is_adopter(shard) {
            if let Some(task) = self.runner.seat().pop() {
                if self.runner.searching {
                    self.runner.found();
                }
                let stays = self.runner.run_task(task);
                debug_assert!(stays.is_none(), "a task was run that stays on a worker");
                if self.runner.fairness.spend() || self.runner.seat().is_kicked() {
                    self.look(shard);
                }
                continue;
            }
            if self.take_inbox(shard) || self.runner.take_injected() || self.runner.search() {
                continue;
            }
            if self.runner.shards.is_closing() {
                return;
            }
            self.park(shard);
        }
    }

    fn is_adopter(&self, shard: &Shard) -> bool {
        shard.adopter.get() == Some(self.runner.number)
    }

    /// Looks what the kernel and other threads have, with tasks queued.
    fn look(&mut self, shard: &Shard) {
        let now = match self.turn(shard, Turn::Look) {
            Some(turned) => self.runner.settle(turned),
            None => self.runner.clock().now(),
        };
        self.take_inbox(shard);
        self.runner.take_injected();
        self.runner.looked(now);
    }

    fn take_inbox(&mut self, shard: &Shard) -> bool {
        shard.driver.take_notified() && self.take_inbox_of(shard)
    }

    /// Takes from what was left for the worker what need not wait for it.
    fn take_inbox_of(&mut self, shard: &Shard) -> bool {
        let placed = shard.take_placed();
        let any = !placed.is_empty();
        placed.into_iter().for_each(|task| self.runner.queue(task));
        any
    }

    /// Sleeps in the driver of the worker until there is something to do, or may be.
    fn park(&mut self, shard: &Shard) {
        let number = self.runner.number;
        self.runner.tell(|hooks| hooks.on_park(number));
        let now = self.runner.clock().now();
        self.runner.saw(now);
        let shards = Arc::clone(&self.runner.shards);
        let others_search = shards.idle.park(number, self.runner.searching);
        (self.runner.searching, self.runner.given) = (false, false);
        full_fence();
        let stays = !shards.is_closing()
            && (others_search || !shards.has_work())
            && self.runner.seat().is_empty();
        let turned = self.turn(shard, if stays { Turn::Sleep(now) } else { Turn::Look });
        self.runner.searching = shards.idle.unpark(number) == idle::Left::Called;
        // Who counted it among the parked may have taken it for the worker, which runs.
        shards.bell.worker_wakes();
        self.runner.tell(|hooks| hooks.on_unpark(number));
        let Some(turned) = turned else { return };
        if stays && let Ok(turned) = &turned {
            self.runner.is_back(turned.now);
        }
        let now = self.runner.settle(turned);
        self.runner.slept(now);
    }

    /// Turns the driver for the worker; `None` if somebody else does, or this is not the adopter any more.
    fn turn(&mut self, shard: &Shard, turn: Turn) -> Option<io::Result<Turned>> {
        let number = self.runner.number;
        let is_adopter = || shard.adopter.get() == Some(number);
        loop {
            let turned = shard.driver.turn_as_guest(turn, is_adopter, &mut self.runner.wakes);
            if let Some(turned) = turned {
                return Some(turned.map(|(turned, _)| turned));
            }
            if turn == Turn::Look || !is_adopter() {
                return None;
            }
            // Another guest sleeps there, and does not come again; or the worker does, which was not
            // stuck any more by the time that it was adopted, and takes the driver back.
            shard.driver.ring();
            thread::yield_now();
        }
    }

    /// Leaves the driver to whoever has it now, and what is queued to all.
    fn let_go(&mut self, shard: &Shard) {
        shard.adopter.let_go(self.runner.number);
        if self.runner.searching {
            self.runner.found();
        }
        self.leave_queued();
        // A notice that was taken here may have been of something that only the worker can take.
        shard.driver.unpark();
        self.runner.seat().counters.present.forget();
        self.runner.shards.rescuers.end(self.index);
    }

    /// Leaves what is queued to all.
    fn leave_queued(&self) {
        while let Some(task) = self.runner.seat().pop() {
            self.runner.shards.inject(task);
        }
    }
}

/// For a model: a rescuer on the present thread, which is in the middle of something.
#[cfg(all(test, loom))]
pub(super) struct InAPoll(Rescuer, usize);

#[cfg(all(test, loom))]
impl InAPoll {
    /// The adopter of `shard`, who does `f` there, and goes on with what it is in.
    pub(super) fn new(start: Start, shard: usize, f: impl FnOnce()) -> Self {
        let rescuer = Rescuer::sit_down(start);
        let shards = &rescuer.runner.shards;
        assert!(shards.each()[shard].adopter.adopt(None, rescuer.runner.number));
        shards.rescuers.begin(rescuer.index, shard);
        rescuer.runner.seat().running.enter_beside(super::seat::Beside::Wakers, 1);
        f();
        Self(rescuer, shard)
    }

    /// It comes back from that, and ends when it is done.
    pub(super) fn come_back(self) {
        let Self(mut rescuer, shard) = self;
        let shards = Arc::clone(&rescuer.runner.shards);
        rescuer.runner.seat().running.leave(0);
        rescuer.run(&shards.each()[shard]);
        rescuer.let_go(&shards.each()[shard]);
        rescuer.stand_up();
    }
}

#[cfg(all(test, not(loom)))]
#[path = "rescuer_tests.rs"]
mod tests;
