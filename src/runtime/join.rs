//! Waiting for a task without a runtime.

use crate::context::{self, Occupied};
use crate::task::{JoinError, JoinHandle};
use std::time::Duration;

impl<T> JoinHandle<T> {
    /// Blocks the *thread* until the task has ended, or `timeout` is over.
    ///
    /// For threads that run no runtime: those of the host, and closures of
    /// [`spawn_blocking`](crate::spawn_blocking). A timeout of zero only looks; [`Duration::MAX`]
    /// waits for ever. A waker that an earlier poll of the handle has left is not woken any more.
    ///
    /// # Errors
    ///
    /// The handle itself, if the task has not ended in time. It goes on, and the handle can be waited
    /// for or awaited again.
    ///
    /// # Panics
    ///
    /// - On a thread that runs a runtime, inside `block_on` or a task: await the handle there.
    /// - On the thread of a [`LocalRuntime`](crate::LocalRuntime) whose task it is, while that has not
    ///   ended: nobody would run it. Give the handle to its `block_on`. Of a
    ///   [deterministic](crate::LocalBuilder::deterministic) one, that goes for closures too.
    /// - If the handle gave its outcome before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let task = rt.handle().spawn_blocking(|| 6 * 7);
    /// match task.wait_blocking(Duration::from_secs(10)) {
    ///     Ok(outcome) => assert_eq!(outcome?, 42),
    ///     Err(task) => task.abort(),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn wait_blocking(self, timeout: Duration) -> Result<Result<T, JoinError>, Self> {
        assert!(
            context::occupied() != Occupied::ByRuntime,
            "wait_blocking was called on a thread that runs a runtime, which it would block: await \
             the handle instead, or wait in a closure of spawn_blocking"
        );
        assert!(
            !self.waits_for_this_thread(),
            "wait_blocking was called on the only thread that runs this task, which would never \
             end: give the handle to the block_on of its runtime"
        );
        self.wait(timeout)
    }
}
