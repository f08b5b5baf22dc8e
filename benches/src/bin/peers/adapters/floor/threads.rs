//! What std offers to threads.

use crate::clock::pin;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::workloads::wake::{BATCH, BATCHES, Bell, latencies_of};
use std::hint::black_box;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

pub(super) fn mutex(plan: Plan) -> Metrics {
    let mutex = Mutex::new(0);
    plan.blocking_batches(500_000, |operations| {
        for _ in 0..operations {
            *black_box(&mutex).lock().expect("nobody panics") += 1;
        }
    })
}

/// Parks the thread, which the other one unparks.
pub(super) fn wake() -> Metrics {
    let bell = Arc::new(Bell::default());
    let ringer = bell.clone();
    thread::spawn(move || {
        if pin(&[1]).is_ok() {
            loop {
                ringer.ring();
            }
        }
    });
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut latencies = Vec::with_capacity(BATCH * BATCHES);
    for _ in 0..BATCH * BATCHES {
        bell.wait(waker.clone());
        let rung = loop {
            match bell.take() {
                Some(rung) => break rung,
                None => thread::park(),
            }
        };
        latencies.push(rung.elapsed());
    }
    latencies_of(&latencies)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

type Job = Box<dyn FnOnce() -> u64 + Send>;

/// A thread that runs jobs and sends back what they return.
fn worker() -> (mpsc::Sender<Job>, mpsc::Receiver<u64>) {
    let (jobs, queue) = mpsc::channel::<Job>();
    let (done, results) = mpsc::channel();
    thread::spawn(move || {
        for job in queue {
            let _ = done.send(job());
        }
    });
    (jobs, results)
}

pub(super) fn one_at_a_time(plan: Plan) -> Metrics {
    let (jobs, results) = worker();
    plan.blocking_batches(1_000, |operations| {
        for n in 0..operations {
            jobs.send(Box::new(move || n)).expect("the worker runs");
            assert_eq!(results.recv(), Ok(n));
        }
    })
}

pub(super) fn queued(plan: Plan) -> Metrics {
    let (jobs, results) = worker();
    plan.blocking_batches(10_000, |operations| {
        for n in 0..operations {
            jobs.send(Box::new(move || n)).expect("the worker runs");
        }
        for n in 0..operations {
            assert_eq!(results.recv(), Ok(n));
        }
    })
}
