//! What becomes of a connection whose peer takes too long.

use super::{Connection, Ended, Phase, Stage, guarded};
use crate::http::bounds::Bounds;
use futures_io::{AsyncRead, AsyncWrite};
use http::StatusCode;

/// What a connection waits for, and since what: while two looks give the same, time runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) phase: Phase,
    /// Changes when the wait begins anew.
    mark: u64,
}

impl<S> Connection<S> {
    /// What time is to be measured for, after a poll that returned `Pending`.
    #[inline]
    pub(crate) fn wait(&self) -> Wait {
        let (phase, mark) = match self.phase() {
            // One time for both: from accept, or from the last answer.
            Phase::Idle | Phase::Head => (Phase::Head, self.begun),
            Phase::Write => (Phase::Write, self.output.total),
            other => (other, self.begun),
        };
        Wait { phase, mark }
    }

    /// Whether no byte of a request has come, after at least one that was answered.
    pub(crate) fn is_kept_alive(&self) -> bool {
        self.begun > 0 && self.phase() == Phase::Idle
    }

    /// Bytes that came so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The bounds that hold for the present request.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.seen.bounds
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The time for what the connection waits for is over. It says so to its peer where it can, and
    /// must be polled again.
    #[cold]
    pub(crate) fn expire(&mut self) {
        match self.phase() {
            Phase::Idle => {
                self.stage = Stage::Closing { linger: false, ended: Ended::TimedOut };
            }
            Phase::Head => self.refuse_late("the request's head took too long"),
            Phase::Waiting => {
                let stage = std::mem::replace(&mut self.stage, Stage::Head);
                if let Stage::Waiting(waiting, exchange) = stage {
                    drop(waiting);
                    self.answer_busy(&exchange);
                }
            }
            Phase::Body => {
                let stage = std::mem::replace(&mut self.stage, Stage::Head);
                let answer_has_begun = !matches!(stage, Stage::Handling(..));
                let _ = guarded(move || drop(stage));
                if answer_has_begun {
                    self.shared.counters.add_timed_out();
                    self.stage = Stage::Closing { linger: false, ended: Ended::TimedOut };
                } else {
                    self.refuse_late("the request's body took too long");
                }
            }
            // There is no way to tell a peer that takes nothing.
            Phase::Write => self.shared.counters.add_timed_out(),
            // A handler has the time that it takes, and lingering is not the peer's due.
            Phase::Handler | Phase::Linger => {}
        }
    }

    fn refuse_late(&mut self, reason: &str) {
        self.shared.counters.add_timed_out();
        self.refuse(StatusCode::REQUEST_TIMEOUT, reason, Ended::TimedOut);
    }
}
