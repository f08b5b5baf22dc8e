//! What can be wrong with a request, and how it is answered.

use super::response::{IntoResponse, Response};
use super::{codec, percent};
use crate::task::{Busy, JoinError};
use crate::time::Elapsed;
use http::{StatusCode, header};
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;
use std::{error, fmt, io};

/// A status and a reason: the one error type that a handler needs.
///
/// Every typed error of this module turns into it, so that `?` works on all of them in one
/// handler; so do those of what handlers await: a task that failed is answered with 500 (503 where
/// it was cancelled), a [`timeout`](crate::time::timeout) with 504, and [`Busy`] with 503 and
/// `Retry-After`. It is answered as `{"error": reason}`.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Error, Request};
///
/// async fn double(req: Request) -> Result<String, Error> {
///     let n: u32 = req.param("n")?;
///     let n = n.checked_mul(2).ok_or_else(|| Error::new(http::StatusCode::BAD_REQUEST, "too large"))?;
///     Ok(n.to_string())
/// }
/// # let _ = double;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: StatusCode,
    reason: Cow<'static, str>,
    /// Whole seconds.
    retry_after: Option<NonZeroU32>,
}

impl Error {
    /// An error that is answered with `status` and this reason.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), retry_after: None }
    }

    /// Says when the client may try again, in whole seconds and at least one: `Retry-After`.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        let begun = u64::from(wait.subsec_nanos() > 0);
        let seconds = wait.as_secs().saturating_add(begun).max(1);
        self.retry_after = NonZeroU32::new(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The text it is answered with.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl error::Error for Error {}

impl<T> From<Busy<T>> for Error {
    fn from(_: Busy<T>) -> Self {
        let reason = "the server is busy, try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason).with_retry_after(Duration::from_secs(1))
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        // What a task panicked with is for the log, not for the client.
        match error.is_cancelled() {
            true => Self::new(StatusCode::SERVICE_UNAVAILABLE, "the work was cancelled"),
            false => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the work failed"),
        }
    }
}

impl From<Elapsed> for Error {
    fn from(_: Elapsed) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "the work took too long")
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let answer = Response::error(self.status, &self.reason);
        match self.retry_after {
            Some(seconds) => answer.with_header(header::RETRY_AFTER, seconds.get().into()),
            None => answer,
        }
    }
}

/// Why a request's body could not be read. Answered with 413 where it is too large, 500
/// where the handler asked wrongly, else 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It has more bytes than the server accepts (default 2 MiB).
    TooLarge,
    /// Its framing is broken in the way that is said.
    Malformed(&'static str),
    /// The client closed its side before the end.
    Incomplete,
    /// The connection failed.
    Io(io::ErrorKind),
    /// The request was answered before its body was read.
    Closed,
    /// It was asked for as text and is not UTF-8.
    NotUtf8,
    /// [`Request::body`](super::Request::body) has handed it out.
    Taken,
    /// It was asked for without waiting, and has not come.
    NotRead,
}

impl BodyError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Taken | Self::NotRead => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<codec::Error> for BodyError {
    fn from(error: codec::Error) -> Self {
        match error {
            codec::Error::BodyTooLarge => Self::TooLarge,
            other => Self::Malformed(other.reason()),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("request body too large"),
            Self::Malformed(reason) => f.write_str(reason),
            Self::Incomplete => f.write_str("the request ended before its body was complete"),
            Self::Io(kind) => write!(f, "the request body could not be read: {kind}"),
            Self::Closed => f.write_str("the request was answered before its body was read"),
            Self::NotUtf8 => f.write_str("request body is not UTF-8"),
            Self::NotRead => f.write_str("the request body was not read before it was asked for"),
            Self::Taken => f.write_str("the request body was handed out before"),
        }
    }
}

/// Why a request's body is not the value that was asked for.
///
/// Answered with 415 where the request does not say that it is JSON, 400 where it is not, 422 where
/// it is JSON of another shape, and as [`BodyError`] where it could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum JsonError {
    /// It could not be read.
    Body(BodyError),
    /// The request does not say that its body is JSON.
    ContentType,
    /// It is not JSON.
    Syntax(serde_json::Error),
    /// It is JSON, but of another shape.
    Shape(serde_json::Error),
}

impl JsonError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(error) => error.status(),
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Syntax(_) => StatusCode::BAD_REQUEST,
            Self::Shape(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl From<BodyError> for JsonError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        match error.is_data() {
            true => Self::Shape(error),
            false => Self::Syntax(error),
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => error.fmt(f),
            Self::ContentType => f.write_str(
                "request body is not said to be JSON: send Content-Type: application/json",
            ),
            Self::Syntax(error) => write!(f, "request body is not JSON: {error}"),
            Self::Shape(error) => write!(f, "request body has the wrong shape: {error}"),
        }
    }
}

/// Why a request's query is not the value that was asked for. Answered with 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery(pub(super) String);

impl fmt::Display for BadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid query: {}", self.0)
    }
}

/// Why a path parameter is not the value that was asked for.
///
/// Answered with 400, or with 500 where the route has no parameter of that name: that is the
/// server's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadParam {
    /// The route has no parameter of this name.
    Unknown(String),
    /// Decoding the percent signs gives no UTF-8.
    NotUtf8(String),
    /// The text is not a value of the type that was asked for.
    Invalid {
        /// The parameter's name.
        name: String,
        /// What the type's `FromStr` says.
        reason: String,
    },
}

impl BadParam {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn not_utf8(name: &str) -> impl FnOnce(percent::NotUtf8) -> Self {
        move |_| Self::NotUtf8(name.to_owned())
    }
}

impl fmt::Display for BadParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the route has no parameter `{name}`"),
            Self::NotUtf8(name) => write!(f, "parameter `{name}` is not UTF-8"),
            Self::Invalid { name, reason } => write!(f, "parameter `{name}`: {reason}"),
        }
    }
}

/// A handler asked for a state that its router does not have. Answered with 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingState(pub(super) &'static str);

impl MissingState {
    fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl fmt::Display for MissingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the router has no state of type `{}`: give it one by `with_state`", self.0)
    }
}

impl error::Error for MissingState {}
impl error::Error for BodyError {}
impl error::Error for BadQuery {}
impl error::Error for BadParam {}

impl error::Error for JsonError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Body(error) => Some(error),
            Self::ContentType => None,
            Self::Syntax(error) | Self::Shape(error) => Some(error),
        }
    }
}

impl BadQuery {
    fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

/// Each typed error answers for itself and turns into [`Error`].
macro_rules! answered {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(error.status(), error.to_string())
            }
        }

        impl IntoResponse for $error {
            fn into_response(self) -> Response {
                Error::from(self).into_response()
            }
        }
    )*};
}
answered!(BodyError, JsonError, BadQuery, BadParam, MissingState);
