//! What a server does before its first connection and after its last.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::block_on;
use mainspring::http::{Request, Router, RunError, Server, ServerHandle};
use mainspring::time::sleep;
use std::future::pending;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

const GRACE: Duration = Duration::from_secs(5);

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    /// A future that takes a moment, and is logged.
    fn later(&self, what: &'static str) -> impl Future<Output = ()> + Send + 'static {
        let log = self.clone();
        async move {
            sleep(Duration::from_millis(10)).await;
            log.add(what);
        }
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// A client that asks once, and then ends the server.
fn asks_and_ends(address: SocketAddr, server: ServerHandle) {
    thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        server.shutdown(GRACE);
    });
}

#[test]
fn starts_come_before_the_first_request_and_stops_after_the_last() {
    within(|| {
        let log = Log::default();
        let [first, second, last, last_but_one, handler] = std::array::from_fn(|_| log.clone());
        let app = Router::new().get("/", move |_req: Request| {
            handler.add("request");
            async { "hello" }
        });
        let server = Server::builder()
            .addr("127.0.0.1:0")
            .on_start(move || async move {
                first.later("first start").await;
                Ok::<(), String>(())
            })
            .on_start(move || async move {
                second.later("second start").await;
                Ok::<(), String>(())
            })
            .on_stop(move || async move { last.later("last stop").await })
            .on_stop(move || async move { last_but_one.later("first stop").await })
            .build(app)
            .unwrap();
        asks_and_ends(server.local_addr(), server.handle());
        let drained = block_on(server.run()).unwrap();
        assert_eq!((drained.served, drained.cut_off, drained.unstopped), (1, 0, 0));
        let expected = ["first start", "second start", "request", "first stop", "last stop"];
        assert_eq!(log.all(), expected);
    });
}

#[test]
fn a_start_that_fails_ends_the_server_with_its_error() {
    within(|| {
        let log = Log::default();
        let [second, stop] = std::array::from_fn(|_| log.clone());
        let server = Server::builder()
            .addr("127.0.0.1:0")
            .on_start(|| async { Err("no database") })
            .on_start(move || async move {
                second.later("second start").await;
                Ok::<(), String>(())
            })
            .on_stop(move || async move { stop.later("stop").await })
            .build(Router::new())
            .unwrap();
        let address = server.local_addr();
        let error = block_on(server.run()).unwrap_err();
        assert!(matches!(&error, RunError::Start(reason) if reason.to_string() == "no database"));
        assert_eq!(log.all(), [""; 0]);
        assert!(TcpStream::connect(address).is_err(), "the socket is closed");
        let error = std::io::Error::from(error);
        assert!(error.to_string().contains("no database"), "{error}");
    });
}

#[test]
fn a_shutdown_ends_a_start_that_never_does() {
    within(|| {
        let log = Log::default();
        let stop = log.clone();
        let server = Server::builder()
            .addr("127.0.0.1:0")
            .on_start(pending::<Result<(), String>>)
            .on_stop(move || async move { stop.later("stop").await })
            .build(Router::new())
            .unwrap();
        let handle = server.handle();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            handle.shutdown(GRACE);
        });
        let drained = block_on(server.run()).unwrap();
        assert_eq!(drained.served, 0);
        assert_eq!(log.all(), [""; 0]);
    });
}

#[test]
fn a_shutdown_ends_a_start_that_always_has_something_to_do() {
    async fn busy() -> Result<(), String> {
        loop {
            mainspring::coop::consume_budget().await;
        }
    }
    within(|| {
        let builder = Server::builder().addr("127.0.0.1:0").on_start(busy);
        let server = builder.build(Router::new()).unwrap();
        server.handle().shutdown(GRACE);
        assert_eq!(block_on(server.run()).unwrap().served, 0);
    });
}

#[test]
fn a_stop_that_never_ends_is_dropped_and_told_of() {
    within(|| {
        let log = Log::default();
        let stop = log.clone();
        let server = Server::builder()
            .addr("127.0.0.1:0")
            .on_stop(|| async { unreachable!("those before it never end") })
            .on_stop(pending::<()>)
            .on_stop(move || async move { stop.later("stop").await })
            .build(Router::new())
            .unwrap();
        server.handle().shutdown(Duration::ZERO);
        let drained = block_on(server.run()).unwrap();
        assert_eq!(drained.unstopped, 2);
        assert_eq!(log.all(), ["stop"]);
    });
}
