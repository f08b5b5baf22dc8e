//! The end of a runtime of several workers: bounded, whoever causes it, and from wherever.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/alive.rs"]
mod alive;
#[path = "common/watchdog.rs"]
mod watchdog;

use alive::Alive;
use mainspring::sync::oneshot;
use mainspring::time::sleep;
use mainspring::{Handle, JoinHandle, Leftover, Runtime, spawn, spawn_pinned, yield_now};
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;
use watchdog::within;

/// A wait that only a hang makes longer than the watchdog's.
const LONG: Duration = Duration::from_secs(3600);

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().unwrap()
}

fn assert_nothing_left(left: Leftover) {
    assert_eq!((left.tasks.len(), left.threads, left.blocking), (0, 0, 0));
}

fn until(what: impl Fn() -> bool) {
    while !what() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_cancelled<T>(task: JoinHandle<T>) -> bool {
    matches!(task.wait_blocking(LONG), Ok(Err(error)) if error.is_cancelled())
}

/// Runs something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A future that never ends.
async fn waits(alive: Alive) {
    let _alive = alive;
    pending::<()>().await;
}

#[test]
fn several_runtimes_end_in_any_order_on_any_thread() {
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    within(|| {
        for (order, elsewhere) in ORDERS.into_iter().zip([false, true].into_iter().cycle()) {
            let alive = Arc::new(AtomicUsize::new(0));
            let mut runtimes: Vec<_> = (1..4).map(|workers| Some(runtime(workers))).collect();
            let handles: Vec<_> =
                runtimes.iter().flatten().map(mainspring::Runtime::handle).collect();
            // Each runtime has tasks that others have spawned, and which wait for tasks of others.
            let mut tasks = Vec::new();
            for n in 0..60 {
                let counted = Alive::new(&alive);
                let next = handles[(n + 1) % 3].clone();
                tasks.push(handles[n % 3].spawn(async move {
                    let _counted = counted;
                    let there = next.spawn(async {
                        sleep(Duration::from_millis(1)).await;
                        pending::<()>().await;
                    });
                    assert!(there.await.unwrap_err().is_cancelled());
                }));
            }
            for at in order {
                let rt = runtimes[at].take().unwrap();
                if elsewhere {
                    thread::spawn(move || drop(rt)).join().unwrap();
                } else {
                    assert_nothing_left(rt.shutdown_timeout(LONG));
                }
            }
            assert_eq!(alive.load(SeqCst), 0);
            for task in tasks {
                // What it waited for may have been cancelled first.
                drop(task.wait_blocking(LONG).unwrap());
            }
            assert!(handles.iter().all(|handle| is_cancelled(handle.spawn(async {}))));
        }
    });
}

#[test]
fn a_task_that_drops_its_own_runtime_goes_on_until_it_waits() {
    within(|| {
        for (workers, pinned) in [(1, false), (2, false), (2, true), (8, false)] {
            let alive = Arc::new(AtomicUsize::new(0));
            let rt = runtime(workers);
            let tasks: Vec<_> = (0..20).map(|_| rt.spawn(waits(Alive::new(&alive)))).collect();
            let entered = rt.enter();
            let (give, given) = oneshot::channel::<Runtime>();
            let (tell, told) = mpsc::channel();
            let last = async move {
                let rt = given.await.unwrap();
                drop(rt);
                // A spawn is refused, and nothing panics.
                assert!(spawn(async {}).is_finished());
                tell.send(()).unwrap();
                yield_now().await;
                unreachable!("it is cancelled where it waits");
            };
            let last = if pinned { spawn_pinned(1, || last).unwrap() } else { spawn(last) };
            drop(entered);
            give.send(rt).unwrap();
            told.recv().unwrap();
            assert!(is_cancelled(last));
            assert!(tasks.into_iter().all(is_cancelled));
            assert_eq!(alive.load(SeqCst), 0);
        }
    });
}

#[test]
fn a_task_that_ends_its_own_runtime_waits_for_nothing() {
    within(|| {
        let rt = runtime(2);
        let (release, released) = mpsc::channel::<()>();
        let (enter, entered) = mpsc::channel();
        let closure = rt.handle().spawn_blocking(move || {
            enter.send(()).unwrap();
            released.recv().unwrap();
        });
        entered.recv().unwrap();
        let (give, given) = oneshot::channel::<Runtime>();
        let last = rt.spawn(async move {
            let left = given.await.unwrap().shutdown_timeout(LONG);
            assert_eq!(left.blocking, 1);
            // Only now does the closure end.
            release.send(()).unwrap();
        });
        give.send(rt).unwrap();
        assert!(last.wait_blocking(LONG).unwrap().is_ok(), "it has not waited, so it ended");
        assert!(closure.wait_blocking(LONG).unwrap().is_ok());
    });
}

#[test]
fn a_closure_of_its_pool_may_be_the_last_to_have_a_runtime() {
    within(|| {
        for workers in [1, 2] {
            let alive = Arc::new(AtomicUsize::new(0));
            let rt = runtime(workers);
            let tasks: Vec<_> = (0..20).map(|_| rt.spawn(waits(Alive::new(&alive)))).collect();
            let (give, given) = mpsc::channel::<Runtime>();
            let closure = rt.handle().spawn_blocking(move || {
                let left = given.recv().unwrap().shutdown_timeout(LONG);
                assert_eq!((left.tasks.len(), left.threads), (0, 0));
                7
            });
            give.send(rt).unwrap();
            assert_eq!(closure.wait_blocking(LONG).unwrap().unwrap(), 7);
            assert!(tasks.into_iter().all(is_cancelled));
            assert_eq!(alive.load(SeqCst), 0);
        }
    });
}

#[test]
fn tasks_and_roots_of_another_runtime_may_drop_one() {
    within(|| {
        for workers in [1, 2] {
            let alive = Arc::new(AtomicUsize::new(0));
            let outer = runtime(workers);
            for in_task in [false, true] {
                let inner = runtime(2);
                let tasks: Vec<_> =
                    (0..20).map(|_| inner.spawn(waits(Alive::new(&alive)))).collect();
                let ends = async move { assert_nothing_left(inner.shutdown_timeout(LONG)) };
                if in_task {
                    outer.block_on(outer.spawn(ends)).unwrap();
                } else {
                    outer.block_on(ends);
                }
                assert!(tasks.into_iter().all(is_cancelled));
            }
            let local = mainspring::LocalRuntime::builder().build().unwrap();
            local.block_on(async move { drop(outer) });
            assert_eq!(alive.load(SeqCst), 0);
        }
    });
}

#[test]
fn it_ends_while_others_spawn_wake_and_abort() {
    within(|| {
        let rounds = if cfg!(debug_assertions) { 60 } else { 200 };
        for round in 0..rounds {
            let rt = runtime([1, 2, 3, 8][round % 4]);
            let alive = Arc::new(AtomicUsize::new(0));
            let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
            let (stop, start) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(4)));
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let (handle, alive) = (rt.handle(), alive.clone());
                    let (wakers, stop, start) = (wakers.clone(), stop.clone(), start.clone());
                    thread::spawn(move || {
                        start.wait();
                        let mut tasks = Vec::new();
                        while !stop.load(SeqCst) && tasks.len() < 1000 {
                            let counted = Alive::new(&alive);
                            let kept = wakers.clone();
                            tasks.push(handle.spawn(async move {
                                let _counted = counted;
                                let _child = spawn(yield_now());
                                let mut polls = 0;
                                poll_fn(|cx| {
                                    kept.lock().unwrap().push(cx.waker().clone());
                                    polls += 1;
                                    if polls < 4 { Poll::Pending } else { Poll::Ready(()) }
                                })
                                .await;
                            }));
                            if thread == 0 {
                                tasks[tasks.len() / 2].abort();
                            }
                            let woken = std::mem::take(&mut *wakers.lock().unwrap());
                            woken.into_iter().for_each(Waker::wake);
                        }
                        tasks
                    })
                })
                .collect();
            start.wait();
            for _ in 0..round % 50 {
                thread::yield_now();
            }
            assert_nothing_left(rt.shutdown_timeout(LONG));
            stop.store(true, SeqCst);
            for thread in threads {
                for task in thread.join().unwrap() {
                    // All have ended, one way or the other.
                    drop(task.wait_blocking(LONG).unwrap());
                }
            }
            for waker in wakers.lock().unwrap().drain(..) {
                waker.wake();
            }
            assert_eq!(alive.load(SeqCst), 0);
        }
    });
}

