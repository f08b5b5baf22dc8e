//! Many threads, many tasks, many rounds: exactly once, and no lost wake.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, StreamExt};
use mainspring::time::{sleep, sleep_until};
use mainspring::{Handle, LocalRuntime, spawn, spawn_local, yield_now};
use one_thread::block_on;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use watchdog::within;

/// Fewer rounds where each is slow, unless all are asked for.
fn scaled(count: usize) -> usize {
    let all = !cfg!(debug_assertions) || std::env::var_os("MAINSPRING_STRESS").is_some();
    if all { count } else { count / 10 }
}

/// What became of one task.
#[derive(Default)]
struct Fate {
    finished: AtomicU8,
    dropped: AtomicU8,
}

/// Waits until it was woken `wakes` times, telling its waker to whoever wakes.
struct Woken {
    fates: Arc<Vec<Fate>>,
    number: usize,
    wakes: u8,
    tell: mpsc::UnboundedSender<Waker>,
}

impl Future for Woken {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        if self.wakes == 0 {
            self.fates[self.number].finished.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(self.number);
        }
        self.wakes -= 1;
        self.tell.unbounded_send(cx.waker().clone()).unwrap();
        Poll::Pending
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        self.fates[self.number].dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn each_task_runs_or_is_cancelled_once_and_is_dropped_once() {
    within(|| {
        const SPAWNERS: usize = 4;
        let total = scaled(200_000);
        let fates: Arc<Vec<Fate>> = Arc::new((0..total).map(|_| Fate::default()).collect());
        let rt = LocalRuntime::builder().build().unwrap();
        let (tell, wakers) = mpsc::unbounded::<Waker>();
        let wakers = Arc::new(futures::lock::Mutex::new(wakers));
        let waking: Vec<_> = (0..3)
            .map(|_| {
                let wakers = Arc::clone(&wakers);
                thread::spawn(move || {
                    futures::executor::block_on(async {
                        loop {
                            // In small lots, so that all threads get some.
                            let lot: Vec<_> = {
                                let mut wakers = wakers.lock().await;
                                let Some(first) = wakers.next().await else { return };
                                let more =
                                    (0..7).map_while(|_| wakers.next().now_or_never().flatten());
                                std::iter::once(first).chain(more).collect()
                            };
                            for waker in lot {
                                waker.wake_by_ref();
                                waker.wake();
                            }
                        }
                    });
                })
            })
            .collect();
        let spawning: Vec<_> = (0..SPAWNERS)
            .map(|spawner| {
                let (handle, fates, tell) = (rt.handle(), Arc::clone(&fates), tell.clone());
                thread::spawn(move || {
                    let mut kept = Vec::new();
                    for number in (spawner..total).step_by(SPAWNERS) {
                        let task = handle.spawn(Woken {
                            fates: Arc::clone(&fates),
                            number,
                            wakes: (number % 3) as u8,
                            tell: tell.clone(),
                        });
                        match number % 5 {
                            0 => drop(task),
                            1 => {
                                task.abort();
                                kept.push((number, task));
                            }
                            _ => kept.push((number, task)),
                        }
                        if number % 50 == 1 {
                            // Somewhere in its life.
                            if let Some((_, task)) = kept.get(kept.len() / 2) {
                                task.abort();
                            }
                        }
                    }
                    kept
                })
            })
            .collect();
        drop(tell);
        // The root joins what other threads spawned, on a thread that joins them in turn.
        let (kept_tx, kept_rx) = oneshot::channel();
        let collecting = thread::spawn(move || {
            let all: Vec<_> =
                spawning.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            assert!(kept_tx.send(all).is_ok());
        });
        let (mut finished, mut cancelled) = (0, 0);
        rt.block_on(async {
            for (number, task) in kept_rx.await.unwrap() {
                match task.await {
                    Ok(output) => {
                        assert_eq!(output, number);
                        assert_eq!(fates[number].finished.load(Ordering::Relaxed), 1);
                        finished += 1;
                    }
                    Err(error) => {
                        assert!(error.is_cancelled());
                        assert_eq!(fates[number].finished.load(Ordering::Relaxed), 0);
                        cancelled += 1;
                    }
                }
            }
            // Those that nobody joins.
            while rt.live_tasks() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        collecting.join().unwrap();
        for waking in waking {
            waking.join().unwrap();
        }
        assert_eq!(rt.live_tasks(), 0);
        assert_eq!(finished + cancelled, total - total / 5);
        assert!(finished > 0 && cancelled > 0);
        for fate in fates.iter() {
            assert_eq!(fate.dropped.load(Ordering::Relaxed), 1);
            assert!(fate.finished.load(Ordering::Relaxed) <= 1);
        }
    });
}

/// Where a thread that is no runtime's waits.
struct Turn {
    turn: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Ping-pong between a foreign thread and `wait`, which runs in a runtime.
fn ping_pong<R>(run: impl FnOnce(Arc<Turn>) -> R) -> R {
    let turn = Arc::new(Turn { turn: AtomicBool::new(false), waker: Mutex::new(None) });
    let pinger = {
        let turn = Arc::clone(&turn);
        thread::spawn(move || {
            for round in 0..rounds() {
                // Sometimes the other side sleeps by now, sometimes it is on its way to.
                for _ in 0..(round * 7) % 300 {
                    std::hint::spin_loop();
                }
                turn.turn.store(true, Ordering::Release);
                let waker = turn.waker.lock().unwrap().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
                while turn.turn.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            }
        })
    };
    let result = run(turn);
    pinger.join().unwrap();
    result
}

fn rounds() -> usize {
    scaled(50_000)
}

async fn play(turn: Arc<Turn>) {
    for _ in 0..rounds() {
        poll_fn(|cx| {
            *turn.waker.lock().unwrap() = Some(cx.waker().clone());
            if turn.turn.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        turn.turn.store(false, Ordering::Release);
    }
}

#[test]
fn no_wake_of_the_root_is_lost() {
    within(|| ping_pong(|turn| block_on(play(turn))));
}

#[test]
fn no_wake_of_a_task_is_lost() {
    within(|| ping_pong(|turn| block_on(async { spawn_local(play(turn)).await.unwrap() })));
}

#[test]
fn no_wake_is_lost_beside_spawns_and_timers() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let handle = rt.handle();
        let stop = Arc::new(AtomicBool::new(false));
        let noise = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    drop(handle.spawn(async { sleep(Duration::from_micros(10)).await }));
                    thread::sleep(Duration::from_micros(20));
                }
            })
        };
        ping_pong(|turn| rt.block_on(play(turn)));
        stop.store(true, Ordering::Relaxed);
        noise.join().unwrap();
    });
}

