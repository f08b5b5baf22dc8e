//! Wakes and spawns on the runtime's own thread, from wherever they come there: between turns, in
//! hooks, in drops, in a panic hook, inside another runtime; and what stands in the queue for a root.
#![cfg(not(any(loom, mio_unsupported_force_poll_poll)))]
#![allow(clippy::disallowed_types)]

#[path = "common/host.rs"]
mod host;
#[path = "common/watchdog.rs"]
mod watchdog;

use futures::channel::oneshot;
use host::{drain, host_until, is_readable, runtime};
use mainspring::hooks::{Hooks, TaskInfo};
use mainspring::sim::Sim;
use mainspring::time::sleep;
use mainspring::{Budget, LocalRuntime, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use watchdog::within;

thread_local! {
    /// Woken by what has no other way to a waker.
    static KEPT: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Ready when it is woken for the first time; until then its waker is in `KEPT`.
fn until_kept_is_woken() -> impl Future<Output = ()> {
    let mut polled = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        KEPT.set(Some(cx.waker().clone()));
        Poll::Pending
    })
}

fn wake_kept() {
    if let Some(waker) = KEPT.take() {
        waker.wake();
    }
}

/// Calls what it holds when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A waker of a root that has ended.
fn left_behind(rt: &LocalRuntime) -> Waker {
    rt.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())))
}

#[test]
fn a_task_of_one_runtime_wakes_one_of_another_below_it_and_beside_it() {
    within(|| {
        let (outer, inner, beside) = (Rc::new(runtime()), Rc::new(runtime()), Rc::new(runtime()));
        assert!(!is_readable(&outer) && !is_readable(&inner) && !is_readable(&beside));
        let (to_outer, in_outer) = oneshot::channel::<()>();
        let (to_beside, in_beside) = oneshot::channel::<()>();
        let in_outer = outer.spawn_local(in_outer);
        let in_beside = beside.spawn_local(in_beside);
        drain(&outer);
        drain(&beside);
        drop(inner.spawn_local(async move {
            to_outer.send(()).unwrap();
            to_beside.send(()).unwrap();
        }));
        let turning = outer.spawn_local({
            let inner = inner.clone();
            async move { drain(&inner) }
        });
        drain(&outer);
        assert!(turning.is_finished() && in_outer.is_finished());
        assert!(is_readable(&beside) && !in_beside.is_finished());
        host_until(&beside, || in_beside.is_finished());
        assert!(!is_readable(&outer) && !is_readable(&beside));
    });
}

/// What a hook wakes as the thread goes to the host is told like everything else.
#[test]
fn what_a_hook_wakes_as_the_host_takes_over_is_told() {
    struct Wakes;
    impl Hooks for Wakes {
        fn on_park(&self, _worker: usize) {
            wake_kept();
        }
    }
    within(|| {
        let rt = LocalRuntime::builder().hooks(Arc::new(Wakes)).build().unwrap();
        assert!(!is_readable(&rt));
        let task = rt.spawn_local(until_kept_is_woken());
        let report = rt.turn(Budget::new()).unwrap();
        assert!(report.has_more && is_readable(&rt) && !task.is_finished());
        drain(&rt);
        assert!(task.is_finished() && !is_readable(&rt));
        // One sleeps in `block_on`, and would sleep on.
        let task = rt.spawn_local(until_kept_is_woken());
        rt.block_on(task).unwrap();
    });
}

