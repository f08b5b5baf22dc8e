//! What the fields of a head say about the message and the connection.

use super::{Error, Limits, target};
use http::Version;

/// How the end of a request body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// There is no body.
    Empty,
    /// This many bytes, at least one.
    Known(u64),
    /// A chunk of size zero ends it.
    Chunked,
}

/// Collected field by field, judged when all have been seen.
#[derive(Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    coding: Option<Coding>,
    hosts: u8,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    expect_continue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    Unknown,
}

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) body: BodyLength,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    pub(super) expect_continue: bool,
}

impl Framing {
    /// Takes note of a field that matters here; the length tells most names apart.
    #[inline(always)]
    pub(super) fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        match name.len() {
            4 if is(name, b"host") => {
                self.hosts = self.hosts.saturating_add(1);
                if self.hosts > 1 || !target::is_host(value) {
                    return Err(Error::Host);
                }
            }
            6 if is(name, b"expect") => {
                self.expect_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if is(name, b"upgrade") => self.upgrade = true,
            10 if is(name, b"connection") => self.connection(value),
            14 if is(name, b"content-length") => {
                // A list of equal lengths may be folded into one (RFC 9110, section 8.6); it is
                // refused instead, because others take the first or the last.
                if self.length.is_some() {
                    return Err(Error::ContentLength);
                }
                self.length = Some(content_length(value)?);
            }
            17 if is(name, b"transfer-encoding") => {
                if self.coding.is_some() {
                    return Err(Error::TransferEncoding);
                }
                self.coding = Some(coding(value)?);
            }
            _ => {}
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn judge(&self, version: Version, limits: &Limits) -> Result<Verdict, Error> {
        let modern = version == Version::HTTP_11;
        if modern && self.hosts == 0 {
            return Err(Error::Host);
        }
        let body = match (self.length, self.coding) {
            (Some(_), Some(_)) => return Err(Error::LengthAndCoding),
            (_, Some(_)) if !modern => return Err(Error::TransferEncoding),
            (_, Some(Coding::Unknown)) => return Err(Error::UnknownCoding),
            (_, Some(Coding::Chunked)) => BodyLength::Chunked,
            (None | Some(0), None) => BodyLength::Empty,
            (Some(length), None) if length > limits.body => return Err(Error::BodyTooLarge),
            (Some(length), None) => BodyLength::Known(length),
        };
        Ok(Verdict {
            body,
            keep_alive: !self.close && (modern || self.keep_alive),
            upgrade: self.upgrade,
            expect_continue: modern && self.expect_continue && body != BodyLength::Empty,
        })
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// Whether a name, whose bytes are those of tokens, is `lower` but for its case. No byte of a token
/// but a capital becomes a small letter, or a hyphen, by the bit that makes small letters.
#[inline(always)]
fn is<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    name.iter().zip(lower).fold(0, |differs, (byte, lower)| differs | ((byte | 0x20) ^ lower)) == 0
}

fn content_length(value: &[u8]) -> Result<u64, Error> {
    if value.is_empty() {
        return Err(Error::ContentLength);
    }
    value.iter().try_fold(0u64, |length, byte| {
        if !byte.is_ascii_digit() {
            return Err(Error::ContentLength);
        }
        length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(byte - b'0')))
            .ok_or(Error::ContentLength)
    })
}

/// One line of codings. Chunked alone is served; a list that is well formed but names others is
/// not known here; chunked anywhere but once at the end leaves the body without an end.
fn coding(value: &[u8]) -> Result<Coding, Error> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let mut chunked = false;
    for coding in value.split(|&b| b == b',') {
        let name = coding.trim_ascii();
        if chunked || name.is_empty() || !name.iter().all(|&b| is_token(b)) {
            return Err(Error::TransferEncoding);
        }
        chunked = name.eq_ignore_ascii_case(b"chunked");
    }
    Ok(Coding::Unknown)
}

/// A byte of a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{is, is_token};

    #[test]
    fn names_are_told_apart() {
        assert!(is(b"hOsT", b"host") && !is(b"hosts", b"host") && !is(b"hos", b"host"));
        for byte in (0..=255u8).filter(|byte| is_token(*byte)) {
            let of = b"content-length";
            for at in 0..of.len() {
                let mut name = *of;
                name[at] = byte;
                assert_eq!(is(&name, of), name.eq_ignore_ascii_case(of), "{byte} at {at}");
            }
        }
    }
}
