//! Panics of tasks, roots, drops and outputs, and the panics of our own that name a remedy.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Flavour, on_every_flavour};
use mainspring::sync::oneshot;
use mainspring::{LocalRuntime, spawn, spawn_local, yield_now};
use one_thread::block_on;
use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use watchdog::within;

fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

fn until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What `f` panics with.
fn message_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it must panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(self.0);
    }
}

/// Panics when it is dropped, with something that panics when it is dropped.
struct DoubleBomb;

impl Drop for DoubleBomb {
    fn drop(&mut self) {
        panic_any(Bomb("the payload"));
    }
}

/// Is ready at once, and drops its content when it is dropped itself.
struct ReadyWith<T>(T);

impl<T: Unpin> Future for ReadyWith<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[test]
fn a_panic_of_the_root_reaches_the_caller_and_the_runtime_goes_on() {
    within(|| {
        let rt = runtime();
        let steps = Rc::new(Cell::new(0));
        let seen = Rc::clone(&steps);
        let task = rt.spawn_local(async move {
            for _ in 0..5 {
                seen.set(seen.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..3 {
            let message = message_of(|| {
                rt.block_on(async {
                    yield_now().await;
                    panic!("the root");
                })
            });
            assert_eq!(message, "the root");
            assert!(mainspring::Handle::try_current().is_err(), "the context was left");
        }
        rt.block_on(task).unwrap();
        assert_eq!(steps.get(), 5);
    });
}

fn a_panic_of_a_task_is_its_join_error_only(on: Flavour) {
    within(move || {
        on.block_on(async {
            let other = spawn(async {
                yield_now().await;
                1
            });
            let number = std::hint::black_box(1);
            let error = spawn(async move { panic!("task {number}") }).await.unwrap_err();
            assert!(error.is_panic() && !error.is_cancelled());
            assert!(error.to_string().contains("task 1"), "{error}");
            assert_eq!(error.into_panic().downcast_ref::<String>().unwrap(), "task 1");
            assert_eq!(other.await.unwrap(), 1);
            drop(spawn(async { panic!("nobody waits for this one") }));
            yield_now().await;
        });
    });
}

fn a_panic_in_the_drop_of_an_aborted_future_is_the_outcome(on: Flavour) {
    within(move || {
        on.block_on(async {
            let (tx, rx) = oneshot::channel();
            let task = spawn(async move {
                let _bomb = Bomb("aborted");
                tx.send(()).unwrap();
                pending::<()>().await;
            });
            rx.await.unwrap();
            task.abort();
            let payload = task.await.unwrap_err().try_into_panic().unwrap();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"aborted"));
        });
    });
}

fn the_output_counts_although_the_drop_of_the_finished_future_panics(on: Flavour) {
    within(move || {
        on.block_on(async {
            spawn(ReadyWith(Bomb("finished"))).await.unwrap();
        });
    });
}

fn payloads_that_panic_in_turn_harm_nobody(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        rt.block_on(async {
            // The future is ready, and its drop panics with a payload whose drop panics.
            spawn(ReadyWith(DoubleBomb)).await.unwrap();
            yield_now().await;
        });
        rt.block_on(async {
            // The same in a detached task, and in one that is aborted.
            drop(spawn(ReadyWith(DoubleBomb)));
            let (tx, rx) = oneshot::channel();
            let task = spawn(async move {
                let _bomb = DoubleBomb;
                tx.send(()).unwrap();
                pending::<()>().await;
            });
            rx.await.unwrap();
            task.abort();
            let error = task.await.unwrap_err();
            assert_eq!(message_of(|| drop(error.into_panic())), "the payload");
        });
        until(|| rt.live_tasks() == 0);
    });
}

#[test]
fn an_output_that_nobody_takes_may_panic_when_it_is_dropped() {
    within(|| {
        block_on(async {
            drop(spawn(async { Bomb("detached") }));
            yield_now().await;
            let finished = spawn(async { Bomb("in the handle") });
            yield_now().await;
            assert!(finished.is_finished());
            assert_eq!(message_of(|| drop(finished)), "in the handle");
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        });
    });
}

