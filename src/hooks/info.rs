//! The plain data that hooks and errors carry.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;

/// The number of a task, unique in its process for as long as the process lives.
///
/// Numbers are handed out in blocks, so they do not tell the order of spawning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(NonZeroU64);

impl TaskId {
    pub(crate) fn from_raw(raw: NonZeroU64) -> Self {
        Self(raw)
    }

    /// The number itself, never 0.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a task may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskKind {
    /// Its future is `Send`.
    Send,
    /// Its future stays on the thread that spawned it.
    Local,
    /// It is a closure that may block, and runs on a thread of the pool.
    Blocking,
}

/// What is known about a task, copied out of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number.
    pub id: TaskId,
    /// Where it may run.
    pub kind: TaskKind,
    /// The line that spawned it.
    pub location: &'static Location<'static>,
}

/// How one poll of a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PollOutcome {
    /// It waits for a wake.
    Pending,
    /// It was woken while it was being polled and goes to the back of the queue.
    Yielded,
    /// It ended; [`Finish`] was told before.
    Done,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// Its future gave its output.
    Finished,
    /// It was aborted, or its runtime ended before it.
    Cancelled,
    /// It panicked, in a poll or in the drop of a cancelled future.
    Panicked,
}
