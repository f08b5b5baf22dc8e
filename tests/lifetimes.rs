//! What outlives what: handles, wakers, sockets and sleeps beside runtimes that end in any order.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use futures::channel::oneshot;
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{Handle, LocalRuntime, spawn, spawn_local, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;
use watchdog::within;

fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

/// Runs something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn spawning_through_the_handle_of_an_ended_runtime_cancels(on: Flavour) {
    within(move || {
        let handle = on.runtime().handle();
        let dropped = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&dropped);
        let guard = OnDrop(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        let task = handle.spawn(async move { drop(guard) });
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "at once, not when it is joined");
        assert!(task.is_finished());
        let error = futures::executor::block_on(task).unwrap_err();
        assert!(error.is_cancelled());
        // From another runtime and another thread too.
        let task = thread::spawn(move || handle.spawn(async {})).join().unwrap();
        assert!(on.block_on(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn wakers_of_tasks_and_roots_outlive_their_runtime() {
    within(|| {
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let rt = runtime();
        for _ in 0..10 {
            let wakers = Arc::clone(&wakers);
            drop(rt.spawn_local(poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::<()>::Pending
            })));
        }
        let root = Arc::clone(&wakers);
        rt.block_on(async move {
            yield_now().await;
            poll_fn(|cx| {
                root.lock().unwrap().push(cx.waker().clone());
                Poll::Ready(())
            })
            .await;
        });
        assert_eq!(wakers.lock().unwrap().len(), 11);
        let go = Arc::new(std::sync::Barrier::new(4));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (wakers, go) = (wakers.lock().unwrap().clone(), Arc::clone(&go));
                thread::spawn(move || {
                    go.wait();
                    for _ in 0..100 {
                        wakers.iter().for_each(Waker::wake_by_ref);
                    }
                    for waker in wakers {
                        waker.wake_by_ref();
                        waker.wake();
                    }
                })
            })
            .collect();
        go.wait();
        drop(rt);
        for thread in threads {
            thread.join().unwrap();
        }
        for waker in wakers.lock().unwrap().drain(..) {
            waker.wake();
        }
    });
}

#[test]
fn local_futures_and_outputs_are_dropped_on_their_own_thread() {
    struct DropsOn(mpsc::Sender<ThreadId>, Rc<()>);
    impl Drop for DropsOn {
        fn drop(&mut self) {
            assert_eq!(Rc::strong_count(&self.1), 1);
            self.0.send(thread::current().id()).unwrap();
        }
    }
    within(|| {
        let here = thread::current().id();
        let (tx, rx) = mpsc::channel();
        let rt = runtime();
        let guard = || DropsOn(tx.clone(), Rc::new(()));
        // Aborted from another thread while it waits, before its first poll, and at the end.
        for polled in [true, false] {
            let held = guard();
            let task = rt.spawn_local(async move {
                let _held = held;
                pending::<()>().await;
            });
            if polled {
                rt.block_on(yield_now());
            }
            let stop = task.abort_handle();
            thread::spawn(move || stop.abort()).join().unwrap();
            assert!(rt.block_on(task).unwrap_err().is_cancelled());
        }
        let held = guard();
        drop(rt.spawn_local(async move {
            let _held = held;
            pending::<()>().await;
        }));
        let held = guard();
        let output = rt.spawn_local(async move { held });
        rt.block_on(yield_now());
        drop(rt);
        drop(output);
        drop(tx);
        assert_eq!(rx.iter().collect::<Vec<_>>(), [here; 4]);
    });
}

