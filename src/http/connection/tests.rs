//! What a peer sees, whatever it does.

use super::body_tests::echo;
use super::pipe::Client;
use super::{Ended, Phase, codec};
use crate::http::codec::Limits;
use crate::http::shared::Shared;
use crate::http::{Bounds, Error, IntoResponse, Request, Response, Router, Service};
use crate::primitives::{AtomicUsize, Mutex, Ordering};
use futures::channel::oneshot;
use http::StatusCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub(super) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

pub(super) async fn hello(_: Request) -> &'static str {
    "hello"
}

/// Answers with the path.
pub(super) async fn path(req: Request) -> String {
    req.path().to_owned()
}

/// Answers `/slow` when told to, everything else at once.
fn gated() -> (impl Service, oneshot::Sender<()>) {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Arc::new(Mutex::new(Some(gate)));
    let service = move |req: Request| {
        let gate = if req.path() == "/slow" { gate.lock().take() } else { None };
        async move {
            if let Some(gate) = gate {
                let _ = gate.await;
            }
            req.path().to_owned()
        }
    };
    (service, open)
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// The bodies of answers with `Content-Length`.
pub(super) fn bodies(mut received: &str) -> Vec<&str> {
    let mut bodies = Vec::new();
    while let Some((head, rest)) = received.split_once("\r\n\r\n") {
        let length = head.split("content-length: ").nth(1).expect("a length");
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        let (body, next) = rest.split_at(length);
        bodies.push(body);
        received = next;
    }
    bodies
}

#[test]
fn an_answer_and_the_next() {
    let mut client = Client::new(hello);
    client.turn();
    assert_eq!(client.connection.phase(), Phase::Idle);
    for _ in 0..3 {
        client.send(GET).turn();
        let received = client.received();
        let (head, date) = received.split_once("date: ").unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n"
        );
        assert!(date.ends_with(" GMT\r\n\r\nhello"), "{date}");
    }
    let summary = client.shut().end();
    assert_eq!((summary.served, summary.ended), (3, Ended::ByPeer));
    assert!(client.is_shut());
}

#[test]
fn ready_answers_leave_in_one_write() {
    let mut client = Client::new(path);
    let requests: String = (0..16).map(|n| get(&format!("/{n}"))).collect();
    client.send(requests).turn();
    let writes = client.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    let expected: Vec<_> = (0..16).map(|n| format!("/{n}")).collect();
    assert_eq!(bodies(&writes[0]), expected);
}

#[test]
fn answers_do_not_wait_for_a_slow_successor() {
    let (service, open) = gated();
    let mut client = Client::new(service);
    client.send([get("/1"), get("/2"), get("/slow"), get("/4")].concat()).turn();
    assert_eq!(bodies(&client.received()), ["/1", "/2"]);
    assert_eq!(client.connection.phase(), Phase::Handler);
    client.turn();
    assert_eq!(client.received(), "");
    open.send(()).unwrap();
    assert!(client.woken() > 0);
    client.turn();
    let writes = client.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(bodies(&writes[0]), ["/slow", "/4"]);
}

#[test]
fn a_request_in_single_bytes() {
    let mut client = Client::new(echo);
    client.read_at_most(1);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nfgh").turn();
    assert_eq!(bodies(&client.received()), ["abcde", "fgh"]);
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let (service, open) = gated();
    let mut client = Client::new(service);
    client.send([get("/1"), get("/slow")].concat()).shut().turn();
    open.send(()).unwrap();
    let summary = client.end();
    assert_eq!(bodies(&client.received()), ["/1", "/slow"]);
    assert_eq!((summary.served, summary.ended), (2, Ended::ByPeer));
}

#[test]
fn a_request_that_ends_early() {
    let mut client = Client::new(echo);
    let summary = client.send("GET / HT").shut().end();
    assert_eq!((client.statuses(), summary.ended), (vec![400], Ended::Truncated));
    for framing in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"] {
        let mut client = Client::new(echo);
        let summary = client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}")).shut().end();
        assert_eq!((summary.served, summary.ended), (1, Ended::Answered));
        let received = client.received();
        assert!(received.starts_with("HTTP/1.1 400 "), "{received}");
        assert!(received.contains("connection: close\r\n"), "{received}");
    }
}

