//! What a connection does at its bounds, and what is counted of it.

use super::body_tests::echo;
use super::closing::LINGER_MAX;
use super::pipe::Client;
use super::tests::{GET, bodies, get, hello, path};
use super::{Ended, Phase, Stage, codec};
use crate::http::admission::Admitted;
use crate::http::shared::Shared;
use crate::http::{Bounds, Request, Response, Service};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

fn within(service: impl Service, bounds: Bounds) -> (Client, Arc<Shared>) {
    let shared = Arc::new(Shared::new(bounds));
    (Client::sharing(Arc::new(service), shared.clone()), shared)
}

#[test]
fn a_flood_whose_answers_nobody_takes_is_worked_for_no_further_than_read_ahead() {
    let (mut client, shared) = within(hello, Bounds::default());
    client.take_at_most(Some(0));
    client.send(GET.repeat(200)).turn();
    assert_eq!((client.connection.served, client.reads()), (16, 1));
    assert_eq!(client.connection.phase(), Phase::Write);
    // A part is not enough, and a pause is counted once.
    client.take_at_most(Some(100));
    client.turn();
    client.turn();
    assert_eq!((client.connection.served, shared.counters.read_ahead_pauses.get()), (16, 1));
    client.take_at_most(None);
    client.turn();
    assert_eq!((client.connection.served, client.statuses().len()), (200, 200));
    assert_eq!(shared.counters.read_ahead_pauses.get(), 1, "nobody had to wait for the others");

    let fewer = Arc::new(Bounds { read_ahead: 3, ..Bounds::default() });
    assert!(shared.bounds.replace(&shared.bounds.get(), fewer));
    client.take_at_most(Some(0));
    client.send(GET.repeat(200)).turn();
    assert_eq!((client.connection.served, shared.counters.read_ahead_pauses.get()), (203, 2));
}

#[test]
fn refusals_and_streams_are_read_ahead_too() {
    let bounds = Bounds { read_ahead: 4, max_in_flight: 1, max_waiting: 0, ..Bounds::default() };
    let (mut client, shared) = within(hello, bounds);
    let Admitted::Now = shared.admission.ask(&shared.bounds.get()) else { panic!() };
    client.take_at_most(Some(0));
    client.send(GET.repeat(100)).turn();
    assert_eq!(shared.counters.refused_at_once.get(), 4);
    shared.admission.leave();

    let bounds = Bounds { read_ahead: 4, ..Bounds::default() };
    let streamed = |_: Request| async {
        Response::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("x")]))
    };
    let (mut client, _) = within(streamed, bounds);
    client.take_at_most(Some(0));
    client.send(GET.repeat(100)).turn();
    assert_eq!(client.connection.served, 4);
}

#[test]
fn a_spent_budget_is_no_pause() {
    let (mut client, shared) = within(hello, Bounds { read_ahead: 1, ..Bounds::default() });
    client.send(GET.repeat(200));
    for _ in 0..10 {
        let _budget = crate::coop::start();
        client.turn();
    }
    assert_eq!((client.connection.served, shared.counters.read_ahead_pauses.get()), (200, 0));
    assert_eq!(client.statuses().len(), 200);
}

#[test]
fn a_reset_ends_a_request_that_waits() {
    let bounds = Bounds { max_in_flight: 1, ..Bounds::default() };
    let (mut client, shared) = within(path, bounds);
    let Admitted::Now = shared.admission.ask(&shared.bounds.get()) else { panic!() };
    client.send(get("/1")).turn();
    assert_eq!((client.connection.phase(), shared.admission.waiting()), (Phase::Waiting, 1));
    assert_eq!(shared.counters.waited.get(), 1);
    // What comes next is kept for later.
    client.send(get("/2")).turn();
    shared.admission.leave();
    client.turn();
    assert_eq!(bodies(&client.received()), ["/1", "/2"]);

    let Admitted::Now = shared.admission.ask(&shared.bounds.get()) else { panic!() };
    client.send(get("/3")).turn();
    assert_eq!(shared.admission.waiting(), 1);
    client.reset();
    assert_eq!(client.end().ended, Ended::Io(std::io::ErrorKind::ConnectionReset));
    assert_eq!(shared.admission.waiting(), 0, "nobody wants that answer");
}

