//! Sockets that move between runtimes and threads.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Any, Flavour, on_every_flavour};
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::{sleep, timeout};
use mainspring::{LocalRuntime, spawn, yield_now};
use std::future::Future;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

/// A connection whose one end is the system's, the other registered with `rt` by a wait.
fn registered_with(rt: &Any) -> (std::net::TcpStream, TcpStream) {
    rt.block_on(registered())
}

async fn registered() -> (std::net::TcpStream, TcpStream) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().await.unwrap();
    assert!(timeout(ms(1), server.read(&mut [0])).await.is_err());
    (client, server)
}

async fn expect(stream: &TcpStream, byte: u8) {
    let mut got = [0];
    assert_eq!(stream.read(&mut got).await.unwrap(), 1);
    assert_eq!(got[0], byte);
}

fn a_stream_goes_to_a_runtime_on_another_thread_and_back(on: Flavour) {
    within(move || {
        let here = on.runtime();
        let (client, mut stream) = registered_with(&here);
        for round in 0..10 {
            let mut writer = client.try_clone().unwrap();
            stream = thread::spawn(move || {
                on.block_on(async {
                    let late = spawn(async move {
                        sleep(ms(1)).await;
                        writer.write_all(&[round]).unwrap();
                    });
                    expect(&stream, round).await;
                    late.await.unwrap();
                    stream
                })
            })
            .join()
            .unwrap();
            let mut writer = client.try_clone().unwrap();
            here.block_on(async {
                let late = spawn(async move {
                    sleep(ms(1)).await;
                    writer.write_all(&[round]).unwrap();
                });
                expect(&stream, round).await;
                late.await.unwrap();
            });
        }
    });
}

fn a_stream_survives_the_end_of_its_runtime(on: Flavour) {
    within(move || {
        let first = on.runtime();
        let (mut client, stream) = registered_with(&first);
        drop(first);
        // Nobody watches: an error where it would have to wait, the data where there is some.
        let error = futures::executor::block_on(stream.read(&mut [0])).unwrap_err();
        assert!(error.to_string().contains("no living runtime"), "{error}");
        client.write_all(b"ab").unwrap();
        thread::sleep(ms(5));
        futures::executor::block_on(expect(&stream, b'a'));
        let second = on.runtime();
        second.block_on(expect(&stream, b'b'));
        second.block_on(async {
            let late = spawn(async move {
                sleep(ms(2)).await;
                client.write_all(b"c").unwrap();
            });
            expect(&stream, b'c').await;
            late.await.unwrap();
        });
    });
}

fn whoever_waits_outside_is_told_of_the_end(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let (_client, stream) = registered_with(&rt);
        let (started, waits) = mpsc::channel();
        // A foreign executor waits, watched by `rt`, which runs meanwhile and then ends.
        let waiting = thread::spawn(move || {
            let mut buffer = [0];
            let mut read = Box::pin(stream.read(&mut buffer));
            futures::executor::block_on(poll_fn(|cx| {
                let poll = read.as_mut().poll(cx);
                let _ = started.send(());
                poll
            }))
            .unwrap_err()
        });
        waits.recv().unwrap();
        rt.block_on(async { sleep(ms(2)).await });
        drop(rt);
        let error = waiting.join().unwrap();
        assert!(error.to_string().contains("no living runtime"), "{error}");
    });
}

fn a_waiting_stream_moves_while_its_runtime_ends(on: Flavour) {
    within(move || {
        for round in 0..100 {
            let first = on.runtime();
            let (mut client, stream) = registered_with(&first);
            let reading = thread::spawn(move || {
                on.block_on(async {
                    expect(&stream, 1).await;
                    expect(&stream, 2).await;
                });
            });
            let ending = thread::spawn(move || {
                client.write_all(&[1]).unwrap();
                thread::sleep(Duration::from_micros(round * 5));
                client.write_all(&[2]).unwrap();
                client
            });
            drop(first);
            let _client = ending.join().unwrap();
            reading.join().unwrap();
        }
    });
}

