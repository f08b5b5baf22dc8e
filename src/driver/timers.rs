//! The timers of a driver: the wheel, and the moment until which somebody sleeps.

use super::clock::Instant;
use crate::primitives::Mutex;
use crate::util::WakeList;
use crate::wheel::{TimerKey, Wheel};
use std::task::Waker;
use std::time::Duration;

/// A timer that was armed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer(TimerKey);

/// How a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerPoll {
    /// It is armed, and wakes when its deadline has passed.
    Waits,
    /// Its deadline has passed.
    Fired,
    /// The driver has ended. Whether the deadline has passed, the clock says.
    Closed,
}

/// The wheel counts in ticks of `resolution` nanoseconds since the clock's origin. Deadlines are
/// rounded up to a tick and the present down, so no timer fires early.
#[derive(Debug)]
pub(super) struct Timers {
    resolution: u64,
    /// The next moment is to be told exactly, not just early enough.
    exact: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    wheel: Wheel<Waker>,
    /// The tick until which the driver's thread sleeps; 0 while it is awake.
    sleep_until: u64,
    closed: bool,
}

impl Inner {
    fn next(&self, exact: bool) -> Option<u64> {
        if exact { self.wheel.earliest() } else { self.wheel.next_expiration() }
    }

    /// The waker of an armed timer; or how the timer stands if it is armed no more.
    fn find(&mut self, timer: Timer) -> Result<&mut Waker, TimerPoll> {
        let gone = if self.closed { TimerPoll::Closed } else { TimerPoll::Fired };
        self.wheel.get_mut(timer.0).ok_or(gone)
    }
}

impl Timers {
    /// Timers of a clock that stands at `now`. One that jumps needs to know `exact`ly where to: it
    /// must not stop, or go, where nobody waits.
    pub(super) fn new(now: Instant, resolution: Duration, exact: bool) -> Self {
        let resolution = u64::try_from(resolution.as_nanos()).unwrap_or(u64::MAX).max(1);
        let wheel = Wheel::new(now.as_nanos() / resolution);
        let inner = Mutex::new(Inner { wheel, sleep_until: 0, closed: false });
        Self { resolution, exact, inner }
    }

    /// The sleeper's word that it sleeps until the moment that is returned, or without end.
    pub(super) fn publish_sleep(&self) -> Option<Instant> {
        let mut inner = self.inner.lock();
        let next = inner.next(self.exact);
        inner.sleep_until = next.unwrap_or(u64::MAX);
        drop(inner);
        next.map(|tick| self.moment(tick))
    }

    /// The moment at which [`expire`](Self::expire) is next to be called; `None` without a timer.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.inner.lock().next(self.exact);
        next.map(|tick| self.moment(tick))
    }

    fn moment(&self, tick: u64) -> Instant {
        Instant::from_nanos(tick.saturating_mul(self.resolution))
    }

    /// Ends the sleep that was published, and moves the wakers of what is due to `wakes`.
    pub(super) fn expire(&self, now: Instant, wakes: &mut WakeList) -> usize {
        let mut fired = 0;
        let mut inner = self.inner.lock();
        inner.sleep_until = 0;
        inner.wheel.expire(now.as_nanos() / self.resolution, |waker| {
            fired += 1;
            wakes.push(waker);
        });
        fired
    }

    /// Arms `timer` if it is not, and tells how it stands; and whether the sleeper must be woken,
    /// because it would sleep past the deadline.
    pub(super) fn poll(
        &self,
        timer: &mut Option<Timer>,
        deadline: Instant,
        waker: &Waker,
    ) -> (TimerPoll, bool) {
        match timer {
            None => self.arm(timer, deadline, waker),
            Some(armed) => {
                let poll = self.refresh(*armed, waker);
                if poll != TimerPoll::Waits {
                    *timer = None;
                }
                (poll, false)
            }
        }
    }

    fn arm(
        &self,
        timer: &mut Option<Timer>,
        deadline: Instant,
        waker: &Waker,
    ) -> (TimerPoll, bool) {
        let tick = deadline.as_nanos().div_ceil(self.resolution);
        // Cloning runs code of the waker's owner, so it comes before the lock.
        let waker = waker.clone();
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return (TimerPoll::Closed, false);
        }
        if tick <= inner.wheel.elapsed() {
            drop(inner);
            return (TimerPoll::Fired, false);
        }
        let late = tick < inner.sleep_until;
        match inner.wheel.insert(tick, waker) {
            Ok(key) => {
                *timer = Some(Timer(key));
                drop(inner);
                (TimerPoll::Waits, late)
            }
            Err(full) => {
                // 2³² timers are armed: looking again soon is all that is left.
                drop(inner);
                full.0.wake();
                (TimerPoll::Waits, false)
            }
        }
    }

    fn refresh(&self, timer: Timer, waker: &Waker) -> TimerPoll {
        let mut inner = self.inner.lock();
        match inner.find(timer) {
            Err(gone) => return gone,
            Ok(present) if present.will_wake(waker) => return TimerPoll::Waits,
            Ok(_) => drop(inner),
        }
        let mut waker = waker.clone();
        let mut inner = self.inner.lock();
        let found = inner.find(timer).map(|present| std::mem::swap(present, &mut waker));
        drop(inner);
        drop(waker);
        found.err().unwrap_or(TimerPoll::Waits)
    }

    /// Moves an armed timer to an earlier deadline; tells whether the sleeper must be woken.
    pub(super) fn advance(&self, timer: &mut Option<Timer>, deadline: Instant) -> bool {
        let Some(armed) = timer else { return false };
        let tick = deadline.as_nanos().div_ceil(self.resolution);
        let mut inner = self.inner.lock();
        let Some(waker) = inner.wheel.remove(armed.0) else { return false };
        let late = tick < inner.sleep_until;
        match inner.wheel.insert(tick, waker) {
            Ok(key) => {
                *armed = Timer(key);
                late
            }
            Err(full) => {
                // Its own place was given back just now, so this cannot be; waking is safe.
                drop(inner);
                full.0.wake();
                false
            }
        }
    }

    pub(super) fn cancel(&self, timer: Timer) {
        let waker = self.inner.lock().wheel.remove(timer.0);
        drop(waker);
    }

    /// Keeps no timer any more: those that are armed are dropped, and their wakers go to `wakes`.
    pub(super) fn shut_down(&self, wakes: &mut WakeList) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.wheel.drain(|waker| wakes.push(waker));
    }
}