#[test]
fn no_worker_sleeps_on_when_another_has_done_the_rest() {
    within(|| {
        let rounds = if cfg!(debug_assertions) { 200 } else { 1000 };
        for round in 0..rounds {
            let rt = runtime(2 + round % 7);
            let (tell, told) = mpsc::channel();
            drop(rt.spawn(async move {
                for _ in 0..round % 40 {
                    let slow = OnDrop(|| (0..1000).for_each(|_| std::hint::spin_loop()));
                    drop(spawn(async move {
                        let _slow = slow;
                        pending::<()>().await;
                    }));
                }
                tell.send(()).unwrap();
            }));
            told.recv().unwrap();
            let handle = rt.handle();
            let late = thread::spawn(move || {
                for _ in 0..20 {
                    drop(handle.spawn(yield_now()));
                }
            });
            assert_nothing_left(rt.shutdown_timeout(LONG));
            late.join().unwrap();
        }
    });
}

#[test]
fn tasks_that_spawn_tasks_come_to_an_end() {
    fn more(alive: Arc<AtomicUsize>, count: Arc<AtomicUsize>) {
        let counted = Alive::new(&alive);
        drop(spawn(async move {
            let _counted = counted;
            count.fetch_add(1, SeqCst);
            more(alive.clone(), count.clone());
            yield_now().await;
            if count.load(SeqCst).is_multiple_of(3) {
                more(alive, count);
            }
        }));
    }
    within(|| {
        for round in 0..40 {
            let rt = runtime([1, 2, 8][round % 3]);
            let (alive, count): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
            let entered = rt.enter();
            more(alive.clone(), count.clone());
            drop(entered);
            until(|| count.load(SeqCst) > 100);
            assert_nothing_left(rt.shutdown_timeout(LONG));
            assert_eq!(alive.load(SeqCst), 0);
        }
    });
}

