//! The smol family: async-executor and async-io, with blocking, async-channel, async-lock, and the
//! oneshot channel of futures-channel.

use crate::facilities::{AssertSend, AsyncChannel, AsyncLock};
use crate::runtime::Runtime;
use async_executor::{Executor, LocalExecutor, Task};
use async_io::{Async, Timer, block_on};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// smol with one of its executors.
pub(crate) struct Smol<E>(PhantomData<E>);

/// An executor that tasks find by themselves.
pub(crate) trait Threads: 'static {
    fn run<F: Future<Output = ()> + 'static>(main: F);
    fn run_root<F: Future<Output = ()> + 'static>(main: F);
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Task<F::Output>;
}

/// A `LocalExecutor`.
pub(crate) struct One;

thread_local! {
    static LOCAL: &'static LocalExecutor<'static> = Box::leak(Box::new(LocalExecutor::new()));
}

impl Threads for One {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let executor = LOCAL.with(|executor| *executor);
        block_on(executor.run(executor.spawn(main)));
    }

    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        let executor = LOCAL.with(|executor| *executor);
        block_on(executor.run(main));
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Task<F::Output> {
        LOCAL.with(|executor| executor.spawn(future))
    }
}

/// An `Executor` that two threads run.
pub(crate) struct Two;

static EXECUTOR: Executor<'static> = Executor::new();

impl Threads for Two {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        thread::spawn(|| block_on(EXECUTOR.run(future::pending::<()>())));
        block_on(EXECUTOR.run(Self::spawn(main)));
    }

    /// As the crate `smol` does it: threads of their own run the executor, and `block_on` does not.
    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        for _ in 0..2 {
            thread::spawn(|| block_on(EXECUTOR.run(future::pending::<()>())));
        }
        block_on(main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Task<F::Output> {
        // SAFETY: all of these crates that the workloads use is `Send` and `Sync`.
        EXECUTOR.spawn(unsafe { AssertSend::new(future) })
    }
}

impl<E: Threads> Runtime for Smol<E> {
    type Channels = AsyncChannel;
    type Locks = AsyncLock;
    type Task<T: Send + 'static> = Task<T>;

    fn run<F: Future<Output = ()> + 'static>(main: F) {
        E::run(main);
    }

    fn run_root<F: Future<Output = ()> + 'static>(main: F) {
        E::run_root(main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Self::Task<F::Output> {
        E::spawn(future)
    }

    fn join<T: Send + 'static>(task: Self::Task<T>) -> impl Future<Output = T> {
        task
    }

    fn detach<T: Send + 'static>(task: Self::Task<T>) {
        task.detach();
    }

    fn yield_now() -> impl Future<Output = ()> {
        future::yield_now()
    }

    fn sleep(time: Duration) -> impl Future + 'static {
        Timer::after(time)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        blocking::unblock(job)
    }

    async fn serve_echo(listener: TcpListener, buffer: usize) -> io::Result<()> {
        let listener = Async::new(listener)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            let echoing = E::spawn(async move {
                let mut buffer = vec![0; buffer];
                loop {
                    match stream.read(&mut buffer).await? {
                        0 => return io::Result::Ok(()),
                        count => stream.write_all(&buffer[..count]).await?,
                    }
                }
            });
            echoing.detach();
        }
    }
}
