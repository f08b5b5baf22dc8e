//! What is counted of stalls, in words that are touched when there is one.

use crate::hooks::Metrics;
use crate::primitives::{AtomicU64, Ordering::Relaxed};

/// The counts of one runtime; they wrap.
#[derive(Debug)]
pub(super) struct Tally {
    stalls: AtomicU64,
    reliefs: AtomicU64,
    rescues: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { stalls: zero(), reliefs: zero(), rescues: zero() }
    }
}

impl Tally {
    pub(super) fn stall(&self) {
        self.stalls.fetch_add(1, Relaxed);
    }

    pub(super) fn relief(&self) {
        self.reliefs.fetch_add(1, Relaxed);
    }

    pub(super) fn rescue(&self) {
        self.rescues.fetch_add(1, Relaxed);
    }

    pub(super) fn measure(&self, metrics: &mut Metrics) {
        metrics.stalls += self.stalls.load(Relaxed);
        metrics.reliefs += self.reliefs.load(Relaxed);
        metrics.rescues += self.rescues.load(Relaxed);
    }
}
