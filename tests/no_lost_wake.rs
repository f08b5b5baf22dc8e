//! Wakes of all kinds, on few cores, with workers that fall asleep all the time: none is lost.
//!
//! Each game passes something on for as long as it runs, and stands still for ever where a wake is
//! lost. Games run alone, where nothing else wakes the workers, and all at once, with pauses in which
//! all workers park. `MAINSPRING_STRESS_SECONDS` says for how long (3 by default).
#![cfg(all(target_os = "linux", not(loom)))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

use mainspring::net::{TcpListener, TcpStream};
use mainspring::sync::oneshot::{self, RecvError};
use mainspring::sync::{Event, Notify, mpsc};
use mainspring::time::{Instant, sleep, sleep_until, timeout};
use mainspring::{Runtime, spawn, spawn_blocking, spawn_pinned, yield_now};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// A game in which nobody takes a step for so long has lost a wake.
const WATCHDOG: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_secs(3600);

/// A game by its name, and how it is set up.
type Rules = (&'static str, fn(&mut Game));

const GAMES: [Rules; 11] = [
    ("channels", channels),
    ("oneshots", oneshots),
    ("notices", notices),
    ("cells", cells),
    ("foreign wakers", foreign_wakers),
    ("timers", timers),
    ("sockets", sockets),
    ("pinned tasks", pinned),
    ("roots", roots),
    ("spawns from outside", outside),
    ("closures", closures),
];

#[test]
fn two_workers_on_one_core() {
    hunt(1, 2);
}

#[test]
fn four_workers_on_one_core() {
    hunt(1, 4);
}

#[test]
fn two_workers_on_two_cores() {
    hunt(2, 2);
}

#[test]
fn four_workers_on_two_cores() {
    hunt(2, 4);
}

/// Plays all games, with threads that run on so many cores.
fn hunt(cores: usize, workers: usize) {
    let seconds = std::env::var("MAINSPRING_STRESS_SECONDS").map_or(3.0, |s| s.parse().unwrap());
    let half = Duration::from_secs_f64(seconds / 2.0);
    thread::scope(|scope| {
        scope.spawn(|| {
            keep_to(cores);
            for game in GAMES {
                play(&[game], workers, half / GAMES.len() as u32, false);
            }
            play(&GAMES, workers, half, true);
        });
    });
}

/// Keeps this thread, and those that it starts, to so many of the cores that it may use.
fn keep_to(cores: usize) {
    let allowed = sched_getaffinity(None).unwrap();
    let mut fewer = CpuSet::new();
    let there = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    there.take(cores).for_each(|core| fewer.set(core));
    sched_setaffinity(None, &fewer).unwrap();
}

/// Plays these games at once; with pauses for all, if asked for.
fn play(games: &[Rules], workers: usize, length: Duration, pauses: bool) {
    let rt = Arc::new(Runtime::builder().worker_threads(workers).build().unwrap());
    let (gate, over) = (Arc::new(Event::new()), Arc::<AtomicBool>::default());
    gate.set();
    let mut threads = Vec::new();
    let mut watched: Vec<_> = games
        .iter()
        .map(|(name, start)| {
            let player = Player { steps: Arc::default(), gate: gate.clone(), over: over.clone() };
            let mut game = Game { rt: rt.clone(), workers, player, threads: Vec::new() };
            start(&mut game);
            threads.append(&mut game.threads);
            Watched { name, steps: game.player.steps, seen: 0, since: Instant::now() }
        })
        .collect();
    let mut random = Random(7);
    let start = Instant::now();
    while start.elapsed() < length {
        thread::sleep(random.up_to(5000));
        if pauses {
            gate.clear();
            thread::sleep(random.up_to(2000));
            gate.set();
        }
        watched.iter_mut().for_each(|game| game.look(&rt));
    }
    over.store(true, Ordering::Relaxed);
    // Threads end when those end with whom they play.
    let limit = Instant::now();
    while threads.iter().any(|thread| !thread.is_finished()) {
        assert!(limit.elapsed() < WATCHDOG, "a thread waits for ever: {rt:?}");
        thread::sleep(Duration::from_millis(1));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let rt = Arc::into_inner(rt).expect("nobody else has it");
    let left = rt.shutdown_timeout(WATCHDOG);
    assert_eq!((left.tasks.len(), left.threads, left.blocking), (0, 0, 0));
    let steps = watched.iter().map(|game| (game.name, game.steps.load(Ordering::Relaxed)));
    let steps: Vec<_> = steps.collect();
    assert!(steps.iter().all(|(_, steps)| *steps > 0), "{steps:?}");
    println!("{workers} workers, {length:?}: {steps:?}");
}

/// A game, as one sees it who waits for it to stand still.
struct Watched<'a> {
    name: &'a str,
    steps: Arc<AtomicU64>,
    seen: u64,
    since: Instant,
}

impl Watched<'_> {
    fn look(&mut self, rt: &Runtime) {
        let now = self.steps.load(Ordering::Relaxed);
        if now != self.seen {
            (self.seen, self.since) = (now, Instant::now());
        } else if self.since.elapsed() > WATCHDOG {
            // Not a panic: the drop of the runtime would wake what has to be looked at.
            eprintln!("{}: no step after {now} of them, in {rt:?}", self.name);
            std::process::abort();
        }
    }
}

