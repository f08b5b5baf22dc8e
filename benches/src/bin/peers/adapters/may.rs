//! may, whose coroutines have stacks of their own: its locks only. One worker runs the coroutines.

use crate::child;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::workload::Workload;
use crate::workloads::locks::{CONTENDING, PERMITS};
use may::coroutine::{JoinHandle, yield_now};
use may::sync::{Mutex, Semphore};
use std::sync::Arc;

/// Measures one of the workloads with locks, as a coroutine.
pub(super) fn start(workload: Workload, plan: Plan) {
    may::config().set_workers(1);
    let measure: fn(Plan) -> Metrics = match workload {
        Workload::Mutex => mutex,
        Workload::MutexMany => mutex_many,
        Workload::Semaphore => semaphore,
        Workload::SemaphoreMany => semaphore_many,
        _ => return,
    };
    let main = may::go!(move || child::finish(&measure(plan)));
    let _: Result<(), _> = main.join();
}

fn mutex(plan: Plan) -> Metrics {
    let mutex = Mutex::new(0);
    plan.blocking_batches(500_000, |operations| {
        for _ in 0..operations {
            *mutex.lock().expect("nobody panics") += 1;
        }
    })
}

fn mutex_many(plan: Plan) -> Metrics {
    plan.blocking_batches(CONTENDING * 100, |operations| {
        let mutex = Arc::new(Mutex::new(0));
        contend(|| {
            let mutex = mutex.clone();
            move || {
                for _ in 0..operations / CONTENDING {
                    let mut guard = mutex.lock().expect("nobody panics");
                    yield_now();
                    *guard += 1;
                }
            }
        });
        assert_eq!(*mutex.lock().expect("nobody panics"), operations);
    })
}

fn semaphore(plan: Plan) -> Metrics {
    let semaphore = Semphore::new(PERMITS);
    plan.blocking_batches(500_000, |operations| {
        for _ in 0..operations {
            semaphore.wait();
            semaphore.post();
        }
    })
}

fn semaphore_many(plan: Plan) -> Metrics {
    plan.blocking_batches(CONTENDING * 100, |operations| {
        let semaphore = Arc::new(Semphore::new(PERMITS));
        contend(|| {
            let semaphore = semaphore.clone();
            move || {
                for _ in 0..operations / CONTENDING {
                    semaphore.wait();
                    yield_now();
                    semaphore.post();
                }
            }
        });
    })
}

fn contend<F: FnOnce() + Send + 'static>(task: impl Fn() -> F) {
    let tasks: Vec<JoinHandle<()>> = (0..CONTENDING).map(|_| may::go!(task())).collect();
    for task in tasks {
        task.join().expect("a coroutine does not panic");
    }
}
