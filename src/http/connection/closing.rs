//! The last answer, and what a peer still sends behind it.

use super::body::LARGE_READ;
use super::{Connection, Ended, Exchange, Peer, Stage};
use crate::http::response::Response;
use http::StatusCode;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes that are read and thrown away after the last answer, so that closing does not reset the
/// connection before the peer has read it (RFC 9112, section 9.6): a client that sends a body before
/// it reads anything gets its 413 so. What bounds it in the first place is the time that the server
/// gives for it; this keeps a fast peer from using that to the full.
pub(super) const LINGER_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of those after which they are read in large pieces: somebody sends a large body.
const LINGER_SMALL: u64 = 64 * 1024;

impl<S: Peer> Connection<S> {
    /// Answers what is no request, behind the answers to those that were, and closes.
    #[cold]
    pub(super) fn refuse(&mut self, status: StatusCode, reason: &str, ended: Ended) {
        self.write(Response::error(status, reason), &Exchange::NONE);
        self.stage = Stage::Closing { linger: true, ended };
    }

    /// Sends the last of the answers and shuts our side.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        let Stage::Closing { linger, ended } = self.stage else { return Poll::Ready(Ok(())) };
        // A peer that is gone already has nothing to be told.
        let shut = ready!(Pin::new(&mut self.io).poll_close(cx));
        let left = if linger && shut.is_ok() && !self.eof { LINGER_MAX } else { 0 };
        self.input.release(&self.shared.buffers);
        self.stage = Stage::Lingering { left, ended };
        Poll::Ready(Ok(()))
    }

    /// Throws away what still comes.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stage::Lingering { left, .. } = self.stage else { return Poll::Ready(Ok(())) };
        let large = left <= LINGER_MAX - LINGER_SMALL;
        let filled = ready!(self.poll_fill(cx, if large { LARGE_READ } else { 0 }));
        let n = self.input.len() as u64;
        self.input.consume(self.input.len());
        if let Stage::Lingering { left, .. } = &mut self.stage {
            // A reset is an end like another here.
            *left = if filled.is_err() || self.eof { 0 } else { left.saturating_sub(n) };
        }
        Poll::Ready(Ok(()))
    }
}
