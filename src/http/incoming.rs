//! A request's body on its way from the connection to the handler.
//!
//! Both are parts of one future most of the time: the connection polls the handler, and the
//! handler polls the body. So the body cannot read the socket itself. It says that it wants more
//! and answers `Pending`; the connection, when the handler comes back with `Pending`, reads,
//! leaves what has come in the [`Channel`] and polls the handler again. A body that nobody polls
//! is not read: that is the back-pressure, and why a 100 is sent only to those who are listened to.
//!
//! A handler may also move the request into a task of its own. Then each side wakes the other.

use super::error::BodyError;
use crate::coop;
use crate::primitives::Mutex;
use bytes::Bytes;
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// The body as the request holds it.
#[derive(Debug)]
pub(super) enum Incoming {
    /// All of it.
    Full(Bytes),
    /// What has been collected of it, and where the rest comes from.
    Partial(Vec<u8>, Arc<Channel>),
    /// It was handed to somebody else.
    Taken,
}

impl Incoming {
    pub(super) async fn collect(&mut self) -> Result<Bytes, BodyError> {
        poll_fn(|cx| self.poll_collect(cx)).await
    }

    /// All of it, if that is here.
    pub(super) fn collected(&self) -> Result<Bytes, BodyError> {
        match self {
            Self::Full(bytes) => Ok(bytes.clone()),
            Self::Partial(..) => Err(BodyError::NotRead),
            Self::Taken => Err(BodyError::Taken),
        }
    }

    /// The next piece; nothing at the end.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        match self {
            Self::Full(bytes) => Poll::Ready(Ok(Some(mem::take(bytes)).filter(|b| !b.is_empty()))),
            Self::Partial(collected, _) if !collected.is_empty() => {
                Poll::Ready(Ok(Some(mem::take(collected).into())))
            }
            Self::Partial(_, channel) => channel.poll_chunk(cx),
            Self::Taken => Poll::Ready(Err(BodyError::Taken)),
        }
    }

    fn poll_collect(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, BodyError>> {
        loop {
            let (collected, channel) = match self {
                Self::Full(bytes) => return Poll::Ready(Ok(bytes.clone())),
                Self::Partial(collected, channel) => (collected, channel),
                Self::Taken => return Poll::Ready(Err(BodyError::Taken)),
            };
            match ready!(channel.poll_chunk(cx))? {
                Some(chunk) => collected.extend_from_slice(&chunk),
                None => *self = Self::Full(Bytes::from(mem::take(collected))),
            }
        }
    }
}

/// The connection's end of a channel: the reader is told when it goes, however that comes about.
#[derive(Debug, Default)]
pub(super) struct Supply(Arc<Channel>);

impl Supply {
    pub(super) fn channel(&self) -> &Arc<Channel> {
        &self.0
    }

    /// Whether there is somebody who can still ask for the body.
    pub(super) fn has_reader(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Drop for Supply {
    fn drop(&mut self) {
        self.0.finish(Err(BodyError::Closed), Waker::noop());
    }
}

/// The place where connection and handler meet.
#[derive(Debug, Default)]
pub(super) struct Channel(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What has come and was not taken yet: at most one read's worth, because the connection reads
    /// only when more is wanted.
    chunk: Option<Bytes>,
    /// Set once, when nothing will come behind the chunk.
    end: Option<Result<(), BodyError>>,
    /// The reader found nothing and waits.
    wanted: bool,
    reader: Option<Waker>,
    /// The connection waits for the reader to want something.
    connection: Option<Waker>,
}

impl Channel {
    /// The next piece; nothing at the end.
    pub(super) fn poll_chunk(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        let charge = ready!(coop::poll_proceed(cx));
        let outcome = self.0.lock().take();
        if let Some(outcome) = outcome {
            charge.made_progress();
            return Poll::Ready(outcome);
        }
        let mut reader = Some(cx.waker().clone());
        let connection = {
            let mut state = self.0.lock();
            if let Some(outcome) = state.take() {
                drop(state);
                return Poll::Ready(outcome);
            }
            state.wanted = true;
            mem::swap(&mut state.reader, &mut reader);
            state.connection.take()
        };
        // Inside the connection's own poll this wakes nobody who is not awake.
        if let Some(waker) = connection
            && !waker.will_wake(cx.waker())
        {
            waker.wake();
        }
        Poll::Pending
    }

    /// Whether the reader waits for more.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.lock().wanted
    }

    /// Whether the reader waits for more; where it does not, it will wake `waker` when it does.
    pub(super) fn wanted_or_wake(&self, waker: &Waker) -> bool {
        let mut new = Some(waker.clone());
        let mut state = self.0.lock();
        if !state.wanted {
            mem::swap(&mut state.connection, &mut new);
        }
        let wanted = state.wanted;
        drop(state);
        wanted
    }

    /// Leaves a piece for the reader, who wanted one.
    pub(super) fn push(&self, chunk: Bytes, current: &Waker) {
        self.tell(current, |state| {
            debug_assert!(state.chunk.is_none(), "one read at a time");
            state.chunk = Some(chunk);
        });
    }

    /// Says that nothing more will come, and why.
    pub(super) fn finish(&self, outcome: Result<(), BodyError>, current: &Waker) {
        self.tell(current, |state| {
            state.end.get_or_insert(outcome);
        });
    }

    fn tell(&self, current: &Waker, change: impl FnOnce(&mut State)) {
        let reader = {
            let mut state = self.0.lock();
            change(&mut state);
            state.wanted = false;
            state.reader.take()
        };
        // The connection's own task is being polled and looks again by itself.
        if let Some(reader) = reader
            && !reader.will_wake(current)
        {
            reader.wake();
        }
    }
}

impl State {
    fn take(&mut self) -> Option<Result<Option<Bytes>, BodyError>> {
        if let Some(chunk) = self.chunk.take() {
            return Some(Ok(Some(chunk)));
        }
        self.end.map(|end| end.map(|()| None))
    }
}
