//! A parked runtime that another thread wakes.

use crate::clock::{pin, spin};
use crate::metrics::{Metric, Metrics};
use crate::runtime::Runtime;
use mainspring_benches::report::Spread;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// How many wakes make a batch, whose median is taken, and how many batches, whose lowest.
pub(crate) const BATCH: usize = 200;
pub(crate) const BATCHES: usize = 20;
/// How long the waking thread spins before each wake, so that the other one surely sleeps.
const REST: Duration = Duration::from_micros(50);

/// Waits for a thread on the other CPU, which spins between wakes.
pub(super) async fn wake<R: Runtime>() -> Metrics {
    let bell = Arc::new(Bell::default());
    let ringer = bell.clone();
    std::thread::spawn(move || {
        if pin(&[1]).is_ok() {
            loop {
                ringer.ring();
            }
        }
    });
    let mut latencies = Vec::with_capacity(BATCH * BATCHES);
    for _ in 0..BATCH * BATCHES {
        let rung = bell.heard().await;
        latencies.push(rung.elapsed());
    }
    latencies_of(&latencies)
}

/// Of latencies in batches: the lowest median, and the 99th percentile of all.
pub(crate) fn latencies_of(latencies: &[Duration]) -> Metrics {
    let medians: Vec<f64> = latencies
        .chunks(BATCH)
        .filter_map(|batch| {
            let batch: Vec<f64> = batch.iter().copied().map(crate::clock::nanos).collect();
            Spread::of(&batch).map(|spread| spread.median)
        })
        .collect();
    let mut metrics = Metrics::default();
    if let Some(medians) = Spread::of(&medians) {
        metrics = metrics.with(Metric::P50Ns, medians.min);
    }
    let all = Metrics::default().with_latencies(latencies.to_vec());
    for (metric, value) in all.values().filter(|(metric, _)| *metric != Metric::P50Ns) {
        metrics = metrics.with(metric, value);
    }
    metrics
}

/// What one side waits for and the other rings.
#[derive(Default)]
pub(crate) struct Bell {
    awaited: AtomicBool,
    waker: Mutex<Option<Waker>>,
    rung: Mutex<Option<Instant>>,
}

impl Bell {
    /// When it was rung.
    async fn heard(&self) -> Instant {
        poll_fn(|cx| {
            if let Some(rung) = self.take() {
                return Poll::Ready(rung);
            }
            self.wait(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Tells the other side that somebody waits.
    pub(crate) fn wait(&self, waker: Waker) {
        *self.waker.lock().expect("nobody panics") = Some(waker);
        self.awaited.store(true, Ordering::Release);
    }

    /// When it was rung, if it was.
    pub(crate) fn take(&self) -> Option<Instant> {
        self.rung.lock().expect("nobody panics").take()
    }

    /// Waits until somebody waits, and a little longer; then wakes that.
    pub(crate) fn ring(&self) {
        while !self.awaited.swap(false, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        spin(REST);
        let waker = self.waker.lock().expect("nobody panics").take();
        *self.rung.lock().expect("nobody panics") = Some(Instant::now());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
