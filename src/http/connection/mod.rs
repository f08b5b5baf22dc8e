//! One connection: requests in, answers out, in their order.
//!
//! [`Connection`] is one future over one socket. It knows no runtime: whoever polls it brings the
//! socket's wakers, and the server wraps it in what limits its time ([`Connection::phase`] says
//! what it waits for).
//!
//! # The life of a connection
//!
//! ```text
//!            ┌──────────── the next request ───────────────┐
//!            ▼                                             │
//!   Head ──────► Handling ──────► Answering ──────► Draining
//!    │  begin      │  answer    (streamed bodies)   (rest of a small body)
//!    │ refuse      │                  │                    │
//!    └─────────────┴───────► Closing ◄┴────────────────────┘
//!                              │ flush, shut our side
//!                              ▼
//!                           Lingering ──► done
//! ```
//!
//! # Ground rules
//!
//! - **Answers are flushed before the future returns `Pending`**, and otherwise only when they fill
//!   the buffer: those to pipelined requests leave together, and none waits for a slow successor.
//! - **Nothing is read while answers wait for the socket**, but for a body that a handler asks for.
//!   What a peer can make us hold is one read's worth of requests and one buffer of answers.
//! - While a handler waits, nothing is read that it does not ask for. That the peer has reset the
//!   connection is found out all the same; then the handler is dropped.
//! - Requests are handled one after the other, so that an answer never waits for its turn.
//! - After a refusal, after a request that may leave HTTP, and where the end of a body was not
//!   reached, nothing more is read as a request.

mod after;
#[cfg(all(test, not(loom)))]
mod after_tests;
mod answer;
mod body;
#[cfg(all(test, not(loom)))]
mod body_tests;
#[cfg(all(test, not(loom)))]
mod bounds_tests;
mod buffers;
mod closing;
mod expiry;
mod handling;
mod peer;
pub(crate) use expiry::Wait;
pub(crate) use peer::Peer;
#[cfg(all(test, not(loom)))]
mod pipe;
#[cfg(all(test, not(loom)))]
mod stream_tests;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod told_tests;

use super::admission::Waits;
use super::bounds::Seen;
use super::codec::{self, Decoder, Event};
use super::doing::Told;
use super::incoming::Supply;
use super::request::Request;
use super::response::Stream;
use super::service::{ResponseFuture, Service};
use super::shared::{Date, Shared};
use crate::coop;
use crate::util::discard;
use after::Afterwork;
use buffers::{Input, Output};
use http::StatusCode;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes of a body that nobody read which are read for it, so that the connection can go on.
const DRAIN_MAX: u64 = 64 * 1024;

/// One connection, served until it ends.
pub(crate) struct Connection<S> {
    io: S,
    service: Arc<dyn Service>,
    shared: Arc<Shared>,
    /// It says there in whose code it is, around each call that may block.
    told: Told,
    decoder: Decoder,
    input: Input,
    output: Output,
    /// What is to be done when the output is flushed.
    after: Afterwork,
    stage: Stage,
    date: Date,
    /// The peer has shut its side.
    eof: bool,
    /// The current request is the last.
    stopping: bool,
    /// If there is none, the connection ends.
    idle_ends: bool,
    served: u64,
    /// How many of those the counter knows of.
    counted: u64,
    /// The bounds, as they were when the present request began.
    seen: Seen,
    /// Bytes that came.
    received: u64,
    /// Requests whose head was complete.
    begun: u64,
    /// Answers since the output was empty.
    unsent: usize,
    /// No request is taken before the peer takes answers; counted already.
    paused: bool,
    /// It has a place among the requests that are worked on. Given back at the end of the poll that
    /// brings the last of the answer, so that requests that came together have it one after the other.
    placed: bool,
}

/// How a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Requests whose handler answered, or panicked.
    pub(crate) served: u64,
    pub(crate) ended: Ended,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The peer closed between requests.
    ByPeer,
    /// The answer was the last one, as the peer, the handler or the protocol wanted.
    Answered,
    /// [`Connection::stop`] was called.
    Stopped,
    /// The peer sent something that is not an acceptable request.
    Refused(codec::Error),
    /// The peer closed in the middle of a request.
    Truncated,
    /// The handler panicked.
    Panicked,
    /// The body of an answer failed before its end.
    AnswerFailed,
    /// The peer took too long.
    TimedOut,
    /// The socket failed.
    Io(io::ErrorKind),
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For the first byte of a request.
    Idle,
    /// For the rest of a request's head.
    Head,
    /// For a place among the requests that are worked on.
    Waiting,
    /// For the handler, or for the body of its answer.
    Handler,
    /// For the body of a request.
    Body,
    /// For the peer to take what was answered.
    Write,
    /// For the peer to close its side.
    Linger,
}

