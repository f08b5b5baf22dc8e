//! Bad input and faults: what clients do wrong, or against us, costs them their own connection and
//! nobody else anything.
#![cfg(all(target_os = "linux", not(loom)))]
#![allow(clippy::disallowed_types)]

#[path = "common/alive.rs"]
mod alive;
#[path = "common/http.rs"]
mod http;
#[path = "common/process.rs"]
mod process;
#[path = "common/watchdog.rs"]
mod watchdog;

use alive::Alive;
use futures::channel::oneshot;
use futures::future::FutureExt;
use futures::stream::{self, StreamExt};
use http::{Running, WATCHDOG, read_to_end, read_until, reset, start_with, wait_until};
use mainspring::LocalRuntime;
use mainspring::http::{Error, IntoResponse, Next, Request, Response, Router, Server};
use socket2::{Domain, Socket, Type};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

type Count = Arc<AtomicUsize>;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client that the kernel buffers little for, so that it soon stands still when it does not read.
fn narrow(server: &Running) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    socket.connect(&server.addr.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream
}

/// Waits until `count` stands still, and says where.
fn still(count: &AtomicUsize) -> usize {
    let start = Instant::now();
    let mut before = count.load(SeqCst);
    loop {
        thread::sleep(ms(200));
        let now = count.load(SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
        assert!(start.elapsed() < WATCHDOG, "it does not stand still: {now}");
    }
}

#[test]
fn heads_that_drip_are_cut_off_by_the_thousand_while_others_are_served() {
    watchdog::within(|| {
        let count = process::connections(5_000);
        let router = Router::new().get("/", |_| async { "hello" });
        let server = Arc::new(start_with(Server::builder().header_time(ms(1_000)), router));
        let over = Arc::new(AtomicBool::new(false));
        let others = {
            let (server, over) = (server.clone(), over.clone());
            thread::spawn(move || {
                let mut served = 0;
                while !over.load(SeqCst) {
                    assert!(server.get("/").ends_with("hello"));
                    served += 1;
                }
                served
            })
        };
        let mut slow: Vec<_> = (0..count)
            .map(|_| {
                let stream = server.ask("G");
                stream.set_nonblocking(true).unwrap();
                (stream, Vec::new())
            })
            .collect();
        let (mut told, mut closed) = (0, 0);
        let mut head =
            b"ET / HTTP/1.1\r\nhost: x\r\nx-padding: ".iter().chain([b'x'].iter().cycle());
        while !slow.is_empty() {
            let byte = *head.next().unwrap();
            slow.retain_mut(|(stream, answer)| {
                // Who writes on after the refusal may get a reset.
                let _ = stream.write_all(&[byte]);
                match stream.read_to_end(answer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Ok(_) | Err(_) => {}
                }
                match answer.starts_with(b"HTTP/1.1 408 ") {
                    true => told += 1,
                    false => closed += 1,
                }
                assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "));
                false
            });
            thread::sleep(ms(100));
        }
        over.store(true, SeqCst);
        let served = others.join().unwrap();
        println!("{told} got a 408, {closed} were closed, {served} others were served");
        assert_eq!(told + closed, count);
        assert!(told > 0 && served > 0);
        wait_until(|| server.handle.connections() == 0);
        let timed_out = server.handle.metrics().timed_out;
        assert!(timed_out >= told as u64, "{timed_out}");
        Arc::into_inner(server).unwrap().end();
    });
}

#[test]
fn bodies_below_the_rate_are_refused_and_those_above_it_are_served() {
    watchdog::within(|| {
        let router = Router::new().post("/", |mut req: Request| async move {
            let length = req.bytes().await?.len();
            Ok::<_, Error>(length.to_string())
        });
        let builder = Server::builder().body_time(ms(1_000)).body_rate(1_000);
        let server = Arc::new(start_with(builder, router));
        let lengths = ["content-length: 60000", "transfer-encoding: chunked"];
        let slow = (0..8).map(|n| {
            let server = server.clone();
            thread::spawn(move || {
                let length = lengths[n % 2];
                let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n");
                let mut stream = server.ask(head);
                let mut sender = stream.try_clone().unwrap();
                // It never pauses, but sends a tenth of what it should.
                let drip = thread::spawn(move || {
                    for byte in b"1;a=".iter().chain([b'1'].iter().cycle()).take(2_000) {
                        if sender.write_all(&[*byte]).is_err() {
                            return;
                        }
                        thread::sleep(ms(10));
                    }
                });
                let answer = read_until(&mut stream, "\"}");
                assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
                assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
                // Shuts the other one's side, too.
                stream.shutdown(std::net::Shutdown::Both).unwrap();
                drip.join().unwrap();
            })
        });
        let slow: Vec<_> = slow.collect();
        // Each piece earns a second; all of them take longer than what a body has by itself.
        let head =
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 60000\r\n\r\n";
        let mut quick = server.ask(head);
        for _ in 0..60 {
            quick.write_all(&[b'x'; 1_000]).unwrap();
            thread::sleep(ms(25));
        }
        let answer = read_to_end(&mut quick);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("60000"), "{answer}");
        slow.into_iter().for_each(|slow| slow.join().unwrap());
        wait_until(|| server.handle.connections() == 0);
        assert_eq!(server.handle.metrics().timed_out, 8);
        Arc::into_inner(server).unwrap().end();
    });
}