#[test]
fn a_refusal_stands_behind_the_answers_before_it() {
    let mut client = Client::new(path);
    client.send(
        [get("/1"), get("/2"), "GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(), get("/4")].concat(),
    );
    client.turn();
    let writes = client.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    let bodies = bodies(&writes[0]);
    assert_eq!(bodies[..2], ["/1", "/2"]);
    assert_eq!(bodies[2..], [r#"{"error":"malformed header field name"}"#]);
    assert!(writes[0].contains("connection: close\r\n"));
    // It lingers: what else comes is read and thrown away until the client closes.
    assert!(client.is_shut());
    assert_eq!(client.connection.phase(), Phase::Linger);
    client.send("x".repeat(100_000)).turn();
    assert_eq!(client.unread(), 0);
    let summary = client.shut().end();
    assert_eq!((summary.served, summary.ended), (2, Ended::Refused(codec::Error::FieldName)));
    assert_eq!(client.received(), "");
}

#[test]
fn every_refusal_has_its_status() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n", 413),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        (&get(&format!("/{}", "a".repeat(9_000))), 414),
        (&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101)), 431),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(40_000)), 431),
    ] {
        let mut client = Client::new(hello);
        client.send(request).turn();
        assert_eq!(client.statuses(), [status], "{request:.100}");
        assert!(client.is_shut());
        assert!(matches!(client.shut().end().ended, Ended::Refused(_)));
    }
}

#[test]
fn answers_without_a_body() {
    let mut client = Client::new(|req: Request| async move {
        match req.path() {
            "/text" => "hello".into_response(),
            "/204" => "hello".into_response().with_status(StatusCode::NO_CONTENT),
            "/304" => "hello".into_response().with_status(StatusCode::NOT_MODIFIED),
            "/announced" => Response::new(StatusCode::OK)
                .with_header(http::header::CONTENT_LENGTH, "1234".parse().unwrap()),
            "/101" => Response::new(StatusCode::SWITCHING_PROTOCOLS),
            _ => Response::new(StatusCode::OK),
        }
    });
    let mut ask = |method: &str, path: &str| {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")).turn();
        client.received()
    };
    let head = ask("HEAD", "/text");
    assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for path in ["/204", "/304"] {
        let answer = ask("GET", path);
        assert!(!answer.contains("content-length") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    assert!(ask("HEAD", "/announced").contains("content-length: 1234\r\n"));
    assert!(ask("GET", "/announced").contains("content-length: 0\r\n"));
    assert!(ask("GET", "/").contains("content-length: 0\r\n"));
    assert!(ask("GET", "/101").starts_with("HTTP/1.1 500 "));
    assert_eq!(bodies(&ask("GET", "/text")), ["hello"]);
}

#[test]
fn http_1_0() {
    let mut client = Client::new(hello);
    let summary = client.send("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n").shut().end();
    let received = client.received();
    assert_eq!(bodies(&received), ["hello"]);
    assert!(received.contains("connection: close\r\n"), "{received}");
    assert_eq!((summary.served, summary.ended), (1, Ended::Answered));

    let mut client = Client::new(hello);
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").turn();
        assert!(client.received().contains("connection: keep-alive\r\n"));
    }
}

#[test]
fn connection_close_is_heard_on_both_sides() {
    let mut client = Client::new(hello);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").turn();
    assert!(client.received().contains("connection: close\r\n"));
    assert_eq!((client.is_shut(), client.connection.phase()), (true, Phase::Linger));
    assert_eq!(client.shut().end().ended, Ended::Answered);
    let mut client = Client::new(|_: Request| async {
        Response::text("bye").with_header(http::header::CONNECTION, "Close".parse().unwrap())
    });
    client.send(GET).turn();
    let received = client.received();
    assert_eq!(received.to_lowercase().matches("connection: close").count(), 1, "{received}");
    assert_eq!(client.shut().end().ended, Ended::Answered);
}

#[test]
fn what_follows_an_upgrade_is_no_request() {
    for head in [
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    ] {
        let mut client = Client::new(|_: Request| async { StatusCode::NOT_FOUND });
        client.send(head).send(GET).turn();
        client.send(GET).turn();
        assert_eq!(client.statuses(), [404]);
        assert!(client.is_shut());
        assert_eq!(client.shut().end().served, 1);
    }
}

/// Panics where its path says.
async fn fragile(req: Request) -> Response {
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "at the end");
        }
    }
    match req.path() {
        "/poll" => panic!("in a poll"),
        "/drop" => {
            let _guard = OnDrop;
            "never sent".into_response()
        }
        _ => "fine".into_response(),
    }
}

