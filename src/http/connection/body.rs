//! Request bodies: handed over, fetched, drained.

use super::{Connection, DRAIN_MAX, Ended, Exchange, Peer, Stage};
use crate::http::codec::{BodyLength, Event, Head, encode};
use crate::http::error::BodyError;
use crate::http::incoming::{Incoming, Supply};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes that are read at once of a body that has as many.
pub(super) const LARGE_READ: usize = 64 * 1024;

impl<S: Peer> Connection<S> {
    /// The body that a request is given: whole where it is all here, else a way to fetch it.
    #[inline]
    pub(super) fn begin_body(&mut self, head: &Head, exchange: &mut Exchange) -> Incoming {
        match head.body() {
            BodyLength::Empty => Incoming::Full(Bytes::new()),
            BodyLength::Known(length) if length <= self.input.len() as u64 => {
                let mut bytes = Bytes::new();
                while let Ok((n, event)) =
                    self.decoder.decode(self.input.bytes(), &self.seen.limits())
                {
                    if let Event::Data(data) = event {
                        bytes = Bytes::copy_from_slice(data);
                    }
                    self.input.consume(n);
                    if self.decoder.between_requests() {
                        break;
                    }
                }
                exchange.owes_continue = false;
                Incoming::Full(bytes)
            }
            _ => {
                let body = exchange.body.insert(Supply::default());
                Incoming::Partial(Vec::new(), Arc::clone(body.channel()))
            }
        }
    }

    /// Sends the 100 that the client waits for, when its body is first asked for.
    pub(super) fn send_continue(&mut self) {
        let (Stage::Handling(_, exchange) | Stage::Answering(_, exchange)) = &mut self.stage else {
            return;
        };
        // A client that has begun to send does not wait any more. Behind the head of a streamed
        // answer an interim one would be part of its body.
        if std::mem::take(&mut exchange.owes_continue)
            && self.input.is_empty()
            && matches!(self.stage, Stage::Handling(..))
            && !self.output.is_full()
        {
            self.output.head(&self.shared.buffers).extend_from_slice(encode::CONTINUE);
        }
    }

    /// Sends the 100 ahead of an answer that is streamed while its body comes: behind the head of
    /// the answer it could not be sent, and the client would wait for it.
    #[cold]
    pub(super) fn continue_for_stream(&mut self, exchange: &mut Exchange) {
        let read_on = exchange.body.as_ref().is_some_and(Supply::has_reader);
        if read_on && self.input.is_empty() && !self.output.is_full() {
            exchange.owes_continue = false;
            self.output.head(&self.shared.buffers).extend_from_slice(encode::CONTINUE);
        }
    }

    /// Brings the next piece of the body, or its end, to the reader that wants it.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Stage::Handling(_, exchange) | Stage::Answering(_, exchange)) = &mut self.stage else {
            return Poll::Ready(());
        };
        let Some(body) = &exchange.body else { return Poll::Ready(()) };
        let channel = Arc::clone(body.channel());
        let mut brought = false;
        let end = loop {
            match self.decoder.decode(self.input.bytes(), &self.seen.limits()) {
                Ok((n, event)) => {
                    let event = match event {
                        Event::Data(data) => Some(Bytes::copy_from_slice(data)),
                        Event::End => {
                            self.input.consume(n);
                            break Ok(());
                        }
                        Event::More | Event::Head(_) => None,
                    };
                    self.input.consume(n);
                    if let Some(data) = event {
                        channel.push(data, cx.waker());
                        brought = true;
                        // The end is often known by now, and spares the reader another round.
                        if self.decoder.remaining() == Some(0) {
                            continue;
                        }
                    }
                    if brought {
                        return Poll::Ready(());
                    }
                }
                Err(error) => {
                    self.shared.counters.reject(error);
                    break Err(error.into());
                }
            }
            if self.eof {
                break Err(BodyError::Incomplete);
            }
            let large = self.decoder.remaining().is_some_and(|left| left >= LARGE_READ as u64);
            if let Err(error) = ready!(self.poll_fill(cx, if large { LARGE_READ } else { 0 })) {
                break Err(BodyError::Io(error.kind()));
            }
        };
        channel.finish(end, cx.waker());
        if let Stage::Handling(_, exchange) | Stage::Answering(_, exchange) = &mut self.stage {
            exchange.body = None;
            exchange.keep_alive &= end.is_ok();
        }
        Poll::Ready(())
    }

    /// Whether the end of the request's body will be reached without much reading.
    #[inline]
    pub(super) fn can_end_body(&self, exchange: &Exchange) -> bool {
        if self.decoder.between_requests() {
            return true;
        }
        // A client that still waits for its 100 may send the body or leave it; nobody can tell.
        !exchange.owes_continue && self.decoder.remaining().is_none_or(|left| left <= DRAIN_MAX)
    }

    /// Reads the rest of a body that nobody wanted, behind which the next request stands.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The client may wait for its answer before it sends on.
        ready!(self.poll_flush(cx))?;
        loop {
            let Stage::Draining(left) = &mut self.stage else { return Poll::Ready(Ok(())) };
            match self.decoder.decode(self.input.bytes(), &self.seen.limits()) {
                Ok((n, event)) => {
                    let more = matches!(event, Event::More);
                    let rest = left.checked_sub(n as u64);
                    *left = rest.unwrap_or(0);
                    self.input.consume(n);
                    if self.decoder.between_requests() {
                        self.stage = Stage::Head;
                        return Poll::Ready(Ok(()));
                    }
                    if rest.is_none() || (more && self.eof) {
                        self.stage = Stage::Closing { linger: true, ended: Ended::Answered };
                        return Poll::Ready(Ok(()));
                    }
                    if more {
                        let filled = self.poll_fill(cx, 0)?;
                        if filled.is_pending() && self.stopping {
                            let ended = Ended::Stopped;
                            self.stage = Stage::Closing { linger: true, ended };
                            return Poll::Ready(Ok(()));
                        }
                        ready!(filled);
                    }
                }
                Err(error) => {
                    self.shared.counters.reject(error);
                    // The answer has been given; a second one would have no request.
                    self.stage = Stage::Closing { linger: true, ended: Ended::Refused(error) };
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}
