//! The runtime of one thread.

use super::builder::LocalBuilder;
use super::handle::Handle;
use crate::context;
use crate::scheduler::local::Local;
use crate::task::{self, JoinHandle};
use std::fmt;
use std::future::Future;
use std::panic::Location;

/// A runtime that lives on the thread that made it, and runs futures that need not be `Send`.
///
/// It starts no threads. Tasks run while [`block_on`](Self::block_on) does; those that have not
/// ended by then go on in the next one.
///
/// Dropping it ends all its tasks: their futures are dropped on this thread, and their handles
/// answer that they were cancelled. Wakers, handles and sockets that outlive it are harmless; as long
/// as there is one, the descriptors of the event loop (three) stay open.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// let shared = Rc::new(5);
/// let task = rt.spawn_local({
///     let shared = shared.clone();
///     async move { *shared + 1 }
/// });
/// assert_eq!(rt.block_on(task)?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalRuntime {
    scheduler: Local,
}

impl LocalRuntime {
    pub(super) fn new(scheduler: Local) -> Self {
        Self { scheduler }
    }

    /// The settings, with their defaults.
    pub fn builder() -> LocalBuilder {
        LocalBuilder::default()
    }

    /// Runs `future`, and the tasks beside it, until `future` is ready.
    ///
    /// The thread sleeps while nothing is to be done. Tasks may be `!Send`, and so may `future`.
    ///
    /// # Panics
    ///
    /// If `future` does; the runtime can be used on. If this thread is inside a runtime already:
    /// await the future there instead, or spawn it. If the kernel's event queue cannot be waited
    /// for any more, because its descriptor was closed by someone else.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_entered(),
            "block_on was called inside a runtime, whose thread it would block: await the future \
             instead, or spawn it"
        );
        match self.scheduler.block_on(future) {
            Ok(output) => output,
            Err(reentered) => panic!("{reentered}"),
        }
    }

    /// Makes `future`, which need not be `Send`, a task of this runtime.
    ///
    /// It first runs in the next [`block_on`](Self::block_on).
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::spawn_local(&*self.scheduler.current().spawn, future, Location::caller())
    }

    /// A handle that reaches this runtime from any thread.
    pub fn handle(&self) -> Handle {
        Handle::new(self.scheduler.current())
    }

    /// How many tasks have been spawned and have not ended.
    pub fn live_tasks(&self) -> usize {
        self.scheduler.live_tasks()
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").field("live_tasks", &self.live_tasks()).finish()
    }
}
