//! The heads that nearly all requests have, read in one pass.
//!
//! What this reader takes is a part of what the general one takes, and it makes the same of it. Of
//! everything else, an error or an incomplete head as well as a form that is only unusual, it says
//! nothing, and the general one is asked. So it decides nothing about what is accepted; the tests
//! and the fuzzers hold the two against each other.

use super::Limits;
use super::framing::{Framing, is_token};
use super::head::{Head, MethodRef};
use super::target::{TARGET, span};
use http::{Method, Version};

/// Field lines of a head that is read here.
const FIELDS: usize = 24;

/// What stands behind the target.
const VERSION: &[u8; 11] = b" HTTP/1.1\r\n";

/// The head at the start of `input`, and where it ends; nothing where that is not for this reader
/// to say. `input` has no more bytes than a head may have.
#[inline]
pub(super) fn read(input: &[u8], limits: &Limits) -> Option<(usize, Head)> {
    let (method, start) = method(input)?;
    if input.get(start) != Some(&b'/') {
        return None;
    }
    let path_end = start + span(&TARGET, &input[start..]);
    let mut target_end = path_end;
    while input.get(target_end) == Some(&b'?') {
        target_end += 1;
        target_end += span(&TARGET, &input[target_end..]);
    }
    if target_end - start > limits.target || input.get(target_end..)?.first_chunk()? != VERSION {
        return None;
    }
    let mut at = target_end + VERSION.len();

    let mut framing = Framing::default();
    let mut table = [[0; 4]; FIELDS];
    let mut fields = 0;
    loop {
        let rest = &input[at..];
        if rest.first_chunk()? == b"\r\n" {
            break;
        }
        let colon = span(&TOKEN, rest);
        let (name, value) = rest.split_at(colon);
        // One space in front of the value, and none behind it.
        let value = value.strip_prefix(b": ")?;
        let end = control(value)?;
        let (value, line_end) = value.split_at(end);
        let spaced = value.first()? == &b' ' || value.last()? == &b' ';
        if name.is_empty() || spaced || line_end.first_chunk()? != b"\r\n" {
            return None;
        }
        framing.note(name, value).ok()?;
        let value_at = at + colon + 2;
        *table.get_mut(fields)? = [at, name.len(), value_at, value.len()].map(|n| n as u16);
        fields += 1;
        at = value_at + value.len() + 2;
    }
    if fields > limits.field_lines() {
        return None;
    }
    let end = at + 2;
    let verdict = framing.judge(Version::HTTP_11, limits).ok()?;
    let (target, path) = ((start, target_end), (start, path_end));
    let (text, version) = (&input[..end], Version::HTTP_11);
    Some((end, Head::new(text, &table[..fields], target, path, method, version, verdict)))
}

/// The method, and where the target begins.
#[inline]
fn method(input: &[u8]) -> Option<(MethodRef, usize)> {
    let (method, length) = match input.first_chunk()? {
        b"GET " => (&Method::GET, 4),
        b"PUT " => (&Method::PUT, 4),
        b"POST" => (&Method::POST, 5),
        b"HEAD" => (&Method::HEAD, 5),
        _ => return None,
    };
    (input.get(length - 1) == Some(&b' ')).then_some((MethodRef::Standard(method), length))
}

/// Where the first byte is that a value cannot have, tabs included.
#[inline]
fn control(value: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let is_control = |byte: u8| byte < b' ' || byte == 0x7f;
    // Eight at a time: the high bit of each byte that is less than a bound below 128. What is borrowed
    // makes the bytes behind the first one wrong, and they are not looked at.
    let less = |word: u64, than: u8| word.wrapping_sub(EACH * u64::from(than)) & !word & (EACH << 7);
    let (words, rest) = value.as_chunks();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = less(word, b' ') | less(word ^ (EACH * 0x7f), 1);
        if found != 0 {
            return Some(8 * n + found.trailing_zeros() as usize / 8);
        }
    }
    let within = rest.iter().position(|&byte| is_control(byte))?;
    Some(8 * words.len() + within)
}

/// Bytes of a name.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_token(byte as u8);
        byte += 1;
    }
    table
};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::control;

    #[test]
    fn controls_are_found_wherever_they_stand() {
        for length in 0..40 {
            let mut value = vec![b'a'; length];
            assert_eq!(control(&value), None);
            for at in 0..length {
                for byte in 0..=255u8 {
                    value[at] = byte;
                    let is_control = byte < 0x20 || byte == 0x7f;
                    assert_eq!(control(&value), is_control.then_some(at), "{byte} at {at}");
                }
                value[at] = 0xff;
            }
        }
    }

    #[test]
    fn the_first_of_several_counts() {
        for pair in [[b'\r', b'\n'], [0x7f, 0], [0, 0x7f], [0x1f, b' '], [0x7f, 0x80]] {
            let value = [b"abcde".as_slice(), &pair, b"fghijkl"].concat();
            assert_eq!(control(&value), Some(5), "{pair:?}");
        }
    }
}
