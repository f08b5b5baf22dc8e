//! What happens beside and behind answers: work after them, streams of events, clients that go.

use super::pipe::Client;
use super::tests::GET;
use super::{Ended, Phase};
use crate::LocalRuntime;
use crate::http::{IntoResponse, Request, Response, Sse, SseEvent};
use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::time::sleep;
use futures::channel::mpsc;
use std::sync::Arc;
use std::time::Duration;

/// A client whose answers have work that is counted when it is done.
fn counting(
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> (Client, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let counter = done.clone();
    let client = Client::new(move |req: Request| {
        let work = || {
            let counter = counter.clone();
            async move {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        let answer = answer(&req).after(work()).after(work());
        async { answer }
    });
    (client, done)
}

/// Runs all tasks that there are.
async fn settle() {
    for _ in 0..10 {
        crate::yield_now().await;
    }
}

#[test]
fn work_begins_when_the_answer_is_sent() {
    let rt = LocalRuntime::builder().build().unwrap();
    rt.block_on(async {
        let (mut client, done) = counting(|_| Response::text("hello"));
        client.take_at_most(Some(10));
        client.send(GET).turn();
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 0, "the client has not got its answer");
        client.take_at_most(None);
        client.turn();
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
        client.send(GET.repeat(3)).turn();
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").turn();
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn work_waits_for_the_end_of_a_stream() {
    let rt = LocalRuntime::builder().build().unwrap();
    rt.block_on(async {
        let (feed, pieces) = mpsc::unbounded::<Result<&'static str, std::io::Error>>();
        let pieces = Mutex::new(Some(pieces));
        let (mut client, done) = counting(move |_| match pieces.lock().take() {
            Some(pieces) => Response::from_stream(pieces),
            None => Response::text("next"),
        });
        client.send(GET).turn();
        feed.unbounded_send(Ok("a")).unwrap();
        client.turn();
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 0);
        drop(feed);
        client.turn();
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
        assert!(client.received().ends_with("1\r\na\r\n0\r\n\r\n"));
    });
}

#[test]
fn work_is_done_for_clients_that_go() {
    let rt = LocalRuntime::builder().build().unwrap();
    rt.block_on(async {
        // Reset before it could be written.
        let (mut client, done) = counting(|_| Response::text("hello"));
        client.take_at_most(Some(0));
        client.send(GET).turn();
        client.reset();
        assert!(matches!(client.end().ended, Ended::Io(_)));
        drop(client);
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
        // A connection that is cut off in the middle of a stream.
        let (mut client, done) = counting(|_| {
            Response::from_stream(futures::stream::pending::<Result<&[u8], std::io::Error>>())
        });
        client.send(GET).turn();
        drop(client);
        settle().await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
    });
    // Without a runtime there is nobody to do it.
    let (mut client, done) = counting(|_| Response::text("hello"));
    client.send(GET).turn();
    assert_eq!((client.statuses(), done.load(Ordering::Relaxed)), (vec![200], 0));
}

#[test]
fn a_client_that_waits_is_not_given_up() {
    let mut client = Client::new(|_: Request| std::future::pending::<Response>());
    client.send(GET).turn();
    assert_eq!(client.connection.phase(), Phase::Handler);
    // What follows stays with the kernel.
    let reads = client.reads();
    client.send(GET).turn();
    client.send(GET).turn();
    assert_eq!((client.reads(), client.unread()), (reads, 2 * GET.len()));
    // Who only ends its side waits for its answer.
    let mut client = Client::new(|_: Request| std::future::pending::<Response>());
    client.send(GET).shut().turn();
    client.turn();
}

#[test]
fn a_reset_ends_a_handler_and_a_stream() {
    for streamed in [false, true] {
        let (feed, pieces) = mpsc::unbounded::<Result<&'static str, std::io::Error>>();
        let pieces = Mutex::new(Some(pieces));
        let mut client = Client::new(move |_: Request| {
            let pieces = pieces.lock().take().unwrap();
            async move {
                if streamed {
                    return Response::from_stream(pieces);
                }
                let _held = pieces;
                std::future::pending().await
            }
        });
        client.send(GET).turn();
        // A request that nobody has read hides nothing.
        client.send(GET).turn();
        assert!(!feed.is_closed());
        client.reset();
        assert_eq!(client.end().ended, Ended::Io(std::io::ErrorKind::ConnectionReset));
        assert!(feed.is_closed());
    }
}

#[test]
fn events_and_the_quiet_between_them() {
    let rt = LocalRuntime::builder().build().unwrap();
    rt.block_on(async {
        let (feed, events) = mpsc::unbounded();
        let events = Mutex::new(Some(events));
        let mut client = Client::new(move |_: Request| {
            let events = events.lock().take().unwrap();
            async { Sse::new(events).keep_alive(Duration::from_millis(20)).into_response() }
        });
        client.send(GET).turn();
        let head = client.received();
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("cache-control: no-cache\r\n"), "{head}");
        feed.unbounded_send(SseEvent::new().data("a\nb")).unwrap();
        client.turn();
        assert_eq!(client.received(), "11\r\ndata: a\ndata: b\n\n\r\n");
        // An event puts the comment off.
        sleep(Duration::from_millis(21)).await;
        feed.unbounded_send(SseEvent::new().data("c")).unwrap();
        client.turn();
        assert_eq!(client.received(), "9\r\ndata: c\n\n\r\n");
        for _ in 0..2 {
            sleep(Duration::from_millis(21)).await;
            client.turn();
            assert_eq!(client.received(), "3\r\n:\n\n\r\n");
        }
        // The client goes without a word: the next comment finds out.
        client.reset();
        assert!(matches!(client.end().ended, Ended::Io(_)));
        assert!(feed.is_closed());
    });
}
