//! Tasks that stay on a worker which is stuck: they wait for it, are counted, and lose no wake.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{Blocked, block, block_worker, gate, release, until, wait};
use futures::StreamExt;
use futures::channel::mpsc as channel;
use mainspring::hooks::{Hooks, Stall, TaskKind};
use mainspring::time::sleep;
use mainspring::{JoinHandle, Runtime, spawn};
use std::cell::Cell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).stall_after(ms(2)).build().unwrap()
}

fn pin<F: Future<Output: Send> + 'static>(
    rt: &Runtime,
    worker: usize,
    make: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<F::Output> {
    rt.handle().spawn_pinned(worker, make).ok().unwrap()
}

/// Waits until somebody stands in for another one again.
fn rescued(rt: &Runtime, before: u64) {
    until(|| rt.handle().metrics().rescues > before);
}

#[test]
fn they_run_when_their_worker_is_back_and_nowhere_else() {
    within(|| {
        let rt = runtime(2);
        for round in 0..20 {
            let (here, other) = (round % 2, 1 - round % 2);
            let at_home = wait(pin(&rt, here, || async { thread::current().id() }));
            let began_before = pin(&rt, here, || async {
                sleep(ms(1)).await;
                thread::current().id()
            });
            let [stuck, beside] = [here, other].map(|worker| block_worker(&rt, worker));
            let begins_now = pin(&rt, here, || async { thread::current().id() });
            // So somebody has taken from its inbox what may be taken, and looked at its timers.
            wait(rt.spawn(async {
                for _ in 0..3 {
                    spawn(sleep(ms(1))).await.unwrap();
                }
            }));
            release([beside]);
            wait(pin(&rt, other, || async {}));
            assert!(!began_before.is_finished() && !begins_now.is_finished());
            release([stuck]);
            assert_eq!([wait(began_before), wait(begins_now)], [at_home; 2]);
        }
        assert!(rt.handle().metrics().rescues > 0);
    });
}

/// By a task of its own on each worker, whose timers and messages come while others stand in.
#[test]
fn no_wake_is_lost_while_somebody_stands_in() {
    for workers in [1, 2] {
        within(move || {
            let rt = runtime(workers);
            let (tell, told) = mpsc::channel();
            let beats = Arc::new(AtomicUsize::new(0));
            let mut wakes = Vec::new();
            for worker in 0..workers {
                let (wake, mut woken) = channel::unbounded();
                let (tell, beats) = (tell.clone(), beats.clone());
                drop(pin(&rt, worker, move || async move {
                    let not_send = Rc::new(Cell::new(0));
                    while let Some(n) = woken.next().await {
                        not_send.set(n);
                        tell.send((worker, not_send.get())).unwrap();
                    }
                }));
                drop(pin(&rt, worker, move || async move {
                    loop {
                        sleep(ms(1)).await;
                        beats.fetch_add(1, SeqCst);
                    }
                }));
                wakes.push(wake);
            }
            for round in 0..300 {
                let before = rt.handle().metrics().rescues;
                let blocked = block(&rt, workers);
                if round % 3 > 0 {
                    rescued(&rt, before);
                }
                let wakes = wakes.clone();
                let wakes_all = move || {
                    for wake in wakes {
                        wake.unbounded_send(round).unwrap();
                    }
                };
                // By a thread, or by a task that somebody runs who stands in; at all moments of the return.
                let by_thread = match round % 2 {
                    0 => Some(thread::spawn(wakes_all)),
                    _ => {
                        drop(rt.spawn(async { wakes_all() }));
                        None
                    }
                };
                if round % 5 == 0 {
                    thread::sleep(Duration::from_micros(100 * round));
                }
                release(blocked);
                let mut woken: Vec<_> = told.iter().take(workers).collect();
                woken.sort_unstable();
                assert!(woken.into_iter().eq((0..workers).map(|worker| (worker, round))));
                if round % 10 == 0 {
                    let before = beats.load(SeqCst);
                    until(|| beats.load(SeqCst) >= before + 2 * workers);
                }
                by_thread.into_iter().for_each(|thread| thread.join().unwrap());
            }
            assert!(rt.handle().metrics().rescues >= 200);
        });
    }
}

#[derive(Default)]
struct Stalls(Mutex<Vec<Stall>>);

impl Hooks for Stalls {
    fn on_stall(&self, stall: &Stall) {
        self.0.lock().unwrap().push(stall.clone());
    }
}

/// Blocks this worker in the poll of a task that need not run there.
fn block_unpinned(rt: &Runtime, worker: usize) -> Blocked {
    loop {
        let (release, blocks) = gate();
        let (tell, told) = mpsc::channel();
        let begins = async move {
            let is_here = thread::current().name().unwrap().ends_with(&format!("-{worker}"));
            tell.send(is_here).unwrap();
            if is_here {
                blocks();
            }
        };
        // It is next there, unless the thread that spawns it is taken for a stuck one.
        let task = wait(pin(rt, worker, || async { Some(spawn(begins)) }));
        if told.recv().unwrap() {
            return Blocked { release, task: task.unwrap() };
        }
    }
}

#[test]
fn a_report_counts_those_that_wait() {
    within(|| {
        let stalls = Arc::<Stalls>::default();
        let builder = Runtime::builder().worker_threads(2).hooks(stalls.clone());
        let rt = builder.report_stall_after(ms(2)).build().unwrap();
        for waiting in [0, 3, 6] {
            while rt.live_tasks() < waiting {
                drop(pin(&rt, 1, pending::<()>));
            }
            for kind in [TaskKind::Pinned, TaskKind::Send] {
                let stuck = match kind {
                    TaskKind::Pinned => block_worker(&rt, 1),
                    _ => block_unpinned(&rt, 1),
                };
                let id = stuck.task.id();
                let of_task =
                    |stall: &&Stall| stall.task.as_ref().is_some_and(|task| task.id == id);
                let told = || stalls.0.lock().unwrap().iter().find(of_task).cloned();
                until(|| told().is_some());
                let stall = told().unwrap();
                assert_eq!((stall.worker, stall.pinned_tasks), (1, waiting), "{stall:?}");
                assert_eq!(stall.task.as_ref().unwrap().kind, kind);
                assert_eq!(stall.to_string().contains("that stay there"), waiting > 0, "{stall}");
                release([stuck]);
            }
        }
    });
}
