//! Request heads: found, checked, and kept as offsets.

use super::framing::{BodyLength, Framing, Verdict};
use super::{Error, Limits, find_empty_line, quick, target};
use http::{Method, Version};
use httparse::Status;
use std::mem::MaybeUninit;

/// A request head: its bytes, and where in them its parts lie.
///
/// One allocation holds the bytes as they came and, behind them, four 16-bit numbers for each
/// field line: start and length of the name, start and length of the value.
#[derive(Debug)]
pub(crate) struct Head {
    bytes: Box<[u8]>,
    table: u16,
    target: (u16, u16),
    path: (u16, u16),
    method: MethodRef,
    version: Version,
    verdict: Verdict,
}

impl Head {
    /// The `text` of a head, at most [`Limits::HEAD_MAX`] bytes, and what was found in it: in `table`
    /// start and length of the name and start and length of the value for each field, and where target
    /// and path begin and end.
    #[inline]
    pub(super) fn new(
        text: &[u8],
        table: &[[u16; 4]],
        target: (usize, usize),
        path: (usize, usize),
        method: MethodRef,
        version: Version,
        verdict: Verdict,
    ) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 8 * table.len());
        bytes.extend_from_slice(text);
        for [a, b, c, d] in table.iter().map(|entry| entry.map(u16::to_le_bytes)) {
            bytes.extend_from_slice(&[a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]);
        }
        let short = |(from, to): (usize, usize)| (from as u16, to as u16);
        Self {
            table: text.len() as u16,
            bytes: bytes.into_boxed_slice(),
            target: short(target),
            path: short(path),
            method,
            version,
            verdict,
        }
    }

    pub(crate) fn method(&self) -> &Method {
        self.method.get()
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The target as it came.
    pub(crate) fn target(&self) -> &str {
        self.text(self.target)
    }

    /// The path as it came, not decoded: `/` where an absolute target has none (`*` for OPTIONS),
    /// empty for CONNECT.
    pub(crate) fn path(&self) -> &str {
        match self.text(self.path) {
            "" if *self.method() == Method::OPTIONS => "*",
            "" if *self.method() != Method::CONNECT => "/",
            path => path,
        }
    }

    /// The path, where the target begins with one; else nothing.
    #[inline]
    pub(crate) fn path_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.path.0)..usize::from(self.path.1)]
    }

    /// What follows the first `?`.
    pub(crate) fn query(&self) -> Option<&str> {
        let follows = self.path.1 < self.target.1;
        follows.then(|| self.text((self.path.1 + 1, self.target.1)))
    }

    /// The first value of the field `name`, whose case does not matter.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields()
            .find(|(is, _)| is.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// All fields, in their order, names as they came.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (text, table) = self.bytes.split_at(usize::from(self.table));
        table.chunks_exact(8).map(|entry| {
            let at = |n: usize| usize::from(u16::from_le_bytes([entry[n], entry[n + 1]]));
            let cut = |from: usize| &text[at(from)..at(from) + at(from + 2)];
            (cut(0), cut(4))
        })
    }

    pub(crate) fn body(&self) -> BodyLength {
        self.verdict.body
    }

    /// Whether the client lets the connection go on after the answer.
    pub(crate) fn keep_alive(&self) -> bool {
        self.verdict.keep_alive
    }

    /// Whether what follows may be in another protocol.
    pub(crate) fn leaves_http(&self) -> bool {
        self.verdict.upgrade || *self.method() == Method::CONNECT
    }

    /// Whether the client waits for a 100 before it sends the body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.verdict.expect_continue
    }

    fn text(&self, (from, to): (u16, u16)) -> &str {
        // Ranges of a checked target are ASCII.
        std::str::from_utf8(&self.bytes[usize::from(from)..usize::from(to)]).unwrap_or_default()
    }
}

/// A method that is cheap to move: nearly all requests have one of nine.
#[derive(Debug)]
pub(super) enum MethodRef {
    Standard(&'static Method),
    Other(Box<Method>),
}

static GET: Method = Method::GET;
static HEAD: Method = Method::HEAD;
static POST: Method = Method::POST;
static PUT: Method = Method::PUT;
static PATCH: Method = Method::PATCH;
static DELETE: Method = Method::DELETE;
static OPTIONS: Method = Method::OPTIONS;
static CONNECT: Method = Method::CONNECT;
static TRACE: Method = Method::TRACE;

impl MethodRef {
    #[inline]
    fn new(name: &str) -> Result<Self, Error> {
        Ok(Self::Standard(match name {
            "GET" => &GET,
            "POST" => &POST,
            "HEAD" => &HEAD,
            "PUT" => &PUT,
            "PATCH" => &PATCH,
            "DELETE" => &DELETE,
            "OPTIONS" => &OPTIONS,
            "CONNECT" => &CONNECT,
            "TRACE" => &TRACE,
            other => {
                let other = Method::from_bytes(other.as_bytes()).map_err(|_| Error::RequestLine)?;
                return Ok(Self::Other(Box::new(other)));
            }
        }))
    }

