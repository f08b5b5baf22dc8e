//! The client: a thread for each request at a time, and a connection for each request.

use crate::Failure;
use crate::answer::{Answer, BLOCKS, WAITS};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Requests that block, all at once.
const BLOCKERS: u64 = 16;
/// Requests that await.
const OTHERS: u64 = 100;
/// How many of these are asked at once.
const AT_ONCE: u64 = 20;

/// An answer that takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how many seconds all were answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) others: f64,
    pub(crate) blockers: f64,
}

/// Asks for all that blocks, and as soon as that is sent, beside it, for what awaits.
pub(crate) fn load(address: &str) -> Result<Times, Failure> {
    let connected = Barrier::new(BLOCKERS as usize + 1);
    let sent = Barrier::new(BLOCKERS as usize + 1);
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        let blockers = (0..BLOCKERS).map(|index| {
            let (connected, sent) = (&connected, &sent);
            scope.spawn(move || {
                let stream = connect(address);
                connected.wait();
                let asked = stream.and_then(|stream| ask(stream, BLOCKS, index));
                sent.wait();
                asked.and_then(|stream| answered(stream, BLOCKS, index))
            })
        });
        let blockers: Vec<_> = blockers.collect();
        connected.wait();
        let begun = Instant::now();
        sent.wait();
        let others = (0..AT_ONCE).map(|_| {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Relaxed) {
                        index @ 0..OTHERS => {
                            let asked = ask(connect(address)?, WAITS, index)?;
                            answered(asked, WAITS, index)?;
                        }
                        _ => return Ok(()),
                    }
                }
            })
        });
        let others: Vec<_> = others.collect();
        // Both are awaited at a time: each has its own end.
        let blockers = scope.spawn(move || end(blockers, begun));
        let others = end(others, begun)?;
        let blockers = blockers.join().map_err(|_| "a client panicked")??;
        Ok(Times { others, blockers })
    })
}

/// The seconds from `begun` until all have ended.
fn end(clients: Vec<ScopedJoinHandle<'_, io::Result<()>>>, begun: Instant) -> io::Result<f64> {
    for client in clients {
        client.join().map_err(|_| io::Error::other("a client panicked"))??;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(mut stream: TcpStream, endpoint: &str, index: u64) -> io::Result<TcpStream> {
    let head =
        format!("GET /{endpoint}/{index} HTTP/1.1\r\nHost: stall\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

fn answered(mut stream: TcpStream, endpoint: &'static str, index: u64) -> io::Result<()> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = serde_json::to_string(&Answer::of(endpoint, index))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, found)) if head.starts_with("HTTP/1.1 200") && found == body => Ok(()),
        _ => Err(io::Error::other(format!("the answer is not what all answer:\n{answer}"))),
    }
}
