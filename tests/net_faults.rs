//! Peers that reset, write to the dead, and reuse of descriptor numbers.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/wakers.rs"]
mod wakers;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use futures::io::{AsyncRead, AsyncWriteExt, IoSlice};
use futures::poll;
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::{sleep, timeout};
use mainspring::{LocalRuntime, spawn, spawn_local};
use socket2::SockRef;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use wakers::Counter;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn in_runtime<F: Future<Output = ()>>(on: Flavour, test: impl FnOnce() -> F + Send + 'static) {
    within(move || on.block_on(async { test().await }));
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[test]
fn a_reset_is_an_error_for_those_who_wait_and_those_who_come() {
    in_runtime(Flavour::Local, || async {
        // A reader that waits.
        let (client, server) = pair().await;
        let reading = spawn(async move {
            let error = server.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            // The error is told once by the kernel; afterwards there is the end.
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
            assert!(server.write(b"x").await.is_err());
        });
        sleep(ms(2)).await;
        reset(client);
        reading.await.unwrap();

        // A writer that waits, and both at once.
        let (client, server) = pair().await;
        let server = Rc::new(server);
        let writing = spawn_local({
            let server = Rc::clone(&server);
            async move {
                let chunk = [0; 1 << 16];
                loop {
                    if let Err(error) = server.write_all(&chunk).await {
                        return error.kind();
                    }
                }
            }
        });
        let reading = spawn_local(async move {
            let mut buffer = [0; 8];
            // Whoever comes first gets the error, the other what is left.
            let _ = server.read(&mut buffer).await;
        });
        sleep(ms(10)).await;
        reset(client);
        let kind = writing.await.unwrap();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
        reading.await.unwrap();

        // One that comes later.
        let (client, server) = pair().await;
        reset(client);
        sleep(ms(2)).await;
        assert_eq!(server.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

fn connections_that_are_reset_before_they_are_accepted_stop_no_listener(on: Flavour) {
    in_runtime(on, || async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..5 {
            reset(TcpStream::connect(address).await.unwrap());
        }
        let good = TcpStream::connect(address).await.unwrap();
        let here = good.local_addr().unwrap();
        let (server, _) = loop {
            match listener.accept().await {
                Ok((stream, peer)) if peer == here => break (stream, peer),
                Ok((stream, _)) => assert!(stream.read(&mut [0]).await.is_err()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionAborted),
            }
        };
        good.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0]).await.unwrap(), 1);
    });
}

fn writing_to_a_closed_connection_is_an_error_and_raises_no_signal(on: Flavour) {
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
    in_runtime(on, || async {
        for vectored in [false, true] {
            let (client, server) = pair().await;
            drop(server);
            sleep(ms(1)).await;
            let error = loop {
                let result = if vectored {
                    client.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]).await
                } else {
                    TcpStream::write(&client, b"ab").await
                };
                match result {
                    Ok(_) => sleep(ms(1)).await,
                    Err(error) => break error,
                }
            };
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
            let (client, _server) = pair().await;
            client.shutdown(Shutdown::Write).unwrap();
            let error = if vectored {
                client.write_vectored(&[IoSlice::new(b"a")]).await.unwrap_err()
            } else {
                TcpStream::write(&client, b"a").await.unwrap_err()
            };
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    });
    assert!(!raised.load(Ordering::SeqCst), "SIGPIPE was raised");
}

fn closing_after_the_peer_is_no_error(on: Flavour) {
    in_runtime(on, || async {
        let (mut client, server) = pair().await;
        reset(server);
        sleep(ms(2)).await;
        client.close().await.unwrap();
        client.close().await.unwrap();
    });
}

#[test]
fn an_event_for_a_closed_descriptor_reaches_nobody() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        rt.block_on(async {
            for _ in 0..300 {
                // Both wait; both become ready while nobody turns the driver; one is closed, and
                // its number is used again by a socket that is not ready.
                let ((a, b), (c, d)) = (pair().await, pair().await);
                let (first, first_waker) = Counter::new();
                let (second, second_waker) = Counter::new();
                let (mut a, mut c) = (a, c);
                let mut buffer = [0; 4];
                let poll =
                    Pin::new(&mut a).poll_read(&mut Context::from_waker(&first_waker), &mut buffer);
                assert!(poll.is_pending());
                let poll = Pin::new(&mut c)
                    .poll_read(&mut Context::from_waker(&second_waker), &mut buffer);
                assert!(poll.is_pending());
                std::io::Write::write_all(&mut b.into_std(), b"x").unwrap();
                drop(a);
                let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
                let mut e = TcpStream::from_std(
                    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
                )
                .unwrap();
                let (third, third_waker) = Counter::new();
                let poll =
                    Pin::new(&mut e).poll_read(&mut Context::from_waker(&third_waker), &mut buffer);
                assert!(poll.is_pending());
                d.write_all(b"y").await.unwrap();
                while second.count() == 0 {
                    mainspring::yield_now().await;
                }
                assert_eq!((first.count(), third.count()), (0, 0));
            }
        });
    });
}