#[test]
fn a_reader_and_a_writer_of_one_socket_live_in_two_runtimes() {
    within(|| {
        const SIZE: usize = 1 << 20;
        let (reads, writes) = (runtime(), runtime());
        let (mut client, stream) = reads.block_on(registered());
        let stream = Arc::new(stream);
        let reader = reads.spawn_local({
            let stream = Arc::clone(&stream);
            async move {
                expect(&stream, b'!').await;
            }
        });
        // The reader waits in one runtime, then the writer waits in the other and takes the
        // registration along.
        reads.block_on(yield_now());
        let writer = writes.spawn_local({
            let stream = Arc::clone(&stream);
            async move { stream.write_all(&vec![1; 16 * SIZE]).await.unwrap() }
        });
        writes.block_on(async { sleep(ms(2)).await });
        let both = thread::spawn(move || {
            client.write_all(b"!").unwrap();
            thread::sleep(ms(5));
            let mut all = vec![0; 16 * SIZE];
            client.read_exact(&mut all).unwrap();
        });
        writes.block_on(writer).unwrap();
        both.join().unwrap();
        reads.block_on(reader).unwrap();
    });
}

fn two_threads_share_one_socket(on: Flavour) {
    within(move || {
        let main = on.runtime();
        let (client, stream) = registered_with(&main);
        client.set_nodelay(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = Arc::new(stream);
        let echoing = thread::spawn(move || {
            let mut client = client;
            let mut byte = [0];
            for _ in 0..2000 {
                client.read_exact(&mut byte).unwrap();
                client.write_all(&byte).unwrap();
            }
        });
        let writing = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                on.block_on(async {
                    for n in 0..2000_u32 {
                        stream.write_all(&[n as u8]).await.unwrap();
                        if n % 100 == 0 {
                            // Reads too, now and then, so that the registration moves.
                            let _ =
                                timeout(Duration::from_micros(50), std::future::pending::<()>())
                                    .await;
                        }
                    }
                });
            })
        };
        main.block_on(async {
            for n in 0..2000_u32 {
                expect(&stream, n as u8).await;
            }
        });
        writing.join().unwrap();
        echoing.join().unwrap();
    });
}

fn acceptors_of_one_listener_live_in_two_runtimes(on: Flavour) {
    within(move || {
        let listener = Arc::new(TcpListener::bind(([127, 0, 0, 1], 0)).unwrap());
        let address = listener.local_addr().unwrap();
        let (told, tells) = mpsc::channel();
        let acceptors: Vec<_> = (0..2)
            .map(|_| {
                let (listener, told) = (Arc::clone(&listener), told.clone());
                thread::spawn(move || {
                    on.block_on(async {
                        loop {
                            let (stream, _) = listener.accept().await.unwrap();
                            let mut kind = [0];
                            if stream.read(&mut kind).await.unwrap() == 0 {
                                return;
                            }
                            told.send(kind[0]).unwrap();
                        }
                    });
                })
            })
            .collect();
        for n in 0..200_u8 {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client.write_all(&[n]).unwrap();
            // One at a time, so that every one finds both waiting, in whichever runtime.
            assert_eq!(tells.recv(), Ok(n));
        }
        // Each of these ends whichever takes it.
        for _ in &acceptors {
            drop(std::net::TcpStream::connect(address).unwrap());
        }
        for acceptor in acceptors {
            acceptor.join().unwrap();
        }
    });
}

fn a_poll_function_wakes_the_last_caller_also_after_a_move(on: Flavour) {
    within(move || {
        let (a, b) = (on.runtime(), on.runtime());
        let (mut client, mut stream) = registered_with(&a);
        let mut buffer = [0; 2];
        // Polled in one, then awaited in the other, through the trait's one place.
        a.block_on(poll_fn(|cx| {
            assert!(
                futures::AsyncRead::poll_read(Pin::new(&mut stream), cx, &mut buffer).is_pending()
            );
            Poll::Ready(())
        }));
        b.block_on(async {
            let late = spawn(async move {
                sleep(ms(2)).await;
                client.write_all(b"z").unwrap();
                sleep(ms(2)).await;
            });
            let count = futures::AsyncReadExt::read(&mut stream, &mut buffer).await.unwrap();
            assert_eq!((count, buffer[0]), (1, b'z'));
            late.await.unwrap();
        });
    });
}

on_every_flavour! {
    a_stream_goes_to_a_runtime_on_another_thread_and_back,
    a_stream_survives_the_end_of_its_runtime,
    whoever_waits_outside_is_told_of_the_end,
    a_waiting_stream_moves_while_its_runtime_ends,
    two_threads_share_one_socket,
    acceptors_of_one_listener_live_in_two_runtimes,
    a_poll_function_wakes_the_last_caller_also_after_a_move,
}
