//! compio, with the channels and locks of the smol family and of futures-channel; it has none.
//!
//! It has no function that yields.

use crate::facilities::{AsyncChannel, AsyncLock, WakeAndPend};
use crate::runtime::Runtime;
use compio::BufResult;
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::runtime::{JoinHandle, RuntimeBuilder};
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::time::Duration;

/// compio with one of its drivers.
pub(crate) struct Compio<D>(PhantomData<D>);

/// A driver of compio.
pub(crate) trait Driver: 'static {
    const TYPE: DriverType;
}

/// The polling driver.
pub(crate) struct Polling;

impl Driver for Polling {
    const TYPE: DriverType = DriverType::Poll;
}

/// The driver with `io_uring`.
pub(crate) struct IoUring;

impl Driver for IoUring {
    const TYPE: DriverType = DriverType::IoUring;
}

impl<D: Driver> Runtime for Compio<D> {
    type Channels = AsyncChannel;
    type Locks = AsyncLock;
    type Task<T: Send + 'static> = JoinHandle<T>;

    fn run<F: Future<Output = ()> + 'static>(main: F) {
        let mut driver = ProactorBuilder::new();
        driver.driver_type(D::TYPE);
        let runtime = RuntimeBuilder::new().with_proactor(driver).build().expect("compio starts");
        assert_eq!(runtime.driver_type(), D::TYPE, "the driver is there");
        runtime.block_on(async { Self::join(compio::runtime::spawn(main)).await });
    }

    #[inline]
    fn spawn<F: Future<Output: Send + 'static> + 'static>(future: F) -> Self::Task<F::Output> {
        compio::runtime::spawn(future)
    }

    async fn join<T: Send + 'static>(task: Self::Task<T>) -> T {
        match task.await {
            Ok(value) => value,
            Err(error) => panic!("a task does not panic: {error:?}"),
        }
    }

    fn detach<T: Send + 'static>(task: Self::Task<T>) {
        task.detach();
    }

    fn yield_now() -> impl Future<Output = ()> {
        WakeAndPend::default()
    }

    fn sleep(time: Duration) -> impl Future + 'static {
        compio::time::sleep(time)
    }

    fn blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + 'static {
        Self::join(compio::runtime::spawn_blocking(job))
    }

    async fn serve_echo(listener: TcpListener, buffer: usize) -> io::Result<()> {
        let listener = compio::net::TcpListener::from_std(listener)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let echoing = compio::runtime::spawn(async move {
                let mut buffer = Vec::with_capacity(buffer);
                loop {
                    let BufResult(count, filled) = stream.read(buffer).await;
                    if count? == 0 {
                        return io::Result::Ok(());
                    }
                    let BufResult(written, emptied) = stream.write_all(filled).await;
                    written?;
                    buffer = emptied;
                    buffer.clear();
                }
            });
            echoing.detach();
        }
    }
}
