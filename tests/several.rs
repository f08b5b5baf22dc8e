//! The runtime of several workers: that it runs what it is given, and ends.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::time::sleep;
use mainspring::{JoinHandle, Runtime, spawn, spawn_pinned, yield_now};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;
use watchdog::within;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().unwrap()
}

#[test]
fn tasks_run_on_one_worker_and_on_several() {
    for workers in [1, 2, 3, 8] {
        let rt = runtime(workers);
        let done = Arc::new(AtomicUsize::new(0));
        let sum = rt.block_on(async {
            let tasks: Vec<_> = (0..1000usize)
                .map(|n| {
                    let done = Arc::clone(&done);
                    spawn(async move {
                        for _ in 0..n % 7 {
                            yield_now().await;
                        }
                        let inner = spawn(async move { n });
                        done.fetch_add(1, SeqCst);
                        inner.await.unwrap()
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!((sum, done.load(SeqCst)), (499_500, 1000));
        assert_eq!(rt.live_tasks(), 0);
        let left = rt.shutdown_timeout(Duration::from_secs(20));
        assert_eq!((left.tasks.len(), left.threads, left.blocking), (0, 0, 0));
    }
}

#[test]
fn sleeps_and_closures() {
    let rt = runtime(2);
    rt.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                spawn(async move {
                    mainspring::time::sleep(Duration::from_millis(n % 5)).await;
                    mainspring::spawn_blocking(move || n).await.unwrap()
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), n as u64);
        }
        mainspring::time::sleep(Duration::from_millis(3)).await;
    });
}

#[test]
fn what_still_waits_is_cancelled_by_the_end() {
    let rt = runtime(2);
    let tasks: Vec<_> = (0..100).map(|_| rt.spawn(std::future::pending::<()>())).collect();
    let entered = rt.enter();
    let pinned = mainspring::spawn_pinned(1, || {
        let local = std::rc::Rc::new(());
        async move {
            std::future::pending::<()>().await;
            drop(local);
        }
    });
    drop(entered);
    let pinned = pinned.unwrap();
    drop(rt);
    for task in tasks.into_iter().chain([pinned]) {
        assert!(task.wait_blocking(Duration::MAX).unwrap().unwrap_err().is_cancelled());
    }
}

/// The driver in which the root waits is that of a worker which does not come back before the root has
/// gone on.
#[test]
fn a_root_does_not_wait_for_a_worker_that_is_stuck() {
    let rt = runtime(1);
    let (release, released) = mpsc::channel();
    let (begun_tx, begun) = mpsc::channel();
    let stuck = rt.spawn(async move {
        begun_tx.send(()).unwrap();
        released.recv_timeout(Duration::from_secs(30)).is_ok()
    });
    begun.recv().unwrap();
    rt.block_on(async {
        mainspring::time::sleep(Duration::from_millis(5)).await;
        release.send(()).unwrap();
        // The worker wants its driver back, in which the root sleeps.
        assert!(stuck.await.unwrap());
        mainspring::time::sleep(Duration::from_millis(5)).await;
    });
    // And is reached there again.
    for _ in 0..100 {
        rt.block_on(rt.spawn(async {})).unwrap();
    }
}

/// Neither the one that finds another there, nor the one that arms its timer while the worker is told of
/// something, waits for the worker.
#[test]
fn all_roots_go_on_beside_a_worker_that_is_stuck() {
    within(|| {
        let rt = runtime(1);
        let ((begin, begun), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        drop(rt.spawn(async move {
            begin.send(()).unwrap();
            released.recv().unwrap();
        }));
        begun.recv().unwrap();
        std::thread::scope(|scope| {
            let ended = (1..4).map(|root| {
                let rt = &rt;
                scope.spawn(move || {
                    for n in 0..5 {
                        rt.block_on(async { sleep(Duration::from_millis(n * 7 * root)).await });
                        let pinned = rt.block_on(async { spawn_pinned(0, || async {}) });
                        drop(pinned.unwrap());
                    }
                })
            });
            ended.collect::<Vec<_>>().into_iter().for_each(|root| root.join().unwrap());
            release.send(()).unwrap();
        });
    });
}

/// Each is the only one that its worker can run until all have begun, and whoever takes several out of
/// the injector at a time cannot know.
#[test]
fn tasks_from_outside_that_stay_in_their_poll_get_a_worker_each() {
    within(|| {
        for _ in 0..200 {
            let rt = runtime(4);
            let all = Arc::new(Barrier::new(4));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let all = Arc::clone(&all);
                    rt.spawn(async move { all.wait().is_leader() })
                })
                .collect();
            let led = |task: JoinHandle<bool>| task.wait_blocking(Duration::MAX).unwrap().unwrap();
            let leaders = tasks.into_iter().map(led).filter(|led| *led);
            assert_eq!(leaders.count(), 1);
        }
    });
}