#[test]
fn what_futures_do_as_they_are_dropped_at_the_end_does_no_harm() {
    within(|| {
        for workers in [1, 2, 8] {
            let rt = runtime(workers);
            let (dropped, refused): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
            let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
            let tasks: Vec<_> = (0..60)
                .map(|n| {
                    let (dropped, refused) = (dropped.clone(), refused.clone());
                    let (kept, handle) = (wakers.clone(), rt.handle());
                    let guard = OnDrop(move || {
                        dropped.fetch_add(1, SeqCst);
                        match n % 4 {
                            0 => panic!("in the drop of a future"),
                            1 => {
                                let refused = refused.clone();
                                let counts = OnDrop(move || {
                                    refused.fetch_add(1, SeqCst);
                                });
                                let task = handle.spawn(async move { drop(counts) });
                                assert!(task.is_finished());
                            }
                            2 => {
                                let wakers = std::mem::take(&mut *kept.lock().unwrap());
                                wakers.into_iter().for_each(Waker::wake);
                            }
                            // The pool takes it or has ended: it ends after the tasks.
                            _ => drop(handle.spawn_blocking(|| ())),
                        }
                    });
                    let wakers = wakers.clone();
                    rt.spawn(async move {
                        let _guard = guard;
                        poll_fn(|cx| {
                            wakers.lock().unwrap().push(cx.waker().clone());
                            Poll::<()>::Pending
                        })
                        .await;
                    })
                })
                .collect();
            until(|| wakers.lock().unwrap().len() == 60);
            assert_nothing_left(rt.shutdown_timeout(LONG));
            assert_eq!((dropped.load(SeqCst), refused.load(SeqCst)), (60, 15));
            for (n, task) in tasks.into_iter().enumerate() {
                let error = task.wait_blocking(LONG).unwrap().unwrap_err();
                assert_eq!(error.is_panic(), n % 4 == 0);
            }
        }
    });
}

