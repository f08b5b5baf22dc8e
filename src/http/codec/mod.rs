//! HTTP/1.1 framing without I/O: bytes in, events out.
//!
//! [`Decoder`] is given the bytes that have come and not been used yet; it answers with how many
//! it used and what they meant. It keeps no bytes and makes no calls, so that the same code runs
//! under a socket, a test and a fuzzer. [`encode`] is the way back.
//!
//! # Ground rules
//!
//! - **The same events for every split of the input.** What is decided about a byte depends on the
//!   bytes before it, never on how they were grouped.
//! - **No byte is scanned twice for the end of a head**: the decoder remembers how far it looked.
//! - **Strict where attackers live** (RFC 9112): a message whose end could be seen differently by
//!   another party is refused, and nothing after it is read as a message.
//!
//! This room imports no other room of the crate.

pub(crate) mod encode;

mod chunked;
mod decoder;
mod error;
mod framing;
#[cfg(any(all(test, not(loom)), fuzzing))]
pub(crate) mod fuzz;
mod head;
mod limits;
mod quick;
mod target;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use decoder::{Decoder, Event};
pub(crate) use error::Error;
pub(crate) use framing::BodyLength;
pub(crate) use head::Head;
pub(crate) use limits::Limits;

use memchr::memchr_iter;

/// Looks for the empty line that ends a head or a trailer section, from where the last look ended.
///
/// Answers with the number of bytes up to and including it. Every LF must follow a CR (RFC 9112,
/// section 2.2, allows a bare LF to end a line; a proxy in front of us may not take it for one).
fn find_empty_line(input: &[u8], scanned: &mut usize) -> Result<Option<usize>, Error> {
    let from = (*scanned).min(input.len());
    for offset in memchr_iter(b'\n', &input[from..]) {
        let at = from + offset;
        if at == 0 || input[at - 1] != b'\r' {
            return Err(Error::BareLf);
        }
        if at >= 3 && input[at - 2] == b'\n' {
            return Ok(Some(at + 1));
        }
    }
    *scanned = input.len();
    Ok(None)
}
