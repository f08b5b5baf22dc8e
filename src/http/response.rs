//! Answers, as handlers make them.

use super::body::Streamed;
use super::codec::encode::{BYTES, ContentType, JSON, TEXT};
use bytes::{Buf, Bytes};
use futures_core::Stream as Pieces;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{HeaderMap as Fields, StatusCode};
use serde::Serialize;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An error of a body, whatever its type.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// A response: status, header fields, body.
///
/// The server adds `Date` where it is missing, and frames the body itself: `Content-Length`,
/// `Transfer-Encoding` and `Keep-Alive` among the fields are passed over, and of `Connection` only
/// `close` is heard. (A `Content-Length` beside an empty body in an answer to HEAD is kept: it
/// tells what GET would have sent.)
///
/// Names and values are the `http` crate's types, which refuse CR, LF and NUL when they are made,
/// so that no field can end its line.
///
/// # Examples
///
/// ```
/// use http::{HeaderValue, StatusCode, header};
/// use mainspring::http::Response;
///
/// let made = Response::text("made")
///     .with_status(StatusCode::CREATED)
///     .with_header(header::LOCATION, HeaderValue::from_static("/things/1"));
/// assert_eq!(made.status(), StatusCode::CREATED);
/// assert_eq!(made.header("content-type").unwrap(), "text/plain; charset=utf-8");
/// ```
#[derive(Default)]
pub struct Response {
    status: StatusCode,
    /// Kept apart from the fields, so that most answers have no map.
    content_type: Option<&'static ContentType>,
    fields: Option<Box<Fields>>,
    body: Body,
    after: Option<Box<After>>,
}

/// Work for when a response is sent.
pub(super) struct After {
    pub(super) future: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) location: &'static Location<'static>,
    pub(super) next: Option<Box<After>>,
}

/// What a response sends. The first four are known whole.
#[derive(Default)]
pub(super) enum Body {
    #[default]
    Empty,
    Static(&'static [u8]),
    Bytes(Bytes),
    Vec(Vec<u8>),
    Stream(Stream),
}

/// A body that comes piece by piece.
pub(super) type Stream = Pin<Box<dyn Frames>>;

/// What the connection needs of a `http_body::Body`, with one type of data and of error.
pub(super) trait Frames: Send {
    fn poll_data(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>>;
    fn exact_size(&self) -> Option<u64>;
}

impl Response {
    /// An answer with this status and no body.
    pub fn new(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// `200 OK` with a text.
    pub fn text(text: impl Into<String>) -> Self {
        text.into().into_response()
    }

    /// `200 OK` with a value as JSON; `500` where the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        let mut body = Vec::with_capacity(128);
        match serde_json::to_writer(&mut body, value) {
            Ok(()) => Self::known(Body::Vec(body), &JSON),
            Err(error) => {
                Self::error(StatusCode::INTERNAL_SERVER_ERROR, &format!("no JSON: {error}"))
            }
        }
    }

    /// `200 OK` with a body that is sent as it comes.
    ///
    /// It has a `Content-Length` where the body's size hint is exact, else it is chunked, and for
    /// HTTP/1.0 ended by closing. The body is polled only when what came before it is on its way.
    /// Where it fails, or has another size than it said, the connection closes without the end of
    /// the message, so that the client can tell (but for a body that only closing ends). Trailers
    /// are not sent.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self { body: Body::Stream(Box::pin(body)), ..Self::default() }
    }

    /// `200 OK` with a body that is sent as a stream makes it.
    ///
    /// As [`stream`](Self::stream): chunked, asked for the next piece only when the client has
    /// taken the one before, and broken off where the stream fails. When the client is gone, the
    /// stream is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::Response;
    ///
    /// let lines = futures::stream::iter(["one\n", "two\n"].map(Ok::<_, std::io::Error>));
    /// let answer = Response::from_stream(lines);
    /// # let _ = answer;
    /// ```
    pub fn from_stream<S, D, E>(stream: S) -> Self
    where
        S: Pieces<Item = Result<D, E>> + Send + 'static,
        D: Into<Bytes> + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        Self::stream(Streamed::new(stream))
    }

    /// The answer `{"error": reason}` with this status.
    pub fn error(status: StatusCode, reason: &str) -> Self {
        Self::json(&std::collections::BTreeMap::from([("error", reason)])).with_status(status)
    }

