//! The timers of a driver: the wheel, and the moment until which somebody sleeps.

use super::clock::Instant;
use crate::primitives::{Biased, ThreadKey};
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
    inner: Biased<Inner>,
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
    pub(super) fn new(thread: ThreadKey, now: Instant, resolution: Duration, exact: bool) -> Self {
        let resolution = u64::try_from(resolution.as_nanos()).unwrap_or(u64::MAX).max(1);
        let wheel = Wheel::new(now.as_nanos() / resolution);
        let inner = Inner { wheel, sleep_until: 0, closed: false };
        let inner = Biased::owned_by(thread, inner);
        Self { resolution, exact, inner }
    }

    /// The sleeper's word that it sleeps until the moment that is returned, or without end.
    pub(super) fn publish_sleep(&self) -> Option<Instant> {
        let next = self.inner.with(|inner| {
            let next = inner.next(self.exact);
            inner.sleep_until = next.unwrap_or(u64::MAX);
            next
        });
        next.map(|tick| self.moment(tick))
    }

    /// The moment at which [`expire`](Self::expire) is next to be called; `None` without a timer.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.inner.with(|inner| inner.next(self.exact));
        next.map(|tick| self.moment(tick))
    }

    fn moment(&self, tick: u64) -> Instant {
        Instant::from_nanos(tick.saturating_mul(self.resolution))
    }

    /// Ends the sleep that was published, and moves the wakers of what is due to `wakes`.
    pub(super) fn expire(&self, now: Instant, wakes: &mut WakeList) -> usize {
        let tick = now.as_nanos() / self.resolution;
        self.inner.with(|inner| {
            let mut fired = 0;
            inner.sleep_until = 0;
            inner.wheel.expire(tick, |waker| {
                fired += 1;
                wakes.push(waker);
            });
            fired
        })
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
        let armed = self.inner.with(|inner| {
            if inner.closed {
                return Err((TimerPoll::Closed, waker));
            }
            if tick <= inner.wheel.elapsed() {
                return Err((TimerPoll::Fired, waker));
            }
            let late = tick < inner.sleep_until;
            let key = inner.wheel.insert(tick, waker).map_err(|full| (TimerPoll::Waits, full.0))?;
            Ok((key, late))
        });
        match armed {
            Ok((key, late)) => {
                *timer = Some(Timer(key));
                (TimerPoll::Waits, late)
            }
            Err((poll, waker)) => {
                if poll == TimerPoll::Waits {
                    // 2³² timers are armed: looking again soon is all that is left.
                    waker.wake();
                }
                (poll, false)
            }
        }
    }

    fn refresh(&self, timer: Timer, waker: &Waker) -> TimerPoll {
        let found = self.inner.with(|inner| inner.find(timer).map(|w| w.will_wake(waker)));
        match found {
            Err(gone) => return gone,
            Ok(true) => return TimerPoll::Waits,
            Ok(false) => {}
        }
        let mut waker = waker.clone();
        let found = self
            .inner
            .with(|inner| inner.find(timer).map(|present| std::mem::swap(present, &mut waker)));
        drop(waker);
        found.err().unwrap_or(TimerPoll::Waits)
    }

    /// Moves an armed timer to an earlier deadline; tells whether the sleeper must be woken.
    pub(super) fn advance(&self, timer: &mut Option<Timer>, deadline: Instant) -> bool {
        let Some(armed) = timer else { return false };
        let tick = deadline.as_nanos().div_ceil(self.resolution);
        let moved = self.inner.with(|inner| {
            let waker = inner.wheel.remove(armed.0)?;
            let late = tick < inner.sleep_until;
            Some(inner.wheel.insert(tick, waker).map(|key| (key, late)))
        });
        match moved {
            None => false,
            Some(Ok((key, late))) => {
                *armed = Timer(key);
                late
            }
            Some(Err(full)) => {
                // Its own place was given back just now, so this cannot be; waking is safe.
                full.0.wake();
                false
            }
        }
    }

    /// How many are armed.
    pub(super) fn len(&self) -> usize {
        self.inner.with(|inner| inner.wheel.len())
    }

    #[inline]
    pub(super) fn cancel(&self, timer: Timer) {
        let waker = self.inner.with(|inner| inner.wheel.remove(timer.0));
        drop(waker);
    }

    /// Keeps no timer any more: those that are armed are dropped, and their wakers go to `wakes`.
    pub(super) fn shut_down(&self, wakes: &mut WakeList) {
        self.inner.with(|inner| {
            inner.closed = true;
            inner.wheel.drain(|waker| wakes.push(waker));
        });
    }
}
