//! tokio's multi-thread scheduler.

use crate::WORKERS;
use crate::runtime::Runtime;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

pub(crate) struct Tokio<D> {
    runtime: tokio::runtime::Runtime,
    drivers: PhantomData<D>,
}

/// How the workers hand on the waiting for sockets and timers.
pub(crate) trait Drivers: 'static {
    fn set(_builder: &mut Builder) {}
}

pub(crate) struct Default;

impl Drivers for Default {}

/// Before they begin to poll a task.
#[cfg(tokio_unstable)]
pub(crate) struct Eager;

#[cfg(tokio_unstable)]
impl Drivers for Eager {
    fn set(builder: &mut Builder) {
        builder.enable_eager_driver_handoff();
    }
}

impl<D: Drivers> Runtime for Tokio<D> {
    fn start() -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS).enable_all();
        D::set(&mut builder);
        Self { runtime: builder.build().expect("tokio starts"), drivers: PhantomData }
    }

    fn submit<F: Future<Output = ()> + Send + 'static>(&self, task: F) {
        drop(self.runtime.spawn(task));
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(task: F) {
        drop(tokio::spawn(task));
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(time)
    }

    async fn echo(listener: TcpListener, answered: impl Fn() + Send + 'static) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte).await? > 0 {
            stream.write_all(&byte).await?;
            answered();
        }
        Ok(())
    }
}
