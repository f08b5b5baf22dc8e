//! Answers whose body comes piece by piece.

use super::pipe::Client;
use super::tests::bodies;
use super::{Ended, Phase};
use crate::http::{BodyError, IntoResponse, Request, Response};
use crate::primitives::{AtomicUsize, Ordering};
use bytes::Bytes;
use futures::channel::mpsc;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

type Piece = Result<&'static str, &'static str>;

/// A body that a test feeds.
struct Fed {
    pieces: mpsc::UnboundedReceiver<Piece>,
    size: Option<u64>,
}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        use futures::StreamExt;
        self.pieces.poll_next_unpin(cx).map(|piece| match piece? {
            Ok("panic") => panic!("in a body"),
            Ok("trailers") => Some(Ok(Frame::trailers(http::HeaderMap::new()))),
            Ok(text) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or(SizeHint::new(), SizeHint::with_exact)
    }
}

/// A client whose next answer is fed by what is returned beside it.
fn fed(size: Option<u64>) -> (Client, mpsc::UnboundedSender<Piece>) {
    let (feed, pieces) = mpsc::unbounded();
    let body = Arc::new(crate::primitives::Mutex::new(Some(Fed { pieces, size })));
    let client = Client::new(move |_: Request| {
        let body = body.lock().take();
        async move { body.map_or_else(|| Response::text("next"), Response::stream) }
    });
    (client, feed)
}