#[test]
fn who_reads_nothing_of_a_large_answer_is_cut_off_and_costs_little_until_then() {
    watchdog::within(|| {
        const CLIENTS: usize = 16;
        const PIECE: usize = 64 * 1024;
        let (polled, count) = (Count::default(), Count::default());
        let (counter, alive) = (polled.clone(), count.clone());
        let large = bytes::Bytes::from(vec![b'x'; 64 << 20]);
        let whole = move |_| std::future::ready(large.clone());
        let router = Router::new().get("/whole", whole).get("/stream", move |_| {
            let (counter, alive) = (counter.clone(), Alive::new(&alive));
            async move {
                Response::from_stream(stream::repeat_with(move || {
                    let _alive = &alive;
                    counter.fetch_add(1, SeqCst);
                    Ok::<_, std::io::Error>(vec![b'x'; PIECE])
                }))
            }
        });
        let server = start_with(Server::builder().write_time(ms(500)), router);
        let before = process::resident();
        let clients: Vec<_> = (0..2 * CLIENTS)
            .map(|n| {
                let mut stream = narrow(&server);
                let path = if n % 2 == 0 { "/whole" } else { "/stream" };
                write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
                stream
            })
            .collect();
        let mut most = 0;
        while server.handle.metrics().timed_out < 2 * CLIENTS as u64 {
            most = most.max(process::resident().saturating_sub(before));
            thread::sleep(ms(10));
        }
        wait_until(|| server.handle.connections() == 0);
        assert_eq!(count.load(SeqCst), 0, "the streams are dropped");
        // What the kernel takes for a client depends on its settings, by default up to 4 MiB.
        let pieces = polled.load(SeqCst) / CLIENTS;
        assert!(pieces * PIECE < 32 << 20, "{pieces} pieces for each client");
        // Other tests run beside this one. If each had a copy, it would be a GiB.
        assert!(most < 512 << 20, "{} MiB", most >> 20);
        println!("{pieces} pieces for each client, at most {} MiB more", most >> 20);
        drop(clients);
        server.end();
    });
}

