//! What a thread does that runs tasks, be it a worker or one that stands in for workers.

use super::fairness::Fairness;
use super::keeps::Keeps;
use super::seat::{Beside, Seat, Surplus};
use super::shards::Shards;
use crate::driver::{Clock, Instant, Turned};
use crate::hooks::{HookSet, Hooks, PollOutcome};
use crate::primitives::{Steal, full_fence};
use crate::task::{Graves, Ran, Runnable};
use crate::util::{Rng, WakeList};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// See the module's documentation.
pub(super) struct Runner {
    pub(super) shards: Arc<Shards>,
    /// The number of its seat.
    pub(super) number: usize,
    pub(super) hooks: HookSet,
    pub(super) fairness: Fairness,
    random: Rng,
    pub(super) wakes: WakeList,
    /// Counted as one that searches.
    pub(super) searching: bool,
    /// Since its last sleep it found something that other threads have left.
    pub(super) given: bool,
    /// How often it has begun something for a task.
    begun: u64,
    /// The kernel's failure was told.
    told: bool,
    keeps: Keeps,
    /// Until when it is counted how long the thread was busy, and made how many polls.
    counted: (Instant, u64),
}

impl Runner {
    /// For the present thread, which sits there.
    pub(super) fn new(shards: Arc<Shards>, number: usize, hooks: HookSet, seed: u64) -> Self {
        let now = shards.clock().now();
        let seat = shards.seat(number);
        seat.is_of_this_thread();
        let counted = (now, seat.counters.polls.get());
        Self {
            shards,
            number,
            hooks,
            fairness: Fairness::new(now),
            random: Rng::new(seed),
            wakes: WakeList::new(),
            searching: false,
            given: false,
            begun: 0,
            told: false,
            keeps: Keeps::new(),
            counted,
        }
    }

    #[inline]
    pub(super) fn seat(&self) -> &Seat {
        self.shards.seat(self.number)
    }

    pub(super) fn clock(&self) -> &Clock {
        self.shards.clock()
    }

    /// Where its tasks are buried, if it is a worker.
    #[inline]
    fn seat_and_graves(&self) -> (&Seat, Option<&Graves>) {
        match self.shards.each().get(self.number) {
            Some(shard) => (&shard.seat, Some(&shard.graves)),
            None => (self.seat(), None),
        }
    }

    /// Runs a task once, and queues it if it goes on; one that stays on this worker comes back for that.
    #[inline]
    pub(super) fn run_task(&mut self, task: Runnable) -> Option<Runnable> {
        self.begun += 1;
        let (seat, graves) = self.seat_and_graves();
        seat.counters.polls.add(1);
        let before = seat.running.enter(task.id(), self.begun);
        let ran = match self.hooks.is_empty() {
            true => task.run_beside(graves),
            false => self.run_and_tell(task, graves),
        };
        seat.running.leave(before);
        match ran {
            Ran::Again(task) if task.stays() => return Some(task),
            Ran::Again(task) => self.shards.call_for(seat.push_back(task)),
            Ran::Done => graves.into_iter().filter(|full| full.is_full()).for_each(Graves::bury),
            Ran::Waits => {}
        }
        None
    }

    #[cold]
    fn run_and_tell(&self, task: Runnable, graves: Option<&Graves>) -> Ran {
        let info = task.info();
        self.hooks.call(|hooks| hooks.on_poll_start(&info));
        let ran = task.run_beside(graves);
        let outcome = match &ran {
            Ran::Waits => PollOutcome::Pending,
            Ran::Again(_) => PollOutcome::Yielded,
            Ran::Done => PollOutcome::Done,
        };
        self.hooks.call(|hooks| hooks.on_poll_end(&info, outcome));
        ran
    }

    /// Does something between polls that runs code of others, in view of the sentry.
    pub(super) fn beside(&mut self, what: Beside, f: impl FnOnce(&mut Self)) {
        self.begun += 1;
        let before = self.seat().running.enter_beside(what, self.begun);
        f(self);
        self.seat().running.leave(before);
    }

    /// Calls a hook between polls.
    pub(super) fn tell(&mut self, event: impl FnOnce(&dyn Hooks)) {
        if !self.hooks.is_empty() {
            self.beside(Beside::Hook, |runner| runner.hooks.call(event));
        }
    }

    /// A look outside begins: what polls there were since the last one is known.
    pub(super) fn looked(&mut self, now: Instant) {
        self.seat().forget_kick();
        self.fairness.looked(now);
        self.call_for_surplus();
    }

    /// A sleep is over.
    pub(super) fn slept(&mut self, now: Instant) {
        self.fairness.slept(now);
        self.call_for_surplus();
    }

    fn call_for_surplus(&self) {
        self.shards.call_for(self.seat().surplus());
    }

