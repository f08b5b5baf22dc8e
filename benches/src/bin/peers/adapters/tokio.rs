//! tokio, with its own channels, locks and timers.

use crate::facilities::AssertSend;
use crate::runtime::{Channels, Locks, Runtime};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;

/// tokio with one of its schedulers.
pub(crate) struct Tokio<S>(PhantomData<S>);

/// A scheduler of tokio.
pub(crate) trait Scheduler: 'static {
    fn builder() -> Builder;
}

/// The current-thread scheduler.
pub(crate) struct CurrentThread;

impl Scheduler for CurrentThread {
    fn builder() -> Builder {
        Builder::new_current_thread()
    }
}

/// The multi-thread scheduler with two workers.
pub(crate) struct TwoWorkers;

impl Scheduler for TwoWorkers {
    fn builder() -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    }
}

/// The same with its unstable eager driver hand-off.
#[cfg(tokio_unstable)]
pub(crate) struct TwoWorkersEager;

#[cfg(tokio_unstable)]
impl Scheduler for TwoWorkersEager {
    fn builder() -> Builder {
        let mut builder = TwoWorkers::builder();
        builder.enable_eager_driver_handoff();
        builder
    }
}

impl<S: Scheduler> Runtime for Tokio<S> {
    type Channels = TokioSync;
    type Locks = TokioSync;
    type Task<T: Send + 'static> = JoinHandle<T>;

    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let runtime = S::builder().enable_all().build().expect("tokio starts");
        // SAFETY: all of tokio that the workloads use is `Send` and `Sync`.
        let main = unsafe { AssertSend::new(main) };
        runtime.block_on(async { tokio::spawn(main).await.expect("it does not panic") });
    }

    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        S::builder().enable_all().build().expect("tokio starts").block_on(main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Self::Task<F::Output> {
        // SAFETY: all of tokio that the workloads use is `Send` and `Sync`.
        tokio::spawn(unsafe { AssertSend::new(future) })
    }

    async fn join<T: Send + 'static>(task: Self::Task<T>) -> T {
        task.await.expect("a task does not panic")
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    fn sleep(time: Duration) -> impl Future + 'static {
        tokio::time::sleep(time)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        let job = tokio::task::spawn_blocking(job);
        async { job.await.expect("a job does not panic") }
    }

    async fn serve_echo(listener: TcpListener, buffer: usize) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let mut buffer = vec![0; buffer];
                loop {
                    match stream.read(&mut buffer).await? {
                        0 => return io::Result::Ok(()),
                        count => stream.write_all(&buffer[..count]).await?,
                    }
                }
            });
        }
    }
}

/// The channels and locks of tokio.
pub(crate) struct TokioSync;

impl Channels for TokioSync {
    type Sender<T: 'static> = mpsc::Sender<T>;
    type Receiver<T: 'static> = mpsc::Receiver<T>;
    type Promise<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;

    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        mpsc::channel(capacity)
    }

    async fn send<T: 'static>(to: &Self::Sender<T>, message: T) {
        assert!(to.send(message).await.is_ok(), "the channel is closed");
    }

    async fn receive<T: 'static>(from: &mut Self::Receiver<T>) -> Option<T> {
        from.recv().await
    }

    fn oneshot<T: 'static>() -> (Self::Promise<T>, Self::Answer<T>) {
        oneshot::channel()
    }

    fn fulfil<T: 'static>(promise: Self::Promise<T>, value: T) {
        assert!(promise.send(value).is_ok(), "nobody waits");
    }

    async fn answer<T: 'static>(answer: Self::Answer<T>) -> T {
        answer.await.expect("the sender answers")
    }
}

impl Locks for TokioSync {
    type Mutex = Mutex<u64>;
    type Guard<'a> = MutexGuard<'a, u64>;
    type Semaphore = Semaphore;
    type Permit<'a> = SemaphorePermit<'a>;

    fn mutex() -> Self::Mutex {
        Mutex::new(0)
    }

    async fn lock(mutex: &Self::Mutex) -> Self::Guard<'_> {
        mutex.lock().await
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect("it is never closed")
    }
}
