//! The word that decides: wake a thread, start one, or only queue.
//!
//! One `u64`. Every change is one of the transitions below, a compare-exchange of the whole, so each
//! decision is made on a state that was true at one moment. It holds, from the low end:
//!
//! | bits | field | what it counts |
//! |---|---|---|
//! | 20 | `queued` | jobs that lie in the queue and that no thread has claimed |
//! | 13 | `idle` | threads that sleep and that nobody has called |
//! | 13 | `threads` | threads that were started (or are being started) and have not decided to end |
//! | 13 | `limit` | how many threads there may be; at least 1 |
//! | 4 | `coming` | threads that were called, are being started, or linger, and have not looked yet |
//! | 1 | `CLOSED` | set once: nothing is taken in any more, and the threads leave |
//!
//! `threads − idle − coming` are busy: they run a job, or are between two. After the end, `idle`
//! counts those threads which had no job when it came, until they have left.
//!
//! # The rule
//!
//! *While jobs are queued, a thread is coming, or all threads there may be are awake.* Only the system
//! can break it, by refusing a thread; whoever next pushes a job or takes one up asks it again. Whoever
//! publishes a job calls a thread if fewer are coming than jobs wait, and not too many are; a thread that arrives and leaves jobs behind calls the next. Too many are one,
//! and one more for every eight that are busy. So a burst of short jobs pays for few wakes, and no
//! herd runs to one job; while a burst of long ones, which show by the threads that stay busy, has
//! as many threads as there may be after a chain of calls that soon has several links at a time.
//!
//! A thread goes to sleep, or ends, in the same exchange that finds nothing queued. A job is in the
//! queue *before* it is counted, and a thread claims by counting down *before* it takes one out. So
//! a claim finds a job, except after the queue was emptied by force (see `crew`).
//!
//! # Ordering
//!
//! The queue and the list of sleepers have a lock of their own, which orders what they hold. The
//! word orders nothing else, but all its changes are `AcqRel`, so that its limits and flags travel
//! with it.

use crate::primitives::{AtomicU64, Ordering};

/// The most jobs that may be queued; the field has some room above it.
pub(super) const MOST_QUEUED: usize = 1_000_000;
/// The most threads that fit into the count.
pub(super) const MOST_THREADS: usize = (1 << 13) - 1;
/// For so many busy threads, one more may be coming at a time.
const BUSY_PER_COMING: u16 = 8;
/// As many as fit into the count.
const MOST_COMING: u16 = 15;

const IDLE: u32 = 20;
const THREADS: u32 = 33;
const LIMIT: u32 = 46;
const COMING: u32 = 59;
const CLOSED: u64 = 1 << 63;

/// The word; see the module's documentation.
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

/// What the word says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) queued: u32,
    pub(super) idle: u16,
    pub(super) threads: u16,
    pub(super) limit: u16,
    pub(super) coming: u16,
    pub(super) closed: bool,
}

/// Whom the caller has to call now; it is counted already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Call {
    Nobody,
    /// One of the sleepers.
    Wake,
    /// A new thread. Where the system refuses, [`Word::refused`] says what follows.
    Start,
}

/// What came of publishing a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Published {
    Counted(Call),
    /// Nobody will come for it: empty the queue.
    Closed,
}

/// What a thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// A job is the caller's: take one out of the queue.
    Job(Call),
    /// There is none; the thread may lie down.
    Rest,
    /// The thread is one too many, and is counted no more.
    End(Call),
    /// All is over; the thread is counted until [`Word::left`], which is told whether it was idle.
    Leave { idle: bool },
}

/// Whether a thread may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Lie {
    /// It counts as idle now, and must be among the sleepers before the lock is released.
    Down,
    /// Something has changed: look again.
    Again,
}

/// What a sleeper does whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Expired {
    /// It ends, and is counted no more.
    End,
    /// It is up again: there is work.
    Up,
    /// All sleepers are called: somebody is about to wake it.
    Called,
}

/// What follows where the system refused a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Refused {
    /// Others will come to what is queued.
    Others,
    /// There is no thread at all: empty the queue, and answer what was in it.
    Stranded,
}

impl Word {
    pub(super) fn new(limit: u16) -> Self {
        let none = Counts { queued: 0, idle: 0, threads: 0, limit, coming: 0, closed: false };
        Self(AtomicU64::new(none.pack()))
    }

    pub(super) fn load(&self) -> Counts {
        Counts::unpack(self.0.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire) & CLOSED != 0
    }

    /// A job was put into the queue.
    #[inline]
    pub(super) fn publish(&self) -> Published {
        self.change(|now| {
            if now.closed {
                return Published::Closed;
            }
            now.queued += 1;
            Published::Counted(now.call())
        })
    }

    /// Somebody wants to queue a job and needs one thread at least; `true` asks to start it.
    #[inline]
    pub(super) fn first(&self) -> bool {
        if self.0.load(Ordering::Acquire) & ((MOST_THREADS as u64) << THREADS) != 0 {
            return false;
        }
        self.change(|now| {
            let first = now.threads == 0 && !now.closed;
            if first {
                now.threads = 1;
                now.coming += 1;
            }
            first
        })
    }

