//! The sentry: a thread of each runtime that sees when another is stuck, and sends help.
//!
//! It looks at what each thread is in the middle of, as often as [`Rounds`] says. What it does then is in
//! this folder's README.md: mark, call for relief, send a rescuer, report. It takes no lock that is held
//! for long, follows no pointer to a task, and runs no code of others: its looks must not be late.

pub(crate) use super::rescuers::MOST_RESCUERS;
use super::rescuers::{Duty, Enlisted};
use super::rounds::Rounds;
use super::seat::Word;
use super::shards::Shards;
use super::watch::Watch;
use crate::driver::Instant;
use crate::hooks::StallKind;
use crate::primitives::{Steal, prepare_for_others};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// So many tasks are moved at a look from behind a thread whom nobody stands in for.
const MOVED: usize = 256;

/// What is decided about threads that are stuck.
#[derive(Clone, Debug)]
pub(crate) struct Stalls {
    /// Somebody looks for them.
    pub(crate) sentry: bool,
    /// After so long somebody stands in for a worker, if nobody has time to relieve it.
    pub(crate) rescue_after: Duration,
    /// After so long it is told.
    pub(crate) report_after: Duration,
    /// How many may stand in at a time; up to [`MOST_RESCUERS`].
    pub(crate) rescuers: usize,
    /// How long those stay who are not needed.
    pub(crate) keep_alive: Duration,
}

impl Default for Stalls {
    fn default() -> Self {
        Self {
            sentry: true,
            rescue_after: Duration::from_millis(10),
            report_after: Duration::from_millis(50),
            rescuers: MOST_RESCUERS,
            keep_alive: Duration::from_secs(10),
        }
    }
}

impl Stalls {
    /// How many seats are needed for those who stand in.
    pub(super) fn seats(&self) -> usize {
        if self.sentry { self.rescuers } else { 0 }
    }
}

/// What is told of a stall, by who does not know the task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) seat: usize,
    pub(super) within: Word,
    pub(super) elapsed: Duration,
    pub(super) kind: StallKind,
}

/// What the sentry cannot do by itself.
pub(super) trait Staff: Send {
    /// Starts the thread of this rescuer, with its first duty.
    fn start(&mut self, index: usize, duty: Duty) -> io::Result<()>;

    /// Hands a report on, without waiting for anybody.
    fn report(&mut self, report: Report);
}

/// See the module's documentation.
pub(super) struct Sentry<S> {
    shards: Arc<Shards>,
    stalls: Stalls,
    staff: S,
    /// By the number of the seat.
    watches: Box<[Watch]>,
    rounds: Rounds,
}

impl<S: Staff> Sentry<S> {
    pub(super) fn new(shards: Arc<Shards>, stalls: Stalls, staff: S) -> Self {
        let seats = shards.each().len() + stalls.seats();
        let watches = (0..seats).map(|_| Watch::new()).collect();
        let rounds = Rounds::new(shards.clock().now());
        Self { shards, stalls, staff, watches, rounds }
    }

    /// The life of the sentry's thread.
    pub(super) fn watch(mut self) {
        // Before anybody who relieves a worker would have to wait for it, with its driver in hand.
        prepare_for_others();
        let shards = Arc::clone(&self.shards);
        let parker = shards.bell.hang_up();
        let now = || shards.clock().now();
        while self.rounds.wait(&shards.bell, &parker, now, || is_quiet(&shards)) {
            self.look(now());
        }
    }

    /// Looks at all threads.
    fn look(&mut self, now: Instant) {
        let step = self.rounds.step_until(now);
        let shards = Arc::clone(&self.shards);
        let mut any = false;
        for number in 0..self.watches.len() {
            let stuck = self.look_at(&shards, number, step);
            shards.mark(number, stuck);
            any |= stuck;
        }
        if any {
            self.report_all();
            // One that came late itself knows too little.
            if step.is_some() {
                self.help(&shards);
            }
        }
        self.rounds.looked(now, any, is_quiet(&shards));
    }

