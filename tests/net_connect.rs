//! Connecting to names, and to one of several addresses.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use mainspring::hooks::{Hooks, TaskInfo};
use mainspring::net::{ConnectError, TcpListener, TcpStream, lookup_host};
use mainspring::{LocalRuntime, block_on};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};
use watchdog::within;

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// An address at which nobody listens: the port is bound, so that nobody else will.
fn closed() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&loopback().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[derive(Default)]
struct Blocked(AtomicUsize);

impl Hooks for Blocked {
    fn on_blocking_start(&self, _task: &TaskInfo) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn names_are_resolved_in_the_pool_and_numbers_are_not() {
    within(|| {
        let blocked = Arc::new(Blocked::default());
        let rt = LocalRuntime::builder().hooks(blocked.clone()).build().unwrap();
        rt.block_on(async {
            let listener = TcpListener::bind(loopback()).unwrap();
            let port = listener.local_addr().unwrap().port();
            for address in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
                let stream = TcpStream::connect(&address).await.unwrap();
                assert_eq!(stream.peer_addr().unwrap().port(), port);
                listener.accept().await.unwrap();
                let named = address.starts_with("localhost");
                assert_eq!(blocked.0.load(Relaxed), usize::from(named), "{address}");
            }
            let stream = TcpStream::connect(("localhost", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap().port(), port);
        });
    });
}

fn a_name_that_is_not_known_is_an_error(on: Flavour) {
    within(move || {
        on.block_on(async {
            // RFC 6761, section 6.4: it never exists. Without a resolver the error is another one.
            assert!(lookup_host("nobody.invalid:80").await.is_err());
            let error = lookup_host(Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
        // Without a runtime there is no pool.
        let mut future = Box::pin(lookup_host("localhost:80"));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(Err(error)) => {
                assert!(error.to_string().contains("no runtime is here to resolve"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    });
}

fn the_next_address_is_tried_when_one_refuses(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (_held, refuses) = closed();
            let listener = TcpListener::bind(loopback()).unwrap();
            let answers = listener.local_addr().unwrap();
            let stream = TcpStream::connect(vec![refuses, refuses, answers]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), answers);
        });
    });
}

fn what_each_address_said_is_told(on: Flavour) {
    within(move || {
        on.block_on(async {
            let ((_first, first), (_second, second)) = (closed(), closed());
            let error = TcpStream::connect(vec![first, second]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            let told = error.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap();
            let tried: Vec<_> = told.attempts().iter().map(|(address, _)| *address).collect();
            assert_eq!(tried, [first, second]);
            assert!(error.to_string().contains(&second.to_string()), "{error}");
            // One address alone keeps the kernel's own error.
            let error = TcpStream::connect(first).await.unwrap_err();
            assert!(error.raw_os_error().is_some());
        });
    });
}

#[test]
fn attempts_that_fail_at_once_let_others_run() {
    within(|| {
        // On one thread, where the neighbour has no other to run on.
        let rt = mainspring::LocalRuntime::builder().build().unwrap();
        rt.block_on(async {
            // No connection can be made to a group.
            let group = SocketAddr::from(([224, 0, 0, 1], 9));
            let neighbour = mainspring::spawn(async {});
            while !neighbour.is_finished() {
                assert!(TcpStream::connect(group).await.is_err());
            }
            let neighbour = mainspring::spawn(async {});
            assert!(TcpStream::connect(vec![group; 1_000]).await.is_err());
            assert!(neighbour.is_finished(), "it had no turn among a thousand attempts");
        });
    });
}

/// A listener whose queue is full: Linux leaves further attempts without an answer.
#[cfg(target_os = "linux")]
fn silent() -> (StdListener, Vec<StdStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&loopback().into()).unwrap();
    socket.listen(0).unwrap();
    let listener: StdListener = socket.into();
    let address = listener.local_addr().unwrap();
    let patience = std::time::Duration::from_millis(200);
    let filling = (0..64).map_while(|_| StdStream::connect_timeout(&address, patience).ok());
    let filling: Vec<_> = filling.collect();
    assert!(filling.len() < 64, "the queue does not fill");
    (listener, filling)
}

#[test]
#[cfg(target_os = "linux")]
fn one_that_does_not_answer_keeps_nobody_waiting() {
    within(|| {
        let (silent, _filling) = silent();
        let silent = silent.local_addr().unwrap();
        block_on(async {
            let listener = TcpListener::bind(loopback()).unwrap();
            let answers = listener.local_addr().unwrap();
            let stream = TcpStream::connect(vec![silent, silent, answers]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), answers);
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
fn dropping_the_future_gives_up_all_attempts() {
    within(|| {
        let (silent, _filling) = silent();
        let silent = silent.local_addr().unwrap();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        block_on(async {
            let before = open();
            let mut future = Box::pin(TcpStream::connect(vec![silent, silent]));
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(future);
            // Other tests of this process open sockets too: wait for a moment of as few.
            while open() > before {
                mainspring::yield_now().await;
            }
        });
    });
}

on_every_flavour! {
    a_name_that_is_not_known_is_an_error,
    the_next_address_is_tried_when_one_refuses,
    what_each_address_said_is_told,
}