/// A task that blocks its worker inside a poll, from when it is told to until it is released.
struct Stuck {
    task: JoinHandle<()>,
    thread: ThreadId,
    release: mpsc::Sender<()>,
}

/// Blocks a worker; `before` runs in the poll that does not return.
fn stick(rt: &Runtime, alive: &Arc<AtomicUsize>, before: impl FnOnce() + Send + 'static) -> Stuck {
    let (release, released) = mpsc::channel();
    let (enter, entered) = mpsc::channel();
    let counted = Alive::new(alive);
    let task = rt.spawn(async move {
        let _counted = counted;
        before();
        enter.send(thread::current().id()).unwrap();
        released.recv().unwrap();
        pending::<()>().await;
    });
    Stuck { task, thread: entered.recv().unwrap(), release }
}

#[test]
fn what_is_behind_a_stuck_task_is_dropped_and_that_one_is_named() {
    within(|| {
        for workers in [1, 2, 8] {
            let rt = runtime(workers);
            let alive = Arc::new(AtomicUsize::new(0));
            let (tell, told) = mpsc::channel::<Waker>();
            let victim = rt.spawn({
                let counted = Alive::new(&alive);
                poll_fn(move |cx| {
                    let _counted = &counted;
                    tell.send(cx.waker().clone()).unwrap();
                    Poll::<()>::Pending
                })
            });
            let waker = told.recv().unwrap();
            let elsewhere: Vec<_> = (0..20).map(|_| rt.spawn(waits(Alive::new(&alive)))).collect();
            let (queued, behind) = (alive.clone(), Arc::new(Mutex::new(Vec::new())));
            let keep = behind.clone();
            let stuck = stick(&rt, &alive, move || {
                keep.lock().unwrap().extend((0..50).map(|_| spawn(waits(Alive::new(&queued)))));
                // Into the slot of this worker, which comes to it no more.
                waker.wake();
            });
            let left = rt.shutdown_timeout(Duration::from_millis(50));
            assert_eq!((left.tasks.len(), left.threads, left.blocking), (1, 1, 0));
            assert_eq!(alive.load(SeqCst), 1, "all but one are dropped");
            assert!(is_cancelled(victim));
            assert!(elsewhere.into_iter().all(is_cancelled));
            assert!(behind.lock().unwrap().drain(..).all(is_cancelled));
            assert!(!stuck.task.is_finished());
            stuck.release.send(()).unwrap();
            assert!(is_cancelled(stuck.task));
            assert_eq!(alive.load(SeqCst), 0);
        }
    });
}

