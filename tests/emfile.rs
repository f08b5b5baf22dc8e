//! No descriptor is free: one test, as it changes a limit of the whole process.
#![cfg(not(loom))]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{LocalRuntime, spawn};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::time::Duration;
use watchdog::within;

#[test]
fn accept_tells_of_exhausted_descriptors_and_works_again_afterwards() {
    within(|| {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..before }).unwrap();
        let rt = LocalRuntime::builder().build().unwrap();
        rt.block_on(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = listener.local_addr().unwrap();
            // Waits before the descriptors run out.
            let accepting = spawn(async move {
                let first = listener.accept().await.map(drop);
                (listener, first)
            });
            sleep(Duration::from_millis(1)).await;
            // No await until all are taken: the accepting task must not run before.
            let client = std::net::TcpStream::connect(address).unwrap();
            let mut clients = vec![TcpStream::from_std(client).unwrap()];
            let mut files = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                files.push(file);
            }
            let (listener, first) = accepting.await.unwrap();
            assert_eq!(first.unwrap_err().raw_os_error(), Some(Errno::MFILE.raw_os_error()));
            for _ in 0..3 {
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()), "as a value");
            }
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
            let refused = LocalRuntime::builder().build().unwrap_err();
            assert!(refused.to_string().contains("raise the limit"), "{refused}");
            // Timers and tasks need no descriptors.
            spawn(async { sleep(Duration::from_millis(1)).await }).await.unwrap();

            files.truncate(files.len() - 4);
            let (server, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, clients[0].local_addr().unwrap(), "the one that had to wait");
            clients[0].write_all(b"x").await.unwrap();
            assert_eq!(server.read(&mut [0]).await.unwrap(), 1);
            clients.push(TcpStream::connect(address).await.unwrap());
            listener.accept().await.unwrap();
        });
        drop(rt);
        setrlimit(Resource::Nofile, before).unwrap();
    });
}