    /// Whether this thread is stuck.
    fn look_at(&mut self, shards: &Shards, number: usize, step: Option<Duration>) -> bool {
        let rescuer = number.checked_sub(shards.each().len());
        let absent = rescuer.is_some_and(|index| !shards.rescuers.is_at_work(index));
        let seat = shards.seat(number);
        let word = if absent { Word::NOTHING } else { seat.running.get() };
        if !word.is_nothing() {
            seat.kick();
        }
        self.watches[number].see(word, step, seat.thread())
    }

    fn report_all(&mut self) {
        for (seat, watch) in self.watches.iter_mut().enumerate() {
            if let Some((elapsed, kind)) = watch.report(self.stalls.report_after) {
                self.shards.tally.stall();
                let within = watch.within();
                self.staff.report(Report { seat, within, elapsed, kind });
            }
        }
    }

    /// Sends somebody to those who are stuck, and have nobody yet.
    fn help(&mut self, shards: &Shards) {
        let wants = |number: &usize| {
            shards.seat(*number).is_stuck()
                && (shards.seat(*number).queued() > 0 || !is_served(shards, *number))
        };
        let mut alone = (0..self.watches.len()).filter(wants).peekable();
        // While somebody searches, who pushes calls nobody; and one of those who are stuck may be one of
        // those who search.
        let is_needed = alone.peek().is_some() || shards.has_surplus();
        if !is_needed || shards.call_for_relief() {
            return;
        }
        let alone: Vec<_> = alone.collect();
        for number in alone {
            match number < shards.each().len() {
                true => self.rescue(shards, number),
                false => move_queued(shards, number),
            }
        }
    }

    /// Sends somebody who stands in for a worker, if it is time.
    fn rescue(&mut self, shards: &Shards, shard: usize) {
        if is_served(shards, shard) {
            // Whoever stands in for it may never run out of tasks, as others may, and search.
            return move_queued(shards, shard);
        }
        let before = shards.each()[shard].adopter.get();
        let stuck = before.unwrap_or(shard);
        let after = self.stalls.rescue_after * self.rounds.strain();
        let watch = &mut self.watches[stuck];
        if shards.is_closing() || !watch.wants_rescue(after) {
            return;
        }
        watch.helped();
        let duty = Duty { shard, before, stuck, within: watch.within() };
        let comes = match shards.rescuers.enlist(duty) {
            Enlisted::Spare => true,
            Enlisted::New(index) => {
                let started = self.staff.start(index, duty).is_ok();
                if !started {
                    shards.rescuers.dismiss(index);
                }
                started
            }
            Enlisted::Nobody => false,
        };
        if !comes {
            // It is tried again after the same time.
            move_queued(shards, shard);
        }
    }
}

/// Whether there is nothing to watch.
fn is_quiet(shards: &Shards) -> bool {
    shards.idle.are_all_parked() && !shards.rescuers.any_at_work()
}

/// Whether a thread looks after what this one leaves undone: it is no worker, or somebody stands in for it
/// who is not stuck.
fn is_served(shards: &Shards, number: usize) -> bool {
    let Some(shard) = shards.each().get(number) else { return true };
    shard.adopter.get().is_some_and(|seat| !shards.seat(seat).is_stuck())
}

/// Moves what is queued behind a thread to where all come to it.
fn move_queued(shards: &Shards, number: usize) {
    if shards.is_closing() {
        // Who ends steals it, or drops it: which may be long, and is code of others.
        return;
    }
    let seat = shards.seat(number);
    seat.slot.take().into_iter().for_each(|task| shards.inject(task));
    for _ in 0..MOVED {
        match seat.stealer.steal() {
            Steal::Success(task) => shards.inject(task),
            Steal::Empty => return,
            Steal::Retry => {}
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "sentry_tests.rs"]
mod tests;
