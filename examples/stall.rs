//! What happens beside tasks that block: the experiments of the sentry, with it and without.
//!
//! `cargo run --release --example stall` takes two minutes; with `-- --quick` it takes a quarter of that,
//! and says less about what is rare.
//!
//! A *heartbeat* is due every 5 ms, and an *echo peer* is asked by a thread every 5 ms. Each block begins
//! right behind one of them, on the worker that has its timer or socket. Lateness is the time from when
//! the heartbeat was due until it ran, and from the question to the answer. Timers are kept in steps of
//! 1 ms, so that a heartbeat which nothing disturbs is 1 ms late.
// An example shares counts as its user would.
#![allow(clippy::disallowed_types)]

use mainspring::hooks::{Hooks, Stall};
use mainspring::net::TcpListener;
use mainspring::time::{Instant, Sleep, sleep, sleep_until};
use mainspring::{Metrics, Runtime, spawn, yield_now};
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const WORKERS: usize = 4;

const BEAT: Duration = ms(5);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let time = if quick { ms(700) } else { ms(3000) };
    println!("{WORKERS} workers; lateness in ms as median / 99th percentile / worst\n");
    println!("{:46} {:>24} {:>24}", "", "with the sentry", "without");
    for (wanted, what) in [(1, "one worker blocked"), (WORKERS, "all workers blocked")] {
        for block in [1, 3, 9, 30, 300] {
            let beside = |sentry, seen| beside_blocks(time, ms(block), wanted, sentry, seen);
            let (on, off) = (beside(true, Seen::Beat)?, beside(false, Seen::Beat)?);
            println!("{:46} {on:>24} {off:>24}", format!("heartbeat, {what}, {block} ms each"));
            let (on, off) = (beside(true, Seen::Echo)?, beside(false, Seen::Echo)?);
            println!("{:46} {on:>24} {off:>24}", format!("echo, {what}, {block} ms each"));
        }
    }
    let rounds = if quick { 5 } else { 25 };
    for (busy, what) in [(0, "other workers idle"), (WORKERS - 1, "none idle")] {
        let victim = |sentry| victims(rounds, busy, sentry);
        let (on, off) = (victim(true)?, victim(false)?);
        println!("{:46} {on:>24} {off:>24}", format!("woken before a block of 100 ms, {what}"));
    }
    let stalls = if quick { 6 } else { 40 };
    let (on, off) = (first_stalls(stalls, true)?, first_stalls(stalls, false)?);
    println!("{:46} {on:>24} {off:>24}", "the first block of all, 60 ms, one idle");
    println!();
    many_blockers()
}

/// Whose lateness is measured.
#[derive(Clone, Copy)]
enum Seen {
    Beat,
    Echo,
}

/// Tasks that block again and again: so many at a time.
struct Blockers {
    alive: AtomicUsize,
    wanted: usize,
    block: Duration,
    over: AtomicBool,
}

impl Blockers {
    fn new(wanted: usize, block: Duration) -> Arc<Self> {
        let (alive, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { alive, wanted, block, over })
    }

    /// Begins as many as are missing, behind the task that calls this.
    fn top_up(self: &Arc<Self>) {
        while !self.over.load(SeqCst) && self.alive.load(SeqCst) < self.wanted {
            self.alive.fetch_add(1, SeqCst);
            let this = Arc::clone(self);
            drop(spawn(async move {
                thread::sleep(this.block);
                this.alive.fetch_sub(1, SeqCst);
            }));
        }
    }

    async fn end(&self) {
        self.over.store(true, SeqCst);
        while self.alive.load(SeqCst) > 0 {
            sleep(ms(1)).await;
        }
    }
}

/// What was seen.
struct Lateness(Vec<Duration>);

impl Lateness {
    fn summary(mut self) -> String {
        self.0.sort();
        let at = |share: usize| self.0[(self.0.len() - 1) * share / 100].as_secs_f64() * 1e3;
        format!("{:.1} / {:.1} / {:.1}", at(50), at(99), at(100))
    }
}

fn runtime(sentry: bool) -> Result<Runtime, mainspring::BuildError> {
    Runtime::builder().worker_threads(WORKERS).sentry(sentry).build()
}

fn beside_blocks(
    time: Duration,
    block: Duration,
    wanted: usize,
    sentry: bool,
    seen: Seen,
) -> Result<String, Box<dyn Error>> {
    let rt = runtime(sentry)?;
    let blockers = Blockers::new(wanted, block);
    let lateness = match seen {
        Seen::Beat => rt.block_on(rt.spawn(heartbeat(time, Arc::clone(&blockers))))?,
        Seen::Echo => {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
            let peer = TcpStream::connect(listener.local_addr()?)?;
            let echo = rt.spawn(echo(listener, Arc::clone(&blockers)));
            let asked = ask(peer, time)?;
            rt.block_on(echo)??;
            asked
        }
    };
    rt.block_on(blockers.end());
    Ok(lateness.summary())
}

