//! What a live task tells of itself, while it goes on.

use super::birth::Birth;
use super::cell::Header;
use crate::hooks::TaskInfo;
use std::time::Duration;

/// A task that has not ended, as [`Handle::dump_tasks`](crate::Handle::dump_tasks) found it.
///
/// # Examples
///
/// ```
/// use mainspring::{TaskState, task};
/// use std::time::Duration;
///
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// rt.block_on(async {
///     let handle = mainspring::Handle::current();
///     let task = task::Builder::new().name("nap").spawn(mainspring::time::sleep(Duration::from_secs(60)));
///     mainspring::yield_now().await;
///     let tasks = handle.dump_tasks();
///     assert_eq!((tasks[0].info.name(), tasks[0].info.id), (Some("nap"), task.id()));
///     assert_eq!((tasks[0].state, tasks[0].polls), (TaskState::Idle, 1));
///     println!("{} at {} is {:?} old", tasks[0].info.id, tasks[0].info.location, tasks[0].age);
/// });
/// # Ok::<(), mainspring::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskDump {
    /// Its number, name, kind and user data, and the line that spawned it.
    ///
    /// It shares the user data with the task, so that these may be dropped with it.
    pub info: TaskInfo,
    /// Whether it waits for something, for its turn, or for nothing.
    pub state: TaskState,
    /// How often its future was polled, the present poll included, modulo 2³². Of a closure it is 1 once
    /// it has started; or more, if it had to wait for a place in the queue.
    pub polls: u32,
    /// How long ago it was spawned, in whole milliseconds on the clock of its runtime, modulo 49 days.
    ///
    /// While a loop runs, what is spawned there is born when that loop last looked at the clock. So of
    /// what comes at the end of a long poll the age is too high by the time of that poll; it is never
    /// too low.
    pub age: Duration,
    /// The number of the worker that spawned it, or on which it stays, from 0; `None` for closures, and
    /// for tasks of a [`Runtime`](crate::Runtime) that other threads have spawned.
    pub worker: Option<usize>,
}

/// What a task is doing.
///
/// It is read while the task goes on, and true of one moment, which is over when the caller looks at it.
/// Of a task that one thread owns, as it is with those of a [`LocalRuntime`](crate::LocalRuntime),
/// another thread may see the state before the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits to be woken. So does a closure of [`spawn_blocking`](crate::spawn_blocking) that waits
    /// for a place in the queue.
    Idle,
    /// It was spawned or woken, and waits for its turn.
    Queued,
    /// It is being polled, or dropped; or it is a closure that has started.
    Running,
}

impl TaskDump {
    /// What there is to tell of a task that was live just now; `None` if it has ended since.
    pub(super) fn of(header: &Header, worker: Option<usize>, now: Birth) -> Option<Self> {
        let state = TaskState::of(header)?;
        let age = header.born()?.age_at(now);
        Some(Self { info: header.info(), state, polls: header.polls(), age, worker })
    }
}

impl TaskState {
    /// `None` if the task has ended, also if it lies in its [grave](super::graves).
    pub(super) fn of(header: &Header) -> Option<Self> {
        let told = header.state.look()?;
        if header.home.is_owned() {
            return match header.own.look()? {
                // The other word may still say that a notice is on its way.
                Self::Idle => Some(told),
                own => Some(own),
            };
        }
        if header.own.has_finished() {
            // Its outcome is being dropped, or its hook told.
            return None;
        }
        let is_running = told == Self::Queued && header.own.is_polled();
        Some(if is_running { Self::Running } else { told })
    }
}
