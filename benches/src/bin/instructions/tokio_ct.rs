//! tokio's current-thread runtime, as the cases see it, with hyper for HTTP.

use super::Case;

#[path = "cases/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "the same cases, for another `rt`")]
mod cases;
mod http;

pub(crate) const CASES: &[&[Case]] =
    &[cases::TASKS, cases::SYNC, cases::TIME, cases::NET, cases::HTTP];

mod rt {
    use std::io;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    pub(crate) use tokio::net::{TcpListener, TcpStream};
    pub(crate) use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
    pub(crate) use tokio::task::yield_now;
    pub(crate) use tokio::time::sleep;
    pub(crate) use tokio::{spawn, spawn as spawn_send};

    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime needs descriptors").block_on(future)
    }

    pub(crate) async fn listen() -> io::Result<TcpListener> {
        TcpListener::bind("127.0.0.1:0").await
    }

    pub(crate) async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    pub(crate) async fn write_all(stream: &mut TcpStream, data: &[u8]) -> io::Result<()> {
        stream.write_all(data).await
    }
}
