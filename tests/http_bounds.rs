//! The bounds of a server, as clients meet them: places, waits, times, and changes while it runs.
#![cfg(not(loom))]

use mainspring::http::{Bounds, Request, Response, Router, Server, ServerBuilder, ServerHandle};
use mainspring::time::sleep;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Far beyond what any of these takes: a hang shows as an error of the client.
const WATCHDOG: Duration = Duration::from_secs(20);

struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn start(builder: ServerBuilder) -> Running {
    let app = Router::new()
        .get("/", |_req: Request| async { "hello" })
        .get("/never", |_req: Request| std::future::pending::<&str>())
        .get("/wait/{ms}", |req: Request| async move {
            sleep(ms(req.param("ms")?)).await;
            Ok::<_, mainspring::http::Error>("waited")
        })
        .get("/large", |_req: Request| async { "x".repeat(64 << 20) })
        .post("/echo", |mut req: Request| async move { req.bytes().await })
        .post("/sip", |mut req: Request| async move {
            let mut body = req.body();
            let mut count = 0;
            while let Some(piece) = body.chunk().await {
                count += piece?.len();
                sleep(ms(2)).await;
            }
            Ok::<_, mainspring::http::BodyError>(count.to_string())
        })
        .post("/ignore", |_req: Request| async { Response::text("ignored") });
    let server = builder.addr("127.0.0.1:0").build(app).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    let thread = std::thread::spawn(move || {
        mainspring::block_on(server.run()).unwrap();
    });
    Running { addr, handle, thread: Some(thread) }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Begins a request for `path` on a connection of its own, which closes after it.
    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        rest(&mut self.ask(path))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
        let ended = self.thread.take().map(|thread| thread.join());
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// What comes until the server closes.
fn rest(stream: &mut TcpStream) -> String {
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

#[test]
fn some_are_worked_on_some_wait_and_the_rest_is_told_to_come_back() {
    let server = start(Server::builder().max_in_flight(2).max_waiting(1));
    let busy = [server.ask("/never"), server.ask("/never")];
    wait_until(|| server.handle.metrics().in_flight == 2);
    let mut waits = server.ask("/");
    wait_until(|| server.handle.metrics().waiting == 1);
    let refused = server.get("/");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: "), "{refused}");
    assert!(refused.ends_with("\"}") && refused.contains("{\"error\":\""), "{refused}");
    let metrics = server.handle.metrics();
    assert_eq!((metrics.in_flight, metrics.waiting, metrics.refused), (2, 1, 1));
    // A bound that is raised while the server runs lets those in who wait.
    server.handle.set_bounds(|bounds| bounds.max_in_flight = 3).unwrap();
    assert!(rest(&mut waits).ends_with("hello"));
    wait_until(|| server.handle.metrics().waiting == 0);
    drop(busy);
}

#[test]
fn who_waits_too_long_for_a_place_is_told_to_come_back() {
    let server = start(Server::builder().max_in_flight(1).waiting_time(ms(50)));
    let busy = server.ask("/never");
    wait_until(|| server.handle.metrics().in_flight == 1);
    let mut stream = server.connect();
    // The connection stays: what comes next on it waits again.
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 503");
        while stream.read(&mut [0]).unwrap() == 1 && !ends(&mut stream) {}
    }
    assert_eq!(server.handle.metrics().refused, 2);
    drop(busy);
}

/// Reads on to the end of a JSON error.
fn ends(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    byte == *b"}"
}

#[test]
fn places_come_back_whatever_becomes_of_the_request() {
    let server = start(Server::builder().max_in_flight(1).max_waiting(0));
    for _ in 0..20 {
        // Waits until the one before has left its place.
        wait_until(|| server.handle.metrics().in_flight == 0);
        assert!(server.get("/wait/1").ends_with("waited"));
    }
    wait_until(|| server.handle.metrics().in_flight == 0);
    assert_eq!(server.handle.metrics().refused, 0);
}

#[test]
fn a_head_that_drips_is_refused_in_time_and_others_are_served() {
    let server = start(Server::builder().header_time(ms(200)));
    let mut slow: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let dripping = std::thread::spawn(move || {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nx-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        for byte in request {
            for stream in &mut slow {
                // A reset is what somebody gets who writes on after the refusal.
                let _ = stream.write_all(&[*byte]);
            }
            std::thread::sleep(ms(10));
        }
        slow
    });
    while !dripping.is_finished() {
        assert!(server.get("/").ends_with("hello"));
    }
    let mut slow = dripping.join().unwrap();
    wait_until(|| server.handle.metrics().timed_out == 50);
    let mut answer = Vec::new();
    let _ = slow[0].read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn silence_is_closed_sooner_after_an_answer_than_before_the_first_request() {
    let server = start(Server::builder().header_time(ms(400)).keep_alive(ms(50)));
    let mut fresh = server.connect();
    let mut kept = server.connect();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(rest(&mut kept).ends_with("hello"), "closed without a word");
    // The fresh one has time left.
    fresh.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert!(rest(&mut fresh).ends_with("hello"));
    assert_eq!(rest(&mut server.connect()), "", "and ends without a word");
}

#[test]
fn a_body_that_stalls_is_refused_and_one_that_flows_has_its_time() {
    let server = start(Server::builder().body_time(ms(100)).body_rate(10));
    let mut stalls = server.connect();
    stalls.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").unwrap();
    let answer = rest(&mut stalls);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Twenty bytes at once earn two seconds.
    let mut flows = server.connect();
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 24\r\nconnection: close\r\n\r\n";
    flows.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(ms(20));
    flows.write_all(&[b'x'; 20]).unwrap();
    std::thread::sleep(ms(400));
    flows.write_all(b"last").unwrap();
    let answer = rest(&mut flows);
    assert!(answer.ends_with("xlast"), "{answer}");
    assert_eq!(server.handle.metrics().timed_out, 1);
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let server = start(Server::builder().write_time(ms(100)));
    let stuck = server.ask("/large");
    wait_until(|| server.handle.metrics().timed_out == 1 && server.handle.connections() == 0);
    drop(stuck);
    // One that takes it slowly is not.
    let mut slow = server.ask("/large");
    let mut buffer = vec![0; 8 << 20];
    let mut all = 0;
    loop {
        let count = slow.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        all += count;
        std::thread::sleep(ms(5));
    }
    assert!(all > 64 << 20);
}

#[test]
fn so_many_requests_on_one_connection_and_no_more() {
    let server = start(Server::builder().max_requests(2));
    let mut stream = server.connect();
    let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request.repeat(3).as_bytes()).unwrap();
    let answers = rest(&mut stream);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(answers.matches("\r\nconnection: close\r\n").count(), 1, "{answers}");
}

#[test]
fn bounds_change_while_the_server_runs() {
    let server = start(Server::builder().max_connections(2).max_body(10));
    let post = "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 11\r\n\r\n";
    let mut stream = server.connect();
    stream.write_all(format!("{post}hello world").as_bytes()).unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 413 "));
    server
        .handle
        .set_bounds(|bounds| {
            bounds.max_body = 11;
            bounds.max_connections = 1;
        })
        .unwrap();
    let mut stream = server.connect();
    stream.write_all(format!("{post}hello world").as_bytes()).unwrap();
    assert!(rest(&mut stream).ends_with("hello world"));

    let error = server.handle.set_bounds(|bounds| bounds.max_connections = 0).unwrap_err();
    assert_eq!(error.to_string().split(',').next(), Some("max_connections is 0"));
    assert_eq!(server.handle.bounds().max_connections, 1, "nothing was changed");
    assert_eq!(Bounds::default().max_connections, 25_000);

    // With one place, the second connection waits until the first is closed.
    let mut first = server.ask("/never");
    wait_until(|| server.handle.connections() == 1);
    let mut second = server.ask("/");
    second.set_read_timeout(Some(ms(100))).unwrap();
    assert!(second.read(&mut [0]).is_err());
    server.handle.set_bounds(|bounds| bounds.max_connections = 2).unwrap();
    second.set_read_timeout(Some(WATCHDOG)).unwrap();
    assert!(rest(&mut second).ends_with("hello"));
    first.set_read_timeout(Some(ms(1))).unwrap();
    assert!(first.read(&mut [0]).is_err());
}

#[test]
fn a_head_after_long_silence_has_its_own_time() {
    let server = start(Server::builder().header_time(ms(600)).keep_alive(WATCHDOG));
    let mut stream = server.connect();
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        std::thread::sleep(ms(700));
    }
    stream.write_all(b"GET / HT").unwrap();
    std::thread::sleep(ms(20));
    stream.write_all(b"TP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let answers = rest(&mut stream);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    // It is not given anew with each byte.
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    for byte in b"GET / HTTP/1.1\r\n" {
        std::thread::sleep(ms(50));
        let _ = stream.write_all(&[*byte]);
    }
    wait_until(|| server.handle.metrics().timed_out_head == 1);
}

#[test]
fn empty_lines_do_not_keep_a_connection() {
    let server = start(Server::builder().header_time(ms(200)).keep_alive(ms(200)));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    // As many as are passed over before a request, each in two parts.
    for byte in b"\r\n".repeat(8) {
        std::thread::sleep(ms(100));
        let _ = stream.write_all(&[byte]);
    }
    let metrics = server.handle.metrics();
    assert_eq!(metrics.timed_out_head + metrics.timed_out_idle, 1, "{metrics:?}");
}

#[test]
fn a_handler_that_pauses_gives_a_slow_body_no_more_time() {
    let server = start(Server::builder().body_time(ms(300)).body_rate(1_000_000));
    let mut stream = server.connect();
    stream.write_all(b"POST /sip HTTP/1.1\r\nhost: x\r\ncontent-length: 30\r\n\r\n").unwrap();
    for _ in 0..30 {
        std::thread::sleep(ms(50));
        let _ = stream.write_all(b"x");
    }
    wait_until(|| server.handle.metrics().timed_out_body == 1);
    let metrics = server.handle.metrics();
    assert_eq!((metrics.timed_out, metrics.served), (1, 0));
}

#[test]
fn times_without_bound_are_no_trouble() {
    let most = Duration::MAX;
    let builder = Server::builder().body_time(most).header_time(most).write_time(most);
    let server = start(builder.keep_alive(most).waiting_time(most).body_rate(1));
    let mut stream = server.connect();
    let head =
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..2 {
        std::thread::sleep(ms(20));
        stream.write_all(&[b'x'; 1000]).unwrap();
    }
    assert!(rest(&mut stream).ends_with(&"x".repeat(2000)));
}

#[test]
fn a_client_that_reads_only_after_its_body_is_sent_learns_that_it_is_too_large() {
    let server = start(Server::builder());
    let mut stream = server.connect();
    let length = 48 << 20;
    write!(stream, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n").unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..length >> 20 {
        stream.write_all(&piece).expect("the server reads on");
    }
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(server.handle.metrics().rejected_body, 1);
}

#[test]
fn changes_of_bounds_at_the_same_time_are_all_made() {
    let server = Server::builder().addr("127.0.0.1:0").build(Router::new()).unwrap();
    let before = server.handle().bounds();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let handle = server.handle();
            scope.spawn(move || {
                for _ in 0..2_000 {
                    let change = |bounds: &mut Bounds| match n % 2 {
                        0 => bounds.max_in_flight += 1,
                        _ => bounds.max_body += 1,
                    };
                    handle.set_bounds(change).unwrap();
                }
            });
        }
    });
    let after = server.handle().bounds();
    assert_eq!(after.max_in_flight, before.max_in_flight + 4_000);
    assert_eq!(after.max_body, before.max_body + 4_000);
}

#[test]
fn what_is_met_is_counted() {
    let server = start(Server::builder().max_connections(1).max_requests(2).keep_alive(ms(50)));
    let mut stream = server.connect();
    stream.write_all("GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2).as_bytes()).unwrap();
    rest(&mut stream);
    let mut waits = server.connect();
    waits.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    drop(stream);
    rest(&mut waits);
    let metrics = server.handle.metrics();
    assert_eq!((metrics.max_requests_reached, metrics.timed_out_idle), (1, 1), "{metrics:?}");
    assert!(metrics.accept_pauses >= 1, "{metrics:?}");
    assert_eq!((metrics.served, metrics.timed_out, metrics.refused), (3, 0, 0), "{metrics:?}");
}
