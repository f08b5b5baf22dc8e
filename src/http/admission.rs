//! Which requests may go to a handler now, which wait, and which are told to come back later.

use super::bounds::Bounds;
use super::gate::{Enter, Gate, Place};
use crate::primitives::{AtomicUsize, Mutex, Ordering};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The door to the handlers of one server.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Arc<Gate>,
    waiting: Arc<AtomicUsize>,
    drain: Mutex<Drain>,
}

/// What becomes of a request that asks to be admitted.
pub(super) enum Admitted {
    /// It has a place, which the caller [gives back](Admission::leave).
    Now,
    Later(Waits),
    /// As many wait as may.
    Full,
}

impl Admission {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            gate: Gate::new(bounds.max_in_flight),
            waiting: Arc::new(AtomicUsize::new(0)),
            drain: Mutex::new(Drain::default()),
        }
    }

    #[inline]
    pub(super) fn ask(&self, bounds: &Bounds) -> Admitted {
        match self.gate.take_now() {
            true => Admitted::Now,
            false => self.wait(bounds),
        }
    }

    /// Gives back the place of one that was admitted.
    #[inline]
    pub(super) fn leave(&self) {
        self.gate.give_back();
    }

    /// Whether a place that is given back is for others to have, because they wait, or because there
    /// are to be fewer.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting() > 0 || self.gate.owes()
    }

    #[cold]
    fn wait(&self, bounds: &Bounds) -> Admitted {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= bounds.max_waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Admitted::Full;
        }
        Admitted::Later(Waits { enter: self.gate.enter(), waiting: Arc::clone(&self.waiting) })
    }

    /// Requests that handlers work on.
    pub(super) fn in_flight(&self) -> usize {
        self.gate.taken()
    }

    /// Requests that wait.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// As [`Gate::set_total`].
    pub(super) fn set_in_flight(&self, total: impl FnOnce() -> usize) {
        self.gate.set_total(total);
    }

    /// Whole seconds after which those who wait now are expected to have been served, at the rate at
    /// which requests were answered lately; `served` is how many that were so far. Where none is
    /// known, because nobody was refused lately, or none was answered since: how long one may wait.
    pub(super) fn retry_after(&self, served: u64, bounds: &Bounds) -> u64 {
        let rate = self.drain.lock().rate(served, Instant::now());
        let ahead = self.waiting() as f64 + 1.0;
        let seconds = if rate > 0.0 { ahead / rate } else { bounds.waiting_time.as_secs_f64() };
        // A float is held at the ends of an integer's range when it is cast.
        (seconds.ceil() as u64).clamp(1, LONGEST)
    }
}

/// What a client is asked to stay away for at most, in seconds.
const LONGEST: u64 = 60;

/// How long a rate is taken over at least.
const SAMPLE: Duration = Duration::from_millis(500);

/// How long a rate is taken over at most. There was no crowd for a part of a longer time, and what
/// was answered then says nothing about how fast one goes.
const STALE: Duration = Duration::from_secs(10);

/// The rate at which requests are answered, looked at only when one is refused.
#[derive(Debug, Default)]
struct Drain {
    last: Option<(Instant, u64)>,
    rate: f64,
}

impl Drain {
    fn rate(&mut self, served: u64, now: Instant) -> f64 {
        let (then, before) = *self.last.get_or_insert((now, served));
        let time = now.saturating_duration_since(then);
        if time >= SAMPLE {
            let answered = served.saturating_sub(before) as f64;
            self.rate = if time > STALE { 0.0 } else { answered / time.as_secs_f64() };
            self.last = Some((now, served));
        }
        self.rate
    }
}

/// A request on its way to a place.
pub(super) struct Waits {
    enter: Enter,
    waiting: Arc<AtomicUsize>,
}

impl Future for Waits {
    type Output = Place;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Place> {
        Pin::new(&mut self.enter).poll(cx)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waits")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn bounds(in_flight: usize, waiting: usize) -> Bounds {
        Bounds { max_in_flight: in_flight, max_waiting: waiting, ..Bounds::default() }
    }

    #[test]
    fn so_many_at_once_so_many_wait_and_the_rest_is_refused() {
        let bounds = bounds(1, 1);
        let admission = Admission::new(&bounds);
        let Admitted::Now = admission.ask(&bounds) else { panic!("a place is free") };
        let Admitted::Later(waits) = admission.ask(&bounds) else { panic!("one may wait") };
        assert!(matches!(admission.ask(&bounds), Admitted::Full));
        assert_eq!((admission.in_flight(), admission.waiting()), (1, 1));
        drop(waits);
        assert_eq!(admission.waiting(), 0, "one that gives up makes room");
        admission.leave();
        assert_eq!(admission.in_flight(), 0);
    }

    #[test]
    fn clients_are_told_to_come_back_when_the_queue_will_be_served() {
        let bounds = bounds(1, 100);
        let mut drain = Drain::default();
        let start = Instant::now();
        assert_eq!(drain.rate(0, start), 0.0, "not known yet");
        assert_eq!(drain.rate(10, start + Duration::from_secs(1)), 10.0);
        assert_eq!(drain.rate(11, start + Duration::from_millis(1_100)), 10.0, "too soon");
        // An hour with little to do does not make the server slow.
        assert_eq!(drain.rate(20, start + Duration::from_secs(3_600)), 0.0, "not known any more");
        assert_eq!(drain.rate(40, start + Duration::from_secs(3_601)), 20.0);
        let admission = Admission::new(&bounds);
        assert_eq!(admission.retry_after(0, &bounds), 10, "the time that it may wait at most");
        admission.drain.lock().rate = 10.0;
        let _place = admission.ask(&bounds);
        let _waiting: Vec<_> = (0..39).map(|_| admission.ask(&bounds)).collect();
        assert_eq!(admission.retry_after(0, &bounds), 4);
        admission.drain.lock().rate = 0.001;
        assert_eq!(admission.retry_after(0, &bounds), LONGEST);
    }
}
