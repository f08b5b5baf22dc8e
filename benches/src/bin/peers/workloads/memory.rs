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
/// How many sleeps one task has: glommio counts the wakers of a task up to 32,767.
const SLEEPS_OF_TASK: u64 = 20_000;

/// Bytes for each pending sleep in a box; the vectors that hold the boxes are not counted.
pub(super) async fn sleeps<R: Runtime>() -> Metrics {
    warm_up::<R>().await;
    let before = resident();
    let mut in_vector = 0;
    for _ in 0..MANY / SLEEPS_OF_TASK {
        in_vector = R::join(R::spawn(async { pending_sleeps::<R>().await })).await;
    }
    bytes_of_each(resident() - before, in_vector)
}

/// Leaves sleeps behind that are armed. Returns what each takes in a vector, in bytes.
async fn pending_sleeps<R: Runtime>() -> usize {
    let mut sleeps = Vec::with_capacity(SLEEPS_OF_TASK as usize);
    for n in 0..SLEEPS_OF_TASK {
        let mut sleep = Box::pin(R::sleep(Duration::from_secs(3600) + Duration::from_micros(n)));
        assert!(poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
        sleeps.push(sleep);
        if n % POLLS == 0 {
            R::yield_now().await;
        }
    }
    let in_vector = size_of_item(&sleeps);
    std::mem::forget(sleeps);
    in_vector
}

/// Bytes for each task that has not been polled, with a future of 16 bytes; the vector that holds the
/// handles is not counted, queues of the runtime are.
pub(super) async fn tasks<R: Runtime>() -> Metrics {
    warm_up::<R>().await;
    let mut tasks = Vec::with_capacity(MANY as usize);
    let before = resident();
    for n in 0..MANY {
        tasks.push(R::spawn(Idle::new(n)));
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

/// The memory of this process, in bytes.
pub(crate) fn resident() -> f64 {
    resident_of(std::process::id()).expect("/proc is there") as f64
}

fn bytes_of_each(grown: f64, in_vector: usize) -> Metrics {
    Metrics::default().with(Metric::Bytes, grown / MANY as f64 - in_vector as f64)
}

fn size_of_item<T>(_: &[T]) -> usize {
    size_of::<T>()
}

/// Never ready; 16 bytes.
pub(crate) struct Idle {
    _first: u64,
    _second: u64,
}

impl Idle {
    pub(crate) fn new(n: u64) -> Self {
        Self { _first: n, _second: n }
    }
}

impl Future for Idle {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
