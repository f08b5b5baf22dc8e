//! Waiting for a task on a thread that runs no runtime.
#![cfg(not(loom))]
// Handles are handed about on purpose.
#![allow(clippy::async_yields_async)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use mainspring::{Handle, JoinHandle, LocalRuntime, spawn, spawn_blocking, yield_now};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use watchdog::within;

const LONG: Duration = Duration::from_secs(50);

/// A runtime that runs on a thread of its own until what is returned is dropped.
fn running() -> (Handle, mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (handle, handles) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let rt = LocalRuntime::builder().build().unwrap();
        handle.send(rt.handle()).unwrap();
        rt.block_on(async {
            let _ = spawn_blocking(move || stopped.recv()).await;
        });
    });
    (handles.recv().unwrap(), stop, thread)
}

fn message(result: thread::Result<()>) -> String {
    let payload = result.expect_err("it must panic");
    match payload.downcast::<&'static str>() {
        Ok(text) => text.to_string(),
        Err(payload) => *payload.downcast::<String>().unwrap(),
    }
}

#[test]
fn the_outcome_comes_to_the_thread_that_waits() {
    within(|| {
        let (handle, stop, thread) = running();
        let slow = handle.spawn(async {
            mainspring::time::sleep(Duration::from_millis(5)).await;
            String::from("out")
        });
        assert_eq!(slow.wait_blocking(Duration::MAX).unwrap().unwrap(), "out");
        let panics = handle.spawn(async { panic!("oh") });
        assert!(panics.wait_blocking(LONG).unwrap().unwrap_err().is_panic());
        let aborted = handle.spawn(pending::<()>());
        aborted.abort();
        assert!(aborted.wait_blocking(LONG).unwrap().unwrap_err().is_cancelled());
        drop(stop);
        thread.join().unwrap();
    });
}

#[test]
fn after_a_timeout_the_handle_is_as_good_as_before() {
    within(|| {
        let (handle, stop, thread) = running();
        let (release, released) = mpsc::channel();
        let task = handle.spawn_blocking(move || released.recv().unwrap());
        let begin = Instant::now();
        let task = task.wait_blocking(Duration::from_millis(5)).unwrap_err();
        assert!(begin.elapsed() >= Duration::from_millis(5));
        let task = task.wait_blocking(Duration::ZERO).unwrap_err();
        // Awaited for a while, then waited for again, and awaited at last.
        let task = handle.spawn(async move {
            let mut task = task;
            let pause = Duration::from_millis(2);
            assert!(mainspring::time::timeout(pause, &mut task).await.is_err());
            task
        });
        let task = task.wait_blocking(LONG).unwrap().unwrap();
        let task = task.wait_blocking(Duration::from_millis(1)).unwrap_err();
        release.send(5).unwrap();
        let awaited = handle.spawn(task);
        assert_eq!(awaited.wait_blocking(LONG).unwrap().unwrap().unwrap(), 5);
        drop(stop);
        thread.join().unwrap();
    });
}

fn a_closure_may_wait_for_a_task_of_its_runtime(on: Flavour) {
    within(move || {
        let waited = on.block_on(async {
            let task = spawn(async {
                yield_now().await;
                7
            });
            spawn_blocking(move || task.wait_blocking(LONG).unwrap().unwrap()).await.unwrap()
        });
        assert_eq!(waited, 7);
    });
}

#[test]
fn the_end_of_the_runtime_ends_the_wait() {
    within(|| {
        let (handle, stop, thread) = running();
        let task = handle.spawn(pending::<()>());
        let waits = thread::spawn(move || task.wait_blocking(Duration::MAX).unwrap());
        drop(stop);
        thread.join().unwrap();
        assert!(waits.join().unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_thread_that_runs_a_runtime_is_not_blocked() {
    fn wait<T>(task: JoinHandle<T>) -> String {
        message(catch_unwind(AssertUnwindSafe(|| drop(task.wait_blocking(Duration::ZERO)))))
    }
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let other = LocalRuntime::builder().build().unwrap();
        rt.block_on(async {
            assert!(wait(spawn(async {})).contains("await the handle"));
            let text = spawn(async { wait(spawn_blocking(|| ())) }).await.unwrap();
            assert!(text.contains("await the handle"), "{text}");
            // Another runtime that is merely entered does not hide the one that runs.
            let _entered = other.handle().enter();
            assert!(wait(spawn(async {})).contains("await the handle"));
        });
        let text = wait(rt.handle().spawn(async {}));
        assert!(text.contains("block_on"), "nobody would run it: {text}");
        // One that has ended needs nobody.
        let ended = rt.handle().spawn(async { 3 });
        rt.block_on(yield_now());
        let _entered = other.handle().enter();
        assert_eq!(ended.wait_blocking(LONG).unwrap().unwrap(), 3);
    });
}

/// A deterministic runtime has no other thread for closures either.
#[test]
fn nobody_waits_for_a_closure_that_only_this_thread_would_run() {
    within(|| {
        let rt = LocalRuntime::builder().deterministic(1).build().unwrap();
        let wait = |task: JoinHandle<()>| {
            message(catch_unwind(AssertUnwindSafe(|| drop(task.wait_blocking(Duration::MAX)))))
        };
        let text = wait(rt.handle().spawn_blocking(|| ()));
        assert!(text.contains("would never end"), "{text}");
        let text = rt.block_on(async move {
            spawn_blocking(move || wait(spawn_blocking(|| ()))).await.unwrap()
        });
        assert!(text.contains("would never end"), "{text}");
        // Another thread may, while the runtime runs.
        let (tx, rx) = futures::channel::oneshot::channel();
        let task = rt.handle().spawn_blocking(|| 7);
        let other = thread::spawn(move || {
            let waited = task.wait_blocking(LONG).unwrap().unwrap();
            tx.send(()).unwrap();
            waited
        });
        rt.block_on(rx).unwrap();
        assert_eq!(other.join().unwrap(), 7);
    });
}

#[test]
fn completion_against_timeout() {
    within(|| {
        let (handle, stop, thread) = running();
        let mut timeouts = 0;
        for n in 0..3_000u64 {
            let task = handle.spawn(async move {
                for _ in 0..n % 7 {
                    yield_now().await;
                }
                Box::new(n)
            });
            let mut task = Some(task);
            while let Some(handle) = task.take() {
                match handle.wait_blocking(Duration::from_micros(n % 50)) {
                    Ok(outcome) => assert_eq!(*outcome.unwrap(), n),
                    Err(handle) => {
                        timeouts += 1;
                        task = Some(handle);
                    }
                }
            }
        }
        assert!(timeouts > 0, "no wait was too short");
        drop(stop);
        thread.join().unwrap();
    });
}

on_every_flavour! {
    a_closure_may_wait_for_a_task_of_its_runtime,
}
