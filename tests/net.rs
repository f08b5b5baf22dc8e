//! TCP between tasks: data, directions, waiting and cancelling.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use futures::future::{Either, join, join_all, select};
use futures::io::{AsyncReadExt, AsyncWriteExt, IoSlice, IoSliceMut, copy};
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::{sleep, timeout};
use mainspring::{spawn, spawn_local, yield_now};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use watchdog::within;

const LOCALHOST: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn in_runtime<F: Future<Output = ()>>(on: Flavour, test: impl FnOnce() -> F + Send + 'static) {
    within(move || on.block_on(async { test().await }));
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

async fn echo(stream: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return,
            count => stream.write_all(&buffer[..count]).await.unwrap(),
        }
    }
}

/// Bytes in which a loss, a repetition or a swap shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn echo_of_many_sizes(on: Flavour) {
    in_runtime(on, || async {
        let (client, server) = pair().await;
        let serving = spawn(echo(server));
        for size in [1, 2, 4095, 4096, 4097, 100_000] {
            let data = pattern(size);
            let mut back = vec![0; size];
            let (write, ()) = join(client.write_all(&data), async {
                (&client).read_exact(&mut back).await.unwrap();
            })
            .await;
            write.unwrap();
            assert!(back == data);
        }
        drop(client);
        serving.await.unwrap();
    });
}

fn a_peer_that_sends_a_byte_at_a_time(on: Flavour) {
    in_runtime(on, || async {
        let (client, mut server) = pair().await;
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        let sending = spawn(async move {
            for byte in 0..200_u8 {
                client.write_all(&[byte]).await.unwrap();
                if byte % 3 == 0 {
                    sleep(ms(1)).await;
                } else {
                    yield_now().await;
                }
            }
        });
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, (0..200).collect::<Vec<_>>());
        sending.await.unwrap();
    });
}

fn either_direction_closes_alone(on: Flavour) {
    in_runtime(on, || async {
        // The client has said all; its answer still comes.
        let (client, mut server) = pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"question");
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0, "the end stays");
        sleep(ms(2)).await;
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut got = Vec::new();
        (&client).read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"answer");
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);

        // Through the traits, with a reader that waits already.
        let (mut client, server) = pair().await;
        let reading = spawn(async move {
            let mut got = [0; 4];
            assert_eq!(server.read(&mut got).await.unwrap(), 0);
            server
        });
        sleep(ms(2)).await;
        AsyncWriteExt::close(&mut client).await.unwrap();
        let server = reading.await.unwrap();
        server.write_all(b"late").await.unwrap();
        let mut got = [0; 4];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"late");
        client.close().await.unwrap();
    });
}

fn the_end_is_seen_by_vectored_and_plain_reads_again_and_again(on: Flavour) {
    in_runtime(on, || async {
        let (client, server) = pair().await;
        let waiting = spawn(async move {
            let server = server;
            let (mut a, mut b) = ([0; 3], [0; 3]);
            let mut buffers = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
            assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 5);
            for _ in 0..3 {
                let mut buffers = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
                assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 0);
                assert_eq!(TcpStream::read(&server, &mut [0; 3]).await.unwrap(), 0);
                assert_eq!(TcpStream::read(&server, &mut []).await.unwrap(), 0);
            }
        });
        sleep(ms(2)).await;
        client.write_all(b"12345").await.unwrap();
        sleep(ms(2)).await;
        drop(client);
        waiting.await.unwrap();
    });
}

fn large_transfers_both_ways_at_once_with_back_pressure(on: Flavour) {
    in_runtime(on, || async {
        const SIZE: usize = 4 << 20;
        async fn side(mut stream: TcpStream, vectored: bool) {
            let data = pattern(SIZE);
            // `futures` has a `split` too, which would be found first.
            let (mut reader, mut writer) = TcpStream::split(&mut stream);
            let writing = async {
                if vectored {
                    let mut sent = 0;
                    while sent < SIZE {
                        let middle = sent + (SIZE - sent) / 2;
                        let slices =
                            [IoSlice::new(&data[sent..middle]), IoSlice::new(&data[middle..])];
                        sent += writer.write_vectored(&slices).await.unwrap();
                    }
                } else {
                    writer.write_all(&data).await.unwrap();
                }
                writer.flush().await.unwrap();
                writer.close().await.unwrap();
            };
            let reading = async {
                let mut got = Vec::new();
                reader.read_to_end(&mut got).await.unwrap();
                got
            };
            let ((), got) = join(writing, reading).await;
            assert!(got == data);
        }
        let (client, server) = pair().await;
        let server = spawn(side(server, true));
        side(client, false).await;
        server.await.unwrap();
    });
}

#[test]
fn a_writer_waits_for_a_reader_that_does_not_read() {
    in_runtime(Flavour::Local, || async {
        let (client, mut server) = pair().await;
        let sent = Rc::new(Cell::new(0_usize));
        let counted = Rc::clone(&sent);
        let writing = spawn_local(async move {
            let chunk = pattern(1 << 16);
            for _ in 0..400 {
                client.write_all(&chunk).await.unwrap();
                counted.set(counted.get() + chunk.len());
            }
        });
        // Until it makes no progress any more.
        let mut before = usize::MAX;
        while before != sent.get() {
            before = sent.get();
            sleep(ms(50)).await;
        }
        assert!(before < 400 << 16, "it must wait");
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), 400 << 16);
        writing.await.unwrap();
    });
}

