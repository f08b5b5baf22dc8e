//! The threads that stand in for workers: their seats, and which of them are free.
//!
//! ```text
//!                 1 enlist            the sentry starts a thread
//!        FREE ─────────────────────────────────────────────────► BUSY
//!          ▲                                                     │  ▲
//!          │ 4 its time is over                      2 wait      │  │ 3 enlist
//!          └────────────────────────── SPARE ◄───────────────────┘  │  and wake
//!                                        └──────────────────────────┘
//! ```
//!
//! A thread keeps its seat from 1 to 4. Each place changes under its lock; only the sentry enlists.

use super::seat::{Seat, Word};
use crate::hooks::Metrics;
use crate::primitives::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Parker, ThreadKey};
use Ordering::{AcqRel, Acquire, Relaxed};
use crossbeam_utils::CachePadded;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// So many there may be: one for each bit of a word.
pub(crate) const MOST_RESCUERS: usize = 64;

/// See the module's documentation.
pub(super) struct Rescuers {
    each: Box<[CachePadded<Rescuer>]>,
    /// One bit for each: it stands in for somebody, and may have something queued.
    at_work: AtomicU64,
    /// How many threads there are.
    threads: AtomicUsize,
    closed: AtomicBool,
}

struct Rescuer {
    seat: Seat,
    /// The worker that it stands in for, or did last.
    serves: AtomicUsize,
    /// How many polls it had made when it began with that.
    polls_before: AtomicU64,
    place: Mutex<Place>,
}

enum Place {
    Free,
    Spare(Arc<Parker>),
    Called(Duty),
    Busy,
}

/// For whom a thread is to stand in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duty {
    /// The worker at whose driver nobody looks.
    pub(super) shard: usize,
    /// Who has stood in for it, and is stuck as well.
    pub(super) before: Option<usize>,
    /// The seat of the thread that is stuck.
    pub(super) stuck: usize,
    /// What it is in the middle of.
    pub(super) within: Word,
}

/// What became of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Enlisted {
    /// One of those who wait has it.
    Spare,
    /// A thread is to be started for this one.
    New(usize),
    /// There are as many as there may be, and all are busy.
    Nobody,
}

impl Rescuers {
    /// So many may be needed; up to [`MOST_RESCUERS`].
    pub(super) fn new(count: usize) -> Self {
        assert!(count <= MOST_RESCUERS, "one bit for each");
        let rescuer = |_| {
            CachePadded::new(Rescuer {
                seat: Seat::of(ThreadKey::NONE),
                serves: AtomicUsize::new(0),
                polls_before: AtomicU64::new(0),
                place: Mutex::new(Place::Free),
            })
        };
        Self {
            each: (0..count).map(rescuer).collect(),
            at_work: AtomicU64::new(0),
            threads: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn seat(&self, index: usize) -> &Seat {
        &self.each[index].seat
    }

    /// The worker that it stands in for, or did last.
    pub(super) fn serves(&self, index: usize) -> usize {
        self.each[index].serves.load(Acquire)
    }

    /// Whether anybody stands in for a worker.
    pub(super) fn any_at_work(&self) -> bool {
        self.at_work.load(Acquire) != 0
    }

    /// Whether this one does.
    pub(super) fn is_at_work(&self, index: usize) -> bool {
        self.at_work.load(Acquire) & 1 << index != 0
    }

    /// Those who stand in for a worker, and their seats.
    pub(super) fn at_work(&self) -> impl Iterator<Item = (usize, &Seat)> {
        let mut left = self.at_work.load(Acquire);
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            // The lowest bit.
            left &= left.wrapping_sub(1);
            self.each.get(index).map(|rescuer| (index, &rescuer.seat))
        })
    }

    /// The thread of this seat begins to stand in for a worker.
    pub(super) fn begin(&self, index: usize, shard: usize) {
        let rescuer = &*self.each[index];
        rescuer.polls_before.store(rescuer.seat.counters.polls.get(), Relaxed);
        rescuer.serves.store(shard, Ordering::Release);
        self.at_work.fetch_or(1 << index, AcqRel);
    }

    /// It has ended that, and its queue is empty.
    pub(super) fn end(&self, index: usize) {
        self.at_work.fetch_and(!(1 << index), AcqRel);
    }

    /// Gives a duty to one that is free.
    pub(super) fn enlist(&self, duty: Duty) -> Enlisted {
        if self.is_closed() {
            return Enlisted::Nobody;
        }
        let mut free = None;
        for (index, rescuer) in self.each.iter().enumerate() {
            let mut place = rescuer.place.lock();
            match &*place {
                Place::Spare(parker) => {
                    let parker = Arc::clone(parker);
                    *place = Place::Called(duty);
                    drop(place);
                    parker.unpark();
                    return Enlisted::Spare;
                }
                Place::Free => free = free.or(Some(index)),
                Place::Called(_) | Place::Busy => {}
            }
        }
        let Some(index) = free else { return Enlisted::Nobody };
        // Nobody else enlists, so it is free still.
        *self.each[index].place.lock() = Place::Busy;
        self.threads.fetch_add(1, AcqRel);
        Enlisted::New(index)
    }

    /// The thread has done its duty, or there is none: it waits for another one, for so long; `None` if it
    /// is to end, and its seat is free.
    pub(super) fn wait(
        &self,
        index: usize,
        parker: &Arc<Parker>,
        keep_alive: Duration,
    ) -> Option<Duty> {
        *self.each[index].place.lock() = Place::Spare(Arc::clone(parker));
        // Who closes says so first, then wakes all that wait.
        if !self.is_closed() {
            parker.park_timeout(keep_alive);
        }
        let mut place = self.each[index].place.lock();
        match std::mem::replace(&mut *place, Place::Busy) {
            Place::Called(duty) => Some(duty),
            _ => None,
        }
    }

    /// The thread of this seat ends, or could not be started.
    pub(super) fn dismiss(&self, index: usize) {
        self.threads.fetch_sub(1, AcqRel);
        *self.each[index].place.lock() = Place::Free;
    }

    /// No thread begins any more, and those that wait for a duty end.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for rescuer in &self.each {
            if let Place::Spare(parker) = &*rescuer.place.lock() {
                parker.unpark();
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    pub(super) fn measure(&self, metrics: &mut Metrics) {
        metrics.rescuers += self.threads.load(Relaxed);
        let without = self.at_work().filter(|(index, seat)| {
            let begun = seat.counters.polls.get();
            let made = begun.wrapping_sub(self.each[*index].polls_before.load(Relaxed));
            made == 0 || made == 1 && !seat.running.get().is_nothing()
        });
        metrics.rescuers_without_a_poll += without.count();
    }
}

impl fmt::Debug for Rescuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescuers")
            .field("threads", &self.threads.load(Relaxed))
            .finish_non_exhaustive()
    }
}