#[test]
fn tasks_that_die_with_the_runtime_may_use_it_in_their_drop() {
    within(|| {
        let rt = runtime();
        let refused = Rc::new(RefCell::new(Vec::new()));
        let sleeping = Rc::clone(&refused);
        drop(rt.spawn_local(async move {
            let _guard = OnDrop(move || {
                sleeping.borrow_mut().push(spawn_local(async {}));
                drop(spawn(async {}));
                drop(sleep(Duration::from_millis(1)));
                drop(Handle::current());
                drop(yield_now());
            });
            sleep(Duration::from_secs(3600)).await;
        }));
        drop(rt.spawn_local(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            server.read(&mut [0; 8]).await.unwrap();
        }));
        let inner = runtime();
        drop(inner.spawn_local(pending::<()>()));
        drop(rt.spawn_local(async move {
            let _another_runtime = inner;
            pending::<()>().await;
        }));
        rt.block_on(async { sleep(Duration::from_millis(5)).await });
        drop(rt);
        for task in refused.take() {
            assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn the_end_of_a_runtime_wakes_those_who_wait_for_its_tasks() {
    within(|| {
        let (a, b) = (runtime(), runtime());
        let task = a.spawn_local(pending::<()>());
        let joined = b.spawn_local(async move { task.await.unwrap_err().is_cancelled() });
        b.block_on(yield_now());
        b.block_on(yield_now());
        drop(a);
        assert!(b.block_on(joined).unwrap());
    });
}

#[test]
fn a_runtime_ends_while_another_runs() {
    within(|| {
        let outer = runtime();
        let seen = outer.block_on(async {
            let inner = runtime();
            let (tx, rx) = oneshot::channel::<()>();
            drop(inner.spawn_local(async move {
                let _tx = tx;
                pending::<()>().await;
            }));
            // Its end wakes a task of the runtime that is running.
            let waiting = spawn(rx);
            yield_now().await;
            drop(inner);
            assert!(Handle::try_current().is_ok(), "the outer one is current again");
            waiting.await.unwrap()
        });
        assert!(seen.is_err());
    });
}

#[test]
fn a_runtime_in_a_thread_local_ends_with_its_thread() {
    thread_local! {
        static RT: RefCell<Option<LocalRuntime>> = const { RefCell::new(None) };
        static LAZY: LocalRuntime = runtime();
    }
    within(|| {
        let (tx, rx) = mpsc::channel();
        let handles = thread::spawn(move || {
            let guard = |tx: mpsc::Sender<ThreadId>| {
                OnDrop(move || tx.send(thread::current().id()).unwrap())
            };
            let task = |held| async move {
                let _held = held;
                let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
                drop(spawn_local(sleep(Duration::from_secs(3600))));
                let _ = listener.accept().await;
            };
            let kept = RT.with_borrow_mut(|slot| {
                let rt = slot.insert(runtime());
                let kept = rt.spawn_local(task(guard(tx.clone())));
                rt.block_on(async { sleep(Duration::from_millis(1)).await });
                (kept.abort_handle(), rt.handle())
            });
            LAZY.with(|rt| {
                drop(rt.spawn_local(task(guard(tx.clone()))));
                rt.block_on(async { sleep(Duration::from_millis(1)).await });
                drop(rt.spawn_local(task(guard(tx))));
                (kept, rt.handle())
            })
        });
        let thread = handles.thread().id();
        let ((stop, first), second) = handles.join().unwrap();
        assert_eq!(rx.iter().collect::<Vec<_>>(), [thread; 3]);
        stop.abort();
        assert!(stop.is_finished());
        for handle in [first, second] {
            let task = handle.spawn(async {});
            assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn wakers_and_a_runtime_in_thread_locals_end_in_either_order() {
    struct Wakers(Vec<Waker>);
    impl Drop for Wakers {
        fn drop(&mut self) {
            for waker in self.0.drain(..) {
                waker.wake_by_ref();
                waker.wake();
            }
        }
    }
    thread_local! {
        static RT: RefCell<Option<LocalRuntime>> = const { RefCell::new(None) };
        static WAKERS: RefCell<Wakers> = const { RefCell::new(Wakers(Vec::new())) };
    }
    within(|| {
        for wakers_first in [true, false] {
            let (tx, rx) = mpsc::channel();
            let task = thread::spawn(move || {
                if wakers_first {
                    WAKERS.with_borrow(|_| ());
                }
                let task = RT.with_borrow_mut(|slot| {
                    let rt = slot.insert(runtime());
                    let guard = OnDrop(move || tx.send(thread::current().id()).unwrap());
                    let leaves = poll_fn(|cx| {
                        WAKERS.with_borrow_mut(|wakers| wakers.0.push(cx.waker().clone()));
                        Poll::<()>::Pending
                    });
                    let task = rt.spawn_local(async move {
                        let _guard = guard;
                        leaves.await;
                    });
                    rt.block_on(yield_now());
                    task
                });
                task.abort_handle()
            });
            let thread = task.thread().id();
            let task = task.join().unwrap();
            assert!(task.is_finished());
            assert_eq!(rx.iter().collect::<Vec<_>>(), [thread]);
        }
    });
}

#[test]
fn wakers_and_handles_of_a_forgotten_runtime_do_nothing_once_its_thread_has_ended() {
    // It is leaked. From here the leak checker can still reach it.
    static LEAKED: AtomicPtr<LocalRuntime> = AtomicPtr::new(ptr::null_mut());
    within(|| {
        let (waker, task, handle) = thread::spawn(|| {
            let rt = runtime();
            let slot = Arc::new(Mutex::new(None));
            let left = Arc::clone(&slot);
            let task = rt.handle().spawn(poll_fn(move |cx| {
                left.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
                Poll::<()>::Pending
            }));
            rt.block_on(yield_now());
            let (waker, handle) = (slot.lock().unwrap().take().unwrap(), rt.handle());
            LEAKED.store(Box::into_raw(Box::new(rt)), Ordering::SeqCst);
            (waker, task, handle)
        })
        .join()
        .unwrap();
        for _ in 0..100 {
            waker.wake_by_ref();
            task.abort();
        }
        let late = handle.spawn(async {});
        assert!(!late.is_finished() && !task.is_finished());
        waker.wake();
        drop((task, late, handle));
    });
}

#[test]
fn runtimes_and_what_belongs_to_them_are_dropped_in_every_order() {
    within(|| {
        // Each number is the order of: runtime, handle, join handle, socket, sleep.
        for order in permutations(5) {
            let rt = runtime();
            let handle = rt.handle();
            let (socket, timer, task) = rt.block_on(async {
                let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
                let mut accept = Box::pin(listener.accept());
                assert!(futures::poll!(&mut accept).is_pending());
                drop(accept);
                let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
                assert!(futures::poll!(&mut timer).is_pending());
                let task = spawn_local(pending::<()>());
                yield_now().await;
                (listener, timer, task)
            });
            let mut parts: [Option<Box<dyn std::any::Any>>; 5] = [
                Some(Box::new(rt)),
                Some(Box::new(handle)),
                Some(Box::new(task)),
                Some(Box::new(socket)),
                Some(Box::new(timer)),
            ];
            for index in order {
                drop(parts[index].take());
            }
        }
    });
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for at in 0..n {
            let mut longer = shorter.clone();
            longer.insert(at, n - 1);
            all.push(longer);
        }
    }
    all
}

#[cfg(target_os = "linux")]
#[test]
fn ended_runtimes_give_their_descriptors_back() {
    fn open() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }
    within(|| {
        let before = open();
        for _ in 0..2000 {
            let rt = runtime();
            drop(rt.spawn_local(async {
                let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
                let _ = listener.accept().await;
            }));
            rt.block_on(yield_now());
        }
        // Other tests of this process open some meanwhile.
        assert!(open() < before + 1000, "{before} before, {} after", open());
    });
}

#[test]
fn tasks_spawned_while_the_runtime_ends_are_cancelled_once() {
    within(|| {
        for _ in 0..200 {
            let rt = runtime();
            let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let spawners: Vec<_> = (0..2)
                .map(|_| {
                    let (handle, made, dropped) =
                        (rt.handle(), Arc::clone(&made), Arc::clone(&dropped));
                    thread::spawn(move || {
                        for _ in 0..100 {
                            let dropped = Arc::clone(&dropped);
                            let guard = OnDrop(move || {
                                dropped.fetch_add(1, Ordering::SeqCst);
                            });
                            made.fetch_add(1, Ordering::SeqCst);
                            let task = handle.spawn(async move {
                                let _guard = guard;
                                pending::<()>().await;
                            });
                            task.abort();
                            drop(task);
                        }
                    })
                })
                .collect();
            let ran = Rc::new(Cell::new(0));
            rt.block_on(async {
                for _ in 0..20 {
                    ran.set(ran.get() + 1);
                    yield_now().await;
                }
            });
            drop(rt);
            for spawner in spawners {
                spawner.join().unwrap();
            }
            assert_eq!(made.load(Ordering::SeqCst), 200);
            assert_eq!(dropped.load(Ordering::SeqCst), 200);
        }
    });
}

on_every_flavour! {
    spawning_through_the_handle_of_an_ended_runtime_cancels,
}