    /// Queues a task that was left for somebody else, or taken from one.
    pub(super) fn queue(&self, task: Runnable) {
        self.shards.call_for(self.seat().push_back(task));
    }

    /// Takes a share of what threads have queued that run no tasks.
    pub(super) fn take_injected(&mut self) -> bool {
        if self.shards.injector.is_empty() {
            return false;
        }
        let stolen = self.seat().with_queue(|queue| {
            loop {
                match self.shards.injector.steal_batch_and_pop(queue) {
                    Steal::Success(task) => break Some(task),
                    Steal::Empty => break None,
                    Steal::Retry => {}
                }
            }
        });
        let Some(task) = stolen else { return false };
        self.given = true;
        // Behind the others of its batch.
        self.queue(task);
        true
    }

    /// Searches the queues of others, once around; whether something was found.
    pub(super) fn search(&mut self) -> bool {
        if self.shards.has_stuck() && self.relieve() {
            return true;
        }
        let workers = self.shards.each().len();
        let others = workers > 1 || self.shards.rescuers.any_at_work();
        if !others || !self.searches() {
            return false;
        }
        let first = self.random.below(workers);
        let mut around = (0..workers).map(|step| (first + step) % workers);
        let found = around.find_map(|victim| self.steal_from(victim));
        let found = found.or_else(|| {
            let shards = Arc::clone(&self.shards);
            let mut rescuers = shards.seats_of_rescuers();
            rescuers.find_map(|(victim, _)| self.steal_from(victim))
        });
        let Some((task, victim, more)) = found else { return self.take_injected() };
        // Before it is queued, so that the call for more comes first.
        let _ = self.seat().push_back(task);
        let number = self.number;
        self.tell(|hooks| hooks.on_steal(number, victim, 1 + more));
        true
    }

    /// Whether the thread is, from now on if not before, one of those who search.
    pub(super) fn searches(&mut self) -> bool {
        if !self.searching {
            if self.number < self.shards.each().len() {
                self.searching = self.shards.idle.begin_search();
            } else {
                self.shards.idle.begin_search_anyhow();
                self.searching = true;
            }
        }
        self.searching
    }

    /// A task of another thread, which one that is, and how many more of them are in the own queue.
    pub(super) fn steal_from(&self, victim: usize) -> Option<(Runnable, usize, usize)> {
        if victim == self.number {
            return None;
        }
        let (seat, stealer) = (self.seat(), &self.shards.seat(victim).stealer);
        let stolen = seat.with_queue(|queue| {
            let before = queue.len();
            loop {
                match stealer.steal_batch_and_pop(queue) {
                    Steal::Success(task) => {
                        return Some((task, victim, queue.len().saturating_sub(before)));
                    }
                    Steal::Empty => return None,
                    Steal::Retry => {}
                }
            }
        })?;
        seat.counters.steals.add(1 + stolen.2 as u64);
        Some(stolen)
    }

    /// There is something to do; the last of those who searched sees to it that somebody else looks for
    /// more.
    #[cold]
    pub(super) fn found(&mut self) {
        self.searching = false;
        if self.shards.idle.end_search() {
            full_fence();
            if self.shards.has_surplus() {
                self.shards.call_for(Surplus::Yes);
            }
        }
    }

    /// Wakes whom a turn of a driver concerns; gives the present.
    pub(super) fn settle(&mut self, turned: io::Result<Turned>) -> Instant {
        let turned = turned.map_err(|error| self.tell_of_failure(&error));
        let now = turned.map_or_else(|()| self.clock().now(), |turned| turned.now);
        // First, as wakes may spawn.
        self.saw(now);
        self.beside(Beside::Wakers, |runner| {
            let shards = Arc::clone(&runner.shards);
            shards.seat(runner.number).dispatch(|| runner.wakes.wake_all());
        });
        now
    }

    /// The clock says `now`: for the births of tasks, and for what is counted.
    pub(super) fn saw(&mut self, now: Instant) {
        let polls = self.seat().counters.polls.get();
        let (since, before) = std::mem::replace(&mut self.counted, (now, polls));
        let took = now.saturating_duration_since(since);
        if polls != before {
            self.keeps.measure(polls - before, took);
        }
        let seat = self.seat();
        seat.counters.present.set(now.as_nanos());
        seat.counters.busy.add(took.as_nanos() as u64);
        seat.keep(self.keeps.tasks());
    }

    /// What comes before `now` was a sleep.
    pub(super) fn is_back(&mut self, now: Instant) {
        self.counted.0 = now;
    }

    /// The kernel cannot be asked any more. What needs no events goes on.
    #[cold]
    fn tell_of_failure(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            let _ = writeln!(
                io::stderr(),
                "mainspring: worker {} cannot wait for events any more: {error}",
                self.number
            );
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
