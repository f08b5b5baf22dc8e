//! The plain data that hooks and errors carry.

use crate::util::contain;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::Arc;

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
    /// Its future was made on one worker, and stays there; or will be, before it is first polled.
    Pinned,
    /// It is a closure that may block, and runs on a thread of the pool.
    Blocking,
}

/// What is known about a task, copied out of it.
///
/// # Examples
///
/// ```
/// use mainspring::hooks::{Hooks, TaskInfo};
/// use mainspring::task::Builder;
/// use std::sync::{Arc, Mutex};
///
/// struct Tenant(u32);
///
/// #[derive(Default)]
/// struct Seen(Mutex<Vec<String>>);
///
/// impl Hooks for Seen {
///     fn on_spawn(&self, task: &TaskInfo) {
///         let tenant = task.data::<Tenant>().map_or(0, |tenant| tenant.0);
///         self.0.lock().unwrap().push(format!("{:?} of {tenant}", task.name()));
///     }
/// }
///
/// let seen = Arc::new(Seen::default());
/// let rt = mainspring::LocalRuntime::builder().hooks(seen.clone()).build()?;
/// rt.block_on(async { Builder::new().name("import").data(Tenant(7)).spawn(async {}).await })?;
/// assert_eq!(*seen.0.lock().unwrap(), ["Some(\"import\") of 7"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number.
    pub id: TaskId,
    /// Where it may run.
    pub kind: TaskKind,
    /// The line that spawned it.
    pub location: &'static Location<'static>,
    pub(crate) extension: Option<Arc<Extension>>,
}

impl TaskInfo {
    /// The name that [`task::Builder::name`](crate::task::Builder::name) gave it, if one did.
    pub fn name(&self) -> Option<&str> {
        self.extension.as_deref().and_then(|extension| extension.name.as_deref())
    }

    /// Its user data, if it has any and that is a `D`: set by
    /// [`task::Builder::data`](crate::task::Builder::data), or inherited from the task that spawned
    /// it.
    pub fn data<D: Any>(&self) -> Option<&D> {
        let data: &dyn Any = &**self.extension.as_deref()?.data.as_ref()?;
        data.downcast_ref()
    }
}

/// What a user hangs on a task, for it and for those that it spawns.
pub(crate) type UserData = Arc<dyn Any + Send + Sync>;

/// What only some tasks have, in an allocation of its own.
pub(crate) struct Extension {
    pub(crate) location: &'static Location<'static>,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) data: Option<UserData>,
}

impl Drop for Extension {
    fn drop(&mut self) {
        // The last to go may be the cell, or a `TaskInfo` in the middle of a scheduler: a panic of
        // the user's is nobody's to answer for, and must not unwind from there.
        if let Some(data) = self.data.take() {
            contain(|| drop(data));
        }
    }
}

impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension")
            .field("name", &self.name)
            .field("data", &self.data.is_some())
            .finish_non_exhaustive()
    }
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
