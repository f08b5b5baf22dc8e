//! tokio, with its own channels, locks and timers.

use crate::facilities::AssertSend;
use crate::runtime::{Channels, Locks, Runtime};
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;

/// The current-thread scheduler.
pub(crate) struct CurrentThread;

/// The multi-thread scheduler with two workers.
pub(crate) struct TwoWorkers;

/// The same with its unstable eager driver hand-off.
#[cfg(feature = "tokio-eager")]
pub(crate) struct TwoWorkersEager;

/// The schedulers differ in how they are built only.
macro_rules! runtime {
    ($name:ty, $builder:expr) => {
        impl Runtime for $name {
            type Channels = TokioSync;
            type Locks = TokioSync;
            type Task<T: Send + 'static> = JoinHandle<T>;

            fn run<F: Future<Output = ()> + 'static>(main: F) {
                let runtime = $builder.enable_all().build().expect("tokio starts");
                // SAFETY: all of tokio that the workloads use is `Send` and `Sync`.
                let main = unsafe { AssertSend::new(main) };
                runtime.block_on(async { tokio::spawn(main).await.expect("it does not panic") });
            }

            #[inline]
            fn spawn<F: Future<Output: Send + 'static> + 'static>(
                future: F,
            ) -> Self::Task<F::Output> {
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
                serve_echo(listener, buffer).await
            }
        }
    };
}

runtime!(CurrentThread, Builder::new_current_thread());
runtime!(TwoWorkers, Builder::new_multi_thread().worker_threads(2));
#[cfg(feature = "tokio-eager")]
runtime!(
    TwoWorkersEager,
    Builder::new_multi_thread().worker_threads(2).enable_eager_driver_handoff()
);

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
