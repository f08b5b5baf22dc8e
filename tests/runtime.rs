//! `LocalRuntime` and the free functions: what runs, where, and in which order.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, StreamExt};
use mainspring::{Handle, LocalRuntime, block_on, spawn, spawn_local, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use watchdog::within;

fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

fn a_task_is_spawned_joined_aborted_and_detached(on: Flavour) {
    within(move || {
        on.block_on(async {
            let task = spawn(async { 6 * 7 });
            let id = task.id();
            if let Flavour::Local = on {
                assert!(!task.is_finished(), "it does not run inside spawn");
            }
            assert_eq!(task.await.unwrap(), 42);

            let endless = spawn(pending::<()>());
            assert_ne!(endless.id(), id);
            let stop = endless.abort_handle();
            yield_now().await;
            assert!(!stop.is_finished());
            endless.abort();
            stop.abort();
            let error = endless.await.unwrap_err();
            assert!(error.is_cancelled() && !error.is_panic());
            assert!(stop.is_finished());

            let (tx, rx) = oneshot::channel();
            drop(spawn(async move { tx.send(7).unwrap() }));
            assert_eq!(rx.await, Ok(7), "a detached task goes on");
        });
    });
}

#[test]
fn a_task_that_is_aborted_before_its_first_poll_is_dropped_unpolled() {
    within(|| {
        let rt = runtime();
        let polled = Rc::new(Cell::new(false));
        let seen = Rc::clone(&polled);
        let task = rt.spawn_local(async move { seen.set(true) });
        task.abort();
        assert!(rt.block_on(task).unwrap_err().is_cancelled());
        assert!(!polled.get());
        assert_eq!(Rc::strong_count(&polled), 1, "the future is gone");
    });
}

fn a_task_may_abort_itself(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (tx, rx) = oneshot::channel::<mainspring::task::AbortHandle>();
            let task = spawn(async move {
                rx.await.unwrap().abort();
                pending::<()>().await;
            });
            tx.send(task.abort_handle()).unwrap();
            assert!(task.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn futures_and_outputs_need_not_be_send() {
    within(|| {
        let rt = runtime();
        let shared = Rc::new(RefCell::new(Vec::new()));
        let early = rt.spawn_local({
            let shared = Rc::clone(&shared);
            async move {
                shared.borrow_mut().push(1);
                shared
            }
        });
        let root = Rc::clone(&shared);
        let back = rt.block_on(async move {
            let task = spawn_local({
                let shared = Rc::clone(&root);
                async move {
                    yield_now().await;
                    shared.borrow_mut().push(2);
                    Rc::new(3)
                }
            });
            let three = task.await.unwrap();
            root.borrow_mut().push(*three);
            early.await.unwrap()
        });
        assert_eq!(*back.borrow(), [1, 2, 3]);
    });
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_spawned_and_woken() {
    within(|| {
        let rt = runtime();
        let order = Rc::new(RefCell::new(Vec::new()));
        rt.block_on(async {
            let tasks: Vec<_> = (0..5)
                .map(|n| {
                    let order = Rc::clone(&order);
                    spawn_local(async move {
                        for round in 0..3 {
                            order.borrow_mut().push((round, n));
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        let expected: Vec<_> = (0..3).flat_map(|round| (0..5).map(move |n| (round, n))).collect();
        assert_eq!(*order.borrow(), expected);
    });
}

#[test]
fn other_threads_spawn_while_it_runs_and_while_it_sleeps() {
    within(|| {
        let rt = runtime();
        let handle = rt.handle();
        let (tx, mut rx) = mpsc::unbounded();
        let here = thread::current().id();
        let spawner = thread::spawn(move || {
            for n in 0..200 {
                let tx = tx.clone();
                drop(handle.spawn(async move {
                    assert_eq!(thread::current().id(), here);
                    tx.unbounded_send(n).unwrap();
                }));
                if n % 10 == 0 {
                    // Long enough for the other thread to fall asleep.
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let mut got = rt.block_on(async {
            let mut got = Vec::new();
            while let Some(n) = rx.next().await {
                got.push(n);
            }
            got
        });
        spawner.join().unwrap();
        got.dedup();
        assert_eq!(got, (0..200).collect::<Vec<_>>(), "in order, each once");
        assert_eq!(rt.live_tasks(), 0);
    });
}

#[test]
fn a_join_handle_is_awaited_anywhere() {
    within(|| {
        // On another thread, by another executor, while this one runs.
        let rt = runtime();
        let (go, gone) = oneshot::channel::<()>();
        let task = rt.handle().spawn(async move { gone.await.map(|()| 5) });
        let waiting = thread::spawn(move || futures::executor::block_on(task).unwrap());
        rt.block_on(async move {
            yield_now().await;
            go.send(()).unwrap();
            yield_now().await;
        });
        assert_eq!(waiting.join().unwrap(), Ok(5));

        // By another runtime on another thread.
        let (go, gone) = oneshot::channel::<()>();
        let task = rt.handle().spawn(async move { gone.await.map(|()| 6) });
        let waiting = thread::spawn(move || block_on(task).unwrap());
        rt.block_on(async move {
            go.send(()).unwrap();
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(waiting.join().unwrap(), Ok(6));

        // By another runtime on the same thread, afterwards.
        let task = rt.handle().spawn(async { 7 });
        rt.block_on(yield_now());
        rt.block_on(yield_now());
        assert_eq!(block_on(task).unwrap(), 7);

        // And never run at all: its runtime ends first.
        let task = rt.handle().spawn(async { 8 });
        let waiting = thread::spawn(move || futures::executor::block_on(task));
        drop(rt);
        assert!(waiting.join().unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn tasks_go_on_in_the_next_block_on() {
    within(|| {
        let rt = runtime();
        let steps = Rc::new(Cell::new(0));
        let seen = Rc::clone(&steps);
        drop(rt.spawn_local(async move {
            loop {
                seen.set(seen.get() + 1);
                yield_now().await;
            }
        }));
        assert_eq!(steps.get(), 0, "nothing runs outside block_on");
        rt.block_on(async {
            while steps.get() < 10 {
                yield_now().await;
            }
        });
        let before = steps.get();
        rt.block_on(async {
            while steps.get() < before + 10 {
                yield_now().await;
            }
        });
        assert_eq!(rt.live_tasks(), 1);
        drop(rt);
        assert_eq!(Rc::strong_count(&steps), 1);
    });
}

#[test]
fn a_wake_between_two_block_ons_is_not_lost() {
    within(|| {
        let rt = runtime();
        for from_elsewhere in [false, true] {
            let (tx, rx) = oneshot::channel();
            let task = rt.spawn_local(rx);
            rt.block_on(yield_now());
            rt.block_on(yield_now());
            if from_elsewhere {
                thread::spawn(move || tx.send(1).unwrap()).join().unwrap();
            } else {
                tx.send(1).unwrap();
            }
            assert_eq!(rt.block_on(task).unwrap(), Ok(1));
        }
    });
}

fn the_waker_of_an_earlier_root_does_no_harm(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let mut old: Option<Waker> = None;
        rt.block_on(poll_fn(|cx| {
            old = Some(cx.waker().clone());
            Poll::Ready(())
        }));
        let old = old.unwrap();
        let waking = thread::spawn(move || {
            for _ in 0..1000 {
                old.wake_by_ref();
            }
        });
        rt.block_on(async {
            for _ in 0..1000 {
                yield_now().await;
            }
            mainspring::time::sleep(Duration::from_millis(1)).await;
        });
        waking.join().unwrap();
    });
}

#[test]
fn two_runtimes_of_one_thread_wake_each_other() {
    within(|| {
        let (a, b) = (runtime(), runtime());
        let (mut to_b, mut from_a) = mpsc::channel::<u32>(1);
        let (mut to_a, mut from_b) = mpsc::channel::<u32>(1);
        let on_a = a.spawn_local(async move {
            for n in 0..100 {
                to_b.send(n).await.unwrap();
                assert_eq!(from_b.next().await, Some(n));
            }
        });
        let done = Rc::new(Cell::new(false));
        let seen = Rc::clone(&done);
        let on_b = b.spawn_local(async move {
            while let Some(n) = from_a.next().await {
                to_a.send(n).await.unwrap();
            }
            seen.set(true);
        });
        let mut rounds = 0;
        while !done.get() {
            a.block_on(yield_now());
            b.block_on(yield_now());
            rounds += 1;
            assert!(rounds < 10_000, "a wake from one runtime to the other was lost");
        }
        a.block_on(on_a).unwrap();
        b.block_on(on_b).unwrap();
    });
}

fn one_runtime_after_another(on: Flavour) {
    within(move || {
        let total: usize = (0..50)
            .map(|n| {
                on.block_on(async move {
                    let tasks: Vec<_> = (0..n).map(|_| spawn(async { 1 })).collect();
                    let mut sum = 0;
                    for task in tasks {
                        sum += task.await.unwrap();
                    }
                    sum
                })
            })
            .sum();
        assert_eq!(total, 50 * 49 / 2);
    });
}

fn handle_current_is_the_runtime_that_runs(on: Flavour) {
    within(move || {
        assert!(Handle::try_current().is_err());
        let rt = on.runtime();
        let handle = rt.block_on(async { Handle::current() });
        let task = handle.spawn(async { Handle::try_current().is_ok() });
        assert!(rt.block_on(task).unwrap());
        let error = Handle::try_current().unwrap_err();
        assert!(error.to_string().contains("block_on"), "{error}");
    });
}

fn a_task_knows_its_id_and_the_root_has_none(on: Flavour) {
    within(move || {
        on.block_on(async {
            assert!(mainspring::task::try_id().is_none());
            let task = spawn(async {
                let id = mainspring::task::id();
                yield_now().await;
                assert_eq!(mainspring::task::id(), id);
                id
            });
            let id = task.id();
            assert_eq!(task.await.unwrap(), id);
            assert!(mainspring::task::try_id().is_none());
        });
    });
}

#[test]
fn live_tasks_counts_what_has_not_ended() {
    within(|| {
        let rt = runtime();
        let tasks: Vec<_> = (0..10).map(|_| rt.spawn_local(pending::<()>())).collect();
        assert_eq!(rt.live_tasks(), 10);
        rt.block_on(yield_now());
        for task in &tasks[..4] {
            task.abort();
        }
        rt.block_on(async {
            for task in tasks.into_iter().take(4) {
                task.await.unwrap_err();
            }
        });
        assert_eq!(rt.live_tasks(), 6);
    });
}

fn one_waker_wakes_a_task_once_however_often_it_is_called(on: Flavour) {
    within(move || {
        let polls = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&polls);
        on.block_on(async move {
            let (tx, rx) = oneshot::channel::<Waker>();
            let mut tx = Some(tx);
            let task = spawn(poll_fn(move |cx| {
                if let Some(tx) = tx.take() {
                    tx.send(cx.waker().clone()).unwrap();
                }
                if seen.fetch_add(1, Ordering::Relaxed) == 1 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            let waker = rx.await.unwrap();
            for _ in 0..10 {
                waker.wake_by_ref();
            }
            task.await.unwrap();
            waker.wake();
            yield_now().await;
        });
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    });
}

on_every_flavour! {
    a_task_is_spawned_joined_aborted_and_detached,
    a_task_may_abort_itself,
    the_waker_of_an_earlier_root_does_no_harm,
    one_runtime_after_another,
    handle_current_is_the_runtime_that_runs,
    a_task_knows_its_id_and_the_root_has_none,
    one_waker_wakes_a_task_once_however_often_it_is_called,
}
