//! How long a child measures.

use crate::clock::{cpu_time, nanos};
use crate::metrics::Metrics;
use std::time::{Duration, Instant};

/// How much a child does. Batches have the same size in all plans; a quick one has fewer of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// For how long batches are begun.
    pub(crate) time: Duration,
    /// How many batches there are at least, unless they take four times as long.
    pub(crate) at_least: usize,
}

impl Plan {
    pub(crate) const DEFAULT: Self = Self { time: Duration::from_millis(150), at_least: 3 };
    pub(crate) const QUICK: Self = Self { time: Duration::from_millis(50), at_least: 2 };

    /// Measures batches of `operations` each, after one to warm up.
    pub(crate) async fn batches(self, operations: u64, mut batch: impl AsyncFnMut(u64)) -> Metrics {
        batch(operations).await;
        let mut batches = Vec::new();
        let start = Instant::now();
        while batches.is_empty()
            || start.elapsed() < self.time
            || (batches.len() < self.at_least && start.elapsed() < 4 * self.time)
        {
            let cpu = cpu_time();
            let wall = Instant::now();
            batch(operations).await;
            let wall = wall.elapsed();
            let cpu = cpu_time() - cpu;
            batches.push((nanos(cpu) / operations as f64, nanos(wall) / operations as f64));
        }
        Metrics::of_batches(&batches)
    }

    /// The same for what is not asynchronous.
    pub(crate) fn blocking_batches(self, operations: u64, mut batch: impl FnMut(u64)) -> Metrics {
        futures_lite::future::block_on(
            self.batches(operations, async |operations| batch(operations)),
        )
    }
}
