//! The end of a runtime while its workers are stuck and others stand in for them.
#![cfg(all(target_os = "linux", not(loom)))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/alive.rs"]
mod alive;
#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/threads.rs"]
mod threads;
#[path = "common/watchdog.rs"]
mod watchdog;

use alive::Alive;
use blocked::{begin, block, gate, until};
use mainspring::task::Builder;
use mainspring::time::sleep;
use mainspring::{Runtime, spawn};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

const LONG: Duration = Duration::from_secs(3600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn runtime(workers: usize, name: &str) -> Runtime {
    let builder = Runtime::builder().worker_threads(workers).thread_name(name);
    builder.stall_after(ms(2)).build().unwrap()
}

/// What holds what is counted, and blocks: on each thread that there may be.
fn block_named(rt: &Runtime, count: usize, alive: &Arc<AtomicUsize>) -> Vec<Sender<()>> {
    let _entered = rt.enter();
    let (begin, begun) = mpsc::channel();
    let gates = (0..count).map(|n| {
        let ((release, blocks), begin, alive) = (gate(), begin.clone(), Alive::new(alive));
        let task = Builder::new().name(format!("stuck {n}")).spawn(async move {
            let _alive = alive;
            begin.send(()).unwrap();
            blocks();
            // It never comes to that: it is cancelled as the poll returns.
            sleep(LONG).await;
        });
        drop(task);
        release
    });
    let gates = gates.collect();
    (0..count).for_each(|_| begun.recv().unwrap());
    gates
}

/// Tasks that wait for timers.
fn waiting(rt: &Runtime, alive: &Arc<AtomicUsize>) {
    for _ in 0..100 {
        let alive = Alive::new(alive);
        drop(rt.spawn(async move {
            let _alive = alive;
            sleep(LONG).await;
        }));
    }
}

#[test]
fn what_is_stuck_is_named_and_ends_later_and_the_rest_at_once() {
    for workers in [1, 2, 4] {
        within(move || {
            let rt = runtime(workers, "left");
            let handle = rt.handle();
            let [stuck, waits, pinned] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
            waiting(&rt, &waits);
            let alive = Alive::new(&pinned);
            let stays = || async move {
                let _alive = alive;
                sleep(LONG).await;
            };
            drop(handle.spawn_pinned(0, stays).ok().unwrap());
            let gates = block_named(&rt, 3 * workers, &stuck);
            waiting(&rt, &waits);
            let left = rt.shutdown_timeout(ms(50));
            let names = left.tasks.iter().filter_map(|task| task.info.name().map(String::from));
            let all = (0..3 * workers).map(|n| format!("stuck {n}"));
            assert_eq!(names.collect::<BTreeSet<_>>(), all.collect());
            assert!((3 * workers..=3 * workers + 1).contains(&left.tasks.len()), "{left:?}");
            assert_eq!((left.threads, left.blocking), (3 * workers, 0));
            assert_eq!((stuck.load(SeqCst), waits.load(SeqCst)), (3 * workers, 0));
            assert!(threads::named("left-").len() >= 3 * workers);
            for (n, gate) in gates.into_iter().enumerate() {
                assert!(stuck.load(SeqCst) >= 3 * workers - n);
                drop(gate);
            }
            until(|| stuck.load(SeqCst) + pinned.load(SeqCst) == 0);
            until(|| threads::named("left-").is_empty());
            let metrics = handle.metrics();
            assert_eq!((metrics.alive_tasks, metrics.rescuers), (0, 0));
        });
    }
}

#[test]
fn the_drop_waits_for_what_comes_back() {
    within(|| {
        for (workers, count) in [(1, 1), (1, 5), (2, 2), (2, 9)] {
            let rt = runtime(workers, "drop");
            let alive = Arc::new(AtomicUsize::new(0));
            waiting(&rt, &alive);
            let gates = block_named(&rt, count, &alive);
            let drops = thread::spawn(move || drop(rt));
            thread::sleep(ms(20));
            drop(gates);
            drops.join().unwrap();
            assert_eq!(alive.load(SeqCst), 0);
            until(|| threads::named("drop-").is_empty());
        }
    });
}

#[test]
fn those_who_stand_in_leave_while_the_workers_are_waited_for() {
    within(|| {
        for round in 0..50 {
            let rt = runtime(2, "race");
            let alive = Arc::new(AtomicUsize::new(0));
            waiting(&rt, &alive);
            let (blocked, begun) = begin(&rt, 2 + round % 3);
            (0..2).for_each(|_| begun.recv().unwrap());
            thread::sleep(Duration::from_micros(200 * round as u64));
            let releases = thread::spawn(move || {
                thread::sleep(Duration::from_micros(100 * round as u64));
                drop(blocked);
            });
            let left = rt.shutdown_timeout(LONG);
            assert_eq!((left.tasks.len(), left.threads), (0, 0));
            assert_eq!(alive.load(SeqCst), 0);
            releases.join().unwrap();
        }
    });
}

/// Its drop waits for somebody else's.
struct Waits(Receiver<()>);

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = self.0.recv();
    }
}

