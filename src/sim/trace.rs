//! The events of a run, as data and as text.

use crate::hooks::{Finish, TaskKind};
use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// What the tasks of a run did, one event per line, in the order in which it happened.
///
/// A line says when, in virtual time since the start of the run, which task, and what: that it was
/// spawned and where, woken, polled, that it waits or yields, runs as a blocking closure, how it
/// ended. Tasks are numbered in the order in which they first appear, because their
/// [`TaskId`](crate::hooks::TaskId)s differ from run to run. The future of `block_on` is no task, and
/// does not appear.
///
/// It keeps the last 1,000 events (see [`Sim::events`](super::Sim::events)) and a digest of all, so
/// that two traces are equal only if the events that they have forgotten were the same too.
///
/// # Examples
///
/// ```
/// use mainspring::{sim, spawn, yield_now};
///
/// let run = || sim::run(7, async {
///     let tasks = [1, 2, 3].map(|n| spawn(async move { yield_now().await; n }));
///     for task in tasks {
///         task.await.unwrap();
///     }
/// });
/// let ((), first) = run();
/// let ((), second) = run();
/// assert_eq!(first.to_string(), second.to_string());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Trace {
    events: VecDeque<Event>,
    most: usize,
    count: u64,
    digest: u64,
}

/// One event of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) task: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Spawned(TaskKind, &'static Location<'static>),
    Woken,
    Polled,
    Waits,
    Yields,
    Blocks,
    Ended(Finish),
}

impl Trace {
    pub(super) fn new(most: usize) -> Self {
        Self { events: VecDeque::new(), most, count: 0, digest: FNV_OFFSET }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.count += 1;
        self.digest = event.digest(self.digest);
        if self.events.len() == self.most {
            self.events.pop_front();
        }
        if self.most > 0 {
            self.events.push_back(event);
        }
    }

    /// How many events there were, those that it has forgotten included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many events it has forgotten, all of them earlier than those that it keeps.
    pub fn forgotten(&self) -> u64 {
        self.count - self.events.len() as u64
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} events, digest {:016x}", self.count, self.digest)?;
        if self.forgotten() > 0 {
            writeln!(f, "... {} earlier events", self.forgotten())?;
        }
        self.events.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("count", &self.count)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.at.as_millis();
        let rest = self.at.subsec_nanos() % 1_000_000;
        write!(f, "[{millis}.{rest:06} ms] task {} ", self.task)?;
        match self.what {
            What::Spawned(TaskKind::Blocking, at) => write!(f, "is a closure, spawned at {at}"),
            What::Spawned(_, at) => write!(f, "is spawned at {at}"),
            What::Woken => f.write_str("is woken"),
            What::Polled => f.write_str("is polled"),
            What::Waits => f.write_str("waits"),
            What::Yields => f.write_str("yields"),
            What::Blocks => f.write_str("runs, and may block"),
            What::Ended(Finish::Finished) => f.write_str("has finished"),
            What::Ended(Finish::Cancelled) => f.write_str("was cancelled"),
            What::Ended(Finish::Panicked) => f.write_str("has panicked"),
        }
    }
}

/// The constants of FNV-1a with 64 bits (Fowler, Noll and Vo).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |digest, &byte| (digest ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

impl Event {
    fn digest(&self, digest: u64) -> u64 {
        let (code, place) = match self.what {
            What::Spawned(TaskKind::Blocking, at) => (0_u8, Some(at)),
            What::Spawned(_, at) => (1, Some(at)),
            What::Woken => (2, None),
            What::Polled => (3, None),
            What::Waits => (4, None),
            What::Yields => (5, None),
            What::Blocks => (6, None),
            What::Ended(Finish::Finished) => (7, None),
            What::Ended(Finish::Cancelled) => (8, None),
            What::Ended(Finish::Panicked) => (9, None),
        };
        let digest = fnv(digest, &self.at.as_nanos().to_le_bytes());
        let digest = fnv(fnv(digest, &self.task.to_le_bytes()), &[code]);
        place.map_or(digest, |at| {
            let digest = fnv(digest, at.file().as_bytes());
            fnv(fnv(digest, &at.line().to_le_bytes()), &at.column().to_le_bytes())
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn event(task: u64) -> Event {
        Event { at: Duration::from_micros(1500), task, what: What::Polled }
    }

    #[test]
    fn it_keeps_the_last_and_tells_of_the_others() {
        let mut trace = Trace::new(2);
        (1..=5).for_each(|task| trace.push(event(task)));
        assert_eq!((trace.count(), trace.forgotten()), (5, 3));
        let text = trace.to_string();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "... 3 earlier events",
                "[1.500000 ms] task 4 is polled",
                "[1.500000 ms] task 5 is polled"
            ]
        );
    }

    #[test]
    fn what_was_forgotten_makes_a_difference() {
        let [mut a, mut b] = [Trace::new(1), Trace::new(1)];
        [1, 3].into_iter().for_each(|task| a.push(event(task)));
        [2, 3].into_iter().for_each(|task| b.push(event(task)));
        assert_eq!(a.events, b.events);
        assert_ne!(a, b);
        assert_ne!(a.to_string(), b.to_string());
    }
}
