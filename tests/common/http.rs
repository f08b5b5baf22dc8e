//! A server on a thread of its own, and clients that block.

use mainspring::LocalRuntime;
use mainspring::http::{Drained, Router, Server, ServerBuilder, ServerHandle};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far beyond what any of these takes: a hang shows as an error of the client.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);

/// A server that runs until it is told to end, and what its thread says then.
pub(crate) struct Running<T = Drained> {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) thread: JoinHandle<T>,
}

/// Serves `router` on a port of its own.
pub(crate) fn start_with(builder: ServerBuilder, router: Router) -> Running {
    run_with(builder, router, |server| {
        let rt = LocalRuntime::builder().build().unwrap();
        rt.block_on(server.run()).unwrap()
    })
}

/// As [`start_with`], by what `run` does with the server.
pub(crate) fn run_with<T: Send + 'static>(
    builder: ServerBuilder,
    router: Router,
    run: impl FnOnce(Server) -> T + Send + 'static,
) -> Running<T> {
    let server = builder.addr("127.0.0.1:0").build(router).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    Running { addr, handle, thread: thread::spawn(move || run(server)) }
}

impl<T> Running<T> {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends `request` on a connection of its own.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        stream
    }

    /// What the server answers to a GET, until it closes.
    pub(crate) fn get(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        read_to_end(&mut self.ask(head))
    }

    pub(crate) fn end(self) -> T {
        self.handle.shutdown(WATCHDOG);
        self.thread.join().unwrap()
    }
}

/// What comes until the server closes.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server closes the connection");
    String::from_utf8(answer).unwrap()
}

/// What comes up to and with `end`, and not a byte more.
pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

/// Closes without the usual farewell.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "it did not happen");
        thread::sleep(Duration::from_millis(1));
    }
}
