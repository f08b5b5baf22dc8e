//! Where a thread sleeps while it owes work to tasks: reactor, timers, clock, and the way to wake it.
//!
//! # Four parts, four locks
//!
//! | part | guards | taken by | held across |
//! |---|---|---|---|
//! | `poller` | the kernel's poll and its events | who turns the driver, by `try_lock`; its own thread by `lock`, to sleep | the wait, the dispatch and the expiry of timers; never a wake, a hook or a poll of a task |
//! | registry | – | anyone: `epoll_ctl` is safe beside `epoll_wait` | – |
//! | slots | registrations with generations | register, deregister, once per batch of events | never a system call |
//! | wheel | timers and `sleep_until` | arm, cancel, expire | never a system call |
//!
//! The wheel's lock belongs to the thread whose driver it is, which takes it at next to no cost; see
//! [`Biased`](crate::primitives::Biased). Others pay microseconds now and then.
//!
//! # How nobody sleeps through a wake
//!
//! Two things end a sleep: a timer that comes due, and [`Driver::unpark`]. The sleeper publishes the
//! deadline it will sleep until while it holds the wheel; whoever arms an earlier timer compares
//! under the same lock, and unparks after releasing it. The sleeper announces its sleep in the word
//! of [`Unpark`] before it waits, and does not wait if somebody has notified since its last turn.
//! So arming a timer costs no system call unless somebody sleeps past it, and waking a thread that
//! is awake costs none either.
//!
//! In virtual time nobody sleeps until a deadline: a turn that may sleep, and finds nothing in the
//! kernel, moves the clock to the next deadline instead. Only where there is none left does it sleep,
//! and then for what comes from outside.

mod clock;
mod kernel_timer;
#[cfg(all(test, loom))]
mod loom_tests;
mod timers;
mod unpark;
mod virtual_time;

pub(crate) use clock::Clock;
pub use clock::Instant;
pub(crate) use timers::{Timer, TimerPoll};
pub(crate) use virtual_time::{Advance, VirtualTime};

use crate::primitives::{AtomicBool, Ordering, ThreadKey, TryMutex, TryMutexGuard};
use crate::reactor::{Alarm, Dispatched, Forked, Poller, Reactor};
use crate::util::{SharedRng, WakeList};
use kernel_timer::KernelTimer;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use timers::Timers;
use unpark::Unpark;

/// One place to sleep; see the module's documentation.
#[derive(Debug)]
pub(crate) struct Driver {
    runtime: NonZeroU64,
    poller: TryMutex<Sleeper>,
    /// The thread whose driver it is wants `poller` back, in which somebody else sleeps.
    reclaimed: AtomicBool,
    reactor: Arc<Reactor>,
    timers: Timers,
    unpark: Unpark,
    alarm: Alarm,
    clock: Clock,
    kernel_timers: KernelTimers,
    random: SharedRng,
}

/// What only the thread touches that turns the driver.
#[derive(Debug)]
struct Sleeper {
    poller: Poller,
    kernel_timer: Option<KernelTimer>,
}

/// What a driver may use beside the wait for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelTimers {
    /// Nothing: sleeps end with the wait's own timeout.
    Unused,
    /// A timer of the kernel's, which ends the sleep that is left to a host.
    ForHosts,
    /// The same, for all sleeps.
    Always,
}

/// Where nobody gave a seed: two runtimes draw different numbers, in different processes too.
fn some_seed(runtime: NonZeroU64) -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.unwrap_or_else(|before| before.duration()).as_nanos() as u64;
    nanos ^ runtime.get().rotate_left(32) ^ u64::from(std::process::id()).rotate_left(48)
}

/// Whether a turn may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Only look what is there.
    Look,
    /// Sleep until something is there; the clock said so just now.
    Sleep(Instant),
}