#[test]
fn a_panic_costs_its_connection_only() {
    let shared = Arc::new(Shared::new(Limits::default()));
    let service: Arc<dyn Service> = Arc::new(fragile);
    let mut other = Client::sharing(service.clone(), shared.clone());
    for path in ["/poll", "/drop"] {
        let mut client = Client::sharing(service.clone(), shared.clone());
        client.send([get("/fine"), get(path), get("/fine")].concat()).turn();
        let received = client.received();
        let statuses: Vec<_> = received.split("HTTP/1.1 ").skip(1).map(|line| &line[..3]).collect();
        assert_eq!(statuses, ["200", "500"], "{path}: {received}");
        assert!(received.contains("connection: close"));
        assert_eq!(client.shut().end().ended, Ended::Panicked);
        other.send(get("/fine")).turn();
        assert_eq!(bodies(&other.received()), ["fine"]);
    }
    let mut client = Client::new(|req: Request| {
        assert_ne!(req.path(), "/", "before there is a future");
        async { "" }
    });
    client.send(GET).turn();
    assert_eq!(client.statuses(), [500]);
    assert_eq!(shared.counters.served.get(), 6);
}

#[test]
fn answers_wait_for_the_peer_and_nothing_is_read_meanwhile() {
    let mut client = Client::new(|_: Request| async { "x".repeat(10_000) });
    client.take_at_most(Some(0));
    client.send(GET.repeat(1_000)).turn();
    assert_eq!(client.connection.phase(), Phase::Write);
    // One read, and answers up to the bound.
    assert_eq!(client.reads(), 1);
    assert!(client.connection.served < 10, "{}", client.connection.served);
    client.turn();
    assert_eq!(client.reads(), 1);
    let mut polls = 0;
    client.take_at_most(None);
    while client.connection.served < 1_000 {
        client.turn();
        polls += 1;
        assert!(polls < 100);
    }
    assert_eq!(client.statuses().len(), 1_000);
}

#[test]
fn a_large_answer_is_written_from_where_it_is() {
    let mut client = Client::new(|_: Request| async { "x".repeat(100_000) });
    client.send(GET.repeat(2)).turn();
    let writes = client.writes();
    assert!(writes.iter().any(|write| write.len() == 100_000));
    assert_eq!(bodies(&writes.concat()).len(), 2);
    // In small pieces.
    client.take_at_most(Some(10));
    client.send(GET).turn();
    for _ in 0..20_000 {
        client.take_at_most(Some(10));
        client.turn();
    }
    assert_eq!(bodies(&client.received()), ["x".repeat(100_000)]);
}

#[test]
fn a_poll_serves_so_many_and_lets_others_run() {
    let bounds = Bounds { read_ahead: usize::MAX, ..Bounds::default() };
    let mut client = Client::sharing(Arc::new(hello), Arc::new(Shared::new(bounds)));
    client.send(GET.repeat(500));
    {
        let _budget = crate::coop::start();
        client.turn();
    }
    // One unit went to the read.
    assert_eq!(client.connection.served, u64::from(crate::coop::BUDGET) - 1);
    assert_eq!(client.woken(), 1);
    assert_eq!(client.statuses().len(), usize::from(crate::coop::BUDGET) - 1, "flushed before");
    client.turn();
    assert_eq!(client.connection.served, 500);
}

#[test]
fn stopping() {
    let (service, open) = gated();
    let mut client = Client::new(service);
    client.send(get("/1")).turn();
    client.send(get("/slow")).turn();
    client.connection.stop();
    client.turn();
    client.received();
    open.send(()).unwrap();
    client.turn();
    assert!(client.received().contains("connection: close\r\n"));
    let summary = client.shut().end();
    assert_eq!((summary.served, summary.ended), (2, Ended::Stopped));

    let mut idle = Client::new(hello);
    idle.turn();
    idle.connection.stop();
    assert_eq!(idle.end().ended, Ended::Stopped);

    // A request that has come already is not lost.
    let mut client = Client::new(hello);
    client.turn();
    client.connection.stop();
    client.send(GET).turn();
    assert_eq!((client.statuses(), client.is_shut()), (vec![200], true));
}

#[test]
fn an_idle_connection_holds_no_buffers() {
    let mut client = Client::new(hello);
    client.send(GET).turn();
    assert_eq!(client.connection.phase(), Phase::Idle);
    assert_eq!(client.connection.heap(), 0);
    assert!(size_of_val(&client.connection) <= 512, "{}", size_of_val(&client.connection));
}

#[test]
fn a_reset_ends_the_connection() {
    let mut client = Client::new(hello);
    client.turn();
    client.reset();
    assert_eq!(client.end().ended, Ended::Io(std::io::ErrorKind::ConnectionReset));
    let (service, open) = gated();
    let mut client = Client::new(service);
    client.send(get("/slow")).turn();
    client.reset();
    open.send(()).unwrap();
    assert!(matches!(client.end().ended, Ended::Io(_)));
}

