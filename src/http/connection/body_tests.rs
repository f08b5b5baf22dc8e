//! Bodies of requests: read, refused, left unread.

use super::pipe::Client;
use super::tests::{GET, bodies, get, hello, path};
use super::{DRAIN_MAX, Ended, Phase};
use crate::http::codec::Limits;
use crate::http::{BodyError, Request};
use crate::primitives::Mutex;
use futures::FutureExt;
use futures::channel::oneshot;
use http::StatusCode;
use std::sync::Arc;

/// Answers with the body.
pub(super) async fn echo(mut req: Request) -> Result<Vec<u8>, BodyError> {
    Ok(req.bytes().await?.to_vec())
}

#[test]
fn a_body_too_large_or_malformed() {
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [
        ("5\r\nhello\r\n5\r\nworld\r\n", 413),
        ("+5\r\nhello\r\n", 400),
        ("5\r\nhelloX", 400),
        ("5\nhello", 400),
    ] {
        let mut client = Client::within(echo, Limits { body: 8, ..Limits::default() });
        client.send([chunked, body, GET].concat()).turn();
        assert_eq!(client.statuses(), [status], "{body:?}");
        assert!(client.is_shut());
        client.shut().end();
    }
    let mut client = Client::within(echo, Limits { body: 8, ..Limits::default() });
    client.send([chunked, "8\r\n12345678\r\n0\r\n\r\n"].concat()).turn();
    assert_eq!(bodies(&client.received()), ["12345678"]);
}

#[test]
fn an_unread_body_is_not_a_request() {
    // The body is a request, for whoever does not count.
    let smuggled = get("/smuggled");
    for framing in [
        format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
            smuggled.len()
        ),
    ] {
        let mut client = Client::new(path);
        client.read_at_most(7);
        client.send(format!("POST /1 HTTP/1.1\r\nHost: a\r\n{framing}")).send(get("/2")).turn();
        assert_eq!(bodies(&client.received()), ["/1", "/2"]);
    }
    // Too much to drain: the connection ends instead.
    let mut client = Client::new(path);
    client
        .send(format!("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{smuggled}"))
        .turn();
    let received = client.received();
    assert_eq!(bodies(&received), ["/1"]);
    assert!(received.contains("connection: close"), "{received}");
    client.send(smuggled.repeat(1_000)).turn();
    assert_eq!(client.received(), "");
    assert_eq!(client.shut().end().ended, Ended::Answered);
    // Too much without having said so.
    let mut client = Client::new(path);
    client.send("POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("1000\r\n".to_owned() + &"x".repeat(0x1000) + "\r\n").turn();
    assert_eq!(bodies(&client.received()), ["/1"]);
    for _ in 0..20 {
        client.send("1000\r\n".to_owned() + &"x".repeat(0x1000) + "\r\n").turn();
    }
    assert!(client.is_shut());
    assert_eq!(client.received(), "");
}

