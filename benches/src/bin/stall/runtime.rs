//! What a runtime must offer to be measured.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A runtime with [`WORKERS`](crate::WORKERS) threads. A process has one, and never ends it.
pub(crate) trait Runtime: 'static {
    fn start() -> Self;

    /// Starts a task, from a thread that is none of the runtime's.
    fn submit<F: Future<Output = ()> + Send + 'static>(&self, task: F);

    /// Starts a task from within one.
    fn spawn<F: Future<Output = ()> + Send + 'static>(task: F);

    /// Ends after `time`.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Accepts one connection and sends back each byte that comes; calls `answered` after each.
    fn echo(
        listener: TcpListener,
        answered: impl Fn() + Send + 'static,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// The same as [`submit`](Self::submit), where somebody wants to know what comes of it. Who waits for
    /// that takes no part in the runtime, as the callers of some `block_on`s do.
    fn run<F>(&self, task: F) -> Receiver<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (done, result) = channel();
        self.submit(async move {
            // Nobody listens where an experiment has failed already.
            let _ = done.send(task.await);
        });
        result
    }
}