#[test]
fn what_stays_on_a_stuck_worker_is_dropped_there_later() {
    struct DroppedOn(mpsc::Sender<ThreadId>, #[allow(dead_code)] std::rc::Rc<()>);
    impl Drop for DroppedOn {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }
    within(|| {
        let rt = runtime(2);
        let alive = Arc::new(AtomicUsize::new(0));
        let (tell, told) = mpsc::channel();
        let _entered = rt.enter();
        let pinned: Vec<_> = (0..20)
            .map(|n| {
                let (tell, made) = (tell.clone(), Alive::new(&alive));
                let make = move || async move {
                    let (_made, _there) = (made, DroppedOn(tell, std::rc::Rc::new(())));
                    pending::<()>().await;
                };
                spawn_pinned(n % 2, make).unwrap()
            })
            .collect();
        // All have been polled.
        for shard in 0..2 {
            let polled = spawn_pinned(shard, yield_now).unwrap();
            polled.wait_blocking(LONG).unwrap().unwrap();
        }
        let stuck = stick(&rt, &alive, || ());
        let late = (0..2).map(|shard| {
            let counted = Alive::new(&alive);
            spawn_pinned(shard, move || waits(counted)).unwrap()
        });
        let late: Vec<_> = late.collect();
        let left = rt.shutdown_timeout(Duration::from_millis(200));
        assert_eq!((left.tasks.len(), left.threads, left.blocking), (12, 1, 0));
        assert_eq!(alive.load(SeqCst), 12);
        assert_eq!(told.try_iter().filter(|thread| *thread == stuck.thread).count(), 0);
        stuck.release.send(()).unwrap();
        assert!(pinned.into_iter().chain(late).all(is_cancelled));
        assert!(is_cancelled(stuck.task));
        assert_eq!(alive.load(SeqCst), 0);
        let dropped: Vec<_> = (0..10).map(|_| told.recv().unwrap()).collect();
        assert!(dropped.iter().all(|thread| *thread == stuck.thread));
    });
}

#[test]
fn a_shutdown_that_has_waited_does_not_wait_again() {
    within(|| {
        let rt = runtime(1);
        let alive = Arc::new(AtomicUsize::new(0));
        let stuck = stick(&rt, &alive, || ());
        let (release, released) = mpsc::channel::<()>();
        let (enter, entered) = mpsc::channel();
        let closure = rt.handle().spawn_blocking(move || {
            enter.send(()).unwrap();
            released.recv().unwrap();
        });
        entered.recv().unwrap();
        let (tell, told) = mpsc::channel();
        let ending = thread::spawn(move || {
            let left = rt.shutdown_timeout(Duration::ZERO);
            tell.send(()).unwrap();
            left
        });
        // The drop alone would wait for 5 s.
        told.recv_timeout(Duration::from_secs(4)).expect("no further wait");
        let left = ending.join().unwrap();
        assert_eq!((left.tasks.len(), left.threads, left.blocking), (1, 1, 1));
        stuck.release.send(()).unwrap();
        release.send(()).unwrap();
        assert!(is_cancelled(stuck.task));
        closure.wait_blocking(LONG).unwrap().unwrap();
    });
}

#[test]
fn no_closure_begins_while_the_workers_are_waited_for() {
    within(|| {
        let builder = Runtime::builder().worker_threads(1).blocking_threads(1).blocking_queue(8);
        let rt = builder.build().unwrap();
        let (alive, began) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stuck = stick(&rt, &alive, || ());
        let (release, released) = mpsc::channel::<()>();
        let (enter, entered) = mpsc::channel();
        let handle = rt.handle();
        let running = handle.spawn_blocking(move || {
            enter.send(()).unwrap();
            released.recv().unwrap();
        });
        entered.recv().unwrap();
        let ending = thread::spawn(move || rt.shutdown_timeout(LONG));
        let counts = || {
            let began = began.clone();
            move || {
                began.fetch_add(1, SeqCst);
            }
        };
        // Until the pool has ended, or its queue is full.
        let mut queued: Vec<_> =
            std::iter::from_fn(|| handle.try_spawn_blocking(counts()).ok()).collect();
        queued.push(handle.spawn_blocking(counts()));
        assert!(queued.into_iter().all(is_cancelled), "while a worker is still stuck");
        release.send(()).unwrap();
        running.wait_blocking(LONG).unwrap().unwrap();
        stuck.release.send(()).unwrap();
        assert_nothing_left(ending.join().unwrap());
        assert_eq!(began.load(SeqCst), 0);
    });
}

#[test]
fn handles_of_an_ended_runtime_answer() {
    within(|| {
        let rt = runtime(2);
        let handle = rt.handle();
        let task = rt.spawn(async { 7 });
        until(|| task.is_finished());
        let abort = task.abort_handle();
        drop(rt);
        abort.abort();
        assert_eq!(task.wait_blocking(LONG).unwrap().unwrap(), 7, "it had ended before");
        assert!(is_cancelled(handle.spawn(async {})));
        assert!(handle.try_spawn_blocking(|| ()).is_err());
        assert!(is_cancelled(handle.spawn_blocking(|| ())));
        assert_eq!(handle.workers(), 2);
        let called = Arc::new(AtomicBool::new(false));
        let seen = called.clone();
        handle.call_soon(move || seen.store(true, SeqCst));
        let entered = handle.enter();
        assert!(Handle::try_current().is_ok());
        assert!(is_cancelled(spawn_pinned(1, || async {}).unwrap()));
        drop(entered);
        thread::yield_now();
        assert!(!called.load(SeqCst));
    });
}
