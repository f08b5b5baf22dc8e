//! What is no stall: a process that was stopped, a machine that is busy, a runtime that rests.
#![cfg(all(target_os = "linux", not(loom)))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/child.rs"]
mod child;
#[path = "common/threads.rs"]
mod threads;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{block, until};
use child::alone;
use mainspring::hooks::{Hooks, Stall};
use mainspring::time::sleep;
use mainspring::{JoinHandle, Metrics, Runtime, yield_now};
use std::fs::read_to_string;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One at a time: each makes the machine busy.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what was told on standard error, so that a failure shows it.
struct Tells;

impl Hooks for Tells {
    fn on_stall(&self, stall: &Stall) {
        eprintln!("{stall}");
    }

    fn on_rescue(&self, rescuer: usize, stuck: usize) {
        eprintln!("{rescuer} stands in for {stuck}");
    }
}

/// Polls that take 50 µs at the most, without end, and timers between some of them.
struct Busy {
    rt: Runtime,
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Busy {
    fn begin() -> Self {
        let rt = Runtime::builder().worker_threads(2).hooks(Arc::new(Tells)).build().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let task = |n| {
            let over = over.clone();
            rt.spawn(async move {
                let mut polls = 0;
                while !over.load(SeqCst) {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_micros(50) {
                        std::hint::spin_loop();
                    }
                    match n % 2 {
                        0 => yield_now().await,
                        _ => sleep(ms(1)).await,
                    }
                    polls += 1;
                }
                polls
            })
        };
        Self { tasks: (0..8).map(task).collect(), over, rt }
    }

    /// What it has counted in the end.
    fn end(self) -> Metrics {
        self.over.store(true, SeqCst);
        for task in self.tasks {
            assert!(self.rt.block_on(task).unwrap() > 10);
        }
        self.rt.handle().metrics()
    }
}

#[test]
fn a_process_that_is_stopped_and_goes_on() {
    let _turn = turn();
    within(|| {
        alone("a_process_that_is_stopped_and_goes_on", || {
            let busy = Busy::begin();
            let process = std::process::id();
            let stops =
                format!("kill -STOP {process}; sleep 0.3; kill -CONT {process}; sleep 0.1;");
            let mut stops = Command::new("sh").args(["-c", &stops.repeat(10)]).spawn().unwrap();
            assert!(stops.wait().unwrap().success());
            let metrics = busy.end();
            assert_eq!((metrics.stalls, metrics.rescues, metrics.rescuers), (0, 0, 0));
        });
    });
}

/// With more threads that compute than there are processors, each of them waits for 10 ms and more again and
/// again, in the middle of polls.
#[test]
fn a_machine_that_is_busy() {
    let _turn = turn();
    within(|| {
        alone("a_machine_that_is_busy", || {
            let over = Arc::new(AtomicBool::new(false));
            let spin = |_| {
                let over = over.clone();
                thread::spawn(move || {
                    while !over.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                })
            };
            let spinning: Vec<_> = (0..4).map(spin).collect();
            let busy = Busy::begin();
            thread::sleep(ms(4000));
            let metrics = busy.end();
            over.store(true, SeqCst);
            spinning.into_iter().for_each(|thread| thread.join().unwrap());
            println!("rescues on a busy machine: {}", metrics.rescues);
            assert!(metrics.stalls == 0 && metrics.rescues <= 5, "{metrics:?}");
        });
    });
}

/// How often the sentry of the runtime with this name has gone to sleep.
fn sleeps(name: &str) -> u64 {
    let sentry = || threads::named(&format!("{name}-sentry"));
    // A thread gives itself its name.
    until(|| !sentry().is_empty());
    let status = read_to_string(format!("/proc/self/task/{}/status", sentry()[0])).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

/// Waits until it has slept for as long as 60 of its looks take; the watchdog ends that.
fn sleeps_deep(name: &str) -> u64 {
    loop {
        let before = sleeps(name);
        thread::sleep(ms(300));
        if sleeps(name) == before {
            return before;
        }
    }
}

#[test]
fn the_sentry_of_a_runtime_that_rests_sleeps_until_there_is_work() {
    let _turn = turn();
    within(|| {
        for workers in [1, 2] {
            let name = format!("calm{workers}");
            let builder = Runtime::builder().worker_threads(workers).thread_name(&name);
            let rt = builder.build().unwrap();
            drop(rt.spawn(async { sleep(Duration::from_secs(3600)).await }));
            for _ in 0..5 {
                let before = sleeps_deep(&name);
                let rescues = rt.handle().metrics().rescues;
                let blocked = block(&rt, workers);
                // Nothing but the sentry sees to this.
                until(|| rt.handle().metrics().rescues > rescues);
                assert!(sleeps(&name) > before);
                drop(blocked);
            }
            // It is not woken by those who wait to be needed again.
            assert!(rt.handle().metrics().rescuers > 0);
            sleeps_deep(&name);
            let wakes_others = rt.spawn(async { yield_now().await });
            rt.block_on(wakes_others).unwrap();
        }
    });
}

#[test]
fn without_a_sentry_there_is_no_such_thread_and_nothing_is_done() {
    let _turn = turn();
    within(|| {
        let builder = Runtime::builder().worker_threads(2).thread_name("unseen").sentry(false);
        let rt = builder.hooks(Arc::new(Tells)).build().unwrap();
        let blocked = block(&rt, 2);
        let behind = rt.spawn(async {});
        // Long enough for all that a sentry does.
        thread::sleep(ms(200));
        assert!(!behind.is_finished());
        assert_eq!(threads::named("unseen-").len(), 2);
        drop(blocked);
        rt.block_on(behind).unwrap();
        let metrics = rt.handle().metrics();
        assert_eq!((metrics.stalls, metrics.reliefs, metrics.rescues), (0, 0, 0));
    });
}
