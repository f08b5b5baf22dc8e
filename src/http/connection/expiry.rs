//! What becomes of a connection whose peer takes too long.

use super::{Connection, Ended, Peer, Phase, Stage};
use crate::http::bounds::Bounds;
use http::StatusCode;

/// What a connection waits for, and since what: while two looks give the same, time runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) phase: Phase,
    /// Changes when the wait begins anew; for all but [`Phase::Write`] the number of the request.
    pub(crate) mark: u64,
}

impl<S> Connection<S> {
    /// What time is to be measured for, after a poll that returned `Pending`.
    #[inline]
    pub(crate) fn wait(&self) -> Wait {
        let (phase, mark) = match self.phase() {
            // One time for both, from accept.
            Phase::Idle if self.begun == 0 => (Phase::Head, self.begun),
            Phase::Write => (Phase::Write, self.output.total),
            other => (other, self.begun),
        };
        Wait { phase, mark }
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

impl<S: Peer> Connection<S> {
    /// The time for what the connection waits for is over. It says so to its peer where it can, and
    /// must be polled again.
    #[cold]
    pub(crate) fn expire(&mut self) {
        match self.phase() {
            Phase::Idle => {
                self.shared.counters.timed_out_idle.one();
                self.stage = Stage::Closing { linger: false, ended: Ended::TimedOut };
            }
            Phase::Head => {
                self.shared.counters.timed_out_head.one();
                self.refuse_late("the request's head took too long");
            }
            Phase::Waiting => {
                let stage = std::mem::replace(&mut self.stage, Stage::Head);
                if let Stage::Waiting(waiting, exchange) = stage {
                    drop(waiting);
                    self.shared.counters.refused_after_wait.one();
                    self.answer_busy(&exchange);
                }
            }
            Phase::Body => {
                self.shared.counters.timed_out_body.one();
                let answer_has_begun = !matches!(self.stage, Stage::Handling(..));
                self.change(Stage::Head);
                if answer_has_begun {
                    self.stage = Stage::Closing { linger: false, ended: Ended::TimedOut };
                } else {
                    self.refuse_late("the request's body took too long");
                }
            }
            // There is no way to tell a peer that takes nothing.
            Phase::Write => self.shared.counters.timed_out_write.one(),
            // A handler has the time that it takes, and lingering is not the peer's due.
            Phase::Handler | Phase::Linger => {}
        }
    }

    /// Ends here and now.
    #[cold]
    pub(crate) fn abandon(&mut self) {
        self.change(Stage::Done);
    }

    fn refuse_late(&mut self, reason: &str) {
        self.refuse(StatusCode::REQUEST_TIMEOUT, reason, Ended::TimedOut);
    }
}
