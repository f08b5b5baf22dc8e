//! What waiting costs in memory: growth of what is resident (`/proc/self/smaps_rollup`), by many.

use super::timers::POLLS;
use crate::metrics::{Metric, Metrics};
use crate::runtime::Runtime;
use mainspring_benches::process::resident_of;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How many there are at once.
pub(crate) const MANY: u64 = 200_000;

/// Bytes for each pending sleep in a box; the vector that holds the boxes is not counted.
pub(super) async fn sleeps<R: Runtime>() -> Metrics {
    warm_up::<R>().await;
    let mut sleeps = Vec::with_capacity(MANY as usize);
    let before = resident();
    for n in 0..MANY {
        let mut sleep = Box::pin(R::sleep(Duration::from_secs(3600) + Duration::from_micros(n)));
        poll_fn(|cx| Poll::Ready(assert!(sleep.as_mut().poll(cx).is_pending()))).await;
        sleeps.push(sleep);
        if n % POLLS == 0 {
            R::yield_now().await;
        }
    }
    let grown = resident() - before;
    let metrics = bytes_of_each(grown, size_of_item(&sleeps));
    std::mem::forget(sleeps);
    metrics
}

/// Bytes for each task that has not been polled, with a future of 16 bytes; the vector that holds the
/// handles is not counted, queues of the runtime are.
pub(super) async fn tasks<R: Runtime>() -> Metrics {
    warm_up::<R>().await;
    let mut tasks = Vec::with_capacity(MANY as usize);
    let before = resident();
    for n in 0..MANY {
        tasks.push(R::spawn(Idle { _first: n, _second: n }));
    }
    let grown = resident() - before;
    let metrics = bytes_of_each(grown, size_of_item(&tasks));
    std::mem::forget(tasks);
    metrics
}

/// Lets the runtime make what it makes once.
async fn warm_up<R: Runtime>() {
    for _ in 0..1000 {
        R::join(R::spawn(async { R::yield_now().await })).await;
    }
    resident();
}

fn resident() -> f64 {
    resident_of(std::process::id()).expect("/proc is there") as f64
}

fn bytes_of_each(grown: f64, in_vector: usize) -> Metrics {
    Metrics::default().with(Metric::Bytes, grown / MANY as f64 - in_vector as f64)
}

fn size_of_item<T>(_: &[T]) -> usize {
    size_of::<T>()
}

/// Never ready.
struct Idle {
    _first: u64,
    _second: u64,
}

impl Future for Idle {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
