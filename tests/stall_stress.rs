//! Tasks of which some block their thread now and then, at any poll: each ends once, none waits for ever.
//!
//! `MAINSPRING_STRESS_SECONDS` says for how long, `MAINSPRING_STRESS_TASKS` how many live at a time.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

use mainspring::sync::{Semaphore, oneshot};
use mainspring::time::sleep;
use mainspring::{Handle, JoinHandle, Runtime, spawn, yield_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// A wait that only a hang makes so long.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Of so many polls one blocks.
const SELDOM: u64 = 100;

/// And for so long at the most.
const LONGEST: u64 = 50_000;

#[test]
fn tasks_that_block_now_and_then_end_once_each() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let tasks = number("MAINSPRING_STRESS_TASKS", 4_000);
    let seconds = number("MAINSPRING_STRESS_SECONDS", 3);
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let mut seed = 1;
    loop {
        for workers in [1, 2, 4] {
            wave(workers, tasks, seed);
            seed += 1;
        }
        if Instant::now() > end {
            return;
        }
    }
}

/// What a wave has counted.
struct Counts {
    /// By task: how often it has ended, one way or the other.
    ends: Box<[AtomicU32]>,
    ended: AtomicUsize,
    blocks: AtomicUsize,
    done: std::sync::mpsc::Sender<()>,
}

/// One that is dropped when its task ends, or is cancelled.
struct Ends(Arc<Counts>, usize);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ends[self.1].fetch_add(1, SeqCst);
        if self.0.ended.fetch_add(1, SeqCst) + 1 == self.0.ends.len() {
            let _ = self.0.done.send(());
        }
    }
}

fn wave(workers: usize, tasks: usize, seed: u64) {
    let rt = Runtime::builder().worker_threads(workers).build().unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let counts = Arc::new(Counts {
        ends: (0..tasks).map(|_| AtomicU32::new(0)).collect(),
        ended: AtomicUsize::new(0),
        blocks: AtomicUsize::new(0),
        done,
    });
    let permits = Arc::new(Semaphore::new(3));
    let mut handles: Vec<JoinHandle<()>> = Vec::new();
    let mut random = Random(seed << 32 | workers as u64);
    // Two at a time, of whom each waits for the other.
    for pair in 0..tasks / 2 {
        let (tell, told) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let lives = |which, random: &mut Random| Life {
            _ends: Ends(Arc::clone(&counts), 2 * pair + which),
            random: random.split(),
            counts: Arc::clone(&counts),
            permits: Arc::clone(&permits),
            handle: rt.handle(),
        };
        let (mut first, mut second) = (lives(0, &mut random), lives(1, &mut random));
        let begins = async move {
            first.steps(2).await;
            let _ = tell.send(());
            let _ = answered.await;
            first.steps(1).await;
        };
        let answers = async move {
            let _ = told.await;
            second.steps(2).await;
            let _ = answer.send(());
        };
        handles.extend([rt.spawn(begins), rt.spawn(answers)]);
    }
    for _ in 0..tasks / 20 {
        handles[random.below(tasks as u64) as usize].abort();
    }
    let hang = is_done.recv_timeout(WATCHDOG).is_err();
    assert!(!hang, "{workers} workers: {} of {tasks} have ended", counts.ended.load(SeqCst));
    for (task, handle) in handles.into_iter().enumerate() {
        let outcome = handle.wait_blocking(WATCHDOG);
        assert!(outcome.is_ok(), "task {task} told nobody of its end");
    }
    assert!(counts.ends.iter().all(|ends| ends.load(SeqCst) == 1), "each ends once");
    let metrics = rt.handle().metrics();
    println!(
        "{workers} workers: {} blocks, {} reliefs, {} rescues",
        counts.blocks.load(SeqCst),
        metrics.reliefs,
        metrics.rescues
    );
    drop(rt);
    assert_eq!(Arc::strong_count(&counts), 1, "nothing of them is left");
}

/// A task's life, in which it blocks now and then.
struct Life {
    _ends: Ends,
    random: Random,
    counts: Arc<Counts>,
    permits: Arc<Semaphore>,
    handle: Handle,
}

impl Life {
    async fn steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.block();
            match self.random.below(6) {
                0 => yield_now().await,
                1 => sleep(Duration::from_micros(self.random.below(3_000))).await,
                2 => {
                    let permits = Arc::clone(&self.permits);
                    let _permit = permits.acquire().await;
                    self.block();
                }
                3 => spawn(yield_now()).await.unwrap(),
                4 => {
                    let worker = self.random.below(self.handle.workers() as u64) as usize;
                    let stays = self.handle.spawn_pinned(worker, yield_now);
                    stays.unwrap_or_else(|_| unreachable!("it is one of them")).await.unwrap();
                }
                _ => {}
            }
        }
        self.block();
    }

    fn block(&mut self) {
        if self.random.below(SELDOM) == 0 {
            self.counts.blocks.fetch_add(1, SeqCst);
            thread::sleep(Duration::from_micros(self.random.below(LONGEST)));
        }
    }
}

/// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    fn split(&mut self) -> Self {
        Self(self.next() | 1)
    }
}