    /// Sets the status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Sets a header field, in place of others of its name.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers_mut().insert(name, value);
        self
    }

    /// Does `work` when this answer has been sent, or its connection has failed before.
    ///
    /// The client does not wait for it, nor do other requests on its connection: it becomes a task
    /// of the runtime that serves the connection. The server's
    /// [`shutdown`](super::ServerHandle::shutdown) waits for it within its grace, and drops what is
    /// not done then. There may be as many at once as clients cause: work that takes long takes a
    /// permit of a [`Semaphore`](crate::sync::Semaphore) in its handler.
    ///
    /// May be called several times; the works run side by side. A response that never gets to a
    /// connection, because a [`Middleware`](super::Middleware) answered something else, drops them.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::Response;
    ///
    /// async fn order(_req: mainspring::http::Request) -> Response {
    ///     Response::text("thank you").after(async { println!("a mail is sent now") })
    /// }
    /// # let _ = order;
    /// ```
    #[track_caller]
    pub fn after(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let (future, location) = (Box::pin(work), Location::caller());
        self.after = Some(Box::new(After { future, location, next: self.after.take() }));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The first value of a header field; nothing where there is none or it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        if let Some(content_type) = self.content_type
            && name.eq_ignore_ascii_case("content-type")
        {
            return Some(content_type.name);
        }
        self.fields.as_ref()?.get(name)?.to_str().ok()
    }

    /// The header fields, for reading and changing.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        let fields = self.fields.get_or_insert_default();
        if let Some(content_type) = self.content_type.take() {
            fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type.name));
        }
        fields
    }

    fn known(body: Body, content_type: &'static ContentType) -> Self {
        Self { body, content_type: Some(content_type), ..Self::default() }
    }

    pub(super) fn fields(&self) -> Option<&HeaderMap> {
        self.fields.as_deref()
    }

    #[inline]
    pub(super) fn content_type(&self) -> Option<&'static ContentType> {
        self.content_type
    }

    /// The content type and the bytes of an answer of the usual kind: status 200, no fields of its own,
    /// nothing to be done afterwards.
    #[inline]
    pub(super) fn usual(&self) -> Option<(&'static ContentType, &[u8])> {
        let plain = self.status == StatusCode::OK && self.fields.is_none() && self.after.is_none();
        self.content_type.filter(|_| plain).zip(self.body.whole())
    }

    pub(super) fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    pub(super) fn take_after(&mut self) -> Option<Box<After>> {
        self.after.take()
    }

    /// Whether the body comes piece by piece.
    pub(super) fn is_streamed(&self) -> bool {
        matches!(self.body, Body::Stream(_))
    }
}

impl Body {
    /// The bytes, where they are all here.
    #[inline]
    pub(super) fn whole(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(b""),
            Self::Static(bytes) => Some(bytes),
            Self::Bytes(bytes) => Some(bytes),
            Self::Vec(bytes) => Some(bytes),
            Self::Stream(_) => None,
        }
    }

    /// The bytes without copying them; none of a stream.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Empty | Self::Stream(_) => Bytes::new(),
            Self::Static(bytes) => Bytes::from_static(bytes),
            Self::Bytes(bytes) => bytes,
            Self::Vec(bytes) => Bytes::from(bytes),
        }
    }
}

impl<B> Frames for B
where
    B: http_body::Body + Send,
    B::Error: Into<BoxError>,
{
    fn poll_data(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            return Poll::Ready(match ready!(self.as_mut().poll_frame(cx)) {
                None => None,
                Some(Err(error)) => Some(Err(error.into())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => Some(Ok(data.copy_to_bytes(data.remaining()))),
                    Err(_trailers) => continue,
                },
            });
        }
    }

    fn exact_size(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("content_type", &self.content_type.map(|content_type| content_type.name))
            .field("headers", &self.fields)
            .field("body", &self.body)
            .finish()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole() {
            Some(bytes) => write!(f, "{} bytes", bytes.len()),
            None => f.write_str("stream"),
        }
    }
}

/// What a handler may answer with.
///
/// Text is sent as `text/plain; charset=utf-8`, bytes as `application/octet-stream`, [`Json`] as
/// `application/json`; a status alone has no body. Of a `Result` both sides are answers.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use mainspring::http::{IntoResponse, Json};
///
/// assert_eq!("hello".into_response().status(), StatusCode::OK);
/// assert_eq!((StatusCode::CREATED, Json([1, 2])).into_response().status(), StatusCode::CREATED);
/// assert_eq!(Err::<&str, _>(StatusCode::NOT_FOUND).into_response().status(), StatusCode::NOT_FOUND);
/// ```
pub trait IntoResponse {
    /// Makes the answer.
    fn into_response(self) -> Response;
}

/// A value that is answered as JSON.
///
/// A value that cannot be written as JSON (a map whose keys are no strings) is answered with 500.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        Response::json(&self.0)
    }
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        Response::known(Body::Static(self.as_bytes()), &TEXT)
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::known(Body::Vec(self.into_bytes()), &TEXT)
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        Response::known(Body::Vec(self), &BYTES)
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        Response::known(Body::Bytes(self), &BYTES)
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        self.1.into_response().with_status(self.0)
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}