async fn heartbeat(time: Duration, blockers: Arc<Blockers>) -> Lateness {
    let begun = Instant::now();
    let mut late = Vec::new();
    while begun.elapsed() < time {
        let due = Instant::now() + BEAT;
        let mut timer = pin!(sleep_until(due));
        arm(timer.as_mut()).await;
        blockers.top_up();
        timer.await;
        late.push(due.elapsed());
    }
    Lateness(late)
}

/// Polls the timer once, so that it belongs to this worker.
async fn arm(mut timer: std::pin::Pin<&mut Sleep>) {
    let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(timer.as_mut().poll(cx))).await;
}

async fn echo(listener: TcpListener, blockers: Arc<Blockers>) -> std::io::Result<()> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {
        stream.write_all(&byte).await?;
        blockers.top_up();
    }
    Ok(())
}

/// Asks the echo peer every 5 ms, on a thread.
fn ask(mut peer: TcpStream, time: Duration) -> std::io::Result<Lateness> {
    peer.set_nodelay(true)?;
    let begun = std::time::Instant::now();
    let mut late = Vec::new();
    while begun.elapsed() < time {
        thread::sleep(BEAT);
        let asked = std::time::Instant::now();
        peer.write_all(b"?")?;
        peer.read_exact(&mut [0])?;
        late.push(asked.elapsed());
    }
    Ok(Lateness(late))
}

/// How late a task runs that was spawned by one which blocks then: it stands in the worker's slot.
fn victims(rounds: usize, busy: usize, sentry: bool) -> Result<String, Box<dyn Error>> {
    let rt = runtime(sentry)?;
    let mut late = Vec::new();
    for _ in 0..rounds {
        let blockers = Blockers::new(busy, ms(300));
        rt.block_on(rt.spawn({
            let blockers = Arc::clone(&blockers);
            async move {
                blockers.top_up();
                yield_now().await;
            }
        }))?;
        thread::sleep(ms(20));
        let (tell, told) = mpsc::channel();
        let blocks = rt.spawn(async move {
            let woken = Instant::now();
            drop(spawn(async move { tell.send(woken.elapsed()) }));
            thread::sleep(ms(100));
        });
        late.push(told.recv()?);
        rt.block_on(blocks)?;
        rt.block_on(blockers.end());
    }
    Ok(Lateness(late).summary())
}

/// How late the heartbeat is at the first block that a runtime meets, before anything has made its sentry
/// alert.
fn first_stalls(rounds: usize, sentry: bool) -> Result<String, Box<dyn Error>> {
    let mut late = Vec::new();
    for round in 0..rounds {
        let rt = runtime(sentry)?;
        let blockers = Blockers::new(1, ms(60));
        // At different moments between two looks.
        thread::sleep(ms(10) + Duration::from_micros(711 * (round as u64 % 7)));
        let Lateness(seen) = rt.block_on(rt.spawn(heartbeat(ms(40), Arc::clone(&blockers))))?;
        late.extend(seen.into_iter().max());
        rt.block_on(blockers.end());
    }
    Ok(Lateness(late).summary())
}

/// Prints the first reports that come.
#[derive(Default)]
struct Tells(Mutex<usize>);

impl Hooks for Tells {
    fn on_stall(&self, stall: &Stall) {
        let mut told = self.0.lock().unwrap();
        if *told < 2 {
            println!("  report: {stall}");
        }
        *told += 1;
    }
}

/// Twice as many tasks as workers that block for a second, all at once.
fn many_blockers() -> Result<(), Box<dyn Error>> {
    let count = 2 * WORKERS;
    println!("{count} tasks at once that block for 1 s each:");
    let rt = Runtime::builder()
        .worker_threads(WORKERS)
        .rescuer_keep_alive(ms(500))
        .hooks(Arc::new(Tells::default()))
        .build()?;
    let handle = rt.handle();
    let most = Arc::new(Mutex::new(Metrics::default()));
    let watched = Arc::clone(&most);
    let begun = std::time::Instant::now();
    let blockers: Vec<_> =
        (0..count).map(|_| rt.spawn(async { thread::sleep(ms(1000)) })).collect();
    let beat = rt.spawn(heartbeat(ms(900), Blockers::new(0, ms(0))));
    thread::sleep(ms(500));
    *watched.lock().unwrap() = handle.metrics();
    let late = rt.block_on(beat)?.summary();
    for blocker in blockers {
        rt.block_on(blocker)?;
    }
    println!("  beside them, the heartbeat: {late}");
    println!("  all over after {:.2} s", begun.elapsed().as_secs_f64());
    let Metrics { rescuers, rescues, stalls, .. } = most.lock().unwrap().clone();
    println!("  threads that stood in: {rescuers}; rescues {rescues}, reports {stalls}");
    thread::sleep(ms(1500));
    println!("  1.5 s later: {}", handle.metrics().rescuers);
    Ok(())
}
