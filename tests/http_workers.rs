//! A server on a runtime with several workers: a listening socket for each, one set of bounds, and
//! one end.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

#[path = "common/http.rs"]
mod http;

use http::{Running, WATCHDOG, read_to_end, read_until, reset, run_with, start_with, wait_until};
use mainspring::Runtime;
use mainspring::http::{Request, Router, RunError, Server, ServerBuilder};
use mainspring::time::{sleep, timeout};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const WORKERS: usize = 4;
const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().unwrap()
}

fn hello() -> Router {
    Router::new().get("/", |_req: Request| async { "hello" })
}

/// Serves until it is told to end, and waits until it listens for all workers.
fn start(builder: ServerBuilder, router: Router) -> Running {
    let server =
        run_with(builder, router, |server| runtime(WORKERS).block_on(server.run()).unwrap());
    wait_until(|| server.handle.metrics().listeners == listeners());
    server
}

fn listeners() -> usize {
    if cfg!(target_os = "linux") { WORKERS } else { 1 }
}

/// Asks on `count` connections at the same time; each client closes when it has its answer.
fn ask_at_once(server: &Running, count: usize) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| assert!(server.get("/").ends_with("hello")));
        }
    });
}

#[test]
fn connections_are_dealt_out_among_the_workers() {
    let server = start(Server::builder(), hello());
    let mut streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for _ in 0..3 {
        for stream in &mut streams {
            write!(stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        }
        for stream in &mut streams {
            read_until(stream, "hello");
        }
    }
    let accepted = server.handle.accepted();
    assert_eq!((accepted.len(), accepted.iter().sum::<u64>()), (listeners(), 200));
    assert!(accepted.iter().all(|&count| count > 0), "{accepted:?}");
    assert_eq!(server.handle.connections(), 200);
    drop(streams);
    assert_eq!(server.end().served, 600);
}

#[test]
fn one_worker_has_the_socket_that_was_built() {
    let local = start_with(Server::builder(), hello());
    let root =
        run_with(Server::builder(), hello(), |server| runtime(1).block_on(server.run()).unwrap());
    let task = run_with(Server::builder(), hello(), |server| {
        let rt = runtime(1);
        rt.block_on(rt.spawn(server.run())).unwrap().unwrap()
    });
    for server in [local, root, task] {
        ask_at_once(&server, 20);
        assert_eq!((server.handle.metrics().listeners, server.handle.accepted()), (1, vec![20]));
        assert_eq!(server.end().served, 20);
    }
}

#[test]
fn peers_that_reset_leave_nothing_behind_on_any_worker() {
    let server = start(Server::builder().max_connections(100), hello());
    for _ in 0..3 {
        for _ in 0..50 {
            reset(server.ask("GET / HT"));
            reset(server.ask(GET));
        }
        wait_until(|| server.handle.connections() == 0);
    }
    ask_at_once(&server, 20);
    assert_eq!(server.end().cut_off, 0);
}

/// The kernel completes connections while the workers accept, and while the server is told to end.
#[test]
fn the_end_loses_nobody_whose_connection_was_complete() {
    for _ in 0..20 {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let router = hello().get("/block", move |_req: Request| {
            let _ = blocked.lock().unwrap().recv_timeout(WATCHDOG);
            async { "blocked" }
        });
        let server = start(Server::builder(), router);
        // All workers, one of which waits for the channel, the others for the lock.
        let mut blocking = Vec::new();
        while server.handle.metrics().in_flight < WORKERS {
            blocking
                .push(server.ask("GET /block HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
            thread::sleep(Duration::from_millis(2));
        }
        let mut waiting: Vec<_> = (0..100).map(|_| server.ask(GET)).collect();
        server.handle.shutdown(WATCHDOG);
        drop(release);
        for stream in &mut blocking {
            assert!(read_to_end(stream).ends_with("blocked"));
        }
        for stream in &mut waiting {
            assert!(read_to_end(stream).ends_with("hello"));
        }
        let all = (blocking.len() + waiting.len()) as u64;
        drop((blocking, waiting));
        let drained = server.end();
        assert_eq!((drained.served, drained.cut_off), (all, 0));
    }
}

#[test]
fn the_bound_of_connections_holds_for_all_workers_together() {
    for most in [1, 2, WORKERS + 1] {
        let (open, highest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let its = (open.clone(), highest.clone());
        let router = Router::new().get("/", move |_req: Request| {
            let (open, highest) = its.clone();
            async move {
                highest.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(Duration::from_millis(2)).await;
                open.fetch_sub(1, SeqCst);
                "hello"
            }
        });
        let server = start(Server::builder().max_connections(most), router);
        ask_at_once(&server, 60);
        assert!(highest.load(SeqCst) <= most);
        assert!(most > 1 || server.handle.metrics().accept_pauses > 0);
        // Whoever waits in the kernel is served at the end, too.
        let first = server.ask(GET);
        let waiting: Vec<_> = (0..40).map(|_| server.ask(GET)).collect();
        server.handle.shutdown(WATCHDOG);
        thread::scope(|scope| {
            for mut stream in waiting.into_iter().chain([first]) {
                scope.spawn(move || assert!(read_to_end(&mut stream).ends_with("hello")));
            }
        });
        assert_eq!(server.end().served, 101, "with places for {most}");
        assert!(highest.load(SeqCst) <= most);
    }
}

#[test]
fn dropping_the_run_ends_the_listening_at_once() {
    let rt = runtime(WORKERS);
    let server = Server::builder().addr("127.0.0.1:0").build(hello()).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    rt.block_on(async {
        let mut run = Box::pin(timeout(Duration::from_secs(3_600), server.run()));
        assert!(futures::poll!(&mut run).is_pending());
        drop(TcpStream::connect(addr).unwrap());
        drop(run);
        assert!(TcpStream::connect(addr).is_err());
        assert!(TcpListener::bind(addr).is_ok());
    });
    wait_until(|| handle.metrics().listeners == 0 && handle.connections() == 0);
    assert_eq!(rt.live_tasks(), 0);
}

#[test]
fn a_runtime_that_ends_takes_the_server_with_it() {
    let rt = runtime(WORKERS);
    let server = Server::builder().addr("127.0.0.1:0").build(hello()).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    let run = rt.spawn(server.run());
    wait_until(|| handle.metrics().listeners == listeners());
    let stream = TcpStream::connect(addr).unwrap();
    wait_until(|| handle.connections() == 1);
    drop(rt);
    assert!(run.is_finished());
    assert_eq!((handle.metrics().listeners, handle.connections()), (0, 0));
    assert!(TcpStream::connect(addr).is_err());
    drop(stream);
}

#[test]
fn servers_come_and_go_at_one_address() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rt = runtime(WORKERS);
    for _ in 0..20 {
        let server = Server::builder().addr(addr.to_string()).build(hello()).unwrap();
        let handle = server.handle();
        let run = rt.spawn(server.run());
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(GET.as_bytes()).unwrap();
        assert!(read_to_end(&mut stream).ends_with("hello"));
        drop(stream);
        handle.shutdown(WATCHDOG);
        let drained = run.wait_blocking(WATCHDOG).unwrap().unwrap();
        assert_eq!(drained.map_err(|error: RunError| error.to_string()).unwrap().served, 1);
    }
}
