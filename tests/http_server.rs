//! The server over real sockets: what clients see, whatever they do.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

#[path = "common/http.rs"]
mod http;

use http::{Running, WATCHDOG, read_to_end, read_until, reset, start_with, wait_until};
use mainspring::http::{BuildError, Request, Router, Server};
use mainspring::time::sleep;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn start(router: Router) -> Running {
    start_with(Server::builder(), router)
}

/// What the server answers to `request`, until it closes.
fn exchange(server: &Running, request: &str) -> String {
    read_to_end(&mut server.ask(request))
}

/// Reads one answer whose body is `body`.
fn read_answer(stream: &mut TcpStream, body: &str) -> String {
    read_until(stream, &format!("\r\n\r\n{body}"))
}

fn hello() -> Router {
    Router::new()
        .get("/", |_req: Request| async { "hello" })
        .get("/slow", |_req: Request| async {
            sleep(Duration::from_millis(100)).await;
            "slow"
        })
        .get("/never", |_req: Request| std::future::pending::<&str>())
        .get("/panic", |_req: Request| async {
            if true {
                panic!("on purpose");
            }
            ""
        })
        .post("/echo", |mut req: Request| async move { req.bytes().await })
}

#[test]
fn answers_over_a_connection_that_stays() {
    let server = start(hello());
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let answer = read_answer(&mut stream, "hello");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-length: 5\r\n"), "{answer}");
        assert!(answer.contains("\r\ndate: "), "{answer}");
    }
    drop(stream);
    assert_eq!(server.end().served, 3);
}

#[test]
fn errors_are_json_with_the_right_status() {
    let server = start(hello());
    for (request, status) in [
        ("GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
        ("PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n", "400"),
        ("GET / HTTP/1.1\nhost: x\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost : x\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", "501"),
        ("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n", "413"),
    ] {
        let answer = exchange(&server, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} → {answer}");
        assert!(answer.ends_with("\"}") && answer.contains("{\"error\":\""), "{answer}");
    }
    server.end();
}

#[test]
fn a_body_comes_back_whichever_way_it_is_framed() {
    let server = start(hello());
    let answer = exchange(
        &server,
        "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nping",
    );
    assert!(answer.ends_with("\r\n\r\nping"), "{answer}");
    let answer = exchange(
        &server,
        "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\npi\r\n2;x=y\r\nng\r\n0\r\n\r\n",
    );
    assert!(answer.ends_with("\r\n\r\nping"), "{answer}");
    let large = "x".repeat(1 << 20);
    let length = large.len();
    let answer = exchange(
        &server,
        &format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{large}"
        ),
    );
    assert!(answer.ends_with(&large) && answer.len() < length + 200);
    server.end();
}

