//! The heads that nearly all requests have, read in one pass.
//!
//! What this reader takes is a part of what the general one takes, and it makes the same of it. Of
//! everything else, an error or an incomplete head as well as a form that is only unusual, it says
//! nothing, and the general one is asked. So it decides nothing about what is accepted; the tests
//! and the fuzzers hold the two against each other.

use super::Limits;
use super::framing::{Framing, is_token};
use super::head::{Head, MethodRef};
use super::target::TARGET;
use http::{Method, Version};

/// Field lines of a head that is read here.
const FIELDS: usize = 24;

/// What stands behind the target.
const VERSION: &[u8; 11] = b" HTTP/1.1\r\n";

/// The head at the start of `input`, and where it ends; nothing where that is not for this reader
/// to say. `input` has no more bytes than a head may have.
// By itself, as are the parts: among other code there would be no registers left.
#[inline(never)]
pub(super) fn read(input: &[u8], limits: &Limits) -> Option<(usize, Head)> {
    let (method, start) = method(input)?;
    let (path_end, target_end) = target(input, start)?;
    if target_end - start > limits.target || input.get(target_end..)?.first_chunk()? != VERSION {
        return None;
    }
    let mut at = target_end + VERSION.len();
    let mut framing = Framing::default();
    let mut table = [[0; 4]; FIELDS];
    let mut fields = 0;
    loop {
        let rest = input.get(at..)?;
        let Some((name, value)) = field(rest) else { break };
        framing.note(&rest[..name], &rest[name + 2..][..value]).ok()?;
        *table.get_mut(fields)? = [at, name, at + name + 2, value].map(|n| n as u16);
        fields += 1;
        at += name + value + 4;
    }
    if fields > limits.field_lines() || input.get(at..)?.first_chunk()? != b"\r\n" {
        return None;
    }
    let end = at + 2;
    let verdict = framing.judge(Version::HTTP_11, limits).ok()?;
    let (target, path) = ((start, target_end), (start, path_end));
    let (text, version) = (&input[..end], Version::HTTP_11);
    Some((end, Head::new(text, &table[..fields], target, path, method, version, verdict)))
}

/// Where the path and the target end that begin at `start`.
#[inline]
fn target(input: &[u8], start: usize) -> Option<(usize, usize)> {
    if input.get(start) != Some(&b'/') {
        return None;
    }
    let within = |from: usize| {
        let stop = input[from..].iter().position(|&byte| !TARGET[usize::from(byte)]);
        stop.map(|length| from + length)
    };
    let path_end = within(start)?;
    let mut end = path_end;
    while input[end] == b'?' {
        end = within(end + 1)?;
    }
    Some((path_end, end))
}

/// The lengths of name and value of the field line at the start of `rest`: one space in front of the
/// value, none behind it. Nothing where no such line is, as at the end of the head.
#[inline(never)]
fn field(rest: &[u8]) -> Option<(usize, usize)> {
    let name = rest.iter().position(|&byte| !TOKEN[usize::from(byte)])?;
    let value = rest[name..].strip_prefix(b": ")?;
    let length = control(value)?;
    let (value, line_end) = value.split_at(length);
    let plain = name > 0 && value.first()? != &b' ' && value.last()? != &b' ';
    (plain && line_end.first_chunk()? == b"\r\n").then_some((name, length))
}

/// The method, and where the target begins.
#[inline]
fn method(input: &[u8]) -> Option<(MethodRef, usize)> {
    const GET: u32 = u32::from_ne_bytes(*b"GET ");
    const PUT: u32 = u32::from_ne_bytes(*b"PUT ");
    const POST: u32 = u32::from_ne_bytes(*b"POST");
    const HEAD: u32 = u32::from_ne_bytes(*b"HEAD");
    let (method, length) = match u32::from_ne_bytes(*input.first_chunk()?) {
        GET => return Some((MethodRef::Standard(&Method::GET), 4)),
        PUT => return Some((MethodRef::Standard(&Method::PUT), 4)),
        POST => (&Method::POST, 5),
        HEAD => (&Method::HEAD, 5),
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
    let less =
        |word: u64, than: u8| word.wrapping_sub(EACH * u64::from(than)) & !word & (EACH << 7);
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
