//! Ten million tasks: each runs to its end once or is cancelled once, and nothing is left of them.
//!
//! They are spawned by threads, tasks, roots and closures; woken by threads, tasks and themselves;
//! aborted at all times of their lives; some stay on one worker. `MAINSPRING_STRESS_TASKS` says how
//! many there are in all.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/counting.rs"]
mod counting;

use counting::{Counting, bytes};
use mainspring::sync::mpsc;
use mainspring::task::AbortHandle;
use mainspring::{Handle, JoinHandle, Runtime, spawn_pinned};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A wait that only a hang makes so long.
const WATCHDOG: Duration = Duration::from_secs(30);
/// What the deques that were freed leave behind until their collector comes by.
const GARBAGE: isize = 64 << 10;
/// So many tasks at a time, so that their fates are in memory.
const WAVE: usize = 60_000;
const SPAWNERS: usize = 6;

#[test]
fn each_task_runs_or_is_cancelled_once_and_leaves_nothing() {
    let default = if cfg!(debug_assertions) { 400_000 } else { 10_000_000 };
    let total = std::env::var("MAINSPRING_STRESS_TASKS").map_or(default, |n| n.parse().unwrap());
    // What is made once for the process.
    run(2, WAVE / 10);
    for workers in [1, 2, 8] {
        let (start, before) = (Instant::now(), bytes());
        let outcomes = run(workers, total / 3);
        let within = returns_to(before);
        println!("{workers} workers: {outcomes:?} in {:?}, {within} bytes more", start.elapsed());
    }
}

/// Waits until no more is allocated than `before`, or next to none; how much more that is.
fn returns_to(before: isize) -> isize {
    let start = Instant::now();
    while bytes() > before + GARBAGE {
        assert!(start.elapsed() < WATCHDOG, "{} bytes are left behind", bytes() - before);
        // What the deques of others have left is collected by those who use some.
        run(2, SPAWNERS);
    }
    bytes() - before
}

#[derive(Debug, Default)]
struct Outcomes {
    finished: usize,
    cancelled: usize,
    /// Of both, those that nobody joined.
    detached: usize,
}

fn run(workers: usize, total: usize) -> Outcomes {
    let rt = Runtime::builder().worker_threads(workers).build().unwrap();
    let mut outcomes = Outcomes::default();
    let mut left = total;
    while left >= SPAWNERS {
        let size = left.min(WAVE) / SPAWNERS * SPAWNERS;
        Wave::run(&rt, size, &mut outcomes);
        left -= size;
    }
    let ended = rt.shutdown_timeout(WATCHDOG);
    assert_eq!((ended.tasks.len(), ended.threads, ended.blocking), (0, 0, 0));
    if total > WAVE {
        let few = total / 100;
        assert!(outcomes.finished > few && outcomes.cancelled > few, "{outcomes:?}");
    }
    outcomes
}

/// What became of one task: four counts of a byte each.
#[derive(Default)]
struct Fate(AtomicU32);

const FINISHED: u32 = 1;
const DROPPED: u32 = 1 << 8;
const JOINED: u32 = 1 << 16;
const JOINED_CANCELLED: u32 = 1 << 24;

impl Fate {
    fn add(&self, what: u32) {
        self.0.fetch_add(what, Relaxed);
    }
}

/// Tasks that are under way together.
struct Wave {
    fates: Vec<Fate>,
    dropped: AtomicUsize,
    /// To threads that wake, and to tasks that do.
    threads: Vec<std::sync::mpsc::Sender<Waker>>,
    tasks: Vec<mpsc::UnboundedSender<Waker>>,
    /// To a thread that aborts.
    aborts: std::sync::mpsc::Sender<AbortHandle>,
}

impl Wave {
    fn run(rt: &Runtime, size: usize, outcomes: &mut Outcomes) {
        let mut helpers = Vec::new();
        let threads = (0..2).map(|_| {
            let (tell, told) = std::sync::mpsc::channel();
            helpers.push(thread::spawn(move || wake_on_thread(&told)));
            tell
        });
        let threads = threads.collect();
        let tasks = (0..2).map(|_| {
            let (tell, told) = mpsc::unbounded_channel();
            drop(rt.spawn(wake_in_task(told)));
            tell
        });
        let tasks = tasks.collect();
        let (aborts, to_abort) = std::sync::mpsc::channel::<AbortHandle>();
        helpers.push(thread::spawn(move || to_abort.iter().for_each(|task| task.abort())));
        let fates = (0..size).map(|_| Fate::default()).collect();
        let wave = Arc::new(Self { fates, dropped: AtomicUsize::new(0), threads, tasks, aborts });
        wave.spawn_from_everywhere(rt);
        until(|| wave.dropped.load(Relaxed) == size);
        wave.check(outcomes);
        // Only now the helpers end.
        let weak = Arc::downgrade(&wave);
        drop(wave);
        until(|| weak.strong_count() == 0);
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
        until(|| rt.live_tasks() == 0);
    }

