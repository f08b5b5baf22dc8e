//! monoio, with its feature `sync`, without which other threads cannot wake it; with local-sync.
//!
//! It has no function that yields, and no pool of threads by default: it gets one of four.

use crate::facilities::{LocalSync, WakeAndPend};
use crate::runtime::Runtime;
use monoio::blocking::DefaultThreadPool;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::task::JoinHandle;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::time::Duration;

/// How many threads run what blocks; its documentation has examples of a few.
const BLOCKING_THREADS: usize = 4;

/// monoio with one of its drivers.
pub(crate) struct Monoio<D>(PhantomData<D>);

/// A driver of monoio; the builders have no trait in common.
pub(crate) trait Driver: 'static {
    fn run<F: Future<Output = ()> + 'static>(main: F);
}

impl Driver for LegacyDriver {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let mut runtime = RuntimeBuilder::<Self>::new()
            .enable_timer()
            .attach_thread_pool(Box::new(DefaultThreadPool::new(BLOCKING_THREADS)))
            .build()
            .expect("monoio starts");
        runtime.block_on(async { monoio::spawn(main).await });
    }
}

impl Driver for IoUringDriver {
    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let mut runtime = RuntimeBuilder::<Self>::new()
            .enable_timer()
            .attach_thread_pool(Box::new(DefaultThreadPool::new(BLOCKING_THREADS)))
            .build()
            .expect("monoio starts");
        runtime.block_on(async { monoio::spawn(main).await });
    }
}

impl<D: Driver> Runtime for Monoio<D> {
    type Channels = LocalSync;
    type Locks = LocalSync;
    type Task<T: Send + 'static> = JoinHandle<T>;

    fn run<F: Future<Output = ()> + 'static>(main: F) {
        D::run(main);
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Self::Task<F::Output> {
        monoio::spawn(future)
    }

    fn join<T: Send + 'static>(task: Self::Task<T>) -> impl Future<Output = T> {
        task
    }

    fn yield_now() -> impl Future<Output = ()> {
        WakeAndPend::default()
    }

    fn sleep(time: Duration) -> impl Future + 'static {
        monoio::time::sleep(time)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        let job = monoio::spawn_blocking(job);
        async {
            match job.await {
                Ok(value) => value,
                Err(error) => panic!("a job does not panic: {error:?}"),
            }
        }
    }

    async fn serve_echo(listener: TcpListener, buffer: usize) -> io::Result<()> {
        let listener = monoio::net::TcpListener::from_std(listener)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            drop(monoio::spawn(async move {
                let mut buffer = Vec::with_capacity(buffer);
                loop {
                    let (count, filled) = stream.read(buffer).await;
                    if count? == 0 {
                        return io::Result::Ok(());
                    }
                    let (written, emptied) = stream.write_all(filled).await;
                    written?;
                    buffer = emptied;
                }
            }));
        }
    }
}
