//! The end of a server: who is still served, what is waited for, and what is told of the rest.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

use mainspring::http::{Drained, Request, Response, Router, Server, ServerBuilder, ServerHandle};
use mainspring::time::sleep;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Far beyond what any of these takes: a hang shows as an error of the client.
const WATCHDOG: Duration = Duration::from_secs(20);

struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    thread: JoinHandle<Drained>,
}

fn start(builder: ServerBuilder, router: Router) -> Running {
    let server = builder.addr("127.0.0.1:0").build(router).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    let thread = std::thread::spawn(move || mainspring::block_on(server.run()).unwrap());
    Running { addr, handle, thread }
}

impl Running {
    /// Begins a request for `path` on a connection of its own.
    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        stream
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server closes the connection");
    String::from_utf8(answer).unwrap()
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "it did not happen");
        std::thread::sleep(ms(1));
    }
}

fn routes() -> Router {
    Router::new()
        .get("/", |_req: Request| async { "hello" })
        .get("/slow", |_req: Request| async {
            sleep(ms(200)).await;
            "slow"
        })
        .get("/never", |_req: Request| std::future::pending::<&str>())
}

#[test]
fn those_who_wait_in_the_kernel_are_served_as_places_come_free() {
    let server = start(Server::builder().max_connections(1), routes());
    let first = server.ask("/slow");
    wait_until(|| server.handle.metrics().in_flight == 1);
    let queued: Vec<_> = (0..5).map(|_| server.ask("/")).collect();
    server.handle.shutdown(WATCHDOG);
    assert!(rest(first).ends_with("slow"));
    for stream in queued {
        let answer = rest(stream);
        assert!(
            answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"),
            "{answer}"
        );
    }
    let drained = server.thread.join().unwrap();
    assert_eq!((drained.served, drained.cut_off), (6, 0));
}

#[test]
fn the_wait_for_places_ends_with_the_grace() {
    let server = start(Server::builder().max_connections(1), routes());
    let _first = server.ask("/never");
    wait_until(|| server.handle.metrics().in_flight == 1);
    let _queued = server.ask("/");
    server.handle.shutdown(ms(100));
    wait_until(|| server.thread.is_finished());
    // The place of the first may come free before the listening socket is closed.
    assert_eq!(server.thread.join().unwrap().cut_off, 1);
}

#[test]
fn nobody_waits_for_a_place_that_nobody_wants() {
    let server = start(Server::builder().max_connections(1), routes());
    let first = server.ask("/never");
    wait_until(|| server.handle.metrics().in_flight == 1);
    assert!(is_listened_at(server.addr));
    server.handle.shutdown(3 * WATCHDOG);
    wait_until(|| !is_listened_at(server.addr));
    assert_eq!(server.handle.connections(), 1);
    socket2::SockRef::from(&first).set_linger(Some(Duration::ZERO)).unwrap();
    drop(first);
    server.thread.join().unwrap();
}

/// Whether the kernel has a listening socket there; to connect would put somebody into its queue.
fn is_listened_at(addr: SocketAddr) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", addr.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some(LISTEN)
    })
}

/// A route whose work after the answer takes `time`, and counts when it is done.
fn working(time: Duration) -> (Router, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let counter = done.clone();
    let router = routes().get("/work", move |_req: Request| {
        let counter = counter.clone();
        async move {
            Response::text("accepted").after(async move {
                sleep(time).await;
                counter.fetch_add(1, SeqCst);
            })
        }
    });
    (router, done)
}

#[test]
fn work_after_answers_is_waited_for() {
    let (router, done) = working(ms(300));
    let server = start(Server::builder(), router);
    let streams = [server.ask("/work"), server.ask("/work")];
    wait_until(|| server.handle.metrics().afterwork == 2);
    server.handle.shutdown(WATCHDOG);
    for stream in streams {
        assert!(rest(stream).ends_with("accepted"));
    }
    let drained = server.thread.join().unwrap();
    assert_eq!((done.load(SeqCst), drained.afterwork_cut_off), (2, 0));
    assert_eq!(server.handle.metrics().afterwork, 0);
}

