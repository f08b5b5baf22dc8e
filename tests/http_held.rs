//! What a connection holds on to, and for how long.
#![cfg(all(target_os = "linux", not(loom)))]
#![allow(clippy::disallowed_types)]

#[path = "common/alive.rs"]
mod alive;
#[path = "common/http.rs"]
mod http;

use alive::Alive;
use http::{read_until, reset, start_with, wait_until};
use mainspring::http::{Request, Router, Server};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

struct Owner(Vec<u8>, #[allow(dead_code)] Alive);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn an_idle_connection_does_not_keep_the_body_that_it_has_sent() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = count.clone();
    let router = Router::new().get("/", |_| async { "hello" }).get("/large", move |_| {
        let owner = Owner(vec![b'x'; 1 << 20], Alive::new(&alive));
        async move { bytes::Bytes::from_owner(owner) }
    });
    let server = start_with(Server::builder(), router);
    let mut stream = server.ask("GET /large HTTP/1.1\r\nhost: x\r\n\r\n");
    read_until(&mut stream, "\r\n\r\n");
    stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    // Small answers do not take the place of the large one, either.
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        read_until(&mut stream, "hello");
    }
    assert_eq!(count.load(SeqCst), 0, "the body is kept by a connection that has sent it");
    drop(stream);
    server.end();
}

#[test]
fn a_reset_is_found_out_while_a_handler_does_not_look_at_its_body() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = count.clone();
    let router = Router::new().get("/", |_| async { "hello" }).post("/", move |req: Request| {
        let alive = Alive::new(&alive);
        async move {
            let _held = (alive, req);
            std::future::pending::<&str>().await
        }
    });
    let server = start_with(Server::builder(), router);
    let stream = server.ask("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc");
    wait_until(|| count.load(SeqCst) == 1);
    reset(stream);
    wait_until(|| count.load(SeqCst) == 0);
    assert!(server.get("/").ends_with("hello"));
    server.end();
}