fn bursts_that_fill_the_buffer_exactly(on: Flavour) {
    in_runtime(on, || async {
        for size in [1, 7, 64] {
            let (client, server) = pair().await;
            client.set_nodelay(true).unwrap();
            // The reader's buffer is as long as the data, so no short read says that all was taken.
            let reading = spawn(async move {
                let mut got = Vec::new();
                let mut buffer = vec![0; size];
                loop {
                    match server.read(&mut buffer).await.unwrap() {
                        0 => return got,
                        count => got.extend_from_slice(&buffer[..count]),
                    }
                }
            });
            let data = pattern(size * 60);
            for (n, burst) in data.chunks(size * 3).enumerate() {
                for piece in burst.chunks(size) {
                    client.write_all(piece).await.unwrap();
                }
                if n % 2 == 0 {
                    sleep(ms(1)).await;
                }
            }
            drop(client);
            assert!(reading.await.unwrap() == data);
        }
    });
}

fn data_that_comes_right_after_a_short_read(on: Flavour) {
    in_runtime(on, || async {
        let listener = TcpListener::bind(LOCALHOST).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.set_nodelay(true).unwrap();
        let thread = std::thread::spawn(move || {
            for n in 0..20_000_u32 {
                client.write_all(&n.to_be_bytes()).unwrap();
                if n % 64 == 0 {
                    let mut acknowledged = [0];
                    client.read_exact(&mut acknowledged).unwrap();
                }
            }
        });
        let (mut next, mut rest) = (0_u32, Vec::new());
        let mut buffer = [0; 1000];
        while next < 20_000 {
            let count = server.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0);
            rest.extend_from_slice(&buffer[..count]);
            let whole = rest.len() / 4 * 4;
            for number in rest.drain(..whole).collect::<Vec<_>>().chunks(4) {
                assert_eq!(number, next.to_be_bytes());
                if next % 64 == 0 {
                    server.write_all(&[1]).await.unwrap();
                }
                next += 1;
            }
        }
        thread.join().unwrap();
    });
}

fn the_traits_of_futures_io(on: Flavour) {
    in_runtime(on, || async {
        let (a, b) = pair().await;
        let (c, d) = pair().await;
        let relay = spawn(async move { copy(b, &mut &c).await.unwrap() });
        let data = pattern(1 << 20);
        let sending = spawn({
            let data = data.clone();
            async move {
                let mut a = a;
                AsyncWriteExt::write_all(&mut a, &data).await.unwrap();
                a.close().await.unwrap();
            }
        });
        let mut got = vec![0; data.len()];
        (&d).read_exact(&mut got).await.unwrap();
        assert!(got == data);
        sending.await.unwrap();
        assert_eq!(relay.await.unwrap(), 1 << 20);
    });
}

fn connecting_to_nobody_is_refused(on: Flavour) {
    in_runtime(on, || async {
        // Bound but not listening, so that nobody else gets the port meanwhile.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(LOCALHOST).into()).unwrap();
        let gone = socket.local_addr().unwrap().as_socket().unwrap();
        for _ in 0..3 {
            let error = TcpStream::connect(gone).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        }
        let nowhere: SocketAddr = "[::1]:1".parse().unwrap();
        let error = TcpStream::connect(nowhere).await.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
    });
}

fn an_attempt_to_connect_is_given_up(on: Flavour) {
    in_runtime(on, || async {
        // A listener whose backlog is full answers no further attempt.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(LOCALHOST).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let attempts: Vec<_> =
            (0..8).map(|_| timeout(ms(20), TcpStream::connect(address))).collect();
        let results = join_all(attempts).await;
        assert!(results.iter().any(Result::is_err), "none had to wait");
        drop(results);
        sleep(ms(1)).await;
    });
}

#[test]
fn each_connection_goes_to_one_of_many_acceptors() {
    in_runtime(Flavour::Local, || async {
        let listener = Rc::new(TcpListener::bind(LOCALHOST).unwrap());
        let address = listener.local_addr().unwrap();
        let peers = Rc::new(RefCell::new(Vec::new()));
        let acceptors: Vec<_> = (0..20)
            .map(|_| {
                let (listener, peers) = (Rc::clone(&listener), Rc::clone(&peers));
                spawn_local(async move {
                    let (stream, peer) = listener.accept().await.unwrap();
                    peers.borrow_mut().push(peer);
                    stream
                })
            })
            .collect();
        sleep(ms(2)).await;
        let mut expected = Vec::new();
        let mut clients = Vec::new();
        for n in 0..20 {
            clients.push(TcpStream::connect(address).await.unwrap());
            expected.push(clients[n].local_addr().unwrap());
            if n % 3 == 0 {
                sleep(ms(1)).await;
            }
        }
        let servers = join_all(acceptors).await;
        assert!(servers.iter().all(Result::is_ok));
        let mut got = peers.take();
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
    });
}