#[test]
fn requests_that_came_together_have_one_place_unless_others_wait() {
    let gate = Arc::new(crate::sync::Semaphore::new(0));
    let bounds = Bounds { max_in_flight: 1, ..Bounds::default() };
    let shared = Arc::new(Shared::new(bounds));
    let (seen, waits) = (Arc::clone(&shared), Arc::clone(&gate));
    let service = Arc::new(move |req: Request| {
        let (in_flight, waits) = (seen.admission.in_flight(), Arc::clone(&waits));
        async move {
            if req.path() == "/waits" {
                drop(waits.acquire().await);
            }
            format!("{} {in_flight}", req.path())
        }
    });
    let mut first = Client::sharing(service.clone(), Arc::clone(&shared));
    first.send([get("/1"), get("/2")].concat()).turn();
    assert_eq!(bodies(&first.received()), ["/1 1", "/2 1"]);
    assert_eq!((shared.admission.in_flight(), shared.counters.waited.get()), (0, 0));

    first.send([get("/waits"), get("/3")].concat()).turn();
    let mut second = Client::sharing(service, Arc::clone(&shared));
    second.send(get("/second")).turn();
    assert_eq!((shared.admission.in_flight(), shared.admission.waiting()), (1, 1));
    gate.add_permits(1);
    first.turn();
    assert_eq!(first.connection.phase(), Phase::Waiting, "it has overtaken one who waited");
    second.turn();
    assert_eq!(bodies(&second.received()), ["/second 1"]);
    first.turn();
    assert_eq!(bodies(&first.received()), ["/waits 1", "/3 1"]);
    assert_eq!(shared.admission.in_flight(), 0);
}

#[test]
fn a_connection_that_is_dropped_gives_its_place_back() {
    struct Present(Arc<Shared>);

    impl Drop for Present {
        fn drop(&mut self) {
            assert_eq!(self.0.admission.in_flight(), 1, "the handler ends first");
            self.0.counters.waited.one();
        }
    }

    let shared = Arc::new(Shared::new(Bounds::default()));
    let seen = Arc::clone(&shared);
    let never = move |_: Request| {
        let present = Present(Arc::clone(&seen));
        async move {
            std::future::pending::<()>().await;
            drop(present);
            ""
        }
    };
    let never = Arc::new(never);
    let mut client = Client::sharing(never.clone(), Arc::clone(&shared));
    client.send(GET).turn();
    assert_eq!(shared.admission.in_flight(), 1);
    drop(client);
    assert_eq!((shared.admission.in_flight(), shared.counters.waited.get()), (0, 1));

    let mut client = Client::sharing(never, Arc::clone(&shared));
    client.send(GET).turn();
    client.reset();
    client.end();
    assert_eq!((shared.admission.in_flight(), shared.counters.waited.get()), (0, 2));
}

#[test]
fn a_body_that_comes_piece_by_piece_keeps_its_place() {
    let service = |_: Request| async {
        Response::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>())
    };
    let (mut client, shared) = within(service, Bounds::default());
    client.send(GET).turn();
    assert!(matches!(client.connection.stage, Stage::Answering(..)));
    assert_eq!(shared.admission.in_flight(), 1);
}

#[test]
fn a_place_that_is_to_go_is_not_used_for_what_came_together() {
    let gate = Arc::new(crate::sync::Semaphore::new(0));
    let bounds = Bounds { max_in_flight: 2, ..Bounds::default() };
    let shared = Arc::new(Shared::new(bounds));
    let waits = Arc::clone(&gate);
    let service = Arc::new(move |_: Request| {
        let waits = Arc::clone(&waits);
        async move {
            drop(waits.acquire().await);
            "done"
        }
    });
    let mut client = Client::sharing(service, Arc::clone(&shared));
    let Admitted::Now = shared.admission.ask(&shared.bounds.get()) else { panic!() };
    client.send(GET.repeat(2)).turn();
    shared.admission.set_in_flight(|| 1);
    gate.add_permits(1);
    client.turn();
    assert_eq!((client.statuses().len(), client.connection.phase()), (1, Phase::Waiting));
    shared.admission.leave();
    client.turn();
    assert_eq!((client.statuses().len(), shared.admission.in_flight()), (1, 0));
}

#[test]
fn who_is_told_that_nothing_has_come_holds_no_buffer() {
    let (mut client, _) = within(hello, Bounds::default());
    client.tell_when_readable();
    for _ in 0..2 {
        client.send(GET).turn();
        assert_eq!((client.statuses().len(), client.connection.heap()), (1, 0));
    }
    assert_eq!(client.reads(), 2);
    client.send(&GET[..9]).turn();
    assert!(client.connection.heap() > 0);
}

