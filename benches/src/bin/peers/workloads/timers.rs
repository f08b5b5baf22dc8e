//! Sleeps that are given up, and sleeps that end.

use crate::clock::{cpu_time, nanos};
use crate::metrics::{Metric, Metrics};
use crate::plan::Plan;
use crate::runtime::Runtime;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How many sleeps are pending at once.
pub(crate) const SLEEPS: u32 = 100_000;
/// When the first of them ends: late enough for all to be armed.
const FIRST: Duration = Duration::from_millis(300);
/// How far they lie apart.
const APART: Duration = Duration::from_micros(5);
/// After so many polls a task yields, lest a budget of polls keeps it from arming.
pub(super) const POLLS: u64 = 100;

/// When the sleep of this index is due: all of them in an order that is not that of arming.
pub(crate) fn due(index: u32) -> Duration {
    // The factor has no divisor in common with the number of sleeps.
    let place = u64::from(index) * 7_919 % u64::from(SLEEPS);
    FIRST + APART * u32::try_from(place).unwrap_or(0)
}

/// Polls a sleep once and drops it.
pub(super) async fn cancel<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        for n in 0..operations {
            let mut sleep = pin!(R::sleep(Duration::from_secs(30)));
            assert!(poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
            if n % POLLS == 0 {
                R::yield_now().await;
            }
        }
    };
    plan.batches(20_000, batch).await
}

/// A task for each sleep: CPU from the first spawn to the last end, and how late each ends.
pub(super) async fn fire<R: Runtime>() -> Metrics {
    let cpu = cpu_time();
    let tasks: Vec<_> = (0..SLEEPS)
        .map(|index| {
            R::spawn(async move {
                let armed = Instant::now();
                R::sleep(due(index)).await;
                armed.elapsed().saturating_sub(due(index))
            })
        })
        .collect();
    let mut lateness = Vec::with_capacity(tasks.len());
    for task in tasks {
        lateness.push(R::join(task).await);
    }
    let cpu = cpu_time() - cpu;
    let metrics = Metrics::default().with(Metric::CpuNs, nanos(cpu) / f64::from(SLEEPS));
    metrics.with_latencies(lateness)
}