#[test]
fn chunks_leave_as_they_come() {
    let (mut client, feed) = fed(None);
    client.send(GET).turn();
    let head = client.received();
    assert!(
        head.contains("transfer-encoding: chunked\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(!head.contains("content-length"), "{head}");
    assert_eq!(client.connection.phase(), Phase::Handler);
    feed.unbounded_send(Ok("hello")).unwrap();
    client.turn();
    assert_eq!(client.received(), "5\r\nhello\r\n");
    for piece in ["a", "", "trailers", "bc"] {
        feed.unbounded_send(Ok(piece)).unwrap();
    }
    drop(feed);
    client.send(GET).turn();
    let received = client.received();
    assert!(
        received.starts_with("1\r\na\r\n2\r\nbc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{received}"
    );
}

#[test]
fn a_known_size_is_announced_and_kept() {
    let (mut client, feed) = fed(Some(5));
    feed.unbounded_send(Ok("hel")).unwrap();
    feed.unbounded_send(Ok("lo")).unwrap();
    drop(feed);
    client.send([GET, GET].concat()).turn();
    let received = client.received();
    assert!(
        received.contains("content-length: 5\r\n") && received.contains("\r\n\r\nhelloHTTP/1.1")
    );

    for (pieces, sent) in [(["hel", ""], "hel"), (["hel", "lo!"], "hel")] {
        let (mut client, feed) = fed(Some(5));
        for piece in pieces {
            feed.unbounded_send(Ok(piece)).unwrap();
        }
        drop(feed);
        let summary = client.send([GET, GET].concat()).end();
        assert_eq!(summary.ended, Ended::AnswerFailed);
        let received = client.received();
        assert!(received.ends_with(&format!("\r\n\r\n{sent}")), "{received}");
    }
}

#[test]
fn a_failed_body_has_no_end() {
    for (piece, ended) in [(Err("broken"), Ended::AnswerFailed), (Ok("panic"), Ended::Panicked)] {
        let (mut client, feed) = fed(None);
        feed.unbounded_send(Ok("hello")).unwrap();
        feed.unbounded_send(piece).unwrap();
        let summary = client.send([GET, GET].concat()).end();
        assert_eq!((summary.served, summary.ended), (1, ended));
        assert!(client.received().ends_with("5\r\nhello\r\n"));
        assert!(client.is_shut());
    }
}

#[test]
fn http_1_0_gets_a_body_that_closing_ends() {
    let (mut client, feed) = fed(None);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").turn();
    let head = client.received();
    assert!(head.contains("connection: close\r\n") && !head.contains("chunked"), "{head}");
    feed.unbounded_send(Ok("hello")).unwrap();
    drop(feed);
    client.turn();
    assert_eq!(client.received(), "hello");
    assert!(client.is_shut());
    assert_eq!(client.shut().end().ended, Ended::Answered);
}

#[test]
fn head_is_not_streamed() {
    let (mut client, feed) = fed(None);
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").turn();
    assert!(client.received().ends_with("\r\n\r\n"));
    assert!(feed.is_closed());
    client.send(GET).turn();
    assert!(client.received().ends_with("next"));
}

#[test]
fn a_body_is_not_asked_for_more_than_the_peer_takes() {
    let (mut client, feed) = fed(None);
    client.take_at_most(Some(0));
    const PIECE: &str = match std::str::from_utf8(&[b'x'; 20_000]) {
        Ok(piece) => piece,
        Err(_) => unreachable!(),
    };
    for _ in 0..10 {
        feed.unbounded_send(Ok(PIECE)).unwrap();
    }
    client.send(GET).turn();
    assert_eq!(client.connection.phase(), Phase::Write);
    assert!(client.connection.heap() < 100_000, "{}", client.connection.heap());
    client.take_at_most(None);
    drop(feed);
    client.turn();
    let received = client.received();
    assert_eq!(received.matches("4e20\r\n").count(), 10);
    assert_eq!(received.len() - received.find("4e20").unwrap(), 10 * (6 + 20_000 + 2) + 5);
    assert!(received.ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn an_answer_may_stream_what_the_request_streams() {
    let mut client = Client::new(|mut req: Request| async move { Response::stream(req.body()) });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").turn();
    assert!(client.received().contains("transfer-encoding: chunked\r\n"));
    assert_eq!(client.connection.phase(), Phase::Body);
    client.send("3\r\nabc\r\n").turn();
    assert_eq!(client.received(), "3\r\nabc\r\n");
    client.send("2\r\nde\r\n0\r\n\r\n").turn();
    assert_eq!(client.received(), "2\r\nde\r\n0\r\n\r\n");
    assert_eq!(client.shut().end().ended, Ended::Answered);
}

#[test]
fn an_answer_without_end_lets_others_run() {
    /// Always has another byte, and counts how often it was asked.
    struct Endless(Arc<AtomicUsize>);

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let mut client = Client::new(move |_: Request| {
        let body = Endless(counter.clone());
        async { Response::stream(body) }
    });
    let _budget = crate::coop::start();
    client.send(GET).turn();
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= usize::from(crate::coop::BUDGET), "{asked}");
    assert_eq!(client.woken(), 1);
    assert_eq!(client.received().matches("1\r\nx").count(), asked, "sent before");
}

#[test]
fn a_body_may_panic_when_it_is_asked_its_size_and_when_it_is_dropped() {
    /// Has no bytes, whatever it says.
    struct Fragile {
        size: Option<u64>,
    }

    impl http_body::Body for Fragile {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(None)
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.size.expect("a size"))
        }
    }

    impl Drop for Fragile {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "in a drop");
        }
    }

    // The answer before it is not lost.
    for size in [Some(0), Some(5), None] {
        let mut client = Client::new(move |req: Request| async move {
            match req.path() {
                "/" => Response::text("first"),
                _ => Response::stream(Fragile { size }),
            }
        });
        client.send([GET, "GET /body HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        let _ = client.poll();
        assert_eq!(client.statuses(), [200, 200], "{size:?}");
        assert!(client.is_shut());
    }
}

#[test]
fn memory_of_a_body_may_panic_when_it_is_given_back() {
    struct Fragile(Vec<u8>, #[allow(dead_code)] Bomb);
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "in a drop");
        }
    }
    impl AsRef<[u8]> for Fragile {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    /// Announces less than it has.
    struct Short(Bytes);
    impl http_body::Body for Short {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.0)))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(1)
        }
    }
    for length in [5, 1 << 20] {
        let fragile = move || Bytes::from_owner(Fragile(vec![b'x'; length], Bomb));
        let streamed = move || {
            Response::from_stream(futures::stream::iter([Ok::<_, std::io::Error>(fragile())]))
        };
        for is_whole in [true, false] {
            let mut client = Client::new(move |_: Request| async move {
                if is_whole { fragile().into_response() } else { streamed() }
            });
            for _ in 0..2 {
                client.send(GET).turn();
                let received = client.received();
                assert!(received.starts_with("HTTP/1.1 200"), "{length}, {is_whole}");
                assert_eq!(received.matches("xxxxx").count(), length / 5);
            }
        }
    }
    // More than was announced, and never sent.
    let long = || Bytes::from_owner(Fragile(b"xxxxx".to_vec(), Bomb));
    let mut client = Client::new(move |_: Request| async move { Response::stream(Short(long())) });
    client.send(GET);
    assert_eq!(client.end().ended, Ended::AnswerFailed);
}

