//! Peeking, vectored calls, and halves that go to different tasks.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use mainspring::net::{TcpListener, TcpStream};
use mainspring::spawn;
use std::io::{IoSlice, IoSliceMut};
use watchdog::within;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

fn a_peek_takes_nothing_and_waits_like_a_read(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (client, server) = pair().await;
            let peeking = spawn(async move {
                let mut buffer = [0; 16];
                for _ in 0..3 {
                    let count = server.peek(&mut buffer).await.unwrap();
                    assert_eq!(&buffer[..count], b"abc");
                }
                assert_eq!(server.read(&mut buffer[..2]).await.unwrap(), 2);
                assert_eq!(server.peek(&mut buffer).await.unwrap(), 1);
                assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
                assert_eq!(server.peek(&mut buffer).await.unwrap(), 0, "the end");
            });
            mainspring::yield_now().await;
            client.write_all(b"abc").await.unwrap();
            while !peeking.is_finished() {
                if let Ok(()) = client.shutdown(std::net::Shutdown::Write) {}
                mainspring::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            peeking.await.unwrap();
        });
    });
}

fn vectored_calls_fill_and_empty_in_order(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (client, server) = pair().await;
            let data = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
            assert_eq!(client.write_vectored(&data).await.unwrap(), 7);
            let (mut first, mut second) = ([0; 5], [0; 8]);
            let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 7);
            assert_eq!((&first, &second[..2]), (b"one t", &b"wo"[..]));
            drop(client);
            let mut buffers = [IoSliceMut::new(&mut first)];
            assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 0);
            assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 0, "the end stays");
        });
    });
}

fn halves_work_in_two_tasks_and_the_writers_end_is_seen(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (client, server) = pair().await;
            let (mut read, mut write) = client.into_split();
            let writing = spawn(async move {
                for _ in 0..100 {
                    write.write_all(&[7; 10_000]).await.unwrap();
                }
                // Dropping the half ends what is sent, though the other half lives.
            });
            let reading = spawn(async move {
                let mut all = Vec::new();
                read.read_to_end(&mut all).await.unwrap();
                all
            });
            let (mut from, mut to) = server.into_split();
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), 1_000_000);
            writing.await.unwrap();
            to.write_all(b"got it").await.unwrap();
            drop(to);
            assert_eq!(reading.await.unwrap(), b"got it");
        });
    });
}

fn halves_of_one_connection_reunite_and_others_do_not(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (client, server) = pair().await;
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let error = client_read.reunite(server_write).unwrap_err();
            assert!(error.to_string().contains("different connections"));
            let (client_read, server_write) = (error.0, error.1);
            let client = client_read.reunite(client_write).unwrap();
            let server = server_read.reunite(server_write).unwrap();
            client.write_all(b"still open").await.unwrap();
            let mut buffer = [0; 16];
            assert_eq!(server.read(&mut buffer).await.unwrap(), 10);
        });
    });
}

on_every_flavour! {
    a_peek_takes_nothing_and_waits_like_a_read,
    vectored_calls_fill_and_empty_in_order,
    halves_work_in_two_tasks_and_the_writers_end_is_seen,
    halves_of_one_connection_reunite_and_others_do_not,
}