enum Stage {
    Head,
    Waiting(Box<(Waits, Request)>, Exchange),
    Handling(ResponseFuture, Exchange),
    Answering(Answering, Exchange),
    /// The bytes of an unread body that may still be read.
    Draining(u64),
    Closing {
        linger: bool,
        ended: Ended,
    },
    Lingering {
        left: u64,
        ended: Ended,
    },
    Done,
}

/// What an answer must know about its request.
#[derive(Debug)]
struct Exchange {
    head_only: bool,
    connect: bool,
    modern: bool,
    keep_alive: bool,
    /// The client waits for a 100 that was not sent.
    owes_continue: bool,
    /// Where the body goes that has not come yet.
    body: Option<Supply>,
}

/// An answer whose body comes piece by piece.
struct Answering {
    stream: Stream,
    framing: StreamFraming,
    keep: bool,
    after: Afterwork,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamFraming {
    /// Bytes that are still to come.
    Known(u64),
    Chunked {
        /// The last chunk's data was handed over and its end was not.
        open: bool,
    },
    UntilClose,
}

impl<S> Connection<S> {
    pub(crate) fn new(io: S, service: Arc<dyn Service>, shared: Arc<Shared>, told: Told) -> Self {
        let seen = shared.bounds.see();
        Self {
            io,
            service,
            shared,
            told,
            seen,
            received: 0,
            begun: 0,
            unsent: 0,
            paused: false,
            placed: false,
            decoder: Decoder::new(),
            input: Input::default(),
            output: Output::default(),
            after: Afterwork::default(),
            stage: Stage::Head,
            date: Date::new(),
            eof: false,
            stopping: false,
            idle_ends: false,
            served: 0,
            counted: 0,
        }
    }

    /// Makes the current request the last: its answer says `Connection: close`.
    ///
    /// Takes effect when the connection is polled next, which is the caller's to do. A connection
    /// between requests looks once more for one that has come, and ends if there is none.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.idle_ends = true;
    }

    /// Makes the current request, or the next, the last; a connection between requests stays to
    /// listen for it.
    pub(crate) fn stop_soon(&mut self) {
        self.stopping = true;
    }

    /// The socket.
    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    /// Goes on to `next`. What the handler and the answer's body leave behind may panic.
    fn change(&mut self, next: Stage) {
        let stage = std::mem::replace(&mut self.stage, next);
        if matches!(stage, Stage::Handling(..) | Stage::Answering(..)) {
            self.told.resume();
        }
        let _ = guarded(move || drop(stage));
        self.told.pause();
    }

    /// Bytes of heap that its buffers hold.
    #[cfg(test)]
    fn heap(&self) -> usize {
        self.input.room() + self.output.room()
    }

    /// What the connection waits for, after a poll that returned `Pending`.
    pub(crate) fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Lingering { .. } | Stage::Done => Phase::Linger,
            // These wait for something else than the peer's taking, also where it takes nothing
            // meanwhile: its time for that follows.
            Stage::Waiting(..) => Phase::Waiting,
            Stage::Handling(_, exchange) | Stage::Answering(_, exchange)
                if exchange.body.as_ref().is_some_and(|body| body.channel().is_wanted()) =>
            {
                Phase::Body
            }
            _ if !self.output.is_empty() => Phase::Write,
            Stage::Head if self.input.is_empty() => Phase::Idle,
            Stage::Head => Phase::Head,
            Stage::Draining(_) => Phase::Body,
            Stage::Closing { .. } => Phase::Write,
            Stage::Handling(..) | Stage::Answering(..) => Phase::Handler,
        }
    }
}

impl<S: Peer> Future for Connection<S> {
    type Output = Summary;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Summary> {
        let this = self.get_mut();
        this.date.age();
        let ended = loop {
            let step = match &mut this.stage {
                Stage::Head => this.poll_head(cx),
                Stage::Waiting(..) => this.poll_waiting(cx),
                Stage::Handling(..) => this.poll_handler(cx),
                Stage::Answering(..) => this.poll_answer(cx),
                Stage::Draining(_) => this.poll_drain(cx),
                Stage::Closing { .. } => this.poll_close(cx),
                Stage::Lingering { left: 0, ended } => break Poll::Ready(*ended),
                Stage::Lingering { .. } => this.poll_linger(cx),
                Stage::Done => panic!("a connection was polled after its end"),
            };
            match step {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Ended::Io(error.kind())),
                Poll::Pending => break Poll::Pending,
            }
        };
        if this.counted != this.served {
            this.shared.counters.served.add(this.served - this.counted);
            this.counted = this.served;
        }
        if ended.is_pending() {
            if this.placed && !matches!(this.stage, Stage::Handling(..) | Stage::Answering(..)) {
                this.leave();
            }
            return Poll::Pending;
        }
        let ended = ready!(ended);
        // What is left belongs to nobody; handlers and bodies end before the summary is out.
        this.change(Stage::Done);
        this.leave();
        this.input.release(&this.shared.buffers);
        Poll::Ready(Summary { served: this.served, ended })
    }
}

