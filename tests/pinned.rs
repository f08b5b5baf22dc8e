//! Tasks that stay on one worker, and futures that `block_on` polls beside the workers.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::channel::oneshot;
use mainspring::task::Builder;
use mainspring::time::{sleep, timeout};
use mainspring::{NoSuchShard, Runtime, spawn, spawn_blocking, spawn_pinned, yield_now};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;
use watchdog::within;

const LONG: Duration = Duration::from_secs(3600);

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().unwrap()
}

/// Tells where it is dropped; not to be sent.
struct DroppedOn(mpsc::Sender<ThreadId>, #[allow(dead_code)] Rc<()>);

impl Drop for DroppedOn {
    fn drop(&mut self) {
        self.0.send(thread::current().id()).unwrap();
    }
}

/// The threads of all workers.
fn threads(rt: &Runtime) -> Vec<ThreadId> {
    let entered = rt.enter();
    let tasks: Vec<_> = (0..rt.handle().workers())
        .map(|shard| spawn_pinned(shard, || async { thread::current().id() }).unwrap())
        .collect();
    drop(entered);
    let all: Vec<_> =
        tasks.into_iter().map(|task| task.wait_blocking(LONG).unwrap().unwrap()).collect();
    assert!(all.iter().enumerate().all(|(n, thread)| !all[..n].contains(thread)));
    all
}

#[test]
fn a_handle_and_a_builder_pin_too() {
    within(|| {
        let rt = runtime(2);
        let threads = threads(&rt);
        let handle = rt.handle();
        let by_handle = handle.spawn_pinned(1, || async { thread::current().id() }).unwrap();
        assert_eq!(by_handle.wait_blocking(LONG).unwrap().unwrap(), threads[1]);
        let Err(NoSuchShard(make)) = handle.spawn_pinned(2, || async { 5 }) else {
            panic!("there is")
        };
        assert_eq!(rt.block_on(make()), 5);
        let by_builder = rt.block_on(async {
            let named = Builder::new().name("stays");
            let task = named.spawn_pinned(0, || async {
                yield_now().await;
                (thread::current().id(), mainspring::task::name().map(String::from))
            });
            assert!(Builder::new().spawn_pinned(7, || async {}).is_err());
            task.unwrap().await.unwrap()
        });
        assert_eq!(by_builder, (threads[0], Some("stays".into())));
    });
}

#[test]
fn a_pinned_task_is_polled_and_dropped_on_its_own_thread_only() {
    within(|| {
        for workers in [1, 2, 4] {
            let rt = runtime(workers);
            let threads = threads(&rt);
            let (tell, told) = mpsc::channel();
            let entered = rt.enter();
            let tasks: Vec<_> = (0..40)
                .map(|n| {
                    let (tell, here) = (tell.clone(), threads[n % workers]);
                    let make = move || {
                        let guard = DroppedOn(tell, Rc::new(()));
                        async move {
                            // By itself, by timers, by the pool, by tasks that go anywhere.
                            for round in 0..50 {
                                match (n / workers + round) % 10 {
                                    0 => sleep(Duration::from_micros(50)).await,
                                    1 => spawn_blocking(|| ()).await.unwrap(),
                                    2 => spawn(yield_now()).await.unwrap(),
                                    _ => yield_now().await,
                                }
                                assert_eq!(thread::current().id(), here);
                            }
                            if n % 2 == 0 {
                                pending::<()>().await;
                            }
                            drop(guard);
                            n
                        }
                    };
                    spawn_pinned(n % workers, make).unwrap()
                })
                .collect();
            drop(entered);
            for (n, task) in tasks.into_iter().enumerate() {
                match n % 4 {
                    0 => {
                        task.abort();
                        assert!(task.wait_blocking(LONG).unwrap().unwrap_err().is_cancelled());
                    }
                    2 => drop(task),
                    _ => assert_eq!(task.wait_blocking(LONG).unwrap().unwrap(), n),
                }
            }
            drop((rt, tell));
            // One that was aborted before its first poll has no guard.
            let dropped: Vec<_> = told.iter().collect();
            assert!((30..=40).contains(&dropped.len()), "{}", dropped.len());
            assert!(dropped.iter().all(|thread| threads.contains(thread)));
        }
    });
}

#[test]
fn a_future_is_dropped_on_the_thread_on_which_it_was_made() {
    within(|| {
        let rt = runtime(2);
        let threads = threads(&rt);
        for (shard, ends) in [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)] {
            let (tell, told) = mpsc::channel();
            let (ready, made) = mpsc::channel();
            let entered = rt.enter();
            let task = spawn_pinned(shard, move || async move {
                let _guard = DroppedOn(tell, Rc::new(()));
                ready.send(()).unwrap();
                match ends {
                    0 => {}
                    1 => panic!("ends by a panic"),
                    _ => pending().await,
                }
            });
            let task = task.unwrap();
            drop(entered);
            made.recv().unwrap();
            // From this thread, which is another.
            task.abort();
            drop(task);
            assert_eq!(told.recv().unwrap(), threads[shard]);
        }
    });
}

#[test]
fn where_there_is_no_such_worker_the_closure_comes_back() {
    within(|| {
        let rt = runtime(2);
        let _entered = rt.enter();
        let kept = Arc::new(());
        let closure = {
            let kept = kept.clone();
            move || async move { Arc::strong_count(&kept) }
        };
        let NoSuchShard(closure) = spawn_pinned(2, closure).unwrap_err();
        let NoSuchShard(closure) = spawn_pinned(usize::MAX, closure).unwrap_err();
        assert_eq!(Arc::strong_count(&kept), 2, "nothing is lost");
        let task = spawn_pinned(1, closure).unwrap();
        assert_eq!(task.wait_blocking(LONG).unwrap().unwrap(), 2);
        assert_eq!(rt.live_tasks(), 0);
    });
}