#[test]
fn a_drop_that_blocks_does_not_keep_the_others() {
    within(|| {
        for (workers, waits_first) in [(1, true), (1, false), (2, true), (2, false), (4, true)] {
            let rt = runtime(workers, "blocks");
            let alive = Arc::new(AtomicUsize::new(0));
            let (end, ended) = mpsc::channel::<()>();
            let ends = (end, Alive::new(&alive));
            let waits = (Waits(ended), Alive::new(&alive));
            let ends = async move {
                let _held = ends;
                sleep(LONG).await;
            };
            let waits = async move {
                let _held = waits;
                sleep(LONG).await;
            };
            match waits_first {
                true => drop((rt.spawn(waits), rt.spawn(ends))),
                false => drop((rt.spawn(ends), rt.spawn(waits))),
            }
            until(|| rt.handle().metrics().timers == 2);
            waiting(&rt, &alive);
            drop(rt.shutdown_timeout(ms(100)));
            until(|| alive.load(SeqCst) == 0);
            until(|| threads::named("blocks-").is_empty());
        }
    });
}

/// The last of them would be dropped by who ends the runtime, who is to be back in time.
#[test]
fn more_drops_that_block_than_there_are_workers_do_not_keep_who_ends_the_runtime() {
    within(|| {
        let rt = runtime(2, "drops");
        let alive = Arc::new(AtomicUsize::new(0));
        let ends: Vec<_> = (0..5)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                let waits = (Waits(ended), Alive::new(&alive));
                drop(rt.spawn(async move {
                    let _held = waits;
                    sleep(LONG).await;
                }));
                end
            })
            .collect();
        until(|| rt.handle().metrics().timers == 5);
        let left = rt.shutdown_timeout(ms(50));
        assert_eq!(left.threads, 2);
        drop(ends);
        until(|| alive.load(SeqCst) == 0);
        until(|| threads::named("drops-").is_empty());
    });
}

/// Whoever stands in for a worker cannot wait for itself.
#[test]
fn the_runtime_is_dropped_by_a_thread_that_stands_in() {
    within(|| {
        let rt = runtime(2, "inside");
        let blocked = block(&rt, 2);
        let alive = Arc::new(AtomicUsize::new(0));
        waiting(&rt, &alive);
        let (handle, cell) = (rt.handle(), Arc::new(Mutex::new(None)));
        let (drops, dropped) = mpsc::channel();
        let task = {
            let cell = cell.clone();
            async move {
                while cell.lock().unwrap().is_none() {
                    spawn(sleep(ms(1))).await.unwrap();
                }
                drop(cell.lock().unwrap().take());
                drops.send(thread::current().name().map(String::from)).unwrap();
            }
        };
        drop(rt.spawn(task));
        *cell.lock().unwrap() = Some(rt);
        let name = dropped.recv().unwrap().unwrap();
        assert!(!["inside-0", "inside-1"].contains(&&*name), "{name}");
        drop(blocked);
        until(|| alive.load(SeqCst) == 0 && threads::named("inside-").is_empty());
        assert_eq!(handle.metrics().alive_tasks, 0);
    });
}
