//! Nobody who waits for a lock starves, whoever else is about: on one thread and on several.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::executor::block_on;
use mainspring::sync::{Mutex, RwLock};
use mainspring::{LocalRuntime, spawn_local, yield_now};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use watchdog::within;

const TASKS: usize = 8;
const TOTAL: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// Locks until all have done so `TOTAL` times together; says how often it did itself.
async fn contend(mutex: Arc<Mutex<u64>>, holds: bool, waits: impl FnOnce()) -> u64 {
    let mut mine = 0;
    let mut waits = Some(waits);
    loop {
        let mut lock = pin!(mutex.lock());
        let mut guard = poll_fn(|cx| {
            let polled = lock.as_mut().poll(cx);
            if let Some(waits) = waits.take() {
                waits();
            }
            polled
        })
        .await;
        if *guard == TOTAL {
            return mine;
        }
        *guard += 1;
        mine += 1;
        if holds {
            yield_now().await;
        }
    }
}

#[track_caller]
fn assert_fair(shares: &[u64]) {
    assert_eq!(shares.iter().sum::<u64>(), TOTAL);
    let half = TOTAL / TASKS as u64 / 2;
    assert!(shares.iter().all(|share| *share >= half), "{shares:?}");
}

#[test]
fn tasks_of_one_thread_get_the_mutex_equally_often() {
    within(|| {
        for holds in [false, true] {
            let mutex = Arc::new(Mutex::new(0));
            let rt = LocalRuntime::builder().build().unwrap();
            let shares = rt.block_on(async {
                let tasks: Vec<_> =
                    (0..TASKS).map(|_| spawn_local(contend(mutex.clone(), holds, || {}))).collect();
                let mut shares = Vec::new();
                for task in tasks {
                    shares.push(task.await.unwrap());
                }
                shares
            });
            assert_fair(&shares);
        }
    });
}

#[test]
fn tasks_of_several_threads_get_the_mutex_equally_often() {
    const THREADS: usize = 4;
    within(|| {
        for holds in [false, true] {
            let mutex = Arc::new(Mutex::new(0));
            // Held until all wait: the contention begins with all of them.
            let held = mutex.try_lock().unwrap();
            let (waits, waiting) = mpsc::channel();
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (mutex, waits) = (mutex.clone(), waits.clone());
                    thread::spawn(move || {
                        let rt = LocalRuntime::builder().build().unwrap();
                        rt.block_on(async {
                            let tasks = [(); TASKS / THREADS].map(|()| {
                                let waits = waits.clone();
                                let told = move || waits.send(()).unwrap();
                                spawn_local(contend(mutex.clone(), holds, told))
                            });
                            let mut shares = Vec::new();
                            for task in tasks {
                                shares.push(task.await.unwrap());
                            }
                            shares
                        })
                    })
                })
                .collect();
            (0..TASKS).for_each(|_| waiting.recv().unwrap());
            drop(held);
            let shares: Vec<_> =
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            assert_fair(&shares);
        }
    });
}

const READERS: u64 = 7;
const WRITES: u64 = 1_000;

#[test]
fn a_writer_waits_for_each_reader_of_one_thread_once() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        rt.block_on(async {
            let lock = Rc::new(RwLock::new(()));
            let (reads, stop) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(false)));
            let readers: Vec<_> = (0..READERS)
                .map(|_| {
                    let (lock, reads, stop) = (lock.clone(), reads.clone(), stop.clone());
                    spawn_local(async move {
                        while !stop.get() {
                            let _guard = lock.read().await;
                            reads.set(reads.get() + 1);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for _ in 0..WRITES {
                yield_now().await;
                let before = reads.get();
                let guard = lock.write().await;
                assert!(reads.get() - before <= READERS, "readers came past the writer");
                drop(guard);
            }
            stop.set(true);
            for reader in readers {
                reader.await.unwrap();
            }
            assert!(reads.get() >= READERS, "the readers do not starve either");
        });
    });
}

#[test]
fn a_writer_waits_for_each_reader_of_several_threads_once() {
    within(|| {
        let shared = Arc::new((RwLock::new(()), AtomicBool::new(false)));
        let counts = [(); READERS as usize].map(|()| Arc::new(AtomicU64::new(0)));
        let readers = counts.clone().map(|count| {
            let shared = shared.clone();
            thread::spawn(move || {
                while !shared.1.load(Ordering::SeqCst) {
                    let _guard = shared.0.blocking_read();
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let reads = || counts.each_ref().map(|count| count.load(Ordering::SeqCst));
        while reads().contains(&0) {
            thread::yield_now();
        }
        for _ in 0..WRITES / 10 {
            let mut write = pin!(shared.0.write());
            let mut before = None;
            let guard = block_on(poll_fn(|cx| {
                let polled = write.as_mut().poll(cx);
                if polled.is_pending() && before.is_none() {
                    // It stands in the queue: a reader may have the lock, or stand before it.
                    before = Some(reads());
                }
                polled
            }));
            for (before, after) in before.into_iter().flatten().zip(reads()) {
                assert!(after - before <= 1, "a reader came past the writer");
            }
            drop(guard);
        }
        shared.1.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}
