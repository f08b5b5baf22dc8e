//! Pools whose threads a test holds.

use mainspring::offload::BlockingLimits;
use mainspring::{Handle, LocalRuntime};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(crate) fn runtime(threads: usize, queue: usize) -> LocalRuntime {
    LocalRuntime::builder().blocking_threads(threads).blocking_queue(queue).build().unwrap()
}

/// A closure that holds its thread until the sender is dropped.
pub(crate) fn held() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (release, wait) = mpsc::channel::<()>();
    (release, move || wait.recv().unwrap_or(()))
}

pub(crate) fn until(what: impl Fn() -> bool) {
    while !what() {
        thread::sleep(Duration::from_micros(100));
    }
}

/// Occupies the one thread of a pool; it is free again when the sender is dropped.
#[track_caller]
pub(crate) fn occupy(handle: &Handle) -> mpsc::Sender<()> {
    let (release, closure) = held();
    let (enter, entered) = mpsc::channel();
    let closure = move || {
        enter.send(()).unwrap();
        closure();
    };
    // Inside it, its place in the queue is free again; the counts show that it was taken up before.
    drop(handle.spawn_blocking(closure));
    entered.recv().unwrap();
    release
}

pub(crate) fn counts(limits: &BlockingLimits) -> (usize, usize, usize) {
    (limits.in_use(), limits.queued(), limits.threads())
}
