//! The scheduler driven by a host: a turn at a time, and a descriptor to watch in between.
//!
//! # The states between turns
//!
//! Once the host has asked for the descriptor, the thread is either inside the scheduler, or
//! *parked by the host*, which is what sleeping in the kernel is to `block_on`: the word of the
//! driver says `ASLEEP`, and whoever notifies it rings the alarm, once. The alarm is an event of the
//! queue that the descriptor stands for, so the descriptor is readable until the next turn has taken
//! it out.
//!
//! ```text
//!             turn, block_on: Driver::take_from_host
//!      HOST_PARKED ───────────────────────────────► RUNNING
//!       ▲   │ wake, spawn, earlier timer:              │
//!       │   ▼ the alarm rings                          │
//!      readable                                        │
//!       ▲                                              │
//!       └──── Local::leave: nothing is left (leave_to_host), or something is (the alarm rings)
//! ```
//!
//! `leave` announces the sleep *before* it publishes the deadline, and takes what has come into the
//! inbox before it announces. A notice in between makes the announcement fail; one afterwards rings.
//! So what comes is either found here or told by the descriptor.

use super::local::{Local, Reentered, State, WORKER};
use crate::context;
use crate::driver::{Instant, Turn};
use crate::reactor::Forked;
use std::cell::RefMut;
use std::fmt;
use std::io;
#[cfg(not(mio_unsupported_force_poll_poll))]
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

/// How much one [`turn`](crate::LocalRuntime::turn) may do.
///
/// # Examples
///
/// ```
/// use mainspring::Budget;
/// use std::time::Duration;
///
/// let frame = Budget::new().max_polls(64).max_time(Duration::from_millis(2));
/// # let _ = frame;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a budget does nothing until it is given to a turn"]
pub struct Budget {
    max_polls: usize,
    max_time: Duration,
}

impl Budget {
    /// 256 polls and 1 ms, whichever is spent first.
    pub fn new() -> Self {
        Self { max_polls: 256, max_time: Duration::from_millis(1) }
    }

    /// At most so many tasks are polled, counting each poll. With 0 the turn only looks what there
    /// is.
    pub fn max_polls(mut self, polls: usize) -> Self {
        self.max_polls = polls;
        self
    }

    /// After so much time no further task is polled. It is asked between polls: a task that takes
    /// longer makes the turn longer. In [virtual time](crate::time#virtual-time) it is never spent,
    /// as that stands still while tasks can run: bound the polls.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// What one [`turn`](crate::LocalRuntime::turn) has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnReport {
    /// Polls of tasks.
    pub polled: usize,
    /// Descriptors that became ready.
    pub io_events: usize,
    /// Timers that came due.
    pub timers_fired: usize,
    /// A further turn would do something now, without anything new from outside. Then the descriptor
    /// is readable, too.
    pub has_more: bool,
}

/// Why a turn could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum TurnError {
    /// The runtime is running already, further up on this thread's stack: a task of it has called.
    Reentered,
    /// This process was forked from the one that made the runtime.
    Forked,
    /// The kernel's event queue cannot be asked any more: its descriptor was closed by someone else.
    Wait(io::Error),
}

impl fmt::Display for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reentered => Reentered.fmt(f),
            Self::Forked => Forked.fmt(f),
            Self::Wait(error) => write!(f, "the runtime cannot ask for events any more: {error}"),
        }
    }
}

impl std::error::Error for TurnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            Self::Reentered | Self::Forked => None,
        }
    }
}