#[test]
fn who_is_called_does_not_wait_any_more() {
    let bounds = Bounds { max_in_flight: 1, ..Bounds::default() };
    let shared = Arc::new(Shared::new(bounds));
    let seen = shared.clone();
    let service = move |_: Request| {
        let numbers = (seen.admission.in_flight(), seen.admission.waiting());
        async move { format!("{numbers:?}") }
    };
    let mut client = Client::sharing(Arc::new(service), shared.clone());
    let Admitted::Now = shared.admission.ask(&shared.bounds.get()) else { panic!() };
    client.send(GET).turn();
    shared.admission.leave();
    client.turn();
    assert_eq!(bodies(&client.received()), ["(1, 0)"]);
}

#[test]
fn answers_that_are_not_taken_hide_no_other_wait() {
    let bounds = Bounds { max_in_flight: 1, ..Bounds::default() };
    let (mut client, shared) = within(echo, bounds);
    client.take_at_most(Some(0));
    client.send(GET).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").turn();
    assert_eq!(client.connection.phase(), Phase::Body);
    client.send("defghi").turn();
    assert_eq!(client.connection.phase(), Phase::Write);
    client.take_at_most(None);
    client.turn();
    assert_eq!(client.statuses().len(), 2);

    client.take_at_most(Some(0));
    let Admitted::Now = shared.admission.ask(&shared.bounds.get()) else { panic!() };
    client.send(GET).turn();
    assert_eq!(client.connection.phase(), Phase::Waiting);
    // Its time is over: it is answered behind what is still to be taken.
    client.connection.expire();
    client.turn();
    assert_eq!(client.connection.phase(), Phase::Write);
    assert_eq!(shared.counters.refused_after_wait.get(), 1);
}

#[test]
fn without_keep_alive_each_answer_is_the_last() {
    let bounds = Bounds { keep_alive: Duration::ZERO, ..Bounds::default() };
    let (mut client, _) = within(hello, bounds);
    client.send(GET.repeat(2)).turn();
    let received = client.received();
    assert!(received.contains("connection: close\r\n"), "{received}");
    assert_eq!((bodies(&received), client.is_shut()), (vec!["hello"], true));
}

#[test]
fn what_is_sent_behind_the_last_answer_is_read_up_to_a_bound() {
    let mut client = Client::new(path);
    client.send("BAD\r\n\r\n").turn();
    client.send(vec![b'x'; 1 << 20]).turn();
    assert_eq!(client.unread(), 0);
    let Stage::Lingering { left, ended } = client.connection.stage else { panic!("lingers") };
    assert_eq!(left, LINGER_MAX - (1 << 20));
    assert!(client.reads() < 40, "in large pieces: {}", client.reads());
    assert_eq!(client.connection.heap(), 0, "and holds none while nothing comes");
    client.connection.stage = Stage::Lingering { left: 100_000, ended };
    client.send(vec![b'x'; 1 << 20]);
    assert_eq!(client.end().ended, Ended::Refused(codec::Error::RequestLine));
    assert!(client.unread() > 1 << 19, "{}", client.unread());
}

#[test]
fn what_is_rejected_is_counted_by_the_bound() {
    let bounds = Bounds { max_body: 8, ..Bounds::default() };
    let shared = Arc::new(Shared::new(bounds));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for request in [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/2.0\r\n\r\n".to_owned(),
        format!("{chunked}zz\r\n"),
        "GET / HT".to_owned(),
        get(&format!("/{}", "a".repeat(9_000))),
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101)),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".to_owned(),
        format!("{chunked}9\r\n123456789\r\n0\r\n\r\n"),
    ] {
        let mut client = Client::sharing(Arc::new(echo), shared.clone());
        client.send(request).shut();
        assert!(matches!(client.poll(), Poll::Ready(_)));
        assert_eq!(client.statuses().len(), 1);
    }
    let counters = &shared.counters;
    assert_eq!(counters.rejected_malformed.get(), 4);
    assert_eq!(counters.rejected_target.get(), 1);
    assert_eq!(counters.rejected_head.get(), 1);
    assert_eq!(counters.rejected_body.get(), 2);
}