struct Game {
    rt: Arc<Runtime>,
    workers: usize,
    player: Player,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Game {
    fn play<F>(&self, player: impl FnOnce(Player) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.rt.spawn(player(self.player.clone()));
        drop(self.rt.spawn(async move {
            if task.await.is_err_and(|error| error.is_panic()) {
                std::process::abort();
            }
        }));
    }

    fn on_thread(&mut self, player: impl FnOnce(Player) + Send + 'static) {
        let me = self.player.clone();
        self.threads.push(thread::spawn(move || player(me)));
    }
}

/// What each of those has who play one game.
///
/// They leave where others of it are cancelled, as that is the end: before it the game would stand
/// still.
#[derive(Clone)]
struct Player {
    steps: Arc<AtomicU64>,
    /// Closed while all are to pause.
    gate: Arc<Event>,
    over: Arc<AtomicBool>,
}

impl Player {
    /// A step was taken; `false` if the game is over.
    async fn step(&self) -> bool {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.gate.wait().await;
        !self.over.load(Ordering::Relaxed)
    }

    fn step_outside(&self) -> bool {
        self.steps.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }
}

/// Three tokens in a ring of eight.
fn channels(game: &mut Game) {
    let (first, mut from) = mpsc::channel(1);
    for n in 0..8 {
        let (next, into) = mpsc::channel(1);
        let (to, mut from) = (if n == 7 { first.clone() } else { next }, from_to(&mut from, into));
        game.play(|player| async move {
            if n % 3 == 0 {
                to.send(n).await.unwrap();
            }
            while let Some(token) = from.recv().await {
                if !player.step().await || to.send(token).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn from_to<T>(from: &mut T, to: T) -> T {
    std::mem::replace(from, to)
}

fn oneshots(game: &mut Game) {
    for _ in 0..2 {
        game.play(|player| async move {
            while player.step().await {
                let (there, back) = (oneshot::channel(), oneshot::channel());
                let other = spawn(async move {
                    let n: u32 = there.1.await?;
                    back.0.send(n + 1).map_err(|_| RecvError)
                });
                let _ = there.0.send(1);
                let (Ok(2), Ok(Ok(()))) = (back.1.await, other.await) else { return };
            }
        });
    }
}

fn notices(game: &mut Game) {
    let notices: Arc<[Notify; 5]> = Arc::default();
    for n in 0..5 {
        let notices = notices.clone();
        game.play(|player| async move {
            loop {
                notices[n].notified().await;
                let goes_on = player.step().await;
                notices[(n + 1) % 5].notify_one();
                if !goes_on {
                    return;
                }
            }
        });
    }
    notices[0].notify_one();
}

/// A turn that two take, with a waker that is replaced at each.
#[derive(Default)]
struct Cell {
    turn: AtomicU64,
    wakers: [Mutex<Option<Waker>>; 2],
}

impl Cell {
    async fn turn_of(&self, me: u64) {
        poll_fn(|cx| {
            *self.wakers[me as usize].lock().unwrap() = Some(cx.waker().clone());
            let mine = self.turn.load(Ordering::Acquire) % 2 == me;
            if mine { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn pass(&self) {
        let other = self.turn.fetch_add(1, Ordering::AcqRel) as usize + 1;
        let waker = self.wakers[other % 2].lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

fn cells(game: &mut Game) {
    let cell = Arc::<Cell>::default();
    for me in 0..2 {
        let cell = cell.clone();
        game.play(|player| async move {
            loop {
                cell.turn_of(me).await;
                let goes_on = player.step().await;
                cell.pass();
                if !goes_on {
                    return;
                }
            }
        });
    }
}

/// A thread that is no worker has one half of the turns.
fn foreign_wakers(game: &mut Game) {
    for _ in 0..2 {
        let cell = Arc::<Cell>::default();
        let (tell, told) = std::sync::mpsc::channel();
        let other = cell.clone();
        game.play(|player| async move {
            loop {
                other.turn_of(1).await;
                let goes_on = player.step().await;
                other.pass();
                if tell.send(()).is_err() || !goes_on {
                    return;
                }
            }
        });
        game.on_thread(move |_| {
            let mut random = Random(3);
            loop {
                // Sometimes the worker sleeps by now, sometimes it is on its way to.
                (0..random.next() % 3000).for_each(|_| std::hint::spin_loop());
                cell.pass();
                if told.recv().is_err() {
                    return;
                }
            }
        });
    }
}

fn timers(game: &mut Game) {
    for n in 0..12 {
        game.play(|player| async move {
            let mut random = Random(n + 1);
            while player.step().await {
                match n % 4 {
                    0 => sleep(random.up_to(3000)).await,
                    1 => sleep_until(Instant::now() + random.up_to(1000)).await,
                    2 => assert!(timeout(random.up_to(2000), pending::<()>()).await.is_err()),
                    _ => {
                        // Armed here, and dropped or awaited elsewhere.
                        let mut armed = Box::pin(sleep(random.up_to(2000)));
                        poll_fn(|cx| Poll::Ready(armed.as_mut().poll(cx).is_ready())).await;
                        let limit = Duration::from_millis(1);
                        let _ = spawn(async move { timeout(limit, armed).await.is_ok() }).await;
                    }
                }
            }
        });
    }
}

fn sockets(game: &mut Game) {
    for _ in 0..4 {
        game.play(|player| async move {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let accepted = spawn(async move { listener.accept().await.unwrap().0 });
            let client = TcpStream::connect(address).await.unwrap();
            let Ok(server) = accepted.await else { return };
            let echo = spawn(async move {
                let mut buffer = [0; 8];
                while let Ok(count @ 1..) = server.read(&mut buffer).await {
                    if server.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            });
            while player.step().await {
                let wrote = client.write_all(b"x").await;
                let (Ok(()), Ok(1)) = (wrote, client.read(&mut [0; 8]).await) else { return };
            }
            drop(client);
            let _ = echo.await;
        });
    }
}

/// A token that goes around all workers, by tasks that stay there, and one that does not.
fn pinned(game: &mut Game) {
    let players = game.workers + 1;
    let notices: Arc<Vec<Notify>> = Arc::new((0..players).map(|_| Notify::new()).collect());
    let entered = game.rt.enter();
    for n in 0..players {
        let (notices, player) = (notices.clone(), game.player.clone());
        let make = move || async move {
            loop {
                notices[n].notified().await;
                let goes_on = player.step().await;
                notices[(n + 1) % players].notify_one();
                if !goes_on {
                    return;
                }
            }
        };
        match n < game.workers {
            true => drop(spawn_pinned(n, make).unwrap()),
            false => drop(spawn(make())),
        }
    }
    drop(entered);
    notices[0].notify_one();
}

fn roots(game: &mut Game) {
    for n in 0..2 {
        let rt = game.rt.clone();
        game.on_thread(move |player| {
            rt.block_on(async {
                let mut random = Random(n + 1);
                while player.step().await {
                    let (tx, rx) = oneshot::channel();
                    let task = spawn(async move { tx.send(7).unwrap() });
                    match random.next() % 4 {
                        0 => task.await.unwrap(),
                        1 => sleep(random.up_to(300)).await,
                        _ => yield_now().await,
                    }
                    assert_eq!(rx.await, Ok(7));
                }
            });
        });
    }
}

fn outside(game: &mut Game) {
    for n in 0..2 {
        let handle = game.rt.handle();
        game.on_thread(move |player| {
            let mut random = Random(n + 1);
            while player.step_outside() {
                let task = handle.spawn(yield_now());
                task.wait_blocking(LONG).unwrap().unwrap();
                if random.next().is_multiple_of(8) {
                    thread::sleep(random.up_to(500));
                }
            }
        });
    }
}

fn closures(game: &mut Game) {
    for _ in 0..3 {
        game.play(|player| async move {
            while player.step().await && spawn_blocking(|| 5).await.is_ok() {}
        });
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 20
    }

    fn up_to(&mut self, micros: u64) -> Duration {
        Duration::from_micros(self.next() % (micros + 1))
    }
}
