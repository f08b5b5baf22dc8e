//! Requests, as handlers see them.

use super::body::Body;
use super::codec::{BodyLength, Head};
use super::error::{BadParam, BadQuery, BodyError, JsonError, MissingState};
use super::incoming::Incoming;
use super::percent;
use super::router::Matched;
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use serde::de::DeserializeOwned;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

/// A request: its head, and its body as it comes.
///
/// It keeps the bytes of its head and where the parts lie in them. [`uri`](Self::uri) and
/// [`headers`](Self::headers) build the `http` crate's types when they are first asked for;
/// [`path`](Self::path), [`query_str`](Self::query_str) and [`header`](Self::header) cost no
/// allocation.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Error, Request, Router};
///
/// async fn greet(mut req: Request) -> Result<String, Error> {
///     let name: String = req.param("name")?;
///     let note = req.text().await?;
///     Ok(format!("{name} says {note} with {}", req.header("user-agent").unwrap_or("nothing")))
/// }
/// let router = Router::new().post("/greet/{name}", greet);
/// # let _ = router;
/// ```
pub struct Request {
    head: Head,
    body: Incoming,
    matched: Option<Matched>,
    uri: OnceLock<Box<Uri>>,
    headers: OnceLock<Box<HeaderMap>>,
    extensions: Extensions,
}

impl Request {
    pub(super) fn new(head: Head, body: Incoming) -> Self {
        Self {
            head,
            body,
            matched: None,
            uri: OnceLock::new(),
            headers: OnceLock::new(),
            extensions: Extensions::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn body_mut(&mut self) -> &mut Incoming {
        &mut self.body
    }

    pub(super) fn set_matched(&mut self, matched: Matched) {
        self.matched = Some(matched);
    }

    /// The method.
    #[inline]
    pub fn method(&self) -> &Method {
        self.head.method()
    }

    /// The path as it came, percent signs and all.
    #[inline]
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// The same, before it is told to be text.
    #[inline]
    pub(super) fn path_bytes(&self) -> &[u8] {
        self.head.path_bytes()
    }

    /// What follows the first `?` of the target, as it came.
    #[inline]
    pub fn query_str(&self) -> Option<&str> {
        self.head.query()
    }

    /// The request target as it came (RFC 9112, section 3.2).
    #[inline]
    pub fn target(&self) -> &str {
        self.head.target()
    }

    /// The request target, parsed when first asked for.
    pub fn uri(&self) -> &Uri {
        // What the decoder lets through is a valid URI; its tests and fuzzers hold that.
        self.uri.get_or_init(|| Box::new(self.target().parse().unwrap_or_default()))
    }

    /// HTTP/1.0 or HTTP/1.1.
    #[inline]
    pub fn version(&self) -> Version {
        self.head.version()
    }

    /// The first value of a header field; nothing where there is none or it is not UTF-8.
    ///
    /// Of `Host`: where the target is absolute, its host counts (RFC 9112, section 3.2.2), and it
    /// need not be the same.
    ///
    /// The name's case does not matter. Looks through the fields in their order.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header_bytes(name)?).ok()
    }

    /// The first value of a header field, whatever bytes it has.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.head.field(name)
    }

