//! Answers: framed, written, streamed.

use super::after::Afterwork;
use super::buffers::{COPIED, give_back};
use super::{
    Answering, Connection, DRAIN_MAX, Ended, Exchange, Panicked, Peer, Stage, StreamFraming,
    guarded,
};
use crate::coop;
use crate::http::codec::Head;
use crate::http::codec::encode::{self, Framing, Persistence, ResponseHead};
use crate::http::response::{Body, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use std::io;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

static NO_FIELDS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

/// What follows the head of an answer.
pub(super) enum Follows {
    Nothing { keep: bool },
    Stream(Answering),
}

impl<S: Peer> Connection<S> {
    /// Writes the answer to the current request, and goes on to what comes next.
    #[inline]
    pub(super) fn answer(&mut self, response: Response, mut exchange: Exchange) {
        self.served += 1;
        if exchange.owes_continue && response.is_streamed() {
            self.continue_for_stream(&mut exchange);
        }
        match self.write(response, &exchange) {
            Follows::Nothing { keep } => self.next(keep),
            Follows::Stream(answering) => self.stage = Stage::Answering(answering, exchange),
        }
    }

    /// Tells the client to come back later.
    #[cold]
    pub(super) fn answer_busy(&mut self, exchange: &Exchange) {
        let seconds = self.shared.retry_after(&self.seen.bounds);
        let reason = "the server is busy: try again later";
        let answer = Response::error(StatusCode::SERVICE_UNAVAILABLE, reason)
            .with_header(header::RETRY_AFTER, seconds.into());
        match self.write(answer, exchange) {
            Follows::Nothing { keep } => self.next(keep),
            Follows::Stream(_) => unreachable!("an error's body is whole"),
        }
    }

    #[cold]
    pub(super) fn answer_panic(&mut self, mut exchange: Exchange) {
        self.served += 1;
        exchange.keep_alive = false;
        let reason = "the handler of this request failed";
        let answer = Response::error(StatusCode::INTERNAL_SERVER_ERROR, reason);
        self.write(answer, &exchange);
        self.next(false);
        self.stage = Stage::Closing { linger: true, ended: Ended::Panicked };
    }

    /// After the end of an answer: the next request, the rest of this one, or the end.
    #[inline]
    fn next(&mut self, keep: bool) {
        let unread = !self.decoder.between_requests();
        self.stage = match (keep, unread) {
            (true, false) => Stage::Head,
            (true, true) => Stage::Draining(DRAIN_MAX),
            // Whatever the client still sends must not cost it the answer.
            (false, _) => Stage::Closing {
                linger: true,
                ended: if self.stopping { Ended::Stopped } else { Ended::Answered },
            },
        };
    }

    /// Puts an answer into the output: the head, and the body where it is whole.
    #[inline]
    pub(super) fn write(&mut self, response: Response, exchange: &Exchange) -> Follows {
        let keep = exchange.keep_alive && !self.stopping && self.can_end_body(exchange);
        if keep
            && exchange.modern
            && !(exchange.head_only || exchange.connect)
            && let Some((content_type, bytes)) = response.usual()
            && bytes.len() <= COPIED
        {
            let out = self.output.head(&self.shared.buffers);
            encode::usual(content_type, bytes.len(), self.date.text(), out);
            out.extend_from_slice(bytes);
            self.unsent += 1;
            give_back(response);
            return Follows::Nothing { keep };
        }
        self.write_any(response, exchange, keep)
    }

    /// The same for answers of every kind, of which some close the connection after all.
    fn write_any(
        &mut self,
        mut response: Response,
        exchange: &Exchange,
        mut keep: bool,
    ) -> Follows {
        let mut status = response.status();
        let mut body = response.take_body();
        if status.is_informational() {
            // An interim answer is no answer, and nothing here speaks another protocol.
            status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        if status != response.status() || status == StatusCode::RESET_CONTENT {
            // The latter has none either (RFC 9110, section 15.3.6).
            let unsent = std::mem::take(&mut body);
            let _ = guarded(move || drop(unsent));
        }
        let after = Afterwork::of(response.take_after(), &self.shared);
        let fields = response.fields();
        if let Some(fields) = fields {
            keep = keep && !encode::asks_to_close(fields);
        }
        let framing = framing(status, &body, fields, exchange);
        let stream_framing = match framing {
            Framing::Length(length) => StreamFraming::Known(length),
            Framing::Chunked => StreamFraming::Chunked { open: false },
            Framing::UntilClose | Framing::Bodyless => StreamFraming::UntilClose,
        };
        let bodyless = exchange.head_only || framing == Framing::Bodyless;
        if let Body::Stream(_) = body {
            // What the handler left unread its answer may be reading; there is no draining it.
            keep = keep && exchange.body.is_none();
        }
        keep = keep && framing != Framing::UntilClose;

        let head = ResponseHead {
            status,
            fields: fields.unwrap_or(&NO_FIELDS),
            content_type: response.content_type(),
            framing,
            persistence: match (keep, exchange.modern) {
                (true, true) => Persistence::Implied,
                (true, false) => Persistence::KeepAlive,
                (false, _) => Persistence::Close,
            },
            date: self.date.text(),
        };
        head.encode(self.output.head(&self.shared.buffers));
        self.unsent += 1;
        if bodyless {
            self.after.join(after);
            let _ = guarded(move || drop(body));
            return Follows::Nothing { keep };
        }
        match body {
            Body::Stream(stream) => {
                let answering = Answering { stream, framing: stream_framing, keep, after };
                Follows::Stream(answering)
            }
            whole => {
                self.after.join(after);
                self.output.whole(whole);
                Follows::Nothing { keep }
            }
        }
    }

    /// Sends the body of an answer as it comes.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.output.is_full() {
                ready!(self.poll_flush(cx))?;
            }
            let Stage::Answering(answering, _) = &mut self.stage else {
                return Poll::Ready(Ok(()));
            };
            // A body that always has more, for a peer who always takes it, must not keep its
            // neighbours waiting.
            let Poll::Ready(charge) = coop::poll_proceed(cx) else {
                self.send_off(cx)?;
                return Poll::Pending;
            };
            if let StreamFraming::Chunked { open } = &mut answering.framing
                && std::mem::take(open)
            {
                self.output.head(&self.shared.buffers).extend_from_slice(encode::CHUNK_END);
            }
            self.told.resume();
            let polled = guarded(|| answering.stream.as_mut().poll_data(cx));
            self.told.pause();
            let next = match polled {
                Ok(Poll::Pending) => {
                    drop(charge);
                    ready!(self.poll_while_pending(cx))?;
                    continue;
                }
                Ok(Poll::Ready(next)) => {
                    charge.made_progress();
                    next
                }
                Err(Panicked) => {
                    self.break_off(Ended::Panicked);
                    return Poll::Ready(Ok(()));
                }
            };
            let ended = match next {
                Some(Ok(data)) if data.is_empty() => continue,
                Some(Ok(data)) => {
                    if self.send_piece(data) {
                        continue;
                    }
                    Err(())
                }
                Some(Err(_told_by_the_handler)) => Err(()),
                None => self.end_stream(),
            };
            if ended.is_err() {
                self.break_off(Ended::AnswerFailed);
            }
            return Poll::Ready(Ok(()));
        }
    }

    /// Sends a piece of a streamed body; no, where it is more than was announced.
    fn send_piece(&mut self, data: Bytes) -> bool {
        let Stage::Answering(answering, _) = &mut self.stage else { return false };
        match &mut answering.framing {
            StreamFraming::UntilClose => {}
            StreamFraming::Known(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    give_back(data);
                    return false;
                }
            },
            StreamFraming::Chunked { open } => {
                *open = true;
                encode::chunk_start(data.len(), self.output.head(&self.shared.buffers));
            }
        }
        self.output.piece(data, &self.shared.buffers);
        true
    }

    /// Ends a streamed body; an error where it has less than was announced.
    fn end_stream(&mut self) -> Result<(), ()> {
        let Stage::Answering(answering, _) = std::mem::replace(&mut self.stage, Stage::Head) else {
            return Err(());
        };
        let Answering { stream, framing, keep, after } = answering;
        self.after.join(after);
        self.told.resume();
        let dropped = guarded(move || drop(stream));
        self.told.pause();
        dropped.map_err(|Panicked| ())?;
        match framing {
            StreamFraming::Known(0) | StreamFraming::UntilClose => {}
            StreamFraming::Known(_) => return Err(()),
            StreamFraming::Chunked { .. } => {
                self.output.head(&self.shared.buffers).extend_from_slice(encode::LAST_CHUNK);
            }
        }
        self.next(keep);
        Ok(())
    }

    /// Closes in the middle of an answer, which tells the client that it is not whole.
    #[cold]
    fn break_off(&mut self, ended: Ended) {
        self.change(Stage::Closing { linger: false, ended });
    }
}