#[test]
fn the_router_answers_over_a_connection() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let app = Router::new()
        .get(
            "/n/{n}",
            |req: Request| async move { Ok::<_, Error>(req.param::<u32>("n")?.to_string()) },
        )
        .get("/seen", move |_| {
            let n = seen.fetch_add(1, Ordering::Relaxed);
            async move { n.to_string() }
        })
        .into_app()
        .unwrap();
    let mut client = Client::new(move |req| app.call(req));
    client
        .send([get("/n/7"), get("/n/x"), get("/seen"), get("/seen"), get("/none")].concat())
        .turn();
    let received = client.received();
    let bodies = bodies(&received);
    assert_eq!([bodies[0], bodies[2], bodies[3]], ["7", "0", "1"]);
    assert_eq!(bodies[1], r#"{"error":"parameter `n`: invalid digit found in string"}"#);
    assert_eq!(bodies[4], r#"{"error":"not found"}"#);
    assert!(matches!(client.poll(), Poll::Pending));
}

#[test]
fn a_handler_that_spends_the_budget_does_not_keep_earlier_answers() {
    let mut client = Client::new(|req: Request| async move {
        if req.path() == "/busy" {
            loop {
                crate::coop::consume_budget().await;
            }
        }
        "quick"
    });
    let _budget = crate::coop::start();
    client.send([get("/"), get("/busy")].concat()).turn();
    assert_eq!(bodies(&client.received()), ["quick"]);
}

#[test]
fn a_spent_budget_is_not_taken_for_silence() {
    let mut client = Client::new(hello);
    client.turn();
    client.connection.stop();
    client.send(GET);
    {
        let _budget = crate::coop::start();
        spend_budget();
        client.turn();
    }
    client.turn();
    assert_eq!(client.statuses(), [200]);
}

/// Leaves nothing of the budget of this poll.
fn spend_budget() {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(charge) = crate::coop::poll_proceed(&mut cx) {
        charge.made_progress();
    }
}

/// Panics when it is dropped, but not on top of another panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "in a drop");
    }
}

#[test]
fn the_payload_of_a_panic_may_panic_too() {
    let mut client = Client::new(|_: Request| async {
        if true {
            std::panic::panic_any(Bomb);
        }
        ""
    });
    client.send(GET).turn();
    assert_eq!(client.statuses(), [500]);
    assert_eq!(client.shut().end().ended, Ended::Panicked);
}

#[test]
fn what_a_service_leaves_behind_may_panic_too() {
    struct Answer {
        path: &'static str,
        _bomb: Option<Bomb>,
    }

    impl std::future::Future for Answer {
        type Output = Response;

        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Response> {
            assert_ne!(self.path, "/poll", "in a poll");
            let body = Streamed { _bomb: Bomb };
            let status = StatusCode::SWITCHING_PROTOCOLS;
            Poll::Ready(Response::stream(body).with_status(status))
        }
    }

    struct Streamed {
        _bomb: Bomb,
    }

    impl http_body::Body for Streamed {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            Poll::Ready(None)
        }
    }

    struct Fragile;

    impl Service for Fragile {
        fn call(&self, req: Request) -> crate::http::ResponseFuture {
            match req.path() {
                "/poll" => Box::pin(Answer { path: "/poll", _bomb: Some(Bomb) }),
                "/both" => Box::pin(Answer { path: "/both", _bomb: Some(Bomb) }),
                _ => Box::pin(Answer { path: "/", _bomb: None }),
            }
        }
    }

    for path in ["/poll", "/both", "/interim"] {
        let mut client = Client::new(Fragile);
        client.send(get(path));
        let _ = client.poll();
        assert_eq!(client.statuses(), [500], "{path}");
    }
}

#[test]
fn what_panics_in_its_poll_may_panic_in_its_drop_too() {
    struct Twice;

    impl std::future::Future for Twice {
        type Output = Response;

        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Response> {
            panic!("in a poll")
        }
    }

    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("in a drop, whatever came before");
        }
    }

    struct Service;

    impl super::Service for Service {
        fn call(&self, _: Request) -> crate::http::ResponseFuture {
            Box::pin(Twice)
        }
    }

    let mut client = Client::new(Service);
    client.send(GET).turn();
    assert_eq!(client.statuses(), [500]);
    assert_eq!(client.shut().end().ended, Ended::Panicked);
}