#[test]
fn a_request_a_byte_at_a_time_and_a_half_closed_client_get_their_answers() {
    let server = start(hello());
    let mut stream = server.connect();
    for byte in b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc" {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answers = read_to_end(&mut stream);
    assert!(answers.contains("\r\n\r\nabcHTTP/1.1 200 OK\r\n"), "{answers}");
    assert!(answers.ends_with("\r\n\r\nslow"), "{answers}");
    assert_eq!(server.end().served, 2);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_none_waits_for_a_slow_one() {
    let server = start(hello());
    let mut stream = server.connect();
    let quick = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let never = "GET /never HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(format!("{quick}{quick}{never}{quick}").as_bytes()).unwrap();
    read_answer(&mut stream, "hello");
    read_answer(&mut stream, "hello");
    drop(stream);
    server.handle.shutdown(Duration::ZERO);
    let drained = server.thread.join().unwrap();
    assert_eq!((drained.served, drained.cut_off), (2, 1));
}

#[test]
fn a_panicking_handler_costs_its_own_connection_only() {
    let server = start(hello());
    let mut other = server.ask(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    read_answer(&mut other, "hello");
    let answer = exchange(
        &server,
        "GET /panic HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read_to_end(&mut other).ends_with("hello"));
    drop(other);
    server.end();
}

#[test]
fn peers_that_reset_or_vanish_leave_nothing_behind() {
    let server = start(hello());
    for request in [
        "",
        "GET",
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
    ] {
        drop(server.ask(request));
        reset(server.ask(request));
    }
    wait_until(|| server.handle.connections() == 0);
    assert!(server.get("/").ends_with("hello"));
    server.end();
}

#[test]
fn shutdown_answers_what_has_begun_closes_what_is_idle_and_cuts_off_the_rest() {
    let begun = Arc::new(AtomicUsize::new(0));
    let inner = begun.clone();
    let router = hello().get("/begun", move |_req: Request| {
        inner.fetch_add(1, SeqCst);
        async {
            sleep(Duration::from_millis(300)).await;
            "finished"
        }
    });
    let server = start(router);
    let mut idle = server.ask(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    read_answer(&mut idle, "hello");
    let mut busy = server.ask(b"GET /begun HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut stuck = server.ask(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n");
    wait_until(|| begun.load(SeqCst) == 1 && server.handle.connections() == 3);
    server.handle.shutdown(Duration::from_secs(1));
    assert_eq!(read_to_end(&mut idle), "");
    let answer = read_to_end(&mut busy);
    assert!(
        answer.contains("\r\nconnection: close\r\n") && answer.ends_with("finished"),
        "{answer}"
    );
    assert_eq!(read_to_end(&mut stuck), "");
    let drained = server.thread.join().unwrap();
    assert_eq!((drained.served, drained.cut_off), (2, 1));
    assert!(TcpStream::connect(server.addr).is_err(), "nobody listens any more");
}

#[test]
fn connections_beyond_the_bound_wait_and_are_served_later() {
    let server = start_with(Server::builder().max_connections(2), hello());
    let mut first: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for stream in &mut first {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        read_answer(stream, "hello");
    }
    let mut third = server.ask(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "answered beyond the bound");
    assert_eq!(server.handle.connections(), 2);
    drop(first);
    third.set_read_timeout(Some(WATCHDOG)).unwrap();
    assert!(read_to_end(&mut third).ends_with("hello"));
    drop(third);
    server.end();
}

#[test]
fn what_cannot_be_built_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let error = Server::builder().addr(&*addr).build(Router::new()).unwrap_err();
    assert!(matches!(error, BuildError::Listen { .. }));
    assert!(error.to_string().contains("taken by another program"), "{error}");

    let error = Server::builder().addr("nonsense").build(Router::new()).unwrap_err();
    assert!(error.to_string().contains("give HOST:PORT"), "{error}");

    let error = Server::builder().max_connections(0).build(Router::new()).unwrap_err();
    assert!(error.to_string().starts_with("max_connections is 0, but must be from 1"), "{error}");

    let router = hello().get("/", |_req: Request| async { "twice" });
    let error = Server::builder().addr("127.0.0.1:0").build(router).unwrap_err();
    assert!(matches!(error, BuildError::Route(_)), "{error}");
}

#[test]
fn a_handler_that_never_rests_is_cut_off_in_time() {
    let router = hello().get("/busy", |_req: Request| async {
        for _ in 0u64.. {
            mainspring::coop::consume_budget().await;
        }
        ""
    });
    let server = start(router);
    let _stream = server.ask(b"GET /busy HTTP/1.1\r\nhost: x\r\n\r\n");
    wait_until(|| server.handle.connections() == 1);
    server.handle.shutdown(Duration::from_millis(50));
    wait_until(|| server.thread.is_finished());
    assert_eq!(server.thread.join().unwrap().cut_off, 1);
}

#[test]
fn peers_that_do_not_close_neither_delay_the_end_nor_count_as_cut_off() {
    let server = start(hello());
    // Each has its answer and the server's end of the connection, and keeps its own.
    let mut before = server.ask(b"NONSENSE\r\n\r\n");
    assert!(read_to_end(&mut before).starts_with("HTTP/1.1 400 "));
    let mut after = server.ask(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\nGET / HT");
    wait_until(|| server.handle.connections() == 2);
    server.handle.shutdown(3 * WATCHDOG);
    assert!(read_to_end(&mut after).ends_with("slow"));
    wait_until(|| server.thread.is_finished());
    assert_eq!(server.thread.join().unwrap().cut_off, 0);
}

#[test]
fn connections_in_the_kernel_are_served_before_the_end() {
    let server = Server::builder().addr("127.0.0.1:0").build(hello()).unwrap();
    let mut streams: Vec<_> =
        (0..3).map(|_| TcpStream::connect(server.local_addr()).unwrap()).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    server.handle().shutdown(WATCHDOG);
    let thread = std::thread::spawn(move || mainspring::block_on(server.run()).unwrap());
    for mut stream in streams {
        assert!(read_to_end(&mut stream).ends_with("hello"));
    }
    assert_eq!(thread.join().unwrap().served, 3);
}

#[test]
fn a_request_that_the_kernel_has_is_answered_before_the_end() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let (begun, blocked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(blocked)));
    let inner = begun.clone();
    let router = hello().get("/block", move |_req: Request| {
        inner.fetch_add(1, SeqCst);
        let _ = blocked.lock().unwrap().recv_timeout(WATCHDOG);
        async { "" }
    });
    let router = router.get("/yield", |_req: Request| async {
        for _ in 0..5_000 {
            mainspring::yield_now().await;
        }
        "hello"
    });
    let server = start(router);
    let mut idle = server.connect();
    // After many short polls the kernel is asked seldom.
    idle.write_all(b"GET /yield HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    read_answer(&mut idle, "hello");
    let blocking = server.ask(b"GET /block HTTP/1.1\r\nhost: x\r\n\r\n");
    wait_until(|| begun.load(SeqCst) == 1);
    // The thread that serves sees both at once: the request and the order to end.
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    server.handle.shutdown(WATCHDOG);
    release.send(()).unwrap();
    let answer = read_to_end(&mut idle);
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    drop(blocking);
    assert_eq!(server.thread.join().unwrap().served, 3);
}

#[test]
fn what_a_client_sends_behind_its_last_request_costs_it_no_answer() {
    let large = "x".repeat(8 << 20);
    let length = large.len();
    let server = start(Router::new().get("/", move |_req: Request| {
        let large = large.clone();
        async { large }
    }));
    let mut stream = server.ask(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.read_exact(&mut [0]).unwrap();
    // Some clients end a request with one line too many (RFC 9112, section 2.2).
    stream.write_all(b"\r\n").unwrap();
    assert!(read_to_end(&mut stream).len() > length);
    drop(stream);
    server.end();
}