impl<S: Peer> Connection<S> {
    /// Looks for the next request among what was read, then reads.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_full() || self.unsent >= self.seen.bounds.read_ahead {
            ready!(self.poll_catch_up(cx))?;
        }
        if !self.input.is_empty() {
            // A peer whose next request is always here must not keep its neighbours waiting.
            let Poll::Ready(charge) = coop::poll_proceed(cx) else {
                self.send_off(cx)?;
                return Poll::Pending;
            };
            match self.decoder.decode(self.input.bytes(), &self.seen.limits()) {
                Ok((n, Event::Head(head))) => {
                    charge.made_progress();
                    self.input.consume(n);
                    return self.begin(head, cx);
                }
                Ok((n, _more)) => self.input.consume(n),
                Err(error) => {
                    self.shared.counters.reject(error);
                    self.refuse(error.status(), error.reason(), Ended::Refused(error));
                    return Poll::Ready(Ok(()));
                }
            }
        }
        ready!(self.poll_flush(cx))?;
        if self.eof {
            match self.input.is_empty() {
                true => self.stage = Stage::Closing { linger: false, ended: Ended::ByPeer },
                false => {
                    self.shared.counters.rejected_malformed.one();
                    let reason = "the request ended before it was complete";
                    self.refuse(StatusCode::BAD_REQUEST, reason, Ended::Truncated);
                }
            }
            return Poll::Ready(Ok(()));
        }
        // A spent budget does not mean that nothing has come.
        let _unlimited = self.stopping.then(coop::unlimited);
        match self.poll_fill(cx, 0) {
            // One that has come meanwhile is served; nothing of another is promised.
            Poll::Pending if self.idle_ends && self.input.is_empty() => {
                self.stage = Stage::Closing { linger: false, ended: Ended::Stopped };
                Poll::Ready(Ok(()))
            }
            polled => polled,
        }
    }

    /// Does what must be done before `Pending` is returned for a handler or an answer's body:
    /// sends what was answered, and brings the body that is asked for. Ready when there is reason
    /// to poll them again.
    fn poll_while_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (Stage::Handling(_, exchange) | Stage::Answering(_, exchange)) = &self.stage else {
            return Poll::Ready(Ok(()));
        };
        let wanted =
            exchange.body.as_ref().is_some_and(|body| body.channel().wanted_or_wake(cx.waker()));
        if wanted {
            self.send_continue();
        }
        // The answers go out while the body comes in, even from a peer that reads only later.
        self.send_off(cx)?;
        if wanted {
            return self.poll_body(cx).map(Ok);
        }
        self.watch_peer(cx)?;
        Poll::Pending
    }

    /// Finds out that the peer has reset the connection, also behind what it has sent and nobody has
    /// read: nobody waits for what is being done then. (A peer that only ends its side may wait for
    /// its answer.)
    fn watch_peer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.io.poll_hangup(cx)? {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Sends what was answered, as far as the peer takes it, before `Pending` is returned for
    /// something else. It is one buffer at most, which a spent budget does not keep here.
    fn send_off(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let _unlimited = coop::unlimited();
        let _unfinished = self.poll_flush(cx)?;
        Ok(())
    }

    /// Flushes because as many answers wait as may.
    fn poll_catch_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_flush(cx);
        if polled.is_pending() {
            // A spent budget is no pause.
            self.send_off(cx)?;
        }
        let was_paused = std::mem::replace(&mut self.paused, !self.output.is_empty());
        if self.paused && !was_paused {
            self.shared.counters.read_ahead_pauses.one();
        }
        polled
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.output.poll_flush(&mut self.io, cx, &self.shared.buffers))?;
        self.unsent = 0;
        if !self.after.is_empty() {
            self.after.start();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and takes note of the end.
    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<()>> {
        let n = ready!(self.input.poll_fill(&mut self.io, cx, &self.shared.buffers, room))?;
        self.received += n as u64;
        self.eof |= n == 0;
        Poll::Ready(Ok(()))
    }
}

/// The handler, or what it left behind, panicked. The panic hook has told about it.
#[derive(Clone, Copy, Debug)]
struct Panicked;

/// Runs a handler's code. What it shares with others is its own to keep whole.
#[inline]
fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        discard(payload);
        Panicked
    })
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stage", &self.stage)
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "Head",
            Self::Waiting(..) => "Waiting",
            Self::Handling(..) => "Handling",
            Self::Answering(..) => "Answering",
            Self::Draining(_) => "Draining",
            Self::Closing { .. } => "Closing",
            Self::Lingering { .. } => "Lingering",
            Self::Done => "Done",
        })
    }
}