/// A wake of a hook comes between the claim of the task and its way into the queue.
#[test]
fn a_hook_that_spawns_when_it_is_told_of_a_wake_loses_nothing() {
    #[derive(Default)]
    struct Spawns(AtomicUsize, Mutex<Option<mainspring::Handle>>);
    impl Hooks for Spawns {
        fn on_wake(&self, _task: &TaskInfo) {
            let handle = self.1.lock().unwrap().clone();
            if let (Some(handle), 0..3) = (handle, self.0.fetch_add(1, Relaxed)) {
                drop(handle.spawn(yield_now()));
                wake_kept();
            }
        }
    }
    within(|| {
        let hooks = Arc::new(Spawns::default());
        let rt = LocalRuntime::builder().hooks(hooks.clone()).build().unwrap();
        assert!(!is_readable(&rt));
        *hooks.1.lock().unwrap() = Some(rt.handle());
        let kept = rt.spawn_local(until_kept_is_woken());
        let (sender, receiver) = oneshot::channel::<()>();
        let told = rt.spawn_local(receiver);
        drain(&rt);
        sender.send(()).unwrap();
        assert!(is_readable(&rt));
        drain(&rt);
        assert!(kept.is_finished() && told.is_finished() && rt.live_tasks() == 0);
        hooks.1.lock().unwrap().take();
    });
}

/// The panic hook is the user's, and runs where the panic begins.
#[test]
fn a_panic_hook_may_wake_where_the_order_panics() {
    within(|| {
        let thread = thread::current().id();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if thread::current().id() == thread { wake_kept() } else { before(info) }
        }));
        let ended = catch_unwind(|| {
            Sim::new().polls(50).run(1, async {
                drop(spawn(until_kept_is_woken()));
                // Polled by then, as the oldest runs every so often.
                loop {
                    yield_now().await;
                }
            })
        });
        assert!(ended.is_err() && KEPT.take().is_none());
    });
}

#[test]
fn a_root_left_behind_keeps_virtual_time_from_nothing() {
    within(|| {
        let rt = LocalRuntime::builder().deterministic(1).build().unwrap();
        let root = left_behind(&rt);
        let slept = rt.spawn_local(async { sleep(Duration::from_secs(1)).await });
        let report = rt.turn(Budget::new().max_polls(1)).unwrap();
        assert!(report.has_more);
        root.wake_by_ref();
        assert_eq!(rt.turn(Budget::new()).unwrap().timers_fired, 1);
        assert!(slept.is_finished());
    });
}

/// At each moment, on each thread, a root's waker that outlives it is told of nothing, does nothing,
/// and keeps nothing from running.
#[test]
fn the_waker_of_a_root_does_nothing_to_turns() {
    within(|| {
        let rt = runtime();
        assert!(!is_readable(&rt));
        let root = left_behind(&rt);
        let turn = || rt.turn(Budget::new().max_time(Duration::from_secs(60)));
        for elsewhere in [false, true] {
            let wake = || match elsewhere {
                true => thread::scope(|scope| scope.spawn(|| root.wake_by_ref()).join().unwrap()),
                false => root.wake_by_ref(),
            };
            wake();
            let report = turn().unwrap();
            assert_eq!((report.polled, report.has_more, is_readable(&rt)), (0, false, false));
            let (here, waker) = (Rc::new(Cell::new(0)), root.clone());
            drop(rt.spawn_local({
                let here = here.clone();
                async move {
                    waker.wake_by_ref();
                    thread::spawn(move || waker.wake()).join().unwrap();
                    here.set(1);
                    yield_now().await;
                    here.set(2);
                }
            }));
            wake();
            let report = turn().unwrap();
            assert_eq!((report.polled, report.has_more, is_readable(&rt)), (2, false, false));
            assert_eq!(here.get(), 2);
            wake();
            let mut polls = 0;
            rt.block_on(poll_fn(|cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
            }));
            assert_eq!(polls, 3);
            drain(&rt);
            assert!(!is_readable(&rt));
        }
        drop(rt);
        root.wake_by_ref();
        thread::spawn(move || root.wake()).join().unwrap();
    });
}

