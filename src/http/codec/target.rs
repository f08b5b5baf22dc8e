//! Request targets and Host values (RFC 9112, section 3.2; RFC 3986).

use super::Error;
use http::Method;

/// Where a target's path begins and ends; at the target's end where it has none. What follows the
/// path is a `?` and the query.
pub(super) type Path = (usize, usize);

/// Finds the path in a target that has the form its method asks for.
#[inline]
pub(super) fn split(method: &Method, target: &[u8]) -> Result<Path, Error> {
    if target.first() == Some(&b'/') && *method != Method::CONNECT {
        return path_and_query(target, 0);
    }
    split_rare(method, target)
}

#[cold]
fn split_rare(method: &Method, target: &[u8]) -> Result<Path, Error> {
    if *method == Method::CONNECT {
        // The port has no default here.
        let named =
            matches!(target.iter().rposition(|&b| b == b':'), Some(at) if at + 1 < target.len());
        return match named && is_authority(target) {
            true => Ok((target.len(), target.len())),
            false => Err(Error::Target),
        };
    }
    if target == b"*" {
        return match *method == Method::OPTIONS {
            true => Ok((0, 1)),
            false => Err(Error::Target),
        };
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.len() > scheme.len()
            && target[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
    });
    let start = scheme.ok_or(Error::Target)?.len();
    let end = target[start..]
        .iter()
        .position(|&b| b == b'/' || b == b'?')
        .map_or(target.len(), |offset| start + offset);
    if !is_authority(&target[start..end]) {
        return Err(Error::Target);
    }
    path_and_query(target, end)
}

#[inline]
fn path_and_query(target: &[u8], start: usize) -> Result<Path, Error> {
    let mut path_end = None;
    for (offset, &byte) in target[start..].iter().enumerate() {
        if TARGET[usize::from(byte)] {
            continue;
        }
        if byte != b'?' {
            return Err(Error::Target);
        }
        path_end.get_or_insert(start + offset);
    }
    Ok((start, path_end.unwrap_or(target.len())))
}

/// Whether `text` is a host that is not empty, with or without a port, and can be part of a `Uri`,
/// which knows no percent signs in it.
fn is_authority(text: &[u8]) -> bool {
    !matches!(text, [] | [b':', ..]) && is_host(text) && !text.contains(&b'%')
}

/// Whether `value` is a host with or without a port (RFC 3986, sections 3.2.2 and 3.2.3).
///
/// An empty one is valid: it is what a client sends whose target has no authority. A comma is
/// not, though a registered name may hold one: it is what a proxy makes of two Host fields.
#[inline]
pub(super) fn is_host(value: &[u8]) -> bool {
    match value.iter().position(|&byte| !HOST[usize::from(byte)]) {
        None => true,
        Some(at) if value[at] == b':' => is_port(&value[at..]),
        Some(at) => is_rare_host(value, at),
    }
}

/// A host that has something else than plain bytes `at` one place.
#[cold]
fn is_rare_host(value: &[u8], at: usize) -> bool {
    if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|&b| b == b']') else { return false };
        return is_ip_literal(&value[1..end]) && is_port(&value[end + 1..]);
    }
    value[at] == b'%' && is_encoded(&value[at + 1..]) && is_host(&value[at + 3..])
}

/// A colon and a number, a colon alone, or nothing.
#[inline]
fn is_port(port: &[u8]) -> bool {
    let Some((b':', digits)) = port.split_first() else { return port.is_empty() };
    if digits.len() > 5 {
        return false;
    }
    let mut number = 0;
    for &byte in digits {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return false;
        }
        number = number * 10 + digit;
    }
    number <= u32::from(u16::MAX)
}

fn is_ip_literal(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether two hexadecimal digits follow a percent sign.
fn is_encoded(rest: &[u8]) -> bool {
    matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

/// Bytes of a path or query, `?` apart: those of RFC 3986, and the few others that browsers send
/// as they are. No `#`: a fragment never leaves the client.
pub(super) static TARGET: [bool; 256] = table(b"-._~!$&'()*+,;=:@/%[]{}|^");
static HOST: [bool; 256] = table(b"-._~!$&'()*+;=");

const fn table(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{TARGET, is_host};

    #[test]
    fn every_accepted_byte_can_become_a_uri() {
        for byte in 0..=255u8 {
            if !TARGET[usize::from(byte)] {
                continue;
            }
            for target in [vec![b'/', byte], vec![b'/', b'?', byte]] {
                let uri = http::Uri::try_from(&target[..]);
                assert!(uri.is_ok(), "{:?}", byte as char);
            }
        }
    }

    #[test]
    fn hosts() {
        for good in [
            "",
            "a",
            "example.com",
            "example.com:80",
            "a:",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a%2Fb",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a,b", "u@a", "a/b", "a?b", "a:b", "a:99999", "a:1:2", "[::1", "[g::]",
            "[::1]x", "::1", "a%2", "a%zz", "a\\b", "a#b",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
