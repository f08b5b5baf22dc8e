//! smol: async-executor and async-io.

use crate::WORKERS;
use crate::runtime::Runtime;
use async_executor::Executor;
use async_io::{Async, Timer, block_on};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// An `Executor` that threads of its own run, as the crate `smol` does it.
pub(crate) struct Smol;

static EXECUTOR: Executor<'static> = Executor::new();

impl Runtime for Smol {
    fn start() -> Self {
        for _ in 0..WORKERS {
            thread::spawn(|| block_on(EXECUTOR.run(future::pending::<()>())));
        }
        Self
    }

    fn submit<F: Future<Output = ()> + Send + 'static>(&self, task: F) {
        EXECUTOR.spawn(task).detach();
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(task: F) {
        EXECUTOR.spawn(task).detach();
    }

    async fn sleep(time: Duration) {
        Timer::after(time).await;
    }

    async fn echo(listener: TcpListener, answered: impl Fn() + Send + 'static) -> io::Result<()> {
        let listener = Async::new(listener)?;
        let (mut stream, _) = listener.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte).await? > 0 {
            stream.write_all(&byte).await?;
            answered();
        }
        Ok(())
    }
}