fn giving_up_an_accept_loses_no_connection(on: Flavour) {
    in_runtime(on, || async {
        let listener = TcpListener::bind(LOCALHOST).unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = spawn(async move {
            let mut clients = Vec::new();
            for n in 0..100 {
                clients.push(TcpStream::connect(address).await.unwrap());
                if n % 7 == 0 {
                    sleep(ms(1)).await;
                }
            }
            clients
        });
        let mut accepted = Vec::new();
        while accepted.len() < 100 {
            let accept = pin!(listener.accept());
            match select(accept, pin!(yield_now())).await {
                Either::Left((result, _)) => accepted.push(result.unwrap()),
                Either::Right(((), _)) => {}
            }
            let (accept, pause) =
                (pin!(listener.accept()), pin!(sleep(Duration::from_micros(700))));
            if let Either::Left((result, _)) = select(accept, pause).await {
                accepted.push(result.unwrap());
            }
        }
        assert_eq!(connecting.await.unwrap().len(), 100);
    });
}

fn giving_up_a_read_loses_no_byte(on: Flavour) {
    in_runtime(on, || async {
        let (client, server) = pair().await;
        let sending = spawn(async move {
            for n in 0..250_u8 {
                client.write_all(&[n]).await.unwrap();
                yield_now().await;
            }
        });
        let mut got = Vec::new();
        while got.len() < 250 {
            let mut buffer = [0; 3];
            let read = timeout(Duration::from_micros(200), server.read(&mut buffer)).await;
            if let Ok(count) = read {
                got.extend_from_slice(&buffer[..count.unwrap()]);
            }
        }
        assert_eq!(got, (0..250).collect::<Vec<_>>());
        sending.await.unwrap();
    });
}

#[test]
fn many_wait_for_one_socket_and_some_give_up() {
    in_runtime(Flavour::Local, || async {
        let (client, server) = pair().await;
        let server = Rc::new(server);
        let readers: Vec<_> = (0..30)
            .map(|n| {
                let server = Rc::clone(&server);
                spawn_local(async move {
                    let limit = if n % 3 == 0 { ms(1) } else { Duration::from_secs(100) };
                    timeout(limit, server.read(&mut [0])).await.map(Result::unwrap)
                })
            })
            .collect();
        sleep(ms(10)).await;
        client.write_all(&[1; 10]).await.unwrap();
        sleep(ms(2)).await;
        client.write_all(&[1; 10]).await.unwrap();
        let mut read = 0;
        for reader in readers {
            read += reader.await.unwrap().unwrap_or(0);
        }
        assert_eq!(read, 20, "ten had given up, and each other got one byte");
    });
}

fn five_hundred_connections(on: Flavour) {
    in_runtime(on, || async {
        let listener = TcpListener::bind(LOCALHOST).unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                drop(spawn(echo(stream)));
            }
        }));
        let clients = (0..500_u32).map(|n| {
            spawn(async move {
                let client = TcpStream::connect(address).await.unwrap();
                for round in 0..5 {
                    let data = (n * 10 + round).to_be_bytes();
                    client.write_all(&data).await.unwrap();
                    let mut back = [0; 4];
                    (&client).read_exact(&mut back).await.unwrap();
                    assert_eq!(back, data);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
    });
}

fn std_sockets_come_and_go(on: Flavour) {
    in_runtime(on, || async {
        let listener =
            TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // Registered by a wait that was given up.
        assert!(timeout(ms(1), listener.accept()).await.is_err());
        let client = TcpStream::from_std(std::net::TcpStream::connect(address).unwrap()).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(timeout(ms(1), client.read(&mut [0])).await.is_err());
        let mut client = client.into_std();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.write_all(b"abc").await.unwrap();
        client.set_nonblocking(false).unwrap();
        let mut got = [0; 2];
        client.read_exact(&mut got).unwrap();
        let client = TcpStream::from_std(client).unwrap();
        assert_eq!(client.read(&mut got).await.unwrap(), 1);
        assert_eq!(got[0], b'c');
        let listener = listener.into_std();
        let listener = TcpListener::from_std(listener).unwrap();
        let (accepted, connected) = join(listener.accept(), TcpStream::connect(address)).await;
        accepted.unwrap();
        connected.unwrap();
    });
}

on_every_flavour! {
    echo_of_many_sizes,
    a_peer_that_sends_a_byte_at_a_time,
    either_direction_closes_alone,
    the_end_is_seen_by_vectored_and_plain_reads_again_and_again,
    large_transfers_both_ways_at_once_with_back_pressure,
    bursts_that_fill_the_buffer_exactly,
    data_that_comes_right_after_a_short_read,
    the_traits_of_futures_io,
    connecting_to_nobody_is_refused,
    an_attempt_to_connect_is_given_up,
    giving_up_an_accept_loses_no_connection,
    giving_up_a_read_loses_no_byte,
    five_hundred_connections,
    std_sockets_come_and_go,
}
