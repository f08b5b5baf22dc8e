//! A host with a loop of its own, a plain `poll(2)`, and a runtime as its guest.
//!
//! The host draws a frame every 16 ms and listens to a pipe. The runtime serves an echo client, runs
//! timers, and is woken by other threads. Each turn may take 2 ms, so that no frame is late; at the
//! end it says how long turns took.
//!
//! ```text
//! cargo run --release --example embed_poll -- --frames 1000
//! ```

#![allow(clippy::disallowed_types)]

use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{Budget, Handle, LocalRuntime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// What a turn may take of a frame.
const TURN: Duration = Duration::from_millis(2);

/// mio's `poll(2)` back end has no descriptor that a host could watch.
#[cfg(mio_unsupported_force_poll_poll)]
fn main() {
    println!("a runtime over poll(2) can be a guest by its deadlines only");
}

#[cfg(not(mio_unsupported_force_poll_poll))]
fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let rt = LocalRuntime::builder().build()?;
    let counts = Arc::new(Counts::default());
    if !options.idle {
        begin_work(&rt, &counts);
    }
    let (mut pipe, teller) = UnixStream::pair()?;
    pipe.set_nonblocking(true)?;
    let others = Others::start(&rt.handle(), teller, &counts, options.idle)?;

    let mut turns = Vec::new();
    let mut next_frame = Instant::now();
    let mut frames = 0;
    while frames < options.frames {
        let now = Instant::now();
        if now >= next_frame {
            frames += 1;
            next_frame = now + options.frame;
        }
        // Whichever comes first: the next frame, or the runtime's next deadline.
        let deadline = rt.next_deadline();
        let until = deadline.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(mainspring::time::Instant::now())
        });
        let limit = until.min(next_frame.saturating_duration_since(now));
        let limit = Timespec::try_from(limit)?;
        let (own, guest) = (pipe.try_clone()?, rt.as_fd());
        let mut fds = [PollFd::new(&own, PollFlags::IN), PollFd::new(&guest, PollFlags::IN)];
        poll(&mut fds, Some(&limit))?;
        let (own_is_ready, guest_is_ready) =
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if own_is_ready {
            while matches!(pipe.read(&mut [0; 64]), Ok(1..)) {
                counts.own.fetch_add(1, Relaxed);
            }
        }
        let is_due = rt.next_deadline().is_some_and(|at| at <= mainspring::time::Instant::now());
        if guest_is_ready || is_due {
            let (start, used) = (Instant::now(), cpu_time());
            rt.turn(Budget::new().max_time(TURN).max_polls(usize::MAX))?;
            turns.push((start.elapsed(), cpu_time().saturating_sub(used)));
        }
    }
    others.end();
    report(&turns, frames, &counts);
    Ok(())
}

struct Options {
    frames: u64,
    frame: Duration,
    /// Nothing is going on: the runtime must not be turned at all.
    idle: bool,
}

impl Options {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { frames: 1000, frame: Duration::from_millis(16), idle: false };
        while let Some(name) = given.next() {
            match name.as_str() {
                "--frames" => options.frames = given.next().ok_or("--frames N")?.parse()?,
                "--frame-ms" => {
                    let ms = given.next().ok_or("--frame-ms N")?.parse()?;
                    options.frame = Duration::from_millis(ms);
                }
                "--idle" => options.idle = true,
                _ => return Err("embed_poll [--frames N] [--frame-ms N] [--idle]".into()),
            }
        }
        Ok(options)
    }
}

/// What happened.
#[derive(Default)]
struct Counts {
    echoes: AtomicU64,
    timers: AtomicU64,
    from_threads: AtomicU64,
    own: AtomicU64,
}

/// An echo server with its client, a hundred timers, and tasks that keep the thread busy.
fn begin_work(rt: &LocalRuntime, counts: &Arc<Counts>) {
    let echoes = counts.clone();
    drop(rt.spawn_local(async move {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        drop(mainspring::spawn_local(async move {
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = server.read(&mut buffer).await {
                if server.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
        }));
        let mut buffer = [0; 64];
        loop {
            client.write_all(b"ping").await?;
            if client.read(&mut buffer).await? == 0 {
                return Ok::<_, std::io::Error>(());
            }
            echoes.echoes.fetch_add(1, Relaxed);
            sleep(Duration::from_micros(300)).await;
        }
    }));
    for n in 0..100 {
        let timers = counts.clone();
        drop(rt.spawn_local(async move {
            loop {
                sleep(Duration::from_millis(5 + n % 20)).await;
                timers.timers.fetch_add(1, Relaxed);
            }
        }));
    }
    // Now and then more than fits into a frame: it is spread over several.
    for _ in 0..4 {
        drop(rt.spawn_local(async {
            loop {
                for _ in 0..20_000 {
                    std::hint::black_box((0..200u64).sum::<u64>());
                    mainspring::yield_now().await;
                }
                sleep(Duration::from_millis(100)).await;
            }
        }));
    }
}

/// Threads that wake the runtime, and one that writes to the host's pipe.
struct Others {
    ends: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Without it the host's pipe would be at its end, and always ready.
    _teller: UnixStream,
}

impl Others {
    fn start(
        handle: &Handle,
        mut teller: UnixStream,
        counts: &Arc<Counts>,
        idle: bool,
    ) -> std::io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(idle));
        let mut threads = Vec::new();
        for _ in 0..2 {
            let (handle, counts, ends) = (handle.clone(), counts.clone(), ends.clone());
            threads.push(thread::Builder::new().spawn(move || {
                while !ends.load(Relaxed) {
                    let counts = counts.clone();
                    drop(handle.spawn(async move {
                        counts.from_threads.fetch_add(1, Relaxed);
                    }));
                    thread::sleep(Duration::from_micros(500));
                }
            })?);
        }
        let told = ends.clone();
        let kept = teller.try_clone()?;
        threads.push(thread::Builder::new().spawn(move || {
            while !told.load(Relaxed) && teller.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        })?);
        Ok(Self { ends, threads, _teller: kept })
    }

    fn end(self) {
        self.ends.store(true, Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// What this thread has used of a CPU: a turn that others interrupt is long, but used no more.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

fn report(turns: &[(Duration, Duration)], frames: u64, counts: &Counts) {
    println!("{frames} frames, {} turns of at most {TURN:?} each", turns.len());
    let most = turns.iter().map(|(_, cpu)| *cpu).max().unwrap_or_default();
    let mut turns: Vec<_> = turns.iter().map(|(wall, _)| *wall).collect();
    turns.sort_unstable();
    let at = |per_mille: usize| turns.get((turns.len().saturating_sub(1)) * per_mille / 1000);
    for (name, per_mille) in
        [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1000)]
    {
        println!("{name:>6} {:?}", at(per_mille).copied().unwrap_or_default());
    }
    for (above, below) in
        [(0, 100), (100, 500), (500, 1000), (1000, 2000), (2000, 2100), (2100, u64::MAX)]
    {
        let within = |turn: &&Duration| (above..below).contains(&(turn.as_micros() as u64));
        println!("{above:>6} µs and more: {}", turns.iter().filter(within).count());
    }
    println!("most CPU time in a turn: {most:?}");
    println!(
        "echoes {}, timers {}, tasks from threads {}, bytes of the host's own {}",
        counts.echoes.load(Relaxed),
        counts.timers.load(Relaxed),
        counts.from_threads.load(Relaxed),
        counts.own.load(Relaxed),
    );
}