/// What a turn brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    /// What the clock said after the wait.
    pub(crate) now: Instant,
    /// Descriptors that became ready.
    pub(crate) io_events: usize,
    /// Timers that came due.
    pub(crate) timers_fired: usize,
    /// There were as many events as one turn takes, so that there may be more.
    pub(crate) full: bool,
    /// In virtual time, nothing inside can run any more, and nothing came from outside for as long as
    /// the clock has patience.
    pub(crate) stuck: bool,
}

/// What waits in a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) timers: usize,
    pub(crate) registrations: usize,
}

impl Turned {
    fn at(now: Instant, dispatched: Dispatched, timers_fired: usize) -> Self {
        let Dispatched { descriptors: io_events, full } = dispatched;
        Self { now, io_events, timers_fired, full, stuck: false }
    }
}

impl Driver {
    /// A driver for the runtime of this number, with timers in steps of `resolution`.
    ///
    /// # Errors
    ///
    /// What the kernel says where it cannot give the descriptors: two to four are needed. Timers of
    /// the kernel's are there on Linux only.
    pub(crate) fn new(
        runtime: NonZeroU64,
        clock: Clock,
        resolution: Duration,
        kernel_timers: KernelTimers,
    ) -> io::Result<Self> {
        Self::for_thread(ThreadKey::current(), runtime, clock, resolution, kernel_timers)
    }

    /// The same, to be turned by a thread that need not have begun.
    pub(crate) fn for_thread(
        thread: ThreadKey,
        runtime: NonZeroU64,
        clock: Clock,
        resolution: Duration,
        kernel_timers: KernelTimers,
    ) -> io::Result<Self> {
        let (reactor, poller, alarm) = Reactor::new(runtime)?;
        let timers = Timers::new(thread, clock.now(), resolution, clock.as_virtual().is_some());
        let kernel_timer = match kernel_timers {
            KernelTimers::Unused => None,
            KernelTimers::ForHosts | KernelTimers::Always => Some(KernelTimer::new(&reactor)?),
        };
        let poller = TryMutex::new(Sleeper { poller, kernel_timer });
        let unpark = Unpark::new();
        let random = SharedRng::new(some_seed(runtime));
        let reclaimed = AtomicBool::new(false);
        Ok(Self {
            runtime,
            poller,
            reclaimed,
            reactor,
            timers,
            unpark,
            alarm,
            clock,
            kernel_timers,
            random,
        })
    }

    /// The same, with [`random`](Self::random) numbers that follow from `seed`.
    pub(crate) fn with_seed(mut self, seed: u64) -> Self {
        // Not the stream that the order of tasks is drawn from.
        self.random = SharedRng::new(!seed);
        self
    }

    /// A number from the runtime's source of what could go either way: jitter, the order of those
    /// who are alike. Not for secrets.
    pub(crate) fn random(&self) -> u64 {
        self.random.next_u64()
    }