/// Neither a root's waker nor another thread that comes during the last poll of a turn is confused
/// with what is left to do, nor forgotten.
#[test]
fn what_comes_in_the_last_poll_of_a_turn_is_told_as_what_it_is() {
    #[derive(Default)]
    struct Parks(AtomicUsize);
    impl Hooks for Parks {
        fn on_park(&self, _worker: usize) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    within(|| {
        for (watched, hooked) in [(false, false), (false, true), (true, false), (true, true)] {
            let (parks, builder) = (Arc::new(Parks::default()), LocalRuntime::builder());
            let builder = if hooked { builder.hooks(parks.clone()) } else { builder };
            let rt = builder.build().unwrap();
            let root = left_behind(&rt);
            assert!(!watched || !is_readable(&rt));
            let budget = || Budget::new().max_time(Duration::from_secs(60));
            let turn = |budget: Budget| {
                let report = rt.turn(budget).unwrap();
                assert_eq!(report.has_more, rt.next_deadline().is_some());
                assert!(!watched || report.has_more == is_readable(&rt));
                (report.polled, report.has_more)
            };
            drop(rt.spawn_local(async move { root.wake() }));
            assert_eq!(turn(budget().max_polls(1)), (1, false));
            assert_eq!(parks.0.load(Relaxed), usize::from(hooked));
            for polls in [1, 2] {
                let handle = rt.handle();
                let spawn = || thread::spawn(move || drop(handle.spawn(async {})));
                drop(rt.spawn_local(async { spawn().join().unwrap() }));
                assert_eq!(turn(budget().max_polls(polls)), (polls, polls == 1));
                assert_eq!(turn(budget()), (2 - polls, false));
            }
            for _ in 0..2 {
                drop(rt.spawn_local(async {}));
            }
            assert_eq!(turn(budget().max_polls(1)), (1, true));
            assert_eq!(turn(budget().max_polls(1)), (1, false));
            let handle = rt.handle();
            thread::spawn(move || drop(handle.spawn(async {}))).join().unwrap();
            assert!(rt.next_deadline().is_some());
            assert_eq!(turn(budget()), (1, false));
        }
    });
}

#[test]
fn a_root_that_panics_or_is_woken_in_its_last_poll_leaves_the_next_its_turn() {
    within(|| {
        let rt = runtime();
        for watched in [false, true] {
            if watched {
                is_readable(&rt);
            }
            for wakes in [false, true] {
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    rt.block_on(poll_fn(|cx| -> Poll<()> {
                        if wakes {
                            cx.waker().wake_by_ref();
                        }
                        panic!("the root");
                    }))
                }));
                assert!(panicked.is_err());
                let order = Rc::new(RefCell::new(Vec::new()));
                let note = |what| {
                    let order = order.clone();
                    async move { order.borrow_mut().push(what) }
                };
                let earlier = left_behind(&rt);
                drop(rt.spawn_local(note("before")));
                // It takes the place of an earlier one behind that, which is not the root's.
                earlier.wake();
                rt.block_on(async {
                    note("root").await;
                    rt.spawn_local(note("its own")).await.unwrap();
                });
                assert_eq!(*order.borrow(), ["root", "before", "its own"]);
                rt.block_on(poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::Ready(())
                }));
                rt.block_on(yield_now());
                // Woken once more after its last poll, by its drop.
                let woken = OnDrop(wake_kept);
                rt.block_on(poll_fn(move |cx| {
                    let _ = &woken;
                    KEPT.set(Some(cx.waker().clone()));
                    Poll::Ready(())
                }));
                assert_eq!(rt.next_deadline(), None);
            }
        }
    });
}

/// The root's drop, and drops of tasks, wake and spawn as other code does; a panic of one of them
/// costs nobody else their wake.
#[test]
fn drops_wake_and_spawn_too() {
    within(|| {
        let rt = runtime();
        assert!(!is_readable(&rt));
        let ended = Rc::new(Cell::new(0));
        let task = rt.spawn_local(until_kept_is_woken());
        let root = OnDrop(|| {
            wake_kept();
            let ended = ended.clone();
            drop(rt.spawn_local(async move { ended.set(1) }));
        });
        rt.block_on(async {
            let _root = root;
            yield_now().await;
        });
        assert!(is_readable(&rt) && !task.is_finished());
        drain(&rt);
        assert!(task.is_finished() && ended.get() == 1 && !is_readable(&rt));
        let task = rt.spawn_local(until_kept_is_woken());
        drain(&rt);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let root = OnDrop(|| {
                wake_kept();
                panic!("the root's drop");
            });
            rt.block_on(async {
                let _root = root;
                yield_now().await;
            });
        }));
        assert!(unwound.is_err() && is_readable(&rt));
        drain(&rt);
        assert!(task.is_finished() && !is_readable(&rt));
    });
}

