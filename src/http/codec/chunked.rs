//! The chunked coding, read (RFC 9112, section 7.1).

use super::framing::is_token;
use super::{Error, Limits, find_empty_line};
use std::ops::Range;

/// Bytes of chunk extensions that one body may have. Nobody here reads them.
const EXTENSIONS_MAX: u16 = 16 * 1024;

/// Hexadecimal digits of a chunk size: those of 64 bits.
const DIGITS_MAX: u8 = 16;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of data that the current chunk still has.
    left: u64,
    /// Bytes of data in all chunks so far.
    total: u64,
    /// Bytes of extensions so far.
    extensions: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    #[default]
    Start,
    /// In the size, after this many digits.
    Size(u8),
    /// Behind a `;`, before the name.
    NameStart,
    Name,
    /// In the space behind a name.
    AfterName,
    /// Behind a `=`, before the value.
    ValueStart,
    Value,
    Quoted,
    /// Behind a backslash in a quoted value.
    Escaped,
    /// Behind a quoted value.
    AfterQuoted,
    /// In the space behind a value.
    AfterValue,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

#[derive(Debug)]
pub(super) enum Event {
    More,
    /// Where in the input a piece of the body lies.
    Data(Range<usize>),
    End,
}

impl Chunked {
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        scanned: &mut usize,
        limits: &Limits,
    ) -> Result<(usize, Event), Error> {
        let mut used = 0;
        loop {
            match self.at {
                At::Trailers => {
                    let end = trailers(&input[used..], scanned, limits)?;
                    return Ok(match end {
                        Some(end) => (used + end, Event::End),
                        None => (used, Event::More),
                    });
                }
                At::Data => {
                    let ready = input.len() - used;
                    let n = usize::try_from(self.left).map_or(ready, |left| left.min(ready));
                    if n == 0 {
                        return Ok((used, Event::More));
                    }
                    self.left -= n as u64;
                    if self.left == 0 {
                        self.at = At::DataCr;
                    }
                    return Ok((used + n, Event::Data(used..used + n)));
                }
                _ => {
                    let Some(&byte) = input.get(used) else { return Ok((used, Event::More)) };
                    self.at = self.line(byte, limits)?;
                    used += 1;
                }
            }
        }
    }

    /// Takes one byte of the lines around the data.
    fn line(&mut self, byte: u8, limits: &Limits) -> Result<At, Error> {
        let extension =
            !matches!(self.at, At::Start | At::Size(_) | At::SizeLf | At::DataCr | At::DataLf);
        if extension {
            self.extensions += 1;
            if self.extensions > EXTENSIONS_MAX {
                return Err(Error::ExtensionsTooLarge);
            }
        }
        let next = match (self.at, byte) {
            (At::Start | At::Size(_), b) if b.is_ascii_hexdigit() => return self.digit(b),
            (At::Size(_) | At::Name | At::Value | At::AfterQuoted, b'\r') => At::SizeLf,
            (
                At::Size(_)
                | At::Name
                | At::AfterName
                | At::Value
                | At::AfterQuoted
                | At::AfterValue,
                b';',
            ) => At::NameStart,
            // Space before a semicolon is allowed; behind it one must follow.
            (At::Size(_) | At::Value | At::AfterQuoted | At::AfterValue, b' ' | b'\t') => {
                At::AfterValue
            }
            (At::NameStart, b' ' | b'\t') => At::NameStart,
            (At::NameStart | At::Name, b) if is_token(b) => At::Name,
            (At::Name | At::AfterName, b' ' | b'\t') => At::AfterName,
            (At::Name | At::AfterName, b'=') => At::ValueStart,
            (At::ValueStart, b' ' | b'\t') => At::ValueStart,
            (At::ValueStart, b'"') => At::Quoted,
            (At::ValueStart | At::Value, b) if is_token(b) => At::Value,
            (At::Quoted, b'"') => At::AfterQuoted,
            (At::Quoted, b'\\') => At::Escaped,
            (At::Quoted | At::Escaped, b) if b == b'\t' || (b >= b' ' && b != 0x7f) => At::Quoted,
            (At::SizeLf, b'\n') if self.left == 0 => At::Trailers,
            (At::SizeLf, b'\n') => {
                self.total = self.total.saturating_add(self.left);
                if self.total > limits.body {
                    return Err(Error::BodyTooLarge);
                }
                At::Data
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Start,
            (_, b'\n') => return Err(Error::BareLf),
            _ => return Err(Error::Chunk),
        };
        Ok(next)
    }

    fn digit(&mut self, byte: u8) -> Result<At, Error> {
        let digits = match self.at {
            At::Size(digits) => digits,
            _ => 0,
        };
        if digits == DIGITS_MAX {
            return Err(Error::Chunk);
        }
        let value = (byte as char).to_digit(16).unwrap_or_default();
        self.left = (self.left << 4) | u64::from(value);
        Ok(At::Size(digits + 1))
    }
}

/// Finds the end of the trailer section and checks its lines.
///
/// The fields are dropped, all of them: none may change how the message is framed or routed, and
/// no handler reads others (RFC 9110, section 6.5.1).
fn trailers(input: &[u8], scanned: &mut usize, limits: &Limits) -> Result<Option<usize>, Error> {
    match input {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => return Ok(Some(2)),
        _ => {}
    }
    let whole = &input[..input.len().min(limits.head_bytes())];
    let Some(end) = find_empty_line(whole, scanned)? else {
        return match input.len() < limits.head_bytes() {
            true => Ok(None),
            false => Err(Error::TrailersTooLarge),
        };
    };
    *scanned = 0;
    let mut room = [httparse::EMPTY_HEADER; Limits::FIELDS_MAX];
    match httparse::parse_headers(&whole[..end], &mut room[..limits.field_lines()]) {
        Ok(httparse::Status::Complete((parsed, _))) if parsed == end => Ok(Some(end)),
        Err(httparse::Error::TooManyHeaders) => Err(Error::TrailersTooLarge),
        _ => Err(Error::Trailers),
    }
}