    /// The number of the runtime that it belongs to.
    #[inline]
    pub(crate) fn runtime(&self) -> NonZeroU64 {
        self.runtime
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    #[inline]
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves the wakers of all that is due to `wakes`, after a sleep if `turn` allows one.
    ///
    /// If a [guest](Self::turn_as_guest) is turning the driver, a look does nothing, and a sleep takes its
    /// place.
    ///
    /// # Errors
    ///
    /// What the kernel says of the wait: it means that the descriptor was closed by someone else. Or
    /// that this is a child process.
    pub(crate) fn turn(&self, turn: Turn, wakes: &mut WakeList) -> io::Result<Turned> {
        self.check_process()?;
        let sleeper = match (self.poller.try_lock(), turn) {
            (Some(sleeper), _) => sleeper,
            // Whoever has it moves the wakers.
            (None, Turn::Look) => {
                return Ok(Turned::at(self.clock.now(), Dispatched::default(), 0));
            }
            (None, Turn::Sleep(_)) => self.reclaim(),
        };
        if let (Clock::Virtual(time), Turn::Sleep(_)) = (&self.clock, turn) {
            return self.turn_in_virtual_time(sleeper, time, wakes);
        }
        let sleeps = match turn {
            Turn::Sleep(now) if self.unpark.announce() => Some(now),
            Turn::Sleep(_) | Turn::Look => None,
        };
        self.turn_with(sleeper, sleeps, wakes)
    }

    /// Turns the driver in the place of its thread, which is busy; `None` if somebody has it, or its thread
    /// wants it back, or `announce` says so. Beside what it brought, whether it could sleep, if it was to:
    /// where the thread was told of something that it has not come to, this is a look only.
    ///
    /// Who sees what `announce` has left [rings](Self::ring), which ends this sleep and no other: nobody
    /// else waits here from then on.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    pub(crate) fn turn_as_guest(
        &self,
        turn: Turn,
        announce: impl FnOnce() -> bool,
        wakes: &mut WakeList,
    ) -> Option<io::Result<(Turned, bool)>> {
        if let Err(forked) = self.check_process() {
            return Some(Err(forked.into()));
        }
        let sleeper = self.poller.try_lock()?;
        // Looked at under the lock: who reclaims says so first, then ends the wait that is going on.
        if self.reclaimed.load(Ordering::Acquire) || !announce() {
            return None;
        }
        let sleeps = match turn {
            Turn::Sleep(now) if self.unpark.announce() => Some(now),
            Turn::Sleep(_) | Turn::Look => None,
        };
        Some(self.turn_with(sleeper, sleeps, wakes).map(|turned| (turned, sleeps.is_some())))
    }

