//! Closures that may block.

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::runtime::Runtime;
use std::hint::black_box;

/// How many closures are queued before the first is awaited.
pub(crate) const QUEUED: u64 = 10_000;

pub(super) async fn one_at_a_time<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        for n in 0..operations {
            black_box(R::blocking(move || n).await);
        }
    };
    plan.batches(1_000, batch).await
}

pub(super) async fn queued<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        let jobs: Vec<_> = (0..operations).map(|n| R::blocking(move || n)).collect();
        for job in jobs {
            black_box(job.await);
        }
    };
    plan.batches(QUEUED, batch).await
}