impl Local {
    /// Looks at the kernel without sleeping, fires timers, and polls tasks within `budget`.
    pub(crate) fn turn_once(&self, budget: Budget) -> Result<TurnReport, TurnError> {
        let mut state = self.enter_for_host()?;
        let _entered = context::enter(Rc::clone(&self.current));
        let clock = self.current.driver.clock();
        let start = clock.now();
        let stay = Stay::begin(self, start);
        self.tell_unparked();
        let mut report = TurnReport::default();
        let turned = self.current.driver.turn(Turn::Look, &mut state.wakes);
        let now = turned.as_ref().map_or_else(|_| clock.now(), |turned| turned.now);
        self.settle(Turn::Look, now, &mut state);
        let turned = turned.map_err(TurnError::Wait)?;
        // It would count as something that can run, and keep virtual time from moving.
        self.forget_root();
        (report.io_events, report.timers_fired) = (turned.io_events, turned.timers_fired);
        if report.io_events + report.timers_fired == 0 && self.is_queue_empty() {
            // Nothing can run, so virtual time may move.
            report.timers_fired = self.current.driver.jump_ahead(&mut state.wakes);
            self.settle(Turn::Look, clock.now(), &mut state);
        }
        while report.polled < budget.max_polls {
            if self.is_queue_empty() {
                self.take_inbox();
            }
            if !self.run_one(&mut state) {
                break;
            }
            report.polled += 1;
            let now = clock.now();
            self.saw(now);
            if now.saturating_duration_since(start) >= budget.max_time {
                break;
            }
        }
        self.tell_parked();
        report.has_more = !stay.end();
        if turned.full && !report.has_more {
            report.has_more = true;
            self.ring();
        }
        Ok(report)
    }

    /// Hooks are told of a park before it is announced, as they may spawn or wake something.
    fn tell_parked(&self) {
        let hooks = self.home.hooks();
        if hooks.is_empty() {
            return;
        }
        self.take_inbox();
        self.forget_root();
        if self.is_queue_empty() {
            self.told_parked.set(true);
            hooks.call(|hooks| hooks.on_park(WORKER));
        }
    }

    pub(super) fn tell_unparked(&self) {
        if self.told_parked.replace(false) {
            self.home.hooks().call(|hooks| hooks.on_unpark(WORKER));
        }
    }

    fn enter_for_host(&self) -> Result<RefMut<'_, State>, TurnError> {
        let state = self.state.try_borrow_mut().map_err(|_| TurnError::Reentered)?;
        self.current.driver.check_process().map_err(|Forked| TurnError::Forked)?;
        Ok(state)
    }

    /// What is readable while a turn would do something.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        if !self.watched.replace(true) {
            // Inside a turn or `block_on`, the end of that does it.
            if self.state.try_borrow_mut().is_ok() {
                self.leave();
            }
        }
        self.current.driver.reactor().descriptor()
    }

    /// Until when a host may sleep that watches the descriptor.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let driver = &self.current.driver;
        // A notice stays where it is: it is what has made the descriptor readable.
        if self.is_queue_empty() && !driver.is_notified() {
            driver.next_deadline()
        } else {
            Some(driver.clock().now())
        }
    }

    /// Leaves the thread to the host; `false` if something is left to do, of which the descriptor
    /// tells, if the host watches it.
    pub(super) fn leave(&self) -> bool {
        loop {
            self.take_inbox();
            self.forget_root();
            if !self.is_queue_empty() {
                break;
            }
            self.give_back();
            if !self.watched.get() {
                return !self.current.driver.has_deadline_now();
            }
            if self.current.driver.leave_to_host() {
                return true;
            }
            if !self.current.driver.is_notified() {
                break;
            }
        }
        self.ring();
        false
    }

    fn ring(&self) {
        if self.watched.get() {
            self.current.driver.ring();
        }
    }
}

/// A stay inside the scheduler. It ends by leaving the thread to the host, also where a panic
/// unwinds.
pub(super) struct Stay<'a>(&'a Local);

impl<'a> Stay<'a> {
    pub(super) fn begin(local: &'a Local, now: Instant) -> Self {
        local.begin(now);
        if local.watched.get() {
            local.current.driver.take_from_host();
        }
        local.set_running(true);
        Self(local)
    }

    /// As [`Local::leave`]. What was done since the clock was last read counts for no time.
    fn end(self) -> bool {
        self.0.set_running(false);
        let left = self.0.leave();
        self.0.stop();
        std::mem::forget(self);
        left
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.set_running(false);
        if self.0.watched.get() {
            self.0.leave();
        } else {
            self.0.forget_root();
        }
        self.0.saw(self.0.current.driver.clock().now());
        self.0.stop();
    }
}