    /// One share each of the tasks for two threads, two tasks, a root and a closure; each joins its own.
    fn spawn_from_everywhere(self: &Arc<Self>, rt: &Runtime) {
        let spawn = |spawner: usize| {
            let (wave, handle) = (self.clone(), rt.handle());
            move || wave.spawn_share(spawner, &handle)
        };
        thread::scope(|scope| {
            for spawner in 0..2 {
                let spawn = spawn(spawner);
                scope.spawn(move || {
                    for (number, task) in spawn() {
                        let outcome = task.wait_blocking(WATCHDOG).unwrap();
                        self.joined(number, outcome.map_err(|error| error.is_cancelled()));
                    }
                });
            }
            let in_tasks = [2, 3].map(|spawner| {
                let (wave, spawn) = (self.clone(), spawn(spawner));
                rt.spawn(async move { wave.join(spawn()).await })
            });
            let in_closure = rt.handle().spawn_blocking(spawn(5));
            let in_root = spawn(4);
            rt.block_on(async {
                self.join(in_root()).await;
                self.join(in_closure.await.unwrap()).await;
                for task in in_tasks {
                    task.await.unwrap();
                }
            });
        });
    }

    async fn join(&self, tasks: Vec<(usize, JoinHandle<usize>)>) {
        for (number, task) in tasks {
            self.joined(number, task.await.map_err(|error| error.is_cancelled()));
        }
    }

    /// Spawns every sixth task; those that are to be joined come back.
    fn spawn_share(
        self: &Arc<Self>,
        first: usize,
        handle: &Handle,
    ) -> Vec<(usize, JoinHandle<usize>)> {
        let _entered = handle.enter();
        let mut kept = Vec::new();
        for number in (first..self.fates.len()).step_by(SPAWNERS) {
            let share = number / SPAWNERS;
            let task = Counted { wave: self.clone(), number, polls: 0 };
            let task = match share % 16 {
                5 => {
                    let make = move || async move {
                        let stays = Rc::new(task.number);
                        assert_eq!(task.await, *stays);
                        *stays
                    };
                    spawn_pinned(share % handle.workers(), make).unwrap()
                }
                _ => handle.spawn(task),
            };
            match share % 7 {
                // Mostly before its first poll.
                0 => task.abort(),
                // At any time.
                1 => self.aborts.send(task.abort_handle()).unwrap(),
                _ => {}
            }
            if share.is_multiple_of(5) {
                drop(task);
                continue;
            }
            kept.push((number, task));
            if share % 20 == 1 {
                kept[kept.len() / 2].1.abort();
            }
        }
        kept
    }

    fn joined(&self, number: usize, outcome: Result<usize, bool>) {
        match outcome {
            Ok(output) => assert_eq!(output, number),
            Err(is_cancelled) => {
                assert!(is_cancelled);
                self.fates[number].add(JOINED_CANCELLED);
            }
        }
        self.fates[number].add(JOINED);
    }

    /// Whether what the futures, the outputs and the handles say agrees.
    fn check(&self, outcomes: &mut Outcomes) {
        for (number, fate) in self.fates.iter().enumerate() {
            let fate = fate.0.load(Relaxed);
            let [finished, dropped, joined, cancelled] = fate.to_le_bytes();
            assert_eq!(dropped, 1, "drops of task {number}");
            assert!(finished <= 1, "task {number} ended {finished} times");
            assert!(
                joined == u8::from(!(number / SPAWNERS).is_multiple_of(5)),
                "{number}: {joined}"
            );
            assert_eq!(finished + cancelled, joined.max(finished), "task {number}: {fate:x}");
            match finished {
                1 => outcomes.finished += 1,
                _ => outcomes.cancelled += 1,
            }
            outcomes.detached += usize::from(joined == 0);
        }
    }
}

/// A future that wants some wakes.
struct Counted {
    wave: Arc<Wave>,
    number: usize,
    polls: usize,
}

impl Future for Counted {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let (number, share) = (self.number, self.number / SPAWNERS);
        let wants = [0, 1, 1, 3][share % 4];
        if self.polls == wants {
            self.wave.fates[number].add(FINISHED);
            return Poll::Ready(number);
        }
        self.polls += 1;
        let waker = cx.waker().clone();
        let wave = &self.wave;
        match (share + self.polls) % 3 {
            0 => waker.wake(),
            1 => wave.threads[share % 2].send(waker).unwrap(),
            _ => wave.tasks[share % 2].send(waker).unwrap(),
        }
        Poll::Pending
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.wave.fates[self.number].add(DROPPED);
        self.wave.dropped.fetch_add(1, Relaxed);
    }
}

fn wake_on_thread(told: &std::sync::mpsc::Receiver<Waker>) {
    let mut late = Vec::new();
    for (n, waker) in told.iter().enumerate() {
        waker.wake_by_ref();
        if n % 64 == 0 {
            late.push(waker);
        } else {
            waker.wake();
        }
    }
    late.into_iter().for_each(Waker::wake);
}

async fn wake_in_task(mut told: mpsc::UnboundedReceiver<Waker>) {
    let mut late = Vec::new();
    while let Some(waker) = told.recv().await {
        waker.wake_by_ref();
        if late.len() < 1000 {
            late.push(waker);
        }
    }
    late.into_iter().for_each(Waker::wake);
}

fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < WATCHDOG, "it does not come to an end");
        thread::sleep(Duration::from_micros(200));
    }
}