    /// All header fields, collected when first asked for.
    pub fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| {
            let mut map = HeaderMap::new();
            for (name, value) in self.head.fields() {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    map.append(name, value);
                }
            }
            Box::new(map)
        })
    }

    /// The path parameter `name` of the route, decoded and parsed.
    ///
    /// # Errors
    ///
    /// The route has no such parameter, or its text is not a `T`.
    pub fn param<T>(&self, name: &str) -> Result<T, BadParam>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self
            .matched
            .as_ref()
            .and_then(|matched| matched.param(name, self.path()))
            .ok_or_else(|| BadParam::Unknown(name.to_owned()))?;
        percent::decode(text)
            .map_err(BadParam::not_utf8(name))?
            .parse()
            .map_err(|e: T::Err| BadParam::Invalid { name: name.to_owned(), reason: e.to_string() })
    }

    /// The value of this type that [`Router::with_state`](super::Router::with_state) shares.
    ///
    /// # Errors
    ///
    /// The router has none. Answered with 500: it is the server's fault.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, MissingState> {
        let state = self.matched.as_ref().and_then(Matched::state);
        state.ok_or(MissingState(std::any::type_name::<T>()))
    }

    /// What a [`Middleware`](super::Middleware) has said of this request.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Where a [`Middleware`](super::Middleware) says something of this request to what comes
    /// behind it.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// The query, `application/x-www-form-urlencoded`, as a `T`.
    ///
    /// # Errors
    ///
    /// The query does not have the shape of `T`. A request without a query has an empty one.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, BadQuery> {
        serde_urlencoded::from_str(self.query_str().unwrap_or_default())
            .map_err(|error| BadQuery(error.to_string()))
    }

    /// The body, to be read piece by piece; what was not read before is in it.
    ///
    /// It is handed out once: then it is [`BodyError::Taken`] for all who ask the request.
    pub fn body(&mut self) -> Body {
        let incoming = std::mem::replace(&mut self.body, Incoming::Taken);
        let left = match (&incoming, self.head.body()) {
            (Incoming::Full(bytes), _) => Some(bytes.len() as u64),
            (Incoming::Partial(..), BodyLength::Known(length)) => Some(length),
            _ => None,
        };
        Body::new(incoming, left)
    }

    /// The whole body.
    ///
    /// Can be called again; the same bytes come back.
    ///
    /// # Errors
    ///
    /// The body is too large, its framing is broken, or the connection failed before its end.
    ///
    /// # Cancel safety
    ///
    /// What has come is kept in the request: a later call goes on from there.
    pub async fn bytes(&mut self) -> Result<Bytes, BodyError> {
        self.body.collect().await
    }

    /// The whole body as text.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and where the body is not UTF-8.
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    pub async fn text(&mut self) -> Result<String, BodyError> {
        text(self.bytes().await?)
    }

    /// The whole body, JSON, as a `T`.
    ///
    /// The request must say so by its content type, `application/json` or another that ends with
    /// `+json`. Any page may make a browser send text, a form, or bytes without a type to any
    /// server, with the cookies that it has for that; for what is said to be JSON the browser asks
    /// first ([`Cors`](super::Cors)). Who wants to read JSON of any type takes
    /// [`bytes`](Self::bytes).
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and where the body is not said to be JSON, is not JSON, or not of
    /// the shape of `T`.
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, JsonError> {
        self.check_json()?;
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }

    fn check_json(&self) -> Result<(), JsonError> {
        let said = self.header("content-type").is_some_and(says_json);
        if said { Ok(()) } else { Err(JsonError::ContentType) }
    }
}

/// The body for handlers that cannot await it: those in the blocking pool, which are called when
/// all of it has come.
impl Request {
    /// The whole body, as [`bytes`](Self::bytes), without waiting for it.
    ///
    /// # Errors
    ///
    /// It has not been read, or was handed out.
    pub fn bytes_now(&self) -> Result<Bytes, BodyError> {
        self.body.collected()
    }

    /// The whole body, as [`text`](Self::text), without waiting for it.
    ///
    /// # Errors
    ///
    /// As [`bytes_now`](Self::bytes_now), and where the body is not UTF-8.
    pub fn text_now(&self) -> Result<String, BodyError> {
        text(self.bytes_now()?)
    }

    /// The whole body, as [`json`](Self::json), without waiting for it.
    ///
    /// # Errors
    ///
    /// As [`bytes_now`](Self::bytes_now), and where the body is not said to be JSON, is not JSON, or
    /// not of the shape of `T`.
    pub fn json_now<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        self.check_json()?;
        Ok(serde_json::from_slice(&self.bytes_now()?)?)
    }
}

/// Whether a content type is that of JSON (RFC 8259, section 11; RFC 6839, section 3.1).
fn says_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim_ascii();
    let Some((kind, name)) = essence.split_once('/') else { return false };
    let suffixed = || name.rsplit_once('+').is_some_and(|(_, suffix)| is_json(suffix));
    kind.eq_ignore_ascii_case("application") && (is_json(name) || suffixed())
}

fn is_json(name: &str) -> bool {
    name.eq_ignore_ascii_case("json")
}

fn text(bytes: Bytes) -> Result<String, BodyError> {
    String::from_utf8(bytes.into()).map_err(|_| BodyError::NotUtf8)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}
