//! Where a thread sleeps while it owes work to tasks: reactor, timers, clock, and the way to wake it.
//!
//! # Four parts, four locks
//!
//! | part | guards | taken by | held across |
//! |---|---|---|---|
//! | `poller` | the kernel's poll and its events | the thread that turns the driver, by `try_lock` | the wait and the dispatch; never a wake, a hook or a poll of a task |
//! | registry | – | anyone: `epoll_ctl` is safe beside `epoll_wait` | – |
//! | slots | registrations with generations | register, deregister, once per batch of events | never a system call |
//! | wheel | timers and `sleep_until` | arm, cancel, expire | never a system call |
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
#[cfg(all(test, loom))]
mod loom_tests;
mod timers;
mod unpark;
mod virtual_time;

pub(crate) use clock::Clock;
pub use clock::Instant;
pub(crate) use timers::{Timer, TimerPoll};
pub(crate) use virtual_time::{Advance, VirtualTime};

use crate::primitives::{Mutex, MutexGuard};
use crate::reactor::{Alarm, Poller, Reactor};
use crate::util::WakeList;
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
    poller: Mutex<Poller>,
    reactor: Arc<Reactor>,
    timers: Timers,
    unpark: Unpark,
    alarm: Alarm,
    clock: Clock,
}

/// Whether a turn may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Only look what is there.
    Look,
    /// Sleep until something is there.
    Sleep,
}

/// What a turn brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turned {
    /// Descriptors that became ready.
    pub(crate) io_events: usize,
    /// Timers that came due.
    pub(crate) timers_fired: usize,
    /// In virtual time, nothing inside can run any more, and nothing came from outside for as long as
    /// the clock has patience.
    pub(crate) stuck: bool,
}

impl Driver {
    /// A driver for the runtime of this number, with timers in steps of `resolution`.
    ///
    /// # Errors
    ///
    /// What the kernel says where it cannot give the descriptors: two or three are needed.
    pub(crate) fn new(runtime: NonZeroU64, clock: Clock, resolution: Duration) -> io::Result<Self> {
        let (reactor, poller, alarm) = Reactor::new(runtime)?;
        let timers = Timers::new(clock.now(), resolution);
        let poller = Mutex::new(poller);
        Ok(Self { runtime, poller, reactor, timers, unpark: Unpark::new(), alarm, clock })
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
    /// Does nothing if another thread is turning the driver.
    ///
    /// # Errors
    ///
    /// What the kernel says of the wait: it means that the descriptor was closed by someone else.
    pub(crate) fn turn(&self, turn: Turn, wakes: &mut WakeList) -> io::Result<Turned> {
        let Some(mut poller) = self.poller.try_lock() else { return Ok(Turned::default()) };
        if let (Clock::Virtual(time), Turn::Sleep) = (&self.clock, turn) {
            return self.turn_in_virtual_time(poller, time, wakes);
        }
        let sleeps = turn == Turn::Sleep && self.unpark.announce();
        let timeout = if sleeps {
            let deadline = self.timers.publish_sleep();
            deadline.map(|at| at.saturating_duration_since(self.clock.now()))
        } else {
            Some(Duration::ZERO)
        };
        let waited = poller.wait(timeout);
        if sleeps {
            self.unpark.awake();
        }
        waited?;
        let io_events = self.reactor.dispatch(&poller, wakes);
        drop(poller);
        let timers_fired = self.timers.expire(self.clock.now(), wakes);
        Ok(Turned { io_events, timers_fired, stuck: false })
    }

    /// A turn that may sleep, for a clock that jumps.
    fn turn_in_virtual_time(
        &self,
        mut poller: MutexGuard<'_, Poller>,
        time: &VirtualTime,
        wakes: &mut WakeList,
    ) -> io::Result<Turned> {
        poller.wait(Some(Duration::ZERO))?;
        let io_events = self.reactor.dispatch(&poller, wakes);
        if io_events > 0 || self.unpark.is_notified() {
            let timers_fired = self.timers.expire(time.now(), wakes);
            return Ok(Turned { io_events, timers_fired, stuck: false });
        }
        while let Some(to) = time.next(self.timers.next()) {
            let arrived = time.jump(to, wakes);
            let timers_fired = self.timers.expire(to, wakes);
            if arrived + timers_fired > 0 {
                return Ok(Turned { io_events, timers_fired, stuck: false });
            }
        }
        // Another thread may have armed a timer since the last look; then the next turn goes there.
        let stays = time.next(self.timers.publish_sleep()).is_none();
        let sleeps = stays && self.unpark.announce();
        let timeout = if sleeps { time.patience() } else { Some(Duration::ZERO) };
        let since = std::time::Instant::now();
        let waited = poller.wait(timeout);
        if sleeps {
            self.unpark.awake();
        }
        waited?;
        let io_events = self.reactor.dispatch(&poller, wakes);
        drop(poller);
        let timers_fired = self.timers.expire(time.now(), wakes);
        // A signal may have ended the wait early.
        let over = time.patience().is_some_and(|patience| since.elapsed() >= patience);
        let nothing = io_events + timers_fired == 0 && !self.unpark.is_notified();
        Ok(Turned { io_events, timers_fired, stuck: sleeps && nothing && over })
    }

    /// Ends the sleep of the thread that turns the driver, or keeps it from its next one.
    ///
    /// The one place from which threads are woken physically.
    pub(crate) fn unpark(&self) {
        if self.unpark.notify() {
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

    /// Ends all waits for descriptors and timers of this driver; moves the wakers to `wakes`.
    pub(crate) fn shut_down(&self, wakes: &mut WakeList) {
        self.reactor.shut_down(wakes);
        self.timers.shut_down(wakes);
    }
}