/// How the client will find the end of this answer (RFC 9112, section 6.3).
#[inline]
fn framing(
    status: StatusCode,
    body: &Body,
    fields: Option<&HeaderMap>,
    exchange: &Exchange,
) -> Framing {
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Framing::Bodyless;
    }
    if exchange.connect && status.is_success() {
        return Framing::UntilClose;
    }
    let length = match body {
        // What GET would have sent only the handler knows.
        Body::Empty if exchange.head_only => announced(fields).or(Some(0)),
        Body::Stream(stream) => guarded(|| stream.exact_size()).ok().flatten(),
        whole => whole.whole().map(|bytes| bytes.len() as u64),
    };
    match length {
        Some(length) => Framing::Length(length),
        None if exchange.head_only && !exchange.modern => Framing::Bodyless,
        None if exchange.modern => Framing::Chunked,
        None => Framing::UntilClose,
    }
}

fn announced(fields: Option<&HeaderMap>) -> Option<u64> {
    fields?.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Exchange {
    /// For nothing that came as a request.
    pub(super) const NONE: Self = Self {
        head_only: false,
        connect: false,
        modern: true,
        keep_alive: false,
        owes_continue: false,
        body: None,
    };

    pub(super) fn new(head: &Head) -> Self {
        Self {
            head_only: *head.method() == Method::HEAD,
            connect: *head.method() == Method::CONNECT,
            modern: head.version() == Version::HTTP_11,
            keep_alive: head.keep_alive() && !head.leaves_http(),
            owes_continue: head.expects_continue(),
            body: None,
        }
    }
}
