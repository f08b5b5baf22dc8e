//! mainspring's `LocalRuntime`, as the cases see it.

use super::Case;

#[path = "cases/mod.rs"]
mod cases;
mod http;

pub(crate) const CASES: &[&[Case]] =
    &[cases::TASKS, cases::SYNC, cases::TIME, cases::NET, cases::HTTP];

mod rt {
    pub(crate) use mainspring::net::{TcpListener, TcpStream};
    pub(crate) use mainspring::sync::{Mutex, Semaphore, mpsc, oneshot};
    pub(crate) use mainspring::time::sleep;
    pub(crate) use mainspring::{spawn as spawn_send, spawn_local as spawn, yield_now};
    use std::io;

    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = mainspring::LocalRuntime::builder().build();
        runtime.expect("a runtime needs three descriptors").block_on(future)
    }

    pub(crate) async fn listen() -> io::Result<TcpListener> {
        TcpListener::bind(([127, 0, 0, 1], 0))
    }

    pub(crate) async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    pub(crate) async fn write_all(stream: &mut TcpStream, data: &[u8]) -> io::Result<()> {
        stream.write_all(data).await
    }
}
