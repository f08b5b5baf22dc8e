//! Threads that stand in for workers: how many, beside what, and until when.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/blocked.rs"]
mod blocked;
#[path = "common/peer.rs"]
mod peer;
#[cfg(target_os = "linux")]
#[path = "common/threads.rs"]
mod threads;
#[path = "common/watchdog.rs"]
mod watchdog;

use blocked::{begin, block, release, until, wait};
use mainspring::time::sleep;
use mainspring::{Handle, Runtime, spawn, yield_now};
use peer::{ask, connection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Whether it ends while the others block. That it does not can only be seen by waiting for a while.
fn ends_meanwhile(begun: &Receiver<()>) -> bool {
    begun.recv_timeout(ms(200)).is_ok()
}

#[test]
fn no_more_stand_in_than_may() {
    within(|| {
        for (workers, most) in [(2, 2), (1, 1), (2, 0), (1, 3)] {
            let builder = Runtime::builder().worker_threads(workers).thread_name("few");
            let rt = builder.max_rescuers(most).stall_after(ms(2)).build().unwrap();
            let (mut blocked, begun) = begin(&rt, workers + most + 1);
            (0..workers + most).for_each(|_| begun.recv().unwrap());
            assert!(!ends_meanwhile(&begun), "there is a thread too many");
            let metrics = rt.handle().metrics();
            assert_eq!((metrics.rescuers, metrics.rescuers_without_a_poll), (most, most));
            #[cfg(target_os = "linux")]
            assert!(threads::named("few-").len() <= workers + most + 2, "the sentry and reports");
            // Whichever of them blocks, its thread goes on then.
            drop(blocked.drain(..workers + most));
            begun.recv().unwrap();
            release(blocked);
        }
    });
}

#[test]
fn the_root_goes_on_and_so_do_its_timers_and_sockets() {
    for workers in [1, 2, 4] {
        within(move || {
            let builder = Runtime::builder().worker_threads(workers).stall_after(ms(2));
            let rt = builder.build().unwrap();
            let (stream, mut peer) = connection(&rt);
            let asks = thread::spawn(move || ask(&mut peer, 200));
            let mut asked = 0;
            for round in 0..40 {
                let blocked = block(&rt, 1 + round % (2 * workers));
                rt.block_on(async {
                    for _ in 0..5 {
                        sleep(ms(1)).await;
                        let mut byte = [0];
                        asked += stream.read(&mut byte).await.unwrap();
                        stream.write_all(&byte).await.unwrap();
                        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
                    }
                });
                release(blocked);
            }
            assert_eq!(asked, 200);
            asks.join().unwrap();
        });
    }
}

fn polls(handle: &Handle) -> Vec<u64> {
    handle.metrics().workers.iter().map(|worker| worker.polls).collect()
}

/// With one thread for each that blocks; afterwards they end, and the workers do all as before.
#[test]
fn what_stood_in_goes_away() {
    within(|| {
        let builder = Runtime::builder().worker_threads(2).thread_name("back");
        let rt = builder.stall_after(ms(2)).rescuer_keep_alive(ms(20)).build().unwrap();
        let handle = rt.handle();
        for _ in 0..5 {
            let blocked = block(&rt, 10);
            #[cfg(target_os = "linux")]
            assert!(threads::named("back-").len() >= 10);
            release(blocked);
            until(|| handle.metrics().rescuers == 0);
            #[cfg(target_os = "linux")]
            until(|| threads::named("back-").len() == 3);
            let before = polls(&handle);
            let over = Arc::new(AtomicBool::new(false));
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let over = over.clone();
                    rt.spawn(async move {
                        while !over.load(SeqCst) {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            until(|| before.iter().zip(polls(&handle)).all(|(before, now)| now > before + 100));
            over.store(true, SeqCst);
            tasks.into_iter().for_each(wait);
        }
    });
}
