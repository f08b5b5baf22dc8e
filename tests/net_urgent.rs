//! Urgent data, at whose mark the kernel stops a read.
#![cfg(all(target_os = "linux", not(loom)))]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::net::{TcpListener, TcpStream};
use mainspring::{block_on, spawn, yield_now};
use socket2::SockRef;
use watchdog::within;

#[test]
fn what_stands_behind_urgent_data_is_read_without_another_event() {
    within(|| {
        block_on(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let server = listener.accept().await.unwrap().0;
            let reading = spawn(async move {
                let (mut all, mut buffer) = (Vec::new(), [0; 64]);
                while all.len() < 6 {
                    let count = server.read(&mut buffer).await.unwrap();
                    all.extend_from_slice(&buffer[..count]);
                }
                all
            });
            // It waits now, so that one event tells of all that comes.
            yield_now().await;
            let client = client.into_std();
            let socket = SockRef::from(&client);
            socket.send(b"abc").unwrap();
            socket.send_out_of_band(b"X").unwrap();
            socket.send(b"def").unwrap();
            assert_eq!(reading.await.unwrap(), b"abcdef");
        });
    });
}
