//! Locks that tasks wait for.

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::runtime::{Locks, Runtime};
use std::sync::Arc;

/// How many tasks contend.
pub(crate) const CONTENDING: u64 = 1_000;
/// How many of them the semaphore lets in.
pub(crate) const PERMITS: usize = 100;

pub(super) async fn mutex<R: Runtime>(plan: Plan) -> Metrics {
    let mutex = R::Locks::mutex();
    let batch = async |operations| {
        for _ in 0..operations {
            *R::Locks::lock(&mutex).await += 1;
        }
    };
    plan.batches(500_000, batch).await
}

/// Each task yields while it has the lock.
pub(super) async fn mutex_many<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        let mutex = Arc::new(R::Locks::mutex());
        contend::<R, _>(|| {
            let mutex = mutex.clone();
            async move {
                for _ in 0..operations / CONTENDING {
                    let mut guard = R::Locks::lock(&mutex).await;
                    R::yield_now().await;
                    *guard += 1;
                }
            }
        })
        .await;
        assert_eq!(*R::Locks::lock(&mutex).await, operations);
    };
    plan.batches(CONTENDING * 100, batch).await
}

pub(super) async fn semaphore<R: Runtime>(plan: Plan) -> Metrics {
    let semaphore = R::Locks::semaphore(PERMITS);
    let batch = async |operations| {
        for _ in 0..operations {
            drop(R::Locks::acquire(&semaphore).await);
        }
    };
    plan.batches(500_000, batch).await
}

/// Each task yields while it has a permit.
pub(super) async fn semaphore_many<R: Runtime>(plan: Plan) -> Metrics {
    let batch = async |operations| {
        let semaphore = Arc::new(R::Locks::semaphore(PERMITS));
        contend::<R, _>(|| {
            let semaphore = semaphore.clone();
            async move {
                for _ in 0..operations / CONTENDING {
                    let _permit = R::Locks::acquire(&semaphore).await;
                    R::yield_now().await;
                }
            }
        })
        .await;
    };
    plan.batches(CONTENDING * 100, batch).await
}

async fn contend<R: Runtime, F: Future<Output = ()> + 'static>(task: impl Fn() -> F) {
    let tasks: Vec<_> = (0..CONTENDING).map(|_| R::spawn(task())).collect();
    for task in tasks {
        R::join(task).await;
    }
}
