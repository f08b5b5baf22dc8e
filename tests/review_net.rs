//! TCP: many buffers at once, and ends that are read again.
#![cfg(not(loom))]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::io::{AsyncReadExt, IoSlice, IoSliceMut};
use mainspring::block_on;
use mainspring::net::{TcpListener, TcpStream};
use std::io::{Read, Write};
use watchdog::within;

/// More than the kernel takes in one call (`IOV_MAX`, 1,024).
const MANY: usize = 3000;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

#[test]
fn what_did_not_fit_into_one_vectored_read_is_read_by_the_next() {
    within(|| {
        block_on(async {
            let (client, server) = pair().await;
            // Registered, so that what arrives is told once.
            client.write_all(b"!").await.unwrap();
            assert_eq!(server.read(&mut [0; 2]).await.unwrap(), 1);
            client.write_all(&[7; MANY]).await.unwrap();
            let mut total = 0;
            while total < MANY {
                let mut bytes = [0; MANY];
                let mut buffers: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
                total += server.read_vectored(&mut buffers).await.unwrap();
            }
            assert_eq!(total, MANY);
        });
    });
}

#[test]
fn a_vectored_write_of_many_buffers_writes_some() {
    within(|| {
        block_on(async {
            let (client, server) = pair().await;
            let bytes = [7; MANY];
            let mut written = 0;
            while written < MANY {
                let data: Vec<_> = bytes[written..].chunks(1).map(IoSlice::new).collect();
                written += client.write_vectored(&data).await.unwrap();
            }
            drop(client);
            let mut all = Vec::new();
            (&server).read_to_end(&mut all).await.unwrap();
            assert_eq!(all, bytes);
        });
    });
}

#[test]
fn the_end_is_read_again_without_a_runtime() {
    within(|| {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
        client.write_all(b"x").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        futures::executor::block_on(async {
            let (mut one, mut other) = ([0], [0; 8]);
            assert_eq!(server.read(&mut one).await.unwrap(), 1);
            for _ in 0..3 {
                let mut buffers = [IoSliceMut::new(&mut other)];
                assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 0);
            }
        });
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    });
}
