//! What there is to tell of a thread that is stuck.

use super::TaskInfo;
use std::fmt;
use std::time::Duration;

/// A thread of a runtime that does not return from something that it has begun for a task.
///
/// Tasks that are queued behind it go on elsewhere, as far as they can: see
/// [`Builder::sentry`](crate::Builder::sentry). What is told here is for whoever mends the cause.
///
/// `Display` puts all of it into one sentence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The task whose poll it is, or drop, or a hook that was told of it; `None` where that has ended
    /// meanwhile, or where the thread is between polls: see `within`.
    pub task: Option<TaskInfo>,
    /// What the thread is in the middle of.
    pub within: Within,
    /// What the task itself says that it does, and how that is mended: of a connection of the HTTP server
    /// the method and the route of the handler.
    pub doing: Option<String>,
    /// The number of the thread: workers count from 0, and those who stand in for one that is stuck from
    /// the number of workers on.
    pub worker: usize,
    /// For how long it has lasted so far. It is known up to a tick of the sentry: it may be up to 5 ms
    /// more. Time in which the whole process stood still does not count.
    pub elapsed: Duration,
    /// What it did in that time.
    pub kind: StallKind,
    /// How many tasks have to wait for it, because they stay on this worker.
    pub pinned_tasks: usize,
}

/// What a thread is in the middle of that does not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Within {
    /// The poll of a task, or the drop of its future or output.
    Poll,
    /// A hook, as [`Hooks::on_park`](super::Hooks::on_park); those that are told of a poll are within that
    /// poll.
    Hook,
    /// Wakers that were called as events came: those of other runtimes, or of futures that were polled
    /// by no task.
    Wakers,
    /// The future of a `block_on`, or what that polls; of a [`LocalRuntime`](crate::LocalRuntime).
    Root,
}

/// What a thread did while it was stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StallKind {
    /// It slept in the kernel: it waits for a lock, a file, a socket, a clock.
    Blocked,
    /// It computed.
    Running,
    /// It was ready to run, and got no processor.
    Starved,
    /// The system does not say; so on others than Linux.
    Unknown,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poll => "a poll",
            Self::Hook => "a hook",
            Self::Wakers => "wakers",
            Self::Root => "the future of a block_on",
        })
    }
}

impl fmt::Display for StallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Starved => "without a processor",
            Self::Unknown => "stuck",
        })
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, elapsed, kind, within, .. } = self;
        write!(f, "worker {worker} is {kind} in {within}")?;
        match &self.task {
            Some(task) => {
                write!(f, " of task {} ", task.id)?;
                if let Some(name) = task.name() {
                    write!(f, "({name}) ")?;
                }
                write!(f, "spawned at {}", task.location)?;
            }
            None if self.within == Within::Poll => f.write_str(" of a task that has ended")?,
            None => {}
        }
        write!(f, " for {} ms", elapsed.as_millis())?;
        if let Some(doing) = &self.doing {
            write!(f, ": {doing}")?;
        }
        if self.pinned_tasks > 0 {
            write!(f, "; tasks that stay there and wait for it: {}", self.pinned_tasks)?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn stall() -> Stall {
        Stall {
            task: None,
            within: Within::Hook,
            doing: None,
            worker: 3,
            elapsed: Duration::from_micros(57_900),
            kind: StallKind::Blocked,
            pinned_tasks: 0,
        }
    }

    #[test]
    fn a_stall_is_one_sentence() {
        assert_eq!(stall().to_string(), "worker 3 is blocked in a hook for 57 ms");
        let ended = Stall { within: Within::Poll, kind: StallKind::Running, ..stall() };
        let says = "worker 3 is running in a poll of a task that has ended for 57 ms";
        assert_eq!(ended.to_string(), says);
        let waits = Stall { doing: Some("GET /".into()), pinned_tasks: 2, ..stall() };
        let says = "worker 3 is blocked in a hook for 57 ms: GET /; tasks that stay there and wait for \
                    it: 2";
        assert_eq!(waits.to_string(), says);
    }
}
