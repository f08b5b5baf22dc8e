//! Streams and their ends over real sockets: who waits for whom, and who notices whose going.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

#[path = "common/alive.rs"]
mod alive;
#[path = "common/http.rs"]
mod http;

use alive::Alive;
use futures::channel::oneshot;
use futures::stream;
use http::{Running, WATCHDOG, read_until, reset, start_with, wait_until};
use mainspring::http::{Request, Response, Router, Server, Sse, SseEvent};
use mainspring::time::sleep;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server that also answers `/ping`.
fn start(router: Router) -> Running {
    let router = router.get("/ping", |_| async { "pong" });
    start_with(Server::builder().max_body(u64::MAX), router)
}

#[test]
fn a_reset_ends_a_handler_that_waits() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = count.clone();
    let server = start(Router::new().get("/", move |_| {
        let alive = Alive::new(&alive);
        async move {
            let _alive = alive;
            std::future::pending::<Response>().await
        }
    }));
    let clients = [server.ask(GET), server.ask(GET), server.ask(GET)];
    wait_until(|| count.load(SeqCst) == 3);
    clients.into_iter().for_each(reset);
    wait_until(|| count.load(SeqCst) == 0);
    assert!(server.get("/ping").ends_with("pong"), "it goes on");
    assert_eq!(server.end().cut_off, 0);
}

#[test]
fn an_endless_answer_waits_for_its_client_and_ends_with_it() {
    let (count, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (alive, maker) = (count.clone(), made.clone());
    let server = start(Router::new().get("/", move |_| {
        let (alive, maker) = (Alive::new(&alive), maker.clone());
        async move {
            Response::from_stream(stream::repeat_with(move || {
                let _alive = &alive;
                maker.fetch_add(1, SeqCst);
                Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024])
            }))
        }
    }));
    let mut client = server.ask(GET);
    read_until(&mut client, "\r\n\r\n");
    // It stands still when the buffers of the kernel are full.
    let mut still = made.load(SeqCst);
    let start = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = made.load(SeqCst);
        if now == still {
            break;
        }
        still = now;
        assert!(start.elapsed() < WATCHDOG, "it did not wait: {still} pieces");
    }
    client.read_exact(&mut vec![0; 32 << 20]).unwrap();
    wait_until(|| made.load(SeqCst) > still);
    assert_eq!(count.load(SeqCst), 1);
    drop(client);
    wait_until(|| count.load(SeqCst) == 0);
    server.end();
}

#[test]
fn an_upload_waits_for_its_reader() {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Mutex::new(Some(gate));
    let server = start(Router::new().post("/", move |mut req: Request| {
        let gate = gate.lock().unwrap().take().unwrap();
        async move {
            let mut body = req.body();
            let mut sum = body.chunk().await.unwrap().unwrap().len();
            let _ = gate.await;
            while let Some(piece) = body.chunk().await {
                sum += piece.unwrap().len();
            }
            sum.to_string()
        }
    }));
    const LENGTH: usize = 256 << 20;
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n");
    let mut client = server.ask(head.as_bytes());
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // The client is made to wait long before it has sent all.
    while sent < LENGTH {
        match client.write(&piece[..piece.len().min(LENGTH - sent)]) {
            Ok(n) => sent += n,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                break;
            }
        }
    }
    assert!(sent < LENGTH, "it did not wait");
    open.send(()).unwrap();
    client.set_write_timeout(Some(WATCHDOG)).unwrap();
    while sent < LENGTH {
        sent += client.write(&piece[..piece.len().min(LENGTH - sent)]).unwrap();
    }
    read_until(&mut client, &format!("\r\n\r\n{LENGTH}"));
    drop(client);
    server.end();
}

#[test]
fn events_come_as_they_happen_and_end_with_their_client() {
    let count = Arc::new(AtomicUsize::new(0));
    let alive = count.clone();
    let server = start(Router::new().get("/", move |_| {
        let alive = Alive::new(&alive);
        async move {
            let events = stream::unfold((0, alive), |(n, alive)| async move {
                match n {
                    0 => {}
                    1 => sleep(Duration::from_millis(30)).await,
                    _ => std::future::pending().await,
                }
                Some((SseEvent::new().id(n.to_string()).data("x"), (n + 1, alive)))
            });
            Sse::new(events).keep_alive(Duration::from_millis(50))
        }
    }));
    let mut client = server.ask(GET);
    read_until(&mut client, "id: 0\ndata: x\n\n\r\n");
    read_until(&mut client, "id: 1\ndata: x\n\n\r\n");
    read_until(&mut client, "\r\n:\n\n\r\n");
    assert_eq!(count.load(SeqCst), 1);
    // Closed in the usual way, which might as well mean that it wants to hear more.
    drop(client);
    wait_until(|| count.load(SeqCst) == 0);
    assert_eq!(server.end().cut_off, 0);
}

#[test]
fn an_answer_does_not_wait_for_what_comes_after_it() {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Mutex::new(Some(gate));
    let done = Arc::new(AtomicUsize::new(0));
    let counter = done.clone();
    let server = start(Router::new().get("/", move |_| {
        let (gate, counter) = (gate.lock().unwrap().take(), counter.clone());
        async move {
            Response::text("begun").after(async move {
                if let Some(gate) = gate {
                    let _ = gate.await;
                }
                counter.fetch_add(1, SeqCst);
            })
        }
    }));
    let mut client = server.ask(GET);
    read_until(&mut client, "\r\n\r\nbegun");
    // The next request on the connection does not wait either.
    client.write_all(GET).unwrap();
    read_until(&mut client, "\r\n\r\nbegun");
    wait_until(|| done.load(SeqCst) == 1);
    open.send(()).unwrap();
    wait_until(|| done.load(SeqCst) == 2);
    server.end();
}