/// What another thread leaves may be the last that keeps a task; to take it is to drop what the user
/// has hung on that, which may wake, spawn, and run the runtime.
#[test]
fn user_data_that_dies_as_the_inbox_is_emptied_may_use_the_runtime() {
    struct Data(Box<dyn Fn() + Send + Sync>);
    impl Drop for Data {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    within(|| {
        let rt = runtime();
        assert!(!is_readable(&rt));
        let died = Arc::new(AtomicBool::new(false));
        let data = {
            let (handle, died) = (rt.handle(), died.clone());
            Data(Box::new(move || {
                died.store(true, Relaxed);
                wake_kept();
                drop(handle.spawn(async {}));
                assert!(!thread::panicking());
                panic!("the drop of user data");
            }))
        };
        let kept = rt.spawn_local(until_kept_is_woken());
        drain(&rt);
        let other = rt.spawn_local(pending::<()>());
        let abort = other.abort_handle();
        let guard = rt.handle().enter();
        let task = mainspring::task::Builder::new().data(data).spawn(poll_fn(move |cx| {
            let (waker, abort) = (cx.waker().clone(), abort.clone());
            // Two notices: the second must outlive the panic that the first brings.
            let both = thread::spawn(move || {
                waker.wake();
                abort.abort();
            });
            both.join().unwrap();
            Poll::Ready(())
        }));
        drop((task, guard));
        drain(&rt);
        assert!(died.load(Relaxed) && kept.is_finished() && other.is_finished());
        assert_eq!(rt.live_tasks(), 0);
        assert!(!is_readable(&rt));
    });
}

/// Tasks that wake each other, spawn and panic as they are dropped, many of them, and other threads
/// that spawn and abort meanwhile.
#[test]
fn the_end_comes_through_whatever_drops_do() {
    const TASKS: usize = 100_000;
    within(|| {
        let rt = runtime();
        let (dropped, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let root = left_behind(&rt);
        let wakers = Rc::new(RefCell::new(Vec::new()));
        let task = |n: usize| {
            let (dropped, root, handle) = (dropped.clone(), root.clone(), rt.handle());
            let woken = wakers.clone();
            made.fetch_add(1, Relaxed);
            let on_drop = OnDrop(move || {
                dropped.fetch_add(1, Relaxed);
                root.wake_by_ref();
                let waker = woken.borrow_mut().pop();
                waker.into_iter().for_each(Waker::wake);
                if n.is_multiple_of(16) {
                    drop(handle.spawn(async {}));
                }
                assert!(!n.is_multiple_of(10_000), "a drop at the end");
            });
            let wakers = wakers.clone();
            poll_fn(move |cx| {
                let _ = &on_drop;
                wakers.borrow_mut().push(cx.waker().clone());
                Poll::<()>::Pending
            })
        };
        for n in 0..TASKS {
            drop(rt.spawn_local(task(n)));
        }
        rt.block_on(yield_now());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (handle, dropped, made) = (rt.handle(), dropped.clone(), made.clone());
                thread::spawn(move || {
                    for n in 0..5_000_u32 {
                        let dropped = dropped.clone();
                        made.fetch_add(1, Relaxed);
                        let on_drop = OnDrop(move || {
                            dropped.fetch_add(1, Relaxed);
                        });
                        let task = handle.spawn(async move {
                            let _on_drop = on_drop;
                            pending::<()>().await
                        });
                        if n.is_multiple_of(3) {
                            task.abort();
                        }
                    }
                })
            })
            .collect();
        drop(rt);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(dropped.load(Relaxed), made.load(Relaxed));
    });
}