#[test]
fn the_end_of_a_runtime_survives_what_its_tasks_do_in_their_drop() {
    within(|| {
        let rt = runtime();
        let handles: Vec<_> = (0..3)
            .map(|_| {
                rt.spawn_local(async {
                    let _bomb = Bomb("shutdown");
                    pending::<()>().await;
                })
            })
            .collect();
        let quiet = rt.spawn_local(pending::<()>());
        rt.block_on(yield_now());
        rt.block_on(yield_now());
        drop(rt);
        for handle in handles {
            assert!(futures::executor::block_on(handle).unwrap_err().is_panic());
        }
        assert!(futures::executor::block_on(quiet).unwrap_err().is_cancelled());
    });
}

#[test]
fn misuse_names_its_remedy() {
    within(|| {
        type Misuse = Box<dyn FnOnce()>;
        let cases: [(&str, Misuse); 7] = [
            ("Handle::spawn", Box::new(|| drop(spawn(async {})))),
            ("LocalRuntime::spawn_local", Box::new(|| drop(spawn_local(async {})))),
            (
                "inside block_on or a task",
                Box::new(|| drop(mainspring::time::sleep(Duration::from_millis(1)))),
            ),
            (
                "inside block_on or a task",
                Box::new(|| {
                    drop(mainspring::time::timeout(Duration::from_millis(1), async {}));
                }),
            ),
            ("inside block_on or a task", Box::new(|| futures::executor::block_on(yield_now()))),
            ("use a Handle", Box::new(|| drop(mainspring::Handle::current()))),
            ("await the future", Box::new(|| block_on(async { block_on(async {}) }))),
        ];
        for (remedy, misuse) in cases {
            let message = message_of(misuse);
            assert!(message.contains(remedy), "{message:?} does not say {remedy:?}");
        }
    });
}

fn a_nested_block_on_is_refused_in_tasks_too_and_harms_nobody(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        let other = on.runtime();
        rt.block_on(async {
            let message = message_of(|| other.block_on(async {}));
            assert!(message.contains("spawn it"), "{message}");
            let error = spawn(async move { on.block_on(async {}) }).await.unwrap_err();
            assert!(error.to_string().contains("spawn it"), "{error}");
        });
        other.block_on(async {});
    });
}

fn a_sleep_polled_outside_names_its_remedy(on: Flavour) {
    within(move || {
        let mut made = None;
        on.block_on(async { made = Some(mainspring::time::sleep(Duration::from_secs(3600))) });
        let message = message_of(|| futures::executor::block_on(made.unwrap()));
        assert!(message.contains("inside block_on or a task"), "{message}");
    });
}

fn a_waker_that_panics_keeps_no_other_from_being_woken(on: Flavour) {
    struct PanickingWaker;
    impl std::task::Wake for PanickingWaker {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker");
        }
    }
    within(move || {
        on.block_on(async {
            let mut bad = Box::pin(mainspring::time::sleep(Duration::from_millis(2)));
            let waker = std::task::Waker::from(std::sync::Arc::new(PanickingWaker));
            assert!(bad.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            mainspring::time::sleep(Duration::from_millis(5)).await;
            assert!(bad.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());

            let (tx, rx) = oneshot::channel();
            let mut task = spawn(rx);
            let poll = Pin::new(&mut task).poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
            tx.send(()).unwrap();
            task.await.unwrap().unwrap();
        });
    });
}

on_every_flavour! {
    a_panic_of_a_task_is_its_join_error_only,
    a_panic_in_the_drop_of_an_aborted_future_is_the_outcome,
    the_output_counts_although_the_drop_of_the_finished_future_panics,
    payloads_that_panic_in_turn_harm_nobody,
    a_nested_block_on_is_refused_in_tasks_too_and_harms_nobody,
    a_sleep_polled_outside_names_its_remedy,
    a_waker_that_panics_keeps_no_other_from_being_woken,
}