#[test]
fn a_panic_as_the_future_is_made_is_told_by_the_handle() {
    within(|| {
        let rt = runtime(2);
        let _entered = rt.enter();
        let make = || -> std::future::Pending<()> { panic!("no future") };
        let error = spawn_pinned(1, make).unwrap().wait_blocking(LONG).unwrap().unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "no future");
        assert!(spawn_pinned(1, || async {}).unwrap().wait_blocking(LONG).unwrap().is_ok());
    });
}

#[test]
fn outside_a_runtime_nothing_can_be_pinned() {
    let said = catch_unwind(|| drop(spawn_pinned(0, || async {}))).unwrap_err();
    assert!(said.downcast::<&str>().unwrap().contains("Handle::enter"));
}

#[test]
fn a_root_need_not_be_send_and_stays_where_it_is() {
    within(|| {
        let rt = runtime(2);
        let here = thread::current().id();
        let shared = Rc::new(Cell::new(0));
        let seen = shared.clone();
        let sum = rt.block_on(async move {
            let mut sum = 0;
            for n in 0..200 {
                sum += match n % 4 {
                    0 => spawn(async { 1 }).await.unwrap(),
                    1 => spawn_blocking(|| 1).await.unwrap(),
                    2 => timeout(Duration::from_micros(100), pending()).await.unwrap_or(1),
                    _ => {
                        yield_now().await;
                        1
                    }
                };
                seen.set(sum);
                assert_eq!(thread::current().id(), here);
                assert!(mainspring::task::try_id().is_none());
            }
            sum
        });
        assert_eq!((sum, shared.get(), Rc::strong_count(&shared)), (200, 200, 1));
    });
}

#[test]
fn several_threads_are_in_block_on_at_a_time() {
    within(|| {
        for workers in [1, 2] {
            let rt = runtime(workers);
            let (all, met) = (Arc::new(AtomicUsize::new(0)), mainspring::sync::Barrier::new(4));
            thread::scope(|scope| {
                for n in 0..4 {
                    let (rt, all, met) = (&rt, all.clone(), &met);
                    scope.spawn(move || {
                        rt.block_on(async {
                            // None goes on before all are there.
                            met.wait().await;
                            for _ in 0..100 {
                                let all = all.clone();
                                spawn(async move { all.fetch_add(1, SeqCst) }).await.unwrap();
                                sleep(Duration::from_micros(10 * n)).await;
                            }
                            met.wait().await;
                        });
                    });
                }
            });
            assert_eq!(all.load(SeqCst), 400);
        }
    });
}

#[test]
fn block_on_inside_a_runtime_panics() {
    within(|| {
        let (rt, other) = (Arc::new(runtime(2)), Arc::new(runtime(1)));
        let panics = |rt: &Runtime| {
            let said = catch_unwind(AssertUnwindSafe(|| rt.block_on(async {}))).unwrap_err();
            said.downcast::<&str>().is_ok_and(|said| said.contains("block_on was called inside"))
        };
        rt.block_on(async {
            assert!(panics(&rt) && panics(&other), "in a root");
            let both = (rt.clone(), other.clone());
            assert!(spawn(async move { panics(&both.0) && panics(&both.1) }).await.unwrap());
            let both = (rt.clone(), other.clone());
            let in_closure = spawn_blocking(move || panics(&both.0) && panics(&both.1));
            assert!(in_closure.await.unwrap());
        });
        let entered = other.enter();
        assert_eq!(rt.block_on(async { 5 }), 5, "one that was only entered does not matter");
        drop(entered);
    });
}

#[test]
fn a_root_that_panics_leaves_the_runtime_as_it_was() {
    within(|| {
        let rt = runtime(2);
        let (tx, rx) = oneshot::channel();
        let task = rt.spawn(rx);
        let dropped = Arc::new(());
        for at_once in [true, false] {
            let guard = dropped.clone();
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                rt.block_on(async move {
                    let _guard = guard;
                    if !at_once {
                        sleep(Duration::from_millis(1)).await;
                    }
                    panic!("the root");
                })
            }));
            assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "the root");
            assert_eq!(Arc::strong_count(&dropped), 1);
            assert!(mainspring::Handle::try_current().is_err());
        }
        tx.send(7).unwrap();
        assert_eq!(rt.block_on(task).unwrap(), Ok(7));
    });
}

#[test]
fn wakers_of_roots_may_be_used_at_any_time() {
    within(|| {
        let rt = runtime(2);
        let mut kept = Vec::new();
        for _ in 0..50 {
            let (tell, told) = mpsc::channel::<std::task::Waker>();
            let waking = thread::spawn(move || {
                let waker = told.recv().unwrap();
                (0..100).for_each(|_| waker.wake_by_ref());
                waker
            });
            let mut polls = 0;
            rt.block_on(poll_fn(|cx| {
                polls += 1;
                if polls == 1 {
                    tell.send(cx.waker().clone()).unwrap();
                }
                if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
            }));
            kept.push(waking);
        }
        drop(rt);
        kept.into_iter().for_each(|waking| waking.join().unwrap().wake());
    });
}