#[test]
fn work_after_answers_that_is_not_done_in_time_is_cut_off_and_told() {
    struct Held(Arc<AtomicUsize>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counter = dropped.clone();
    let router = routes().get("/work", move |_req: Request| {
        let held = Held(counter.clone());
        async move {
            Response::text("accepted").after(async move {
                let _held = held;
                std::future::pending::<()>().await;
            })
        }
    });
    let server = start(Server::builder(), router);
    let _streams = [server.ask("/work"), server.ask("/work"), server.ask("/work")];
    wait_until(|| server.handle.metrics().afterwork == 3);
    server.handle.shutdown(ms(50));
    let drained = server.thread.join().unwrap();
    assert_eq!((drained.afterwork_cut_off, drained.cut_off), (3, 0));
    assert_eq!(dropped.load(SeqCst), 3, "nothing of it is left");
}

#[test]
fn a_handler_that_panics_when_it_is_cut_off_is_counted() {
    struct Fragile;
    impl Drop for Fragile {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "at the end");
        }
    }
    let router = routes().get("/fragile", |_req: Request| async {
        let _fragile = Fragile;
        std::future::pending::<&str>().await
    });
    let server = start(Server::builder(), router);
    let _streams = [server.ask("/fragile"), server.ask("/never")];
    wait_until(|| server.handle.metrics().in_flight == 2);
    server.handle.shutdown(ms(50));
    let drained = server.thread.join().unwrap();
    assert_eq!((drained.cut_off, server.handle.connections()), (2, 0));
    assert_eq!(server.handle.metrics().in_flight, 0);
}

#[test]
fn the_grace_counts_from_the_call() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let released = Arc::new(AtomicUsize::new(0));
    let flag = released.clone();
    let router = routes().get("/block", move |_req: Request| {
        let _ = blocked.lock().unwrap().recv_timeout(WATCHDOG);
        async { "blocked" }
    });
    let router = router.get("/later", move |_req: Request| {
        let flag = flag.clone();
        async move {
            while flag.load(SeqCst) == 0 {
                sleep(ms(5)).await;
            }
            sleep(ms(20)).await;
            "later"
        }
    });
    let server = start(Server::builder(), router);
    let _later = server.ask("/later");
    wait_until(|| server.handle.metrics().in_flight == 1);
    let _blocks = server.ask("/block");
    wait_until(|| server.handle.metrics().in_flight == 2);
    // The server's thread does not learn of it before the time is over.
    server.handle.shutdown(ms(200));
    std::thread::sleep(ms(300));
    released.store(1, SeqCst);
    release.send(()).unwrap();
    assert_eq!(server.thread.join().unwrap().cut_off, 1);
}

#[test]
fn a_request_behind_a_stream_that_outlasts_the_order_is_answered() {
    use futures::StreamExt;
    let (feed, pieces) = futures::channel::mpsc::unbounded::<std::io::Result<&'static str>>();
    let pieces = std::sync::Mutex::new(Some(pieces));
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let router = routes()
        .get("/stream", move |_req: Request| {
            let pieces = pieces.lock().unwrap().take().unwrap();
            async { Response::from_stream(pieces.fuse()) }
        })
        .get("/block", move |_req: Request| {
            let _ = blocked.lock().unwrap().recv_timeout(WATCHDOG);
            async { "blocked" }
        });
    let server = start(Server::builder(), router);
    let mut stream = server.ask("/stream");
    wait_until(|| server.handle.metrics().served == 1);
    let mut blocks = TcpStream::connect(server.addr).unwrap();
    write!(blocks, "GET /bl").unwrap();
    wait_until(|| server.handle.connections() == 2);
    server.handle.shutdown(WATCHDOG);
    // After this, connections that are idle are closed.
    std::thread::sleep(ms(400));
    write!(blocks, "ock HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    wait_until(|| server.handle.metrics().in_flight == 2);
    // The server's thread finds both at once: a request, and the end of the answer before it.
    write!(stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    drop(feed);
    release.send(()).unwrap();
    let answers = rest(stream);
    assert!(answers.ends_with("hello"), "{answers}");
    drop(blocks);
    assert_eq!(server.thread.join().unwrap().served, 3);
}
