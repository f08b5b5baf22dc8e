//! A heap of deadlines, and the sleep of the thread.

use crate::clock::{cpu_time, nanos};
use crate::metrics::{Metric, Metrics};
use crate::plan::Plan;
use crate::workloads::timers::{SLEEPS, due};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

/// A deadline put down and taken away.
pub(super) fn cancel(plan: Plan) -> Metrics {
    let mut armed = Vec::new();
    plan.blocking_batches(100_000, |operations| {
        for _ in 0..operations {
            armed.push(Instant::now() + Duration::from_secs(30));
            black_box(armed.pop());
        }
    })
}

pub(super) fn fire() -> Metrics {
    let cpu = cpu_time();
    let mut armed = BinaryHeap::with_capacity(SLEEPS as usize);
    armed.extend((0..SLEEPS).map(|index| Reverse(Instant::now() + due(index))));
    let mut lateness = Vec::with_capacity(SLEEPS as usize);
    while let Some(&Reverse(deadline)) = armed.peek() {
        let now = Instant::now();
        if deadline <= now {
            armed.pop();
            lateness.push(now - deadline);
        } else {
            thread::sleep(deadline - now);
        }
    }
    let cpu = cpu_time() - cpu;
    let metrics = Metrics::default().with(Metric::CpuNs, nanos(cpu) / f64::from(SLEEPS));
    metrics.with_latencies(lateness)
}