    /// A thread looks for work; `arriving` if it was called or started for it.
    #[inline]
    pub(super) fn next(&self, arriving: bool) -> Next {
        self.change(|now| {
            if now.closed {
                return Next::Leave { idle: arriving };
            }
            if arriving {
                now.coming -= 1;
            }
            if now.threads > now.limit {
                now.threads -= 1;
                return Next::End(now.call());
            }
            if now.queued == 0 {
                return Next::Rest;
            }
            now.queued -= 1;
            // A thread that was busy calls nobody while others come. Where none does, either there
            // is none to call, or the system refused one: then it is asked again.
            Next::Job(if arriving || now.coming == 0 { now.call() } else { Call::Nobody })
        })
    }

    /// Somebody who was told to call one has done so, and asks for a second.
    pub(super) fn another(&self) -> Call {
        self.change(Counts::call)
    }

    /// A thread that found nothing wants to wait without sleeping: if it may, it counts as coming, until
    /// it looks again.
    pub(super) fn linger(&self) -> bool {
        self.change(|now| {
            let may = !now.closed && now.queued == 0 && now.coming == 0 && now.threads <= now.limit;
            now.coming += u16::from(may);
            may
        })
    }

    /// Whether one that lingers should look again.
    pub(super) fn has_news(&self) -> bool {
        let now = self.load();
        now.closed || now.queued > 0 || now.threads > now.limit
    }

    /// A thread that found nothing wants to sleep; the caller holds the lock of the sleepers.
    pub(super) fn lie_down(&self) -> Lie {
        self.change(|now| {
            if now.closed || now.queued > 0 || now.threads > now.limit {
                return Lie::Again;
            }
            now.idle += 1;
            Lie::Down
        })
    }

    /// A sleeper's time is over; the caller holds the lock, and is among the sleepers.
    pub(super) fn expire(&self) -> Expired {
        self.change(|now| {
            if now.closed || now.idle == 0 {
                return Expired::Called;
            }
            now.idle -= 1;
            if now.queued > 0 {
                return Expired::Up;
            }
            now.threads -= 1;
            Expired::End
        })
    }

    /// A thread could not be started that was counted.
    pub(super) fn refused(&self) -> Refused {
        self.change(|now| {
            now.threads -= 1;
            if now.closed {
                now.idle -= 1;
                return Refused::Others;
            }
            now.coming -= 1;
            if now.threads > 0 || now.queued == 0 {
                return Refused::Others;
            }
            now.queued = 0;
            Refused::Stranded
        })
    }

    /// Changes how many threads there may be.
    pub(super) fn set_limit(&self, limit: u16) -> Call {
        self.change(|now| {
            now.limit = limit;
            now.call()
        })
    }

    /// Ends everything; whoever sleeps must be woken. `false` if that was done before.
    pub(super) fn close(&self) -> bool {
        self.change(|now| {
            let first = !now.closed;
            let idle = now.idle + now.coming;
            *now = Counts { closed: true, queued: 0, idle, coming: 0, ..*now };
            first
        })
    }

    /// A thread has left after the end; how many are still there.
    pub(super) fn left(&self, idle: bool) -> u16 {
        self.change(|now| {
            now.threads -= 1;
            now.idle -= u16::from(idle);
            now.threads
        })
    }

    #[inline]
    fn change<R>(&self, f: impl Fn(&mut Counts) -> R) -> R {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let mut counts = Counts::unpack(before);
            let result = f(&mut counts);
            let after = counts.pack();
            if after == before {
                return result;
            }
            let (done, failed) = (Ordering::AcqRel, Ordering::Acquire);
            match self.0.compare_exchange_weak(before, after, done, failed) {
                Ok(_) => return result,
                Err(now) => before = now,
            }
        }
    }
}

impl Counts {
    /// How many threads run a job, or are between two.
    pub(super) fn busy(self) -> u16 {
        self.threads - self.idle - self.coming
    }

    /// Decides whether a further thread is called, and counts it.
    #[inline]
    fn call(&mut self) -> Call {
        if self.closed || self.coming >= MOST_COMING.min(1 + self.busy() / BUSY_PER_COMING) {
            return Call::Nobody;
        }
        let wanted = self.queued > u32::from(self.coming);
        // One that sleeps though there are too many comes only to end.
        if self.idle > 0 && (wanted || self.threads > self.limit) {
            self.idle -= 1;
            self.coming += 1;
            Call::Wake
        } else if wanted && self.threads < self.limit {
            self.threads += 1;
            self.coming += 1;
            Call::Start
        } else {
            Call::Nobody
        }
    }

    #[inline]
    fn pack(self) -> u64 {
        debug_assert!(self.queued < 1 << 20 && self.coming < 16);
        debug_assert!(self.idle + self.coming <= self.threads);
        u64::from(self.queued)
            | u64::from(self.idle) << IDLE
            | u64::from(self.threads) << THREADS
            | u64::from(self.limit) << LIMIT
            | u64::from(self.coming) << COMING
            | if self.closed { CLOSED } else { 0 }
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        let field = |shift: u32, bits: u32| (word >> shift) & ((1 << bits) - 1);
        Self {
            queued: field(0, 20) as u32,
            idle: field(IDLE, 13) as u16,
            threads: field(THREADS, 13) as u16,
            limit: field(LIMIT, 13) as u16,
            coming: field(COMING, 4) as u16,
            closed: word & CLOSED != 0,
        }
    }
}
