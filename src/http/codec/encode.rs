//! Answers, written.

use http::header::{self, HeaderMap};
use http::{HeaderValue, StatusCode};

/// A date as it stands in a field: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) type DateText = [u8; 29];

/// What tells an interim answer from a final one and lets the client send its body.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What ends a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A content type, and the start of the answer that most often has it.
#[derive(Debug)]
pub(crate) struct ContentType {
    pub(crate) name: &'static str,
    /// The head of an answer with status 200 up to the length of its body.
    start: &'static [u8],
}

macro_rules! content_type {
    ($name:literal) => {{
        let start = concat!("HTTP/1.1 200 OK\r\ncontent-type: ", $name, "\r\ncontent-length: ");
        ContentType { name: $name, start: start.as_bytes() }
    }};
}

pub(crate) static TEXT: ContentType = content_type!("text/plain; charset=utf-8");
pub(crate) static JSON: ContentType = content_type!("application/json");
pub(crate) static BYTES: ContentType = content_type!("application/octet-stream");

/// Writes the head that most answers have: status 200, `length` bytes that follow, no fields of their
/// own, over HTTP/1.1 and a connection that goes on. As [`ResponseHead::encode`] does, in three pieces.
#[inline]
pub(crate) fn usual(content_type: &ContentType, length: usize, date: &DateText, out: &mut Vec<u8>) {
    out.extend_from_slice(content_type.start);
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    let mut end = *b"\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
    end[8..37].copy_from_slice(date);
    out.extend_from_slice(&end);
}

/// How the client finds the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The status says that there is none.
    Bodyless,
    Length(u64),
    Chunked,
    /// The end of the connection ends it: for HTTP/1.0, which knows no chunks.
    UntilClose,
}

/// What becomes of the connection after this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It goes on, as HTTP/1.1 has it when nothing is said.
    Implied,
    /// It goes on, which HTTP/1.0 must be told.
    KeepAlive,
    Close,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: StatusCode,
    pub(crate) fields: &'a HeaderMap,
    /// A content type that is not among the fields.
    pub(crate) content_type: Option<&'static ContentType>,
    pub(crate) framing: Framing,
    pub(crate) persistence: Persistence,
    pub(crate) date: &'a DateText,
}

impl ResponseHead<'_> {
    /// Writes the head behind what `out` holds.
    ///
    /// The fields that frame the message are the server's own: `Content-Length`,
    /// `Transfer-Encoding`, `Connection` and `Keep-Alive` among the fields are passed over.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        // The version is the server's own, not the request's (RFC 9110, section 2.5).
        if self.status == StatusCode::OK {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        } else {
            status_line(self.status, out);
        }
        if let Some(content_type) = self.content_type {
            out.extend_from_slice(b"content-type: ");
            out.extend_from_slice(content_type.name.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        match self.framing {
            Framing::Length(length) => {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::Bodyless | Framing::UntilClose => {}
        }
        match self.persistence {
            Persistence::Implied => {}
            Persistence::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
            Persistence::Close => out.extend_from_slice(b"connection: close\r\n"),
        }
        let mut dated = false;
        if !self.fields.is_empty() {
            dated = self.fields.contains_key(header::DATE);
            for (name, value) in self.fields.iter().filter(|(name, _)| !is_ours(name)) {
                out.extend_from_slice(name.as_str().as_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        if dated {
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(b"date: ");
            out.extend_from_slice(self.date);
            out.extend_from_slice(b"\r\n\r\n");
        }
    }
}

#[cold]
fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn is_ours(name: &header::HeaderName) -> bool {
    *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONNECTION
        || name.as_str() == "keep-alive"
}

/// Writes the line before a chunk of `length` bytes, of which there is at least one: none would
/// end the body.
pub(crate) fn chunk_start(length: usize, out: &mut Vec<u8>) {
    debug_assert_ne!(length, 0);
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(length >> (digit * 4)) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}

/// What ends a chunk.
pub(crate) const CHUNK_END: &[u8] = b"\r\n";

/// Whether the fields ask for the connection to close.
pub(crate) fn asks_to_close(fields: &HeaderMap) -> bool {
    let names_close = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    !fields.is_empty() && fields.get_all(header::CONNECTION).iter().any(names_close)
}
