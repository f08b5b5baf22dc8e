//! mainspring, with its own channels, locks and timers.

use crate::facilities::AssertSend;
use crate::runtime::{Channels, Locks, Runtime};
use mainspring::sync::mutex::{Mutex, MutexGuard};
use mainspring::sync::semaphore::{Permit, Semaphore};
use mainspring::sync::{mpsc, oneshot};
use mainspring::{JoinHandle, LocalBuilder, LocalRuntime};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::time::Duration;

/// mainspring in one of its flavours.
pub(crate) struct Mainspring<F>(PhantomData<F>);

/// How it is built, and how a task is spawned.
pub(crate) trait Flavour: 'static {
    fn run<F: Future<Output = ()> + 'static>(main: F);
    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        Self::run(main);
    }
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> JoinHandle<F::Output>;
}

/// A `LocalRuntime`, by `spawn_local`.
pub(crate) struct Local;

impl Flavour for Local {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        run_local(local(), main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> JoinHandle<F::Output> {
        mainspring::spawn_local(future)
    }
}

/// The same by `spawn`, which asks for `Send`.
pub(crate) struct LocalSend;

impl Flavour for LocalSend {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        run_local(local(), main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> JoinHandle<F::Output> {
        // SAFETY: all of mainspring that the workloads use is `Send` and `Sync`.
        mainspring::spawn(unsafe { AssertSend::new(future) })
    }
}

/// A `LocalRuntime` with timers in steps of 50 µs, where the default is 1 ms.
pub(crate) struct LocalFine;

impl Flavour for LocalFine {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        run_local(local().timer_resolution(Duration::from_micros(50)), main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> JoinHandle<F::Output> {
        mainspring::spawn_local(future)
    }
}

/// A `Runtime` of two workers.
pub(crate) struct TwoWorkers;

impl TwoWorkers {
    fn runtime() -> mainspring::Runtime {
        let builder = mainspring::Runtime::builder().worker_threads(2);
        builder.blocking_queue(BLOCKING_QUEUE).build().expect("mainspring starts")
    }
}

impl Flavour for TwoWorkers {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let runtime = Self::runtime();
        // SAFETY: as for `LocalSend`.
        let main = runtime.spawn(unsafe { AssertSend::new(main) });
        runtime.block_on(main).expect("it does not panic");
    }

    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        Self::runtime().block_on(main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> JoinHandle<F::Output> {
        LocalSend::spawn(future)
    }
}

/// Room for all jobs that a workload queues: else those beyond wait in their handles. The queues of the
/// others have no bound.
const BLOCKING_QUEUE: usize = 16_384;

fn local() -> LocalBuilder {
    LocalRuntime::builder().blocking_queue(BLOCKING_QUEUE)
}

fn run_local(builder: LocalBuilder, main: impl Future<Output = ()> + 'static) {
    let runtime = builder.build().expect("mainspring starts");
    let main = runtime.spawn_local(main);
    runtime.block_on(main).expect("it does not panic");
}

impl<F: Flavour> Runtime for Mainspring<F> {
    type Channels = MainspringSync;
    type Locks = MainspringSync;
    type Task<T: Send + 'static> = JoinHandle<T>;

    fn run<M: Future<Output = ()> + 'static>(main: M) {
        F::run(main);
    }

    fn run_root<M: Future<Output = ()> + 'static>(main: M) {
        F::run_root(main);
    }

    #[inline]
    fn spawn<T: Future<Output: Send + 'static> + 'static>(future: T) -> Self::Task<T::Output> {
        F::spawn(future)
    }

    async fn join<T: Send + 'static>(task: Self::Task<T>) -> T {
        task.await.expect("a task does not panic")
    }

    fn yield_now() -> impl Future<Output = ()> {
        mainspring::yield_now()
    }

    fn sleep(time: Duration) -> impl Future + 'static {
        mainspring::time::sleep(time)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        let job = mainspring::spawn_blocking(job);
        async { job.await.expect("a job does not panic") }
    }

    async fn serve_echo(listener: TcpListener, buffer: usize) -> io::Result<()> {
        let listener = mainspring::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            drop(F::spawn(async move {
                let mut buffer = vec![0; buffer];
                loop {
                    match stream.read(&mut buffer).await? {
                        0 => return io::Result::Ok(()),
                        count => stream.write_all(&buffer[..count]).await?,
                    }
                }
            }));
        }
    }
}

/// The channels and locks of mainspring.
pub(crate) struct MainspringSync;

impl Channels for MainspringSync {
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

impl Locks for MainspringSync {
    type Mutex = Mutex<u64>;
    type Guard<'a> = MutexGuard<'a, u64>;
    type Semaphore = Semaphore;
    type Permit<'a> = Permit<'a>;

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
