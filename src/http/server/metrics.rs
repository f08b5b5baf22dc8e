//! What a server tells of itself.

use super::State;
use crate::primitives::Ordering;

/// What a server does, in numbers; made by [`ServerHandle::metrics`](super::ServerHandle::metrics).
///
/// The first five are how things stand; all others only grow. They are read one after the other
/// while the server works, so one may be a little ahead of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMetrics {
    /// Sockets at which the server listens: one for each worker while it runs, where the system has
    /// that; see [`Server::run`](super::Server::run).
    pub listeners: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Requests that handlers work on.
    pub in_flight: usize,
    /// Requests that wait for a handler.
    pub waiting: usize,
    /// Works after answers ([`Response::after`](crate::http::Response::after)) that run.
    pub afterwork: usize,
    /// Requests that were answered by a handler, or with 500 for one that panicked.
    pub served: u64,
    /// Times that accepting at one of the sockets paused because there were
    /// [`max_connections`](crate::http::Bounds::max_connections).
    pub accept_pauses: u64,
    /// Times that accepting at one of the sockets rested for 0.1 s because the process or the system was out of
    /// descriptors or memory.
    pub accept_rests: u64,
    /// Requests that had to wait because there were
    /// [`max_in_flight`](crate::http::Bounds::max_in_flight); what became of them counts elsewhere.
    pub waited: u64,
    /// Requests that were answered with 503, for want of a place; the sum of the next two.
    pub refused: u64,
    /// … at once, because [`max_waiting`](crate::http::Bounds::max_waiting) waited.
    pub refused_at_once: u64,
    /// … when their [`waiting_time`](crate::http::Bounds::waiting_time) was over.
    pub refused_after_wait: u64,
    /// Requests that were not HTTP as this server wants it: 400, 501 or 505.
    pub rejected_malformed: u64,
    /// Requests beyond [`max_target`](crate::http::Bounds::max_target): 414.
    pub rejected_target: u64,
    /// Requests beyond [`max_head`](crate::http::Bounds::max_head) or
    /// [`max_headers`](crate::http::Bounds::max_headers), also with their trailers: 431.
    pub rejected_head: u64,
    /// Requests beyond [`max_body`](crate::http::Bounds::max_body): 413, unless their answer had
    /// begun.
    pub rejected_body: u64,
    /// Requests and answers whose client took too long; the sum of the next three.
    pub timed_out: u64,
    /// … beyond [`header_time`](crate::http::Bounds::header_time).
    pub timed_out_head: u64,
    /// … beyond [`body_time`](crate::http::Bounds::body_time) and what
    /// [`body_rate`](crate::http::Bounds::body_rate) earned.
    pub timed_out_body: u64,
    /// … beyond [`write_time`](crate::http::Bounds::write_time).
    pub timed_out_write: u64,
    /// Connections that were closed because nothing came on them: after an answer for
    /// [`keep_alive`](crate::http::Bounds::keep_alive), before the first request for
    /// [`header_time`](crate::http::Bounds::header_time). These are no failures, and not part of
    /// `timed_out`.
    pub timed_out_idle: u64,
    /// Connections that were closed for [`max_requests`](crate::http::Bounds::max_requests).
    pub max_requests_reached: u64,
    /// Times that a connection took no further request because its client did not take its answers:
    /// [`read_ahead`](crate::http::Bounds::read_ahead) of them, or 64 KiB.
    pub read_ahead_pauses: u64,
    /// Connections that were cut off at the end of the server.
    pub cut_off: u64,
    /// Works after answers that were cut off at the end of the server.
    pub afterwork_cut_off: u64,
}

impl ServerMetrics {
    pub(super) fn of(state: &State) -> Self {
        let (shared, counters) = (&state.shared, &state.shared.counters);
        let refused_at_once = counters.refused_at_once.get();
        let refused_after_wait = counters.refused_after_wait.get();
        let timed_out_head = counters.timed_out_head.get();
        let timed_out_body = counters.timed_out_body.get();
        let timed_out_write = counters.timed_out_write.get();
        Self {
            listeners: state.listeners.load(Ordering::Relaxed),
            connections: state.open.get(),
            in_flight: shared.admission.in_flight(),
            waiting: shared.admission.waiting(),
            afterwork: shared.afterworks.running(),
            served: counters.served.get(),
            accept_pauses: counters.accept_pauses.get(),
            accept_rests: counters.accept_rests.get(),
            waited: counters.waited.get(),
            refused: refused_at_once + refused_after_wait,
            refused_at_once,
            refused_after_wait,
            rejected_malformed: counters.rejected_malformed.get(),
            rejected_target: counters.rejected_target.get(),
            rejected_head: counters.rejected_head.get(),
            rejected_body: counters.rejected_body.get(),
            timed_out: timed_out_head + timed_out_body + timed_out_write,
            timed_out_head,
            timed_out_body,
            timed_out_write,
            timed_out_idle: counters.timed_out_idle.get(),
            max_requests_reached: counters.max_requests_reached.get(),
            read_ahead_pauses: counters.read_ahead_pauses.get(),
            cut_off: counters.cut_off.get(),
            afterwork_cut_off: counters.afterwork_cut_off.get(),
        }
    }
}