    #[inline]
    fn get(&self) -> &Method {
        match self {
            Self::Standard(method) => method,
            Self::Other(method) => method,
        }
    }
}

/// Reads the head at the start of `input`, once it is all there.
///
/// The first look at a head is by a reader for the usual, the next by the parser itself, and most
/// often the first succeeds. Everything else goes by the end of the head: what is wrong with it is
/// said when it is complete, or when its lines or its size are wrong whatever may follow. So the
/// answer does not depend on how the input was cut.
#[inline]
pub(super) fn decode(
    input: &[u8],
    scanned: &mut usize,
    limits: &Limits,
) -> Result<Option<(usize, Head)>, Error> {
    let whole = &input[..input.len().min(limits.head_bytes())];
    if *scanned == 0
        && let Some(read) = quick::read(whole, limits)
    {
        return Ok(Some(read));
    }
    decode_rare(whole, scanned, limits)
}

#[cold]
#[inline(never)]
fn decode_rare(
    whole: &[u8],
    scanned: &mut usize,
    limits: &Limits,
) -> Result<Option<(usize, Head)>, Error> {
    if *scanned == 0
        && let Ok(Some((end, head))) = parse(whole, limits)
    {
        return head.map(|head| Some((end, head)));
    }
    decode_by_end(whole, scanned, limits)
}

#[cold]
pub(super) fn decode_by_end(
    whole: &[u8],
    scanned: &mut usize,
    limits: &Limits,
) -> Result<Option<(usize, Head)>, Error> {
    match find_empty_line(whole, scanned)? {
        Some(end) => {
            *scanned = 0;
            complete(&whole[..end], limits).map(|head| Some((end, head)))
        }
        None if whole.len() < limits.head_bytes() => Ok(None),
        None if !whole.contains(&b'\n') => Err(Error::TargetTooLong),
        None => Err(Error::HeadTooLarge),
    }
}

/// Reads a head that is known to be complete.
#[cold]
fn complete(head: &[u8], limits: &Limits) -> Result<Head, Error> {
    let parsed = match parse(head, limits) {
        Err(httparse::Error::Version) => parse(&in_our_version(head)?, limits),
        parsed => parsed,
    };
    match parsed {
        Ok(Some((end, parsed))) if end == head.len() => parsed,
        Ok(_) => Err(Error::RequestLine),
        Err(error) => Err(match error {
            httparse::Error::HeaderName => Error::FieldName,
            httparse::Error::HeaderValue => Error::FieldValue,
            httparse::Error::TooManyHeaders => Error::TooManyFields,
            _ => Error::RequestLine,
        }),
    }
}

/// Makes a later minor version of HTTP/1 into HTTP/1.1, as which it is served (RFC 9110,
/// section 2.5).
fn in_our_version(head: &[u8]) -> Result<Vec<u8>, Error> {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&b| b == b' ');
    let version = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some(_), Some(version), None) => version,
        _ => return Err(Error::RequestLine),
    };
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
            let mut head = head.to_vec();
            head[line.len() - 1] = b'1';
            Ok(head)
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Error::Version)
        }
        _ => Err(Error::RequestLine),
    }
}

/// A head's end and what came of it; nothing while it is not complete.
type Parsed = Option<(usize, Result<Head, Error>)>;

fn parse(input: &[u8], limits: &Limits) -> Result<Parsed, httparse::Error> {
    let mut room = [const { MaybeUninit::uninit() }; Limits::FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let room = &mut room[..limits.field_lines()];
    match request.parse_with_uninit_headers(input, room)? {
        Status::Complete(end) => Ok(Some((end, check(&input[..end], &request, limits)))),
        Status::Partial => Ok(None),
    }
}

/// Checks what the parser leaves to us, and keeps the head.
fn check(input: &[u8], parsed: &httparse::Request<'_, '_>, limits: &Limits) -> Result<Head, Error> {
    let offset = |part: &[u8]| part.as_ptr() as usize - input.as_ptr() as usize;
    // The parser takes a bare LF for the end of a line. The bytes before each line tell.
    let starts = parsed.headers.iter().map(|field| offset(field.name.as_bytes()));
    if !input.ends_with(b"\r\n\r\n") || starts.into_iter().any(|at| input[at - 2] != b'\r') {
        return Err(Error::BareLf);
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Error::RequestLine);
    };
    let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let method = MethodRef::new(method)?;
    if target.len() > limits.target {
        return Err(Error::TargetTooLong);
    }
    let parts = target::split(method.get(), target.as_bytes())?;

    let mut framing = Framing::default();
    let mut table = Vec::with_capacity(parsed.headers.len());
    for field in &*parsed.headers {
        let name = field.name.as_bytes();
        framing.note(name, field.value)?;
        let entry = [offset(name), name.len(), offset(field.value), field.value.len()];
        table.push(entry.map(|n| n as u16));
    }
    let verdict = framing.judge(version, limits)?;
    let start = offset(target.as_bytes());
    let path = (start + parts.0, start + parts.1);
    let target = (start, start + target.len());
    Ok(Head::new(input, &table, target, path, method, version, verdict))
}