#[test]
fn an_echo_has_the_length_of_what_is_echoed() {
    for (sent, rest) in [("abcde", ""), ("abc", "de"), ("", "abcde")] {
        let mut client =
            Client::new(|mut req: Request| async move { Response::stream(req.body()) });
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").send(sent).turn();
        client.send(rest).turn();
        let received = client.received();
        assert!(received.contains("content-length: 5\r\n"), "{received}");
        assert!(received.ends_with("\r\n\r\nabcde"), "{received}");
    }
    // One that does not come whole is not given an end.
    let mut client =
        Client::new(|mut req: Request| async move { Response::from_stream(req.body()) });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc").turn();
    let summary = client.shut().end();
    assert_eq!(summary.ended, Ended::AnswerFailed);
    assert!(client.received().ends_with("3\r\nabc\r\n"));
}

#[test]
fn pieces_come_as_they_are_asked_for() {
    let (asks, asked) = mpsc::unbounded::<()>();
    let asked = Arc::new(crate::primitives::Mutex::new(Some(asked)));
    let mut client = Client::new(move |mut req: Request| {
        use futures::StreamExt;
        let asked = asked.lock().take();
        async move {
            let Some(mut asked) = asked else { return "next".to_owned() };
            let mut body = req.body();
            assert!(matches!(req.bytes().await, Err(BodyError::Taken)));
            let mut lengths = Vec::new();
            while asked.next().await.is_some() {
                match body.chunk().await {
                    Some(piece) => lengths.push(piece.unwrap().len()),
                    None => break,
                }
            }
            format!("{lengths:?}")
        }
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").turn();
    client.send(vec![b'x'; 200_000]).turn();
    assert_eq!(client.unread(), 200_000, "nobody asked");
    let mut left = 200_000;
    while left > 0 {
        asks.unbounded_send(()).unwrap();
        client.turn();
        let read = left - client.unread();
        assert!(read > 0 && read <= 64 * 1024, "{read}");
        left -= read;
        client.turn();
        assert_eq!(client.unread(), left, "one at a time");
    }
    asks.unbounded_send(()).unwrap();
    client.send(GET).turn();
    assert!(client.received().ends_with("next"));
}

#[test]
fn a_continue_goes_ahead_of_a_streamed_answer() {
    const EXPECT: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    // The body is read by the answer.
    let echo = |mut req: Request| async move { Response::stream(req.body()) };
    let mut client = Client::new(echo);
    client.send(EXPECT).turn();
    let received = client.received();
    assert!(received.starts_with(&format!("{CONTINUE}HTTP/1.1 200 OK\r\n")), "{received}");
    client.send("abcde").turn();
    assert_eq!(client.received(), "abcde");
    // Has it begun to come, none is needed.
    let mut client = Client::new(echo);
    client.send([EXPECT, "ab"].concat()).turn();
    assert!(client.received().starts_with("HTTP/1.1 200 OK\r\n"));
    // Piece by piece, when the first is asked for, and once.
    let mut client = Client::new(|mut req: Request| async move {
        let mut body = req.body();
        let mut sum = 0;
        while let Some(piece) = body.chunk().await {
            sum += piece.unwrap().len();
        }
        sum.to_string()
    });
    client.send(EXPECT).turn();
    assert_eq!(client.received(), CONTINUE);
    client.send("abc").turn();
    assert_eq!(client.received(), "");
    client.send("de").turn();
    assert!(client.received().ends_with("\r\n\r\n5"));
    // A body that nobody can read any more is not asked for.
    let mut client = Client::new(|_: Request| async {
        Response::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("no")]))
    });
    client.send(EXPECT).turn();
    let received = client.received();
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
    assert!(received.contains("connection: close\r\n"), "{received}");
}

#[test]
fn reset_content_has_no_body() {
    let mut client = Client::new(|_: Request| async { (StatusCode::RESET_CONTENT, "body") });
    client.send(GET).send(GET).turn();
    let received = client.received();
    assert_eq!(bodies(&received), ["", ""]);
    assert!(received.contains("content-length: 0"), "{received}");
}
