//! How often each bound of a server was met.

use super::codec;
use crate::primitives::{AtomicU64, Ordering};
use http::StatusCode;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// For what happens at a bound.
    #[cold]
    pub(super) fn one(&self) {
        self.add(1);
    }
}

/// What has happened so far; [`ServerMetrics`](super::ServerMetrics) tells what each counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) served: Count,
    pub(super) accept_pauses: Count,
    pub(super) accept_rests: Count,
    pub(super) waited: Count,
    pub(super) refused_at_once: Count,
    pub(super) refused_after_wait: Count,
    pub(super) rejected_malformed: Count,
    pub(super) rejected_target: Count,
    pub(super) rejected_head: Count,
    pub(super) rejected_body: Count,
    pub(super) timed_out_idle: Count,
    pub(super) timed_out_head: Count,
    pub(super) timed_out_body: Count,
    pub(super) timed_out_write: Count,
    pub(super) max_requests_reached: Count,
    pub(super) read_ahead_pauses: Count,
    pub(super) cut_off: Count,
    pub(super) afterwork_cut_off: Count,
}

impl Counters {
    /// Counts what the codec would not have, by the bound that it is beyond.
    #[cold]
    pub(super) fn reject(&self, error: codec::Error) {
        let count = match error.status() {
            StatusCode::URI_TOO_LONG => &self.rejected_target,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => &self.rejected_head,
            StatusCode::PAYLOAD_TOO_LARGE => &self.rejected_body,
            _ => &self.rejected_malformed,
        };
        count.one();
    }
}