#[test]
fn a_flood_of_requests_stands_still_until_its_answers_are_read() {
    watchdog::within(|| {
        const REQUESTS: usize = 100_000;
        let handled = Count::default();
        let counter = handled.clone();
        let server = start_with(
            Server::builder(),
            Router::new().get("/{n}", move |req: Request| {
                counter.fetch_add(1, SeqCst);
                async move { Ok::<_, Error>(format!("{:0>500}", req.param::<usize>("n")?)) }
            }),
        );
        let mut stream = narrow(&server);
        let mut sender = stream.try_clone().unwrap();
        let flood = thread::spawn(move || {
            let requests: String =
                (0..REQUESTS).map(|n| format!("GET /{n} HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
            sender.write_all(requests.as_bytes()).unwrap();
        });
        let ahead = still(&handled);
        assert!(ahead < REQUESTS / 2, "{ahead} answers that nobody reads");
        println!("{ahead} answers were made ahead");
        // All answers are of one length.
        let length = read_until(&mut stream, "\r\n\r\n").len() + 500;
        stream.read_exact(&mut [0; 500]).unwrap();
        let mut answers = BufReader::new(&stream);
        let mut answer = vec![0; length];
        for n in 1..REQUESTS {
            answers.read_exact(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{n}");
            assert!(answer.ends_with(format!("{n:0>500}").as_bytes()), "{n}");
        }
        flood.join().unwrap();
        assert_eq!(handled.load(SeqCst), REQUESTS);
        drop(stream);
        assert_eq!(server.end().served, REQUESTS as u64);
    });
}

#[test]
fn bodies_over_the_limit_are_refused_behind_earlier_answers_and_nothing_follows() {
    watchdog::within(|| {
        let router = Router::new()
            .get("/", |_| async { "hello" })
            .post("/echo", |mut req: Request| async move { req.bytes().await })
            .post("/ignore", |_| async { "ignored" })
            .post_blocking("/blocking", |req: Request| req.bytes_now());
        let server = start_with(Server::builder().max_body(1_000), router);
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
        let known = format!("content-length: 1001\r\n\r\n{}", "x".repeat(1_001));
        let chunked =
            format!("transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(3) + "0\r\n\r\n");
        let long = format!("content-length: 200000\r\n\r\n{}", "x".repeat(200_000));
        let huge = "content-length: 18446744073709551615\r\n\r\n".to_owned();
        for body in [known, chunked.clone(), long, huge] {
            for path in ["/echo", "/blocking"] {
                let post = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{body}");
                let answers = read_to_end(&mut server.ask([get, get, &post, get].concat()));
                let answers: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
                let statuses: Vec<_> = answers.iter().map(|answer| &answer[..3]).collect();
                assert_eq!(statuses, ["200", "200", "413"], "{path}");
                assert!(answers[2].contains("\r\nconnection: close\r\n"), "{}", answers[2]);
                assert!(answers[2].contains("{\"error\":\""), "{}", answers[2]);
            }
        }
        // Where the handler does not want the body, its size is found out behind the answer.
        let ignored = format!("POST /ignore HTTP/1.1\r\nhost: x\r\n{chunked}");
        let answers = read_to_end(&mut server.ask([&ignored, get].concat()));
        assert!(answers.ends_with("ignored"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
        // As much as may be.
        let just = format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(2)
        );
        assert!(read_to_end(&mut server.ask(just)).ends_with(&"x".repeat(1_000)));
        server.end();
    });
}

#[test]
fn resets_end_what_they_interrupt_and_nothing_else() {
    watchdog::within(|| {
        let (count, begun) = (Count::default(), Count::default());
        let note = {
            let (count, begun) = (count.clone(), begun.clone());
            move || {
                begun.fetch_add(1, SeqCst);
                Alive::new(&count)
            }
        };
        let (wait, read, quiet, endless) = (note.clone(), note.clone(), note.clone(), note);
        let router = Router::new()
            .get("/", |_| async { "hello" })
            .get("/wait", move |_| {
                let alive = wait();
                async move {
                    let _alive = alive;
                    std::future::pending::<&str>().await
                }
            })
            .post("/read", move |mut req: Request| {
                let alive = read();
                async move {
                    let _alive = alive;
                    req.bytes().await
                }
            })
            .get("/quiet", move |_| {
                let alive = quiet();
                async move {
                    let once = stream::once(async { Ok::<_, std::io::Error>("first") });
                    let pending = stream::pending().inspect(move |_| _ = &alive);
                    Response::from_stream(once.chain(pending))
                }
            })
            .get("/endless", move |_| {
                let alive = endless();
                async move {
                    Response::from_stream(stream::repeat_with(move || {
                        let _alive = &alive;
                        Ok::<_, std::io::Error>(vec![b'x'; 8 * 1024])
                    }))
                }
            });
        let server = start_with(Server::builder(), router);
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let hello = get("/");
        let post = "POST /read HTTP/1.1\r\nhost: x\r\n";
        let known = format!("{post}content-length: 100\r\n\r\nabc");
        let chunk = format!("{post}transfer-encoding: chunked\r\n\r\n5\r\nab");
        // Each twice: as the first request, and behind one that was answered.
        for first in ["", &hello] {
            for head in ["G", "GET / HTTP/1.1\r\nhost: x\r", "GET / HTTP/1.1\r\nhost: x\r\nx-a: b"]
            {
                let mut stream = server.ask([first, head].concat());
                if !first.is_empty() {
                    read_until(&mut stream, "hello");
                }
                reset(stream);
            }
            for request in [&get("/wait"), &known, &chunk, &get("/quiet"), &get("/endless")] {
                let before = begun.load(SeqCst);
                let mut stream = server.ask([first, request].concat());
                wait_until(|| begun.load(SeqCst) > before);
                if !first.is_empty() {
                    read_until(&mut stream, "hello");
                }
                assert_eq!(count.load(SeqCst), 1, "{request}");
                reset(stream);
                wait_until(|| count.load(SeqCst) == 0);
            }
        }
        wait_until(|| server.handle.connections() == 0);
        assert_eq!(server.handle.metrics().in_flight, 0);
        assert!(server.get("/").ends_with("hello"), "it goes on");
        assert_eq!(server.end().cut_off, 0);
    });
}

/// Panics when it is dropped, but not a second time while a panic is under way.
struct Bomb(Count);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        if !thread::panicking() {
            panic!("dropped on purpose");
        }
    }
}

impl AsRef<[u8]> for Bomb {
    fn as_ref(&self) -> &[u8] {
        LARGE
    }
}

static LARGE: &[u8] = &[b'x'; 64 * 1024];

#[test]
fn panics_of_the_users_code_cost_one_connection_wherever_they_come_from() {
    watchdog::within(|| {
        async fn layer(mut req: Request, next: Next) -> Response {
            assert!(req.path() != "/layer", "on purpose");
            if req.path() == "/extension" {
                req.extensions_mut().insert(Arc::new(Bomb(Count::default())));
            }
            let path = req.path().to_owned();
            let answer = next.run(req).await;
            assert!(path != "/behind", "on purpose");
            answer
        }
        struct Unready;
        impl IntoResponse for Unready {
            fn into_response(self) -> Response {
                panic!("on purpose")
            }
        }
        let pieces = || stream::iter(["one", "two"].map(Ok::<_, std::io::Error>));
        let dropped = Count::default();
        let [future, body, owner, after] = std::array::from_fn(|_| dropped.clone());
        let router = Router::new()
            .get("/", |_| async { "hello" })
            .get("/layer", |_| async { "" })
            .get("/behind", |_| async { "" })
            .get("/extension", |_| async { "hello" })
            .get("/call", |req: Request| {
                assert!(req.path() != "/call", "on purpose");
                async { "" }
            })
            .get("/answer", |_| async { Unready })
            .get("/future", move |_| {
                let bomb = Bomb(future.clone());
                std::future::poll_fn(move |_| {
                    let _bomb = &bomb;
                    std::task::Poll::Ready("hello")
                })
            })
            .get_blocking("/blocking", |_| -> &str { panic!("on purpose") })
            .get_blocking("/unready", |_| Unready)
            .get("/piece", move |_| async move {
                Response::from_stream(pieces().inspect(|piece| {
                    assert!(!matches!(piece, Ok("two")), "on purpose");
                }))
            })
            .get("/stream", move |_| {
                let bomb = Bomb(body.clone());
                async move { Response::from_stream(pieces().inspect(move |_| _ = &bomb)) }
            })
            .get("/owner", move |_| {
                let bomb = Bomb(owner.clone());
                async move { bytes::Bytes::from_owner(bomb) }
            })
            .get("/after", move |_| {
                let bomb = Bomb(after.clone());
                async move { Response::text("hello").after(async move { drop(bomb) }) }
            })
            .layer(layer);
        let server = start_with(Server::builder(), router);
        for (path, status) in [
            ("/layer", "500"),
            ("/behind", "500"),
            ("/extension", "500"),
            ("/call", "500"),
            ("/answer", "500"),
            ("/future", "500"),
            ("/blocking", "500"),
            ("/unready", "500"),
            ("/piece", "200"),
            ("/stream", "200"),
            ("/owner", "200"),
            ("/after", "200"),
        ] {
            let mut other = server.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
            read_until(&mut other, "hello");
            let mut answer = Vec::new();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            // An answer that is broken off may end in a reset.
            let _ = server.ask(request).read_to_end(&mut answer);
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            let whole = answer.ends_with("\r\n0\r\n\r\n");
            assert!(!whole, "{path}: broken off, so that the client can tell");
            other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
            assert!(read_to_end(&mut other).ends_with("hello"), "{path}");
        }
        wait_until(|| server.handle.connections() == 0 && dropped.load(SeqCst) == 4);
        assert_eq!(server.handle.metrics().in_flight, 0);
        assert_eq!(server.end().cut_off, 0);
    });
}

#[test]
fn too_many_requests_are_refused_at_once_and_all_is_well_afterwards() {
    watchdog::within(|| {
        let (open, gate) = oneshot::channel::<()>();
        let gate = gate.shared();
        let router = Router::new().get("/", |_| async { "hello" }).get("/wait", move |_| {
            let gate = gate.clone();
            async move {
                let _ = gate.await;
                "waited"
            }
        });
        let builder = Server::builder().max_in_flight(3).max_waiting(2).waiting_time(WATCHDOG);
        let server = start_with(builder, router);
        let wait = "GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let admitted: Vec<_> = (0..5).map(|_| server.ask(wait)).collect();
        let full = || {
            let metrics = server.handle.metrics();
            (metrics.in_flight, metrics.waiting) == (3, 2)
        };
        wait_until(full);
        let mut refused: Vec<_> =
            (0..50).map(|_| server.ask("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
        for stream in &mut refused {
            // Nobody has left a place by now: it is refused although all the others wait on.
            let answer = read_until(stream, "\"}");
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            let (_, after) = answer.split_once("\r\nretry-after: ").expect("a Retry-After");
            let seconds: u64 = after.split_once("\r\n").unwrap().0.parse().unwrap();
            assert!(seconds >= 1);
        }
        assert!(full());
        assert_eq!(server.handle.metrics().refused, 50);
        open.send(()).unwrap();
        for mut stream in admitted {
            assert!(read_to_end(&mut stream).ends_with("waited"));
        }
        // Those who were refused are still connected, and come again.
        for stream in &mut refused {
            stream.write_all(wait.as_bytes()).unwrap();
            assert!(read_to_end(stream).ends_with("waited"));
        }
        for _ in 0..50 {
            assert!(server.get("/").ends_with("hello"));
        }
        wait_until(|| server.handle.metrics().in_flight == 0);
        let metrics = server.handle.metrics();
        assert_eq!((metrics.waiting, metrics.refused), (0, 50));
        drop(refused);
        server.end();
    });
}

/// What the end of a server, and then that of its runtime, leave behind with closures stuck in all
/// threads of the pool and in all places of its queue.
fn end_with_stuck_closures<T: Send + 'static>(
    end: impl FnOnce(LocalRuntime) -> T + Send + 'static,
) -> T {
    let begun = Count::default();
    let counter = begun.clone();
    let (release, stuck) = mpsc::channel::<()>();
    let stuck = Mutex::new(stuck);
    let router = Router::new().get("/", |_| async { "hello" }).get_blocking("/stuck", move |_| {
        counter.fetch_add(1, SeqCst);
        let _ = stuck.lock().unwrap().recv();
        "late"
    });
    let server = http::run_with(Server::builder(), router, |server| {
        let rt = LocalRuntime::builder().blocking_threads(2).blocking_queue(2).build().unwrap();
        (rt.block_on(server.run()).unwrap(), end(rt))
    });
    let request = "GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut clients = Vec::new();
    for n in 1..=4 {
        clients.push(server.ask(request));
        // Until its thread takes it up a closure has a place in the queue.
        wait_until(|| begun.load(SeqCst) == n.min(2) && server.handle.metrics().in_flight == n);
    }
    let refused = read_until(&mut server.ask(request), "\"}");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(server.get("/").ends_with("hello"), "others are served");
    server.handle.shutdown(ms(100));
    for mut client in clients {
        assert_eq!(read_to_end(&mut client), "", "cut off");
    }
    let (drained, left) = server.thread.join().unwrap();
    assert_eq!((drained.served, drained.cut_off), (2, 4));
    assert_eq!(begun.load(SeqCst), 2, "what was queued does not begin any more");
    drop(release);
    left
}

#[test]
fn closures_that_are_stuck_do_not_stop_the_end_and_are_told_of() {
    watchdog::within(|| {
        let left = end_with_stuck_closures(|rt| rt.shutdown_timeout(ms(50)));
        assert_eq!(left.blocking, 2);
    });
}

#[test]
fn closures_that_are_stuck_do_not_stop_a_drop() {
    watchdog::within(|| end_with_stuck_closures(drop));
}