    /// Gets the poller back from a guest, who comes out of its sleep for that.
    #[cold]
    fn reclaim(&self) -> TryMutexGuard<'_, Sleeper> {
        self.reclaimed.store(true, Ordering::Release);
        self.ring();
        let sleeper = self.poller.lock();
        self.reclaimed.store(false, Ordering::Release);
        sleeper
    }

    /// A turn with a sleep, which begins at the moment that is given, or without.
    #[inline(always)]
    fn turn_with(
        &self,
        mut sleeper: TryMutexGuard<'_, Sleeper>,
        sleeps: Option<Instant>,
        wakes: &mut WakeList,
    ) -> io::Result<Turned> {
        let mut timeout = Some(Duration::ZERO);
        if let Some(now) = sleeps {
            let deadline = self.timers.publish_sleep();
            timeout = self.timeout(&mut sleeper, deadline, now);
        }
        let waited = sleeper.poller.wait(timeout);
        if sleeps.is_some() {
            self.unpark.awake();
        }
        waited?;
        let dispatched = self.reactor.dispatch(&sleeper.poller, wakes);
        let now = self.clock.now();
        if let Some(timer) = &mut sleeper.kernel_timer {
            timer.has_become(now);
        }
        // It ends the sleep that was published, which is ours only as long as nobody else turns.
        let timers_fired = self.timers.expire(now, wakes);
        drop(sleeper);
        Ok(Turned::at(now, dispatched, timers_fired))
    }

    /// A turn that may sleep, for a clock that jumps.
    fn turn_in_virtual_time(
        &self,
        mut sleeper: TryMutexGuard<'_, Sleeper>,
        time: &VirtualTime,
        wakes: &mut WakeList,
    ) -> io::Result<Turned> {
        sleeper.poller.wait(Some(Duration::ZERO))?;
        let dispatched = self.reactor.dispatch(&sleeper.poller, wakes);
        if dispatched.descriptors > 0 || self.unpark.is_notified() {
            let now = time.now();
            return Ok(Turned::at(now, dispatched, self.timers.expire(now, wakes)));
        }
        if let Some(timers_fired) = self.jump(time, wakes) {
            return Ok(Turned::at(time.now(), dispatched, timers_fired));
        }
        // Another thread may have armed a timer since the last look; then the next turn goes there.
        let stays = time.next(self.timers.publish_sleep()).is_none();
        let sleeps = stays && self.unpark.announce();
        let timeout = if sleeps { time.patience() } else { Some(Duration::ZERO) };
        let since = std::time::Instant::now();
        let waited = sleeper.poller.wait(timeout);
        if sleeps {
            self.unpark.awake();
        }
        waited?;
        let dispatched = self.reactor.dispatch(&sleeper.poller, wakes);
        drop(sleeper);
        let now = time.now();
        let mut turned = Turned::at(now, dispatched, self.timers.expire(now, wakes));
        // A signal may have ended the wait early.
        let over = time.patience().is_some_and(|patience| since.elapsed() >= patience);
        let nothing = turned.io_events + turned.timers_fired == 0 && !self.unpark.is_notified();
        turned.stuck = sleeps && nothing && over;
        Ok(turned)
    }

    /// Moves virtual time to where somebody wants it; how many timers came due, or `None` if it has
    /// to stand.
    fn jump(&self, time: &VirtualTime, wakes: &mut WakeList) -> Option<usize> {
        while let Some(to) = time.next(self.timers.next()) {
            let arrived = time.jump(to, wakes);
            let timers_fired = self.timers.expire(to, wakes);
            if arrived + timers_fired > 0 {
                return Some(timers_fired);
            }
        }
        None
    }

    /// Where time is virtual, moves it on, as nothing can run; how many timers came due.
    pub(crate) fn jump_ahead(&self, wakes: &mut WakeList) -> usize {
        self.clock.as_virtual().and_then(|time| self.jump(time, wakes)).unwrap_or(0)
    }

    /// Whether a turn would do something without anything from outside, if `deadline` is what was
    /// published for the sleep.
    fn is_due(&self, deadline: Option<Instant>) -> bool {
        match &self.clock {
            Clock::Virtual(time) => time.next(deadline).is_some(),
            Clock::Real => deadline.is_some_and(|at| at <= self.clock.now()),
        }
    }

    /// How long the wait lasts at most, from `now` on, where the kernel's timer does not end it.
    fn timeout(
        &self,
        sleeper: &mut Sleeper,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Option<Duration> {
        if self.kernel_timers == KernelTimers::Always
            && let Some(timer) = &mut sleeper.kernel_timer
            && timer.set(deadline, &self.reactor).is_ok()
        {
            return None;
        }
        deadline.map(|at| at.saturating_duration_since(now))
    }

    /// Leaves the sleep to a host that watches the descriptor: from here on whoever unparks makes
    /// that readable. `false` if something is to be done at once, which is to learn that in a child
    /// process nothing can be.
    pub(crate) fn leave_to_host(&self) -> bool {
        // The kernel's timer is the parent's, too.
        if self.check_process().is_err() || !self.unpark.announce() {
            return false;
        }
        let deadline = self.timers.publish_sleep();
        if self.is_due(deadline) {
            self.unpark.awake();
            return false;
        }
        // A clock that stands has no deadlines that the kernel's could come to.
        if matches!(self.clock, Clock::Real)
            && let Some(mut sleeper) = self.poller.try_lock()
            && let Some(timer) = &mut sleeper.kernel_timer
            && timer.set(deadline, &self.reactor).is_err()
        {
            self.unpark.awake();
            return false;
        }
        true
    }

    /// The host has come back, to run what there is.
    pub(crate) fn take_from_host(&self) {
        self.unpark.awake();
    }

    /// Until when a host may sleep, as far as timers go. Whoever arms an earlier one unparks.
    ///
    /// In virtual time that is the present or never, as no sleep brings a deadline nearer.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.timers.publish_sleep();
        match &self.clock {
            Clock::Real => deadline,
            Clock::Virtual(time) => time.next(deadline).map(|_| time.now()),
        }
    }

    /// Whether a deadline is there, or could be reached at once.
    pub(crate) fn has_deadline_now(&self) -> bool {
        self.is_due(self.timers.publish_sleep())
    }

    /// Makes the descriptor readable that a host watches, until the next turn.
    pub(crate) fn ring(&self) {
        if self.check_process().is_ok() {
            // As in `unpark`.
            let _ = self.alarm.ring();
        }
    }

    /// What a host does that watches the descriptor: sleeps until it is readable.
    #[cfg(all(test, loom))]
    pub(crate) fn watch(&self) {
        self.poller.lock().poller.watch();
    }

    /// # Errors
    ///
    /// [`Forked`] in a child of the process that made the driver.
    pub(crate) fn check_process(&self) -> Result<(), Forked> {
        self.reactor.check_process()
    }

    /// Ends the sleep of the thread that turns the driver, or keeps it from its next one.
    ///
    /// The one place from which threads are woken physically.
    pub(crate) fn unpark(&self) {
        if self.unpark.notify() && self.check_process().is_ok() {
            // An error would mean that the counter of the eventfd is full, so that the sleeper is
            // being woken already, or that the descriptor was closed by someone else, which `turn`
            // reports.
            let _ = self.alarm.ring();
        }
    }

    /// Whether somebody has unparked since the last call or sleep; forgets it.
    #[inline]
    pub(crate) fn take_notified(&self) -> bool {
        self.unpark.take()
    }

    /// Whether somebody has unparked since the last sleep, and that was not taken.
    pub(crate) fn is_notified(&self) -> bool {
        self.unpark.is_notified()
    }

    /// How `timer` stands; it is armed if it was not, and `waker` is woken when that changes.
    pub(crate) fn poll_timer(
        &self,
        timer: &mut Option<Timer>,
        deadline: Instant,
        waker: &Waker,
    ) -> TimerPoll {
        let (poll, sleeper_is_late) = self.timers.poll(timer, deadline, waker);
        if sleeper_is_late {
            self.unpark();
        }
        poll
    }

    /// Gives an armed timer an earlier deadline; one that has fired stays as it is.
    pub(crate) fn advance_timer(&self, timer: &mut Option<Timer>, deadline: Instant) {
        if self.timers.advance(timer, deadline) {
            self.unpark();
        }
    }

    /// Takes a timer out, if it has not fired.
    pub(crate) fn cancel_timer(&self, timer: Timer) {
        self.timers.cancel(timer);
    }

    /// How many timers are armed, and how many descriptors are watched.
    ///
    /// On another thread than the driver's own it may cost a fence of the whole process; see
    /// [`Biased`](crate::primitives::Biased).
    pub(crate) fn count(&self) -> Counts {
        Counts { timers: self.timers.len(), registrations: self.reactor.len() }
    }

    /// Ends all waits for descriptors and timers of this driver; moves the wakers to `wakes`.
    pub(crate) fn shut_down(&self, wakes: &mut WakeList) {
        self.reactor.shut_down(wakes);
        self.timers.shut_down(wakes);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::primitives::unique_id;

    /// Whoever turned the driver in between has taken the ring, and a sleep would have no end.
    #[test]
    fn a_guest_that_was_rung_for_before_it_has_the_poller_does_not_sleep() {
        let (step, timers) = (Duration::from_millis(1), KernelTimers::Unused);
        let driver = Driver::new(unique_id(), Clock::real(), step, timers).unwrap();
        let mut wakes = WakeList::new();
        driver.ring();
        let _ = driver.turn(Turn::Look, &mut wakes).unwrap();
        let sleep = || Turn::Sleep(driver.clock().now());
        assert!(driver.turn_as_guest(sleep(), || false, &mut wakes).is_none());
        driver.unpark();
        let looked = driver.turn_as_guest(sleep(), || true, &mut wakes);
        assert!(!looked.unwrap().unwrap().1, "it would not be told of anything again");
    }
}
