//! What a runtime must offer to be measured. The workloads are generic over this.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::ops::DerefMut;
use std::time::Duration;

/// An asynchronous runtime, and what its users coordinate with under it.
///
/// A runtime of several threads may run what it is given on any of them. The futures of the workloads
/// are not known to be `Send`, because generic code cannot say so; see
/// [`AssertSend`](crate::facilities::AssertSend).
pub(crate) trait Runtime: 'static {
    /// Its channels, or those commonly used with it.
    type Channels: Channels;
    /// Its locks, or those commonly used with it.
    type Locks: Locks;
    /// The handle of a task.
    type Task<T: Send + 'static>: 'static;

    /// Runs `main` as a task of a new runtime. It ends the process.
    fn run<F: Future<Output = ()> + 'static>(main: F);
    /// Runs `main` as the future of `block_on`, on the thread that calls. For runtimes of several
    /// threads, none of which is that thread.
    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        Self::run(main);
    }
    /// Starts a task from within one, or from within `run_root`.
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Self::Task<F::Output>;
    /// Waits for a task.
    fn join<T: Send + 'static>(task: Self::Task<T>) -> impl Future<Output = T>;
    /// Lets a task go on by itself.
    fn detach<T: Send + 'static>(task: Self::Task<T>) {
        drop(task);
    }
    /// Lets other tasks run.
    fn yield_now() -> impl Future<Output = ()>;
    /// Ends after `time`; armed at the first poll.
    fn sleep(time: Duration) -> impl Future + 'static;
    /// Runs a closure that may block.
    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static;
    /// Accepts connections, and sends back what each sends, read into `buffer` bytes. A task for each
    /// connection.
    fn serve_echo(listener: TcpListener, buffer: usize) -> impl Future<Output = io::Result<()>>;
}

/// Channels of a runtime. Who sends into one that is closed, or waits for one whose sender is gone,
/// panics.
pub(crate) trait Channels: 'static {
    type Sender<T: 'static>: Clone + 'static;
    type Receiver<T: 'static>: 'static;
    type Promise<T: 'static>: 'static;
    type Answer<T: 'static>: 'static;

    /// A channel of many messages that holds up to `capacity`.
    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);
    fn send<T: 'static>(to: &Self::Sender<T>, message: T) -> impl Future<Output = ()>;
    /// `None` when all senders are gone.
    fn receive<T: 'static>(from: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>>;

    /// A channel of one message.
    fn oneshot<T: 'static>() -> (Self::Promise<T>, Self::Answer<T>);
    fn fulfil<T: 'static>(promise: Self::Promise<T>, value: T);
    fn answer<T: 'static>(answer: Self::Answer<T>) -> impl Future<Output = T>;
}

/// Locks of a runtime, of the kind that tasks wait for.
pub(crate) trait Locks: 'static {
    type Mutex: 'static;
    type Guard<'a>: DerefMut<Target = u64>;
    type Semaphore: 'static;
    type Permit<'a>;

    fn mutex() -> Self::Mutex;
    fn lock(mutex: &Self::Mutex) -> impl Future<Output = Self::Guard<'_>>;
    fn semaphore(permits: usize) -> Self::Semaphore;
    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = Self::Permit<'_>>;
}
