//! Bodies of requests and answers, piece by piece.

use super::error::BodyError;
use super::incoming::Incoming;
use super::response::BoxError;
use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of a request, piece by piece; taken by [`Request::body`](super::Request::body).
///
/// Nothing is read from the client before a piece is asked for, and no more than 64 KiB at once:
/// who reads slowly makes the client send slowly. It may be moved into another task, and outlive
/// the request; after the answer it ends with [`BodyError::Closed`].
///
/// It is a `http_body::Body` and a `futures_core::Stream`, both of `Bytes`. Trailers are not
/// shown.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Error, Request, Response, Router};
///
/// /// Counts what it does not keep.
/// async fn count(mut req: Request) -> Result<String, Error> {
///     let mut body = req.body();
///     let mut sum = 0;
///     while let Some(piece) = body.chunk().await {
///         sum += piece?.len();
///     }
///     Ok(sum.to_string())
/// }
/// let app = Router::new()
///     .post("/count", count)
///     .post("/echo", |mut req: Request| async move { Response::stream(req.body()) });
/// # let _ = app;
/// ```
pub struct Body {
    incoming: Incoming,
    /// Bytes that are still to come, where the client has said how many.
    left: Option<u64>,
}

impl Body {
    pub(super) fn new(incoming: Incoming, left: Option<u64>) -> Self {
        Self { incoming, left }
    }

    /// The next piece, never an empty one; nothing at the end.
    ///
    /// # Errors
    ///
    /// The body is too large, its framing is broken, or the connection failed before its end. What
    /// comes after an error is the same error.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call goes on.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let chunk = ready!(self.incoming.poll_chunk(cx));
        if let (Ok(Some(chunk)), Some(left)) = (&chunk, &mut self.left) {
            *left = left.saturating_sub(chunk.len() as u64);
        }
        Poll::Ready(chunk.transpose())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().poll_chunk(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("left", &self.left).finish_non_exhaustive()
    }
}

/// A stream as a body.
pub(super) struct Streamed<S>(Pin<Box<S>>);

impl<S> Streamed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Box::pin(stream))
    }
}

impl<S, D, E> http_body::Body for Streamed<S>
where
    S: Stream<Item = Result<D, E>>,
    D: Into<Bytes>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.0.as_mut().poll_next(cx).map_ok(|data| Frame::data(data.into()))
    }
}