fn a_read_that_is_given_up_keeps_no_waker(on: Flavour) {
    in_runtime(on, || async {
        let (client, server) = pair().await;
        let (counter, waker) = Counter::new();
        for _ in 0..10 {
            let mut buffer = [0];
            let mut read = Box::pin(server.read(&mut buffer));
            assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(Arc::strong_count(&counter), 3);
            drop(read);
            assert_eq!(Arc::strong_count(&counter), 2, "its waker was kept");
        }
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0]).await.unwrap(), 1);
        assert_eq!(counter.count(), 0);
    });
}

fn descriptors_are_opened_and_closed_while_events_are_on_their_way(on: Flavour) {
    in_runtime(on, || async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let storm = std::thread::spawn(move || {
            for n in 0..2000_u32 {
                let mut client = std::net::TcpStream::connect(address).unwrap();
                client.write_all(&n.to_be_bytes()).unwrap();
                if n % 3 == 0 {
                    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        });
        let mut tasks = Vec::new();
        for n in 0..2000 {
            let (stream, _) = listener.accept().await.unwrap();
            tasks.push(spawn(async move {
                let mut got = [0; 8];
                let limit = if n % 2 == 0 { ms(1) } else { Duration::ZERO };
                // Too short for some: they close what an event may be on its way to.
                if let Ok(Ok(count)) = timeout(limit, stream.read(&mut got)).await {
                    assert!(count <= 4, "bytes of another connection");
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        storm.join().unwrap();
    });
}

#[test]
fn without_a_runtime_waiting_is_an_error_and_not_waiting_works() {
    within(|| {
        futures::executor::block_on(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let error = listener.accept().await.unwrap_err();
            assert!(error.to_string().contains("inside block_on or a spawned task"), "{error}");
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().await.unwrap();
            server.write_all(b"x").await.unwrap();
            let client = TcpStream::from_std(client).unwrap();
            assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 1);
            assert!(client.read(&mut [0; 4]).await.is_err());
            drop(server);
        });
    });
}

/// Urgent data cuts reads short, although more has arrived behind it.
fn urgent_data_holds_nothing_up(on: Flavour) {
    in_runtime(on, || async {
        for waits in [false, true] {
            let (client, server) = pair().await;
            client.set_nodelay(true).unwrap();
            let reading = spawn(async move {
                let mut got = Vec::new();
                let mut buffer = [0; 64];
                loop {
                    match server.read(&mut buffer).await.unwrap() {
                        0 => return got,
                        count => got.extend_from_slice(&buffer[..count]),
                    }
                    if got.ends_with(b".") {
                        return got;
                    }
                }
            });
            for n in 0..9 {
                if waits {
                    sleep(ms(2)).await;
                }
                client.write_all(&[b'0' + n]).await.unwrap();
                SockRef::from(&client).send_out_of_band(b"!").unwrap();
                client.write_all(&[b'0' + n, b'.'][..if n == 8 { 2 } else { 1 }]).await.unwrap();
            }
            let got = timeout(Duration::from_secs(20), reading).await;
            let got = got.expect("data behind urgent data is not read").unwrap();
            let plain: Vec<_> = got.into_iter().filter(|byte| *byte != b'!').collect();
            assert_eq!(plain, b"001122334455667788.");
            drop(client);
        }
    });
}

fn a_reset_is_found_out_in_front_of_unread_data(on: Flavour) {
    in_runtime(on, || async {
        let (client, server) = pair().await;
        let hung_up = poll_fn(|cx| server.poll_hangup(cx));
        let mut hung_up = pin!(hung_up);
        assert!(poll!(hung_up.as_mut()).is_pending());
        client.write_all(b"abc").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        sleep(ms(2)).await;
        assert!(poll!(hung_up.as_mut()).is_pending(), "it may still read");
        reset(client);
        hung_up.await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 3, "nothing was taken");
    });
}

fn a_hangup_is_the_end_of_both_directions(on: Flavour) {
    in_runtime(on, || async {
        let (client, server) = pair().await;
        let mut hung_up = pin!(poll_fn(|cx| server.poll_hangup(cx)));
        server.shutdown(Shutdown::Write).unwrap();
        sleep(ms(2)).await;
        assert!(poll!(hung_up.as_mut()).is_pending(), "the peer may still write");
        client.shutdown(Shutdown::Write).unwrap();
        hung_up.await.unwrap();
    });
    within(move || {
        let (_client, server) = on.block_on(pair());
        let polled = server.poll_hangup(&mut Context::from_waker(std::task::Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err(_))), "no runtime watches");
    });
}

on_every_flavour! {
    connections_that_are_reset_before_they_are_accepted_stop_no_listener,
    writing_to_a_closed_connection_is_an_error_and_raises_no_signal,
    closing_after_the_peer_is_no_error,
    a_read_that_is_given_up_keeps_no_waker,
    descriptors_are_opened_and_closed_while_events_are_on_their_way,
    urgent_data_holds_nothing_up,
    a_reset_is_found_out_in_front_of_unread_data,
    a_hangup_is_the_end_of_both_directions,
}
