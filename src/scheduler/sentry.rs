//! The sentry: a thread of each runtime that sees when another is stuck, and sends help.
//!
//! It looks at what each thread is in the middle of, every [`CALM`]; and every [`ALERT`] for a while after
//! it has last seen the same word twice. While all workers sleep, it does so too; see `bell`. What it does
//! is in this folder's README.md: mark, call for relief, send a rescuer, report. It takes no lock that is
//! held for long, follows no pointer to a task, and runs no code of others: its looks must not be late.
//!
//! A look that is late all the same says nothing about the time before it: the process may have stood
//! still, by a signal, a debugger, or the machine under it. Where looks are late again and again, there is
//! too much to do for the processors, and rescues would add to that: so they come later then.

pub(crate) use super::rescuers::MOST_RESCUERS;
use super::rescuers::{Duty, Enlisted};
use super::seat::Word;
use super::shards::Shards;
use super::spent::Looker;
use super::watch::Watch;
use crate::driver::Instant;
use crate::hooks::StallKind;
use crate::primitives::Steal;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The time from look to look while nothing is stuck.
pub(super) const CALM: Duration = Duration::from_millis(5);

/// The same while something is, or was not long ago.
pub(super) const ALERT: Duration = Duration::from_millis(1);

/// For so long it stays alert.
const STAYS_ALERT: Duration = Duration::from_secs(10);

/// After so long without anything to do it sleeps until there is.
const QUIET: Duration = Duration::from_millis(100);

/// A look is late that comes after this time, or twice the time that was meant.
const LATE: Duration = Duration::from_millis(5);

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
    watched: Box<[Watched]>,
    last: Instant,
    pace: Pace,
    alert_until: Option<Instant>,
    quiet_since: Option<Instant>,
    /// Grows by [`STRAIN`] with each look that was late, and falls by one with each that was not.
    strain: u32,
}

struct Watched {
    watch: Watch,
    /// Opened when the thread was first seen to be stuck.
    looker: Option<Looker>,
}

/// When the next look is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    After(Duration),
    /// When a worker leaves its park.
    Deep,
}

const STRAIN: u32 = 8;
const MOST_STRAIN: u32 = 64;

impl<S: Staff> Sentry<S> {
    pub(super) fn new(shards: Arc<Shards>, stalls: Stalls, staff: S) -> Self {
        let seats = shards.each().len() + stalls.seats();
        let watched = (0..seats).map(|_| Watched { watch: Watch::new(), looker: None });
        Self {
            last: shards.clock().now(),
            watched: watched.collect(),
            shards,
            stalls,
            staff,
            pace: Pace::After(CALM),
            alert_until: None,
            quiet_since: None,
            strain: 0,
        }
    }

    /// The life of the sentry's thread.
    pub(super) fn watch(mut self) {
        let shards = Arc::clone(&self.shards);
        let parker = shards.bell.hang_up();
        while !shards.bell.has_ended() {
            match self.pace {
                Pace::After(time) => shards.bell.sleep(&parker, time),
                Pace::Deep => {
                    shards.bell.sleep_deep(&parker, || is_quiet(&shards));
                    self.last = shards.clock().now();
                    self.quiet_since = None;
                }
            }
            self.look(shards.clock().now());
        }
    }

    /// Looks at all threads.
    fn look(&mut self, now: Instant) {
        let step = self.step_until(now);
        let shards = Arc::clone(&self.shards);
        let mut any = false;
        for number in 0..self.watched.len() {
            let stuck = self.look_at(&shards, number, step);
            shards.mark(number, stuck);
            any |= stuck;
        }
        if any {
            self.alert_until = Some(now + STAYS_ALERT);
            self.report_all();
            // One that came late itself knows too little.
            if step.is_some() {
                self.help(&shards);
            }
        }
        self.pace = self.next_pace(now);
    }

    /// The time since the last look, if it counts.
    fn step_until(&mut self, now: Instant) -> Option<Duration> {
        let step = now.saturating_duration_since(self.last);
        self.last = now;
        let meant = match self.pace {
            Pace::After(time) => time,
            Pace::Deep => Duration::ZERO,
        };
        if step > LATE.max(2 * meant) {
            self.strain = (self.strain + STRAIN).min(MOST_STRAIN);
            return None;
        }
        self.strain = self.strain.saturating_sub(1);
        Some(step)
    }

    /// Whether this thread is stuck.
    fn look_at(&mut self, shards: &Shards, number: usize, step: Option<Duration>) -> bool {
        let Watched { watch, looker } = &mut self.watched[number];
        let rescuer = number.checked_sub(shards.each().len());
        let absent = rescuer.is_some_and(|index| !shards.rescuers.is_at_work(index));
        let seat = shards.seat(number);
        let word = if absent { Word::NOTHING } else { seat.running.get() };
        if !word.is_nothing() {
            seat.kick();
        }
        if !watch.see(word, step) {
            *looker = None;
            return false;
        }
        match (looker.as_mut(), step) {
            (Some(looker), Some(step)) => {
                looker.look(step).into_iter().for_each(|spent| watch.spends(spent));
            }
            // What was overslept is in none of the counts.
            (Some(looker), None) => drop(looker.look(Duration::ZERO)),
            (None, _) => *looker = Looker::new(seat.thread()),
        }
        true
    }

    fn report_all(&mut self) {
        for (seat, watched) in self.watched.iter_mut().enumerate() {
            if let Some((elapsed, kind)) = watched.watch.report(self.stalls.report_after) {
                self.shards.tally.stall();
                let within = watched.watch.within();
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
        let mut alone = (0..self.watched.len()).filter(wants).peekable();
        if alone.peek().is_none() || shards.call_for_relief() {
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
            // It has a task in its slot, or more, that whoever stands in for it comes to when it can.
            return;
        }
        let before = shards.each()[shard].adopter.get();
        let stuck = before.unwrap_or(shard);
        let after = self.stalls.rescue_after * (1 << (self.strain / 16));
        let watch = &mut self.watched[stuck].watch;
        if shards.is_closing() || !watch.wants_rescue(after) {
            return;
        }
        watch.helped();
        let duty = Duty { shard, before, stuck, within: watch.within() };
        if let Enlisted::New(index) = shards.rescuers.enlist(duty)
            && self.staff.start(index, duty).is_err()
        {
            // It is tried again after the same time.
            shards.rescuers.dismiss(index);
        }
    }

    fn next_pace(&mut self, now: Instant) -> Pace {
        if !is_quiet(&self.shards) {
            self.quiet_since = None;
        } else if now.saturating_duration_since(*self.quiet_since.get_or_insert(now)) >= QUIET {
            return Pace::Deep;
        }
        let alert = self.alert_until.is_some_and(|until| now < until);
        Pace::After(if alert { ALERT } else { CALM })
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