#[test]
fn a_handler_that_reads_a_part() {
    let mut client = Client::new(|mut req: Request| async move {
        futures::future::select(Box::pin(req.bytes()), futures::future::ready(())).await;
        drop(req);
        "enough"
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789").turn();
    assert_eq!(bodies(&client.received()), ["enough"]);
    assert_eq!(client.connection.phase(), Phase::Body);
    client
        .send("0123456789")
        .send(GET)
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .turn();
    assert_eq!(bodies(&client.received()), ["enough", "enough"]);
}

#[test]
fn a_body_is_read_when_it_is_asked_for() {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Arc::new(Mutex::new(Some(gate)));
    let mut client = Client::new(move |mut req: Request| {
        let gate = gate.lock().take();
        async move {
            if let Some(gate) = gate {
                let _ = gate.await;
            }
            req.bytes().await.map(|bytes| bytes.len().to_string())
        }
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n").turn();
    let reads = client.reads();
    client.send(vec![b'x'; 200_000]).turn();
    assert_eq!((client.reads(), client.unread()), (reads, 200_000), "nobody asked");
    open.send(()).unwrap();
    client.turn();
    assert_eq!(client.connection.phase(), Phase::Body);
    assert_eq!(client.unread(), 0);
    client.send(vec![b'x'; 100_000]).turn();
    assert_eq!(bodies(&client.received()), ["300000"]);
}

#[test]
fn a_continue_only_for_those_who_are_read() {
    let expect = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut client = Client::new(echo);
    client.send(expect).turn();
    assert_eq!(client.received(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc").turn();
    assert_eq!(bodies(&client.received()), ["abc"]);

    // Not where the body came along, not to HTTP/1.0.
    client.send([expect, "def"].concat()).turn();
    assert_eq!(bodies(&client.received()), ["def"]);
    client.send([expect, "d"].concat()).turn();
    assert_eq!(client.received(), "", "it has begun to send already");
    client.send("ef").turn();
    assert_eq!(bodies(&client.received()), ["def"]);
    let mut old = Client::new(echo);
    old.send(expect.replace("1.1", "1.0")).turn();
    assert_eq!(old.received(), "");

    // Not where nobody reads; and what comes next may be the body or not.
    let mut client = Client::new(hello);
    client.send(expect).turn();
    let received = client.received();
    assert!(
        received.starts_with("HTTP/1.1 200") && received.contains("connection: close"),
        "{received}"
    );
    client.send(get("/")).turn();
    assert_eq!(client.received(), "");
}

#[test]
fn a_body_may_be_read_by_another_task() {
    let seen = Arc::new(Mutex::new(None));
    let slot = seen.clone();
    let mut client = Client::new(move |req: Request| {
        *slot.lock() = Some(req);
        async {
            std::future::pending::<()>().await;
            StatusCode::OK
        }
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").turn();
    let mut req = seen.lock().take().unwrap();
    let reader = std::thread::spawn(move || futures::executor::block_on(req.text()));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while client.woken() == 0 {
        assert!(std::time::Instant::now() < deadline, "the reader did not wake the connection");
        std::thread::yield_now();
    }
    client.turn();
    client.send("def");
    while !reader.is_finished() {
        assert!(std::time::Instant::now() < deadline, "the connection did not wake the reader");
        client.turn();
        std::thread::yield_now();
    }
    assert_eq!(reader.join().unwrap().unwrap(), "abcdef");
}

#[test]
fn a_body_kept_beyond_the_answer_is_closed() {
    let kept = Arc::new(Mutex::new(None));
    let slot = kept.clone();
    let mut client = Client::new(move |req: Request| {
        *slot.lock() = Some(req);
        async { "early" }
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").turn();
    let mut req = kept.lock().take().unwrap();
    assert_eq!(futures::executor::block_on(req.bytes()), Err(BodyError::Closed));
}

#[test]
fn a_reader_elsewhere_is_told_when_the_connection_is_gone() {
    let kept = Arc::new(Mutex::new(None));
    let slot = kept.clone();
    let mut client = Client::new(move |req: Request| {
        *slot.lock() = Some(req);
        std::future::pending::<&str>()
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").turn();
    let mut req = kept.lock().take().unwrap();
    assert_eq!(req.bytes().now_or_never(), None);
    drop(client);
    assert_eq!(req.bytes().now_or_never(), Some(Err(BodyError::Closed)));
}

#[test]
fn the_longest_body_that_is_drained() {
    let mut client = Client::new(path);
    let length = usize::try_from(DRAIN_MAX).unwrap();
    client.send(format!("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    client.send(vec![b'x'; length]).send(get("/2")).turn();
    assert_eq!(bodies(&client.received()), ["/1", "/2"]);
}

#[test]
fn an_unread_body_does_not_hold_up_the_end() {
    let mut client = Client::new(path);
    client.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").turn();
    assert_eq!(bodies(&client.received()), ["/1"]);
    client.connection.stop();
    client.turn();
    assert_eq!((client.is_shut(), client.connection.phase()), (true, Phase::Linger));
    assert_eq!(client.shut().end().ended, Ended::Stopped);
}
