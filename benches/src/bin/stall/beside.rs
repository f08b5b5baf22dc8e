//! What is due every 5 ms, beside tasks that block again and again.
//!
//! Each block begins right behind it, on the worker that has its timer or socket.

use crate::experiment::Seen;
use crate::runtime::Runtime;
use crate::sample::Sample;
use crate::{Failure, ms};
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

const BEAT: Duration = ms(5);

/// An answer that takes longer than this never comes.
const PATIENCE: Duration = ms(10_000);

pub(crate) fn blocks<R: Runtime>(
    seen: Seen,
    blocked: usize,
    block: Duration,
    time: Duration,
) -> Result<Sample, Failure> {
    let rt = R::start();
    let blockers = Blockers::new(blocked, block);
    let late = match seen {
        Seen::Heartbeat => {
            rt.run(heartbeat::<R>(Instant::now(), time, Arc::clone(&blockers))).recv()?
        }
        Seen::Echo => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let peer = TcpStream::connect(listener.local_addr()?)?;
            let behind = Arc::clone(&blockers);
            let echo = rt.run(R::echo(listener, move || behind.top_up::<R>()));
            let late = ask(peer, time)?;
            echo.recv()??;
            late
        }
    };
    blockers.end();
    Ok(Sample { late, ..Sample::default() })
}

/// How late the heartbeat is at the first block that a runtime meets; in a process of its own, at
/// another moment after the start in each.
pub(crate) fn first<R: Runtime>(number: u64) -> Result<Sample, Failure> {
    let rt = R::start();
    let blockers = Blockers::new(1, ms(60));
    thread::sleep(ms(10) + Duration::from_micros(711 * (number % 7)));
    let beats = heartbeat::<R>(Instant::now(), ms(40), Arc::clone(&blockers));
    let late = rt.run(beats).recv()?.into_iter().max();
    blockers.end();
    Ok(Sample { late: late.into_iter().collect(), ..Sample::default() })
}

/// How late a task runs that was due at `begun`, and then every 5 ms. After one that is late the next is
/// due 5 ms later, so that those that were due meanwhile do not count.
pub(crate) async fn heartbeat<R: Runtime>(
    begun: Instant,
    time: Duration,
    blockers: Arc<Blockers>,
) -> Vec<Duration> {
    let mut late = vec![begun.elapsed()];
    while begun.elapsed() < time {
        let due = Instant::now() + BEAT;
        let mut timer = pin!(R::sleep(BEAT));
        // So that it belongs to this worker.
        let _ = poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx))).await;
        blockers.top_up::<R>();
        timer.await;
        late.push(due.elapsed());
    }
    late
}

/// Asks the echo peer every 5 ms.
fn ask(mut peer: TcpStream, time: Duration) -> io::Result<Vec<Duration>> {
    peer.set_nodelay(true)?;
    peer.set_read_timeout(Some(PATIENCE))?;
    let begun = Instant::now();
    let mut late = Vec::new();
    while begun.elapsed() < time {
        thread::sleep(BEAT);
        let asked = Instant::now();
        peer.write_all(b"?")?;
        peer.read_exact(&mut [0])?;
        late.push(asked.elapsed());
    }
    Ok(late)
}

/// Tasks that block again and again: so many at a time.
pub(crate) struct Blockers {
    alive: AtomicUsize,
    wanted: usize,
    block: Duration,
    over: AtomicBool,
}

impl Blockers {
    pub(crate) fn new(wanted: usize, block: Duration) -> Arc<Self> {
        let (alive, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { alive, wanted, block, over })
    }

    /// Begins as many as are missing, behind the task that calls this.
    fn top_up<R: Runtime>(self: &Arc<Self>) {
        while !self.over.load(SeqCst) && self.alive.load(SeqCst) < self.wanted {
            self.alive.fetch_add(1, SeqCst);
            let this = Arc::clone(self);
            R::spawn(async move {
                thread::sleep(this.block);
                this.alive.fetch_sub(1, SeqCst);
            });
        }
    }

    /// Waits until the last block is over.
    fn end(&self) {
        self.over.store(true, SeqCst);
        while self.alive.load(SeqCst) > 0 {
            thread::sleep(ms(1));
        }
    }
}