#[test]
fn no_answer_between_two_runtimes_is_lost() {
    within(|| {
        let rounds = scaled(50_000);
        let (to_b, mut from_a) = mpsc::unbounded();
        let (to_a, mut from_b) = mpsc::unbounded();
        let b = thread::spawn(move || {
            block_on(async {
                while let Some(n) = from_a.next().await {
                    to_a.unbounded_send(n).unwrap();
                }
            });
        });
        block_on(async {
            for n in 0..rounds {
                to_b.unbounded_send(n).unwrap();
                assert_eq!(from_b.next().await, Some(n));
            }
            drop(to_b);
        });
        b.join().unwrap();
    });
}

#[test]
fn a_million_tasks_are_spawned_and_joined() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let total = scaled(1_000_000);
        rt.block_on(async {
            let mut sum = 0;
            for lot in 0..10 {
                let tasks: Vec<_> = (0..total / 10).map(|n| spawn(async move { n % 2 })).collect();
                for task in tasks {
                    sum += task.await.unwrap();
                }
                assert_eq!(sum, (lot + 1) * (total / 20));
            }
        });
        assert_eq!(rt.live_tasks(), 0);
    });
}

#[test]
fn a_million_sleeps_are_armed_and_dropped() {
    within(|| {
        block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            for lot in 0..10 {
                let mut sleeps: Vec<_> = (0..scaled(100_000) as u64)
                    .map(|n| sleep(Duration::from_millis((n * 7919) % (1 << 26) + 1000 + lot)))
                    .collect();
                for sleep in &mut sleeps {
                    assert!(Pin::new(sleep).poll(&mut cx).is_pending());
                }
                if lot % 2 == 0 {
                    sleeps.reverse();
                }
                drop(sleeps);
                yield_now().await;
            }
        });
    });
}

#[test]
fn timers_are_armed_while_the_thread_sleeps() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let fired = Arc::new(AtomicUsize::new(0));
        let each = scaled(2_000);
        let threads: Vec<_> = (0..3)
            .map(|t| {
                let (handle, fired) = (rt.handle(), Arc::clone(&fired));
                thread::spawn(move || {
                    for n in 0..each {
                        let fired = Arc::clone(&fired);
                        let after = Duration::from_micros((n * 37 % 3000) as u64);
                        drop(handle.spawn(async move {
                            let deadline = mainspring::time::Instant::now() + after;
                            sleep_until(deadline).await;
                            assert!(mainspring::time::Instant::now() >= deadline);
                            fired.fetch_add(1, Ordering::SeqCst);
                        }));
                        if (n + t) % 5 == 0 {
                            thread::sleep(Duration::from_micros(300));
                        }
                    }
                })
            })
            .collect();
        rt.block_on(async {
            // The root itself sleeps long, so that each of the others has to shorten the sleep.
            let (tx, rx) = oneshot::channel::<()>();
            let handle = Handle::current();
            let watching = thread::spawn(move || {
                for thread in threads {
                    thread.join().unwrap();
                }
                drop(handle.spawn(async move {
                    sleep(Duration::from_millis(10)).await;
                    tx.send(()).unwrap();
                }));
            });
            let mut long = Box::pin(sleep(Duration::from_secs(3600)));
            assert!(futures::poll!(&mut long).is_pending());
            rx.await.unwrap();
            watching.join().unwrap();
        });
        assert_eq!(fired.load(Ordering::SeqCst), 3 * each);
    });
}

#[test]
fn a_chain_of_tasks_that_spawn_each_other() {
    within(|| {
        fn link(left: usize, done: Rc<Cell<bool>>) {
            drop(spawn_local(async move {
                if left == 0 {
                    done.set(true);
                } else {
                    link(left - 1, done);
                }
            }));
        }
        block_on(async {
            let done = Rc::new(Cell::new(false));
            link(scaled(100_000), Rc::clone(&done));
            while !done.get() {
                yield_now().await;
            }
        });
    });
}
