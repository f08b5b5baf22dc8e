//! Tasks that block the thread that polls them, until the test lets them go.
#![allow(dead_code)]

use mainspring::{JoinHandle, Runtime};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// A task that has begun to block; it ends when its `release` is dropped.
pub(crate) struct Blocked {
    pub(crate) release: Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

/// What blocks a thread until the sender is dropped.
pub(crate) fn gate() -> (Sender<()>, impl FnOnce() + Send + 'static) {
    let (release, wait) = mpsc::channel();
    (release, move || wait.recv().unwrap_or(()))
}

/// Makes so many tasks block; all have begun to when this returns.
pub(crate) fn block(rt: &Runtime, count: usize) -> Vec<Blocked> {
    let (blocked, begun) = begin(rt, count);
    (0..count).for_each(|_| begun.recv().unwrap());
    blocked
}

/// The same, without waiting: each says when it begins to block.
pub(crate) fn begin(rt: &Runtime, count: usize) -> (Vec<Blocked>, Receiver<()>) {
    let (begin, begun) = mpsc::channel();
    let blocked = (0..count).map(|_| {
        let ((release, wait), begin) = (gate(), begin.clone());
        let task = rt.spawn(async move {
            begin.send(()).unwrap();
            wait();
        });
        Blocked { release, task }
    });
    (blocked.collect(), begun)
}

/// Blocks this worker of the runtime.
pub(crate) fn block_worker(rt: &Runtime, worker: usize) -> Blocked {
    let (release, wait) = gate();
    let (begin, begun) = mpsc::channel();
    let blocks = move || async move {
        begin.send(()).unwrap();
        wait();
    };
    let task = rt.handle().spawn_pinned(worker, blocks).ok().unwrap();
    begun.recv().unwrap();
    Blocked { release, task }
}

/// The watchdog ends this where it does not come.
pub(crate) fn until(what: impl Fn() -> bool) {
    while !what() {
        thread::sleep(Duration::from_micros(200));
    }
}

/// The outcome of a task. Not by `block_on`, whose caller looks at the timers and sockets of a worker that
/// is stuck.
pub(crate) fn wait<T>(task: JoinHandle<T>) -> T {
    task.wait_blocking(Duration::from_secs(3600)).ok().unwrap().unwrap()
}

/// Ends all of them.
pub(crate) fn release(blocked: impl IntoIterator<Item = Blocked>) {
    for Blocked { release, task } in blocked {
        drop(release);
        wait(task);
    }
}

/// Polls it once, and finds that it waits.
pub(crate) async fn wait_once<F: Future>(mut future: Pin<&mut F>) {
    let is_pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
}
