use super::chunked::{self, Chunked};
use super::framing::BodyLength;
use super::head::{self, Head};
use super::{Error, Limits};

/// Empty lines that may stand before a request line (RFC 9112, section 2.2, asks for at least
/// one to be ignored).
const LEADING_LINES: u8 = 8;

/// What the bytes meant.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Nothing yet: call again with the same bytes and more behind them.
    More,
    /// A request begins. Where its head says [`BodyLength::Empty`], it is also complete.
    Head(Head),
    /// A piece of its body, never empty.
    Data(&'a [u8]),
    /// Its body is complete, and so is the request.
    End,
}

/// Reads one request after the other from a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    state: State,
    /// Bytes at the start of the input that hold no end of the section being read.
    scanned: usize,
    leading: u8,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// Bytes of the body that are still to come.
    Known(u64),
    Chunked(Chunked),
    /// Nothing more can be understood.
    Failed(Error),
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Whether the next byte belongs to a new request.
    #[inline]
    pub(crate) fn between_requests(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Bytes of the body that are still to come, where that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Head => Some(0),
            State::Known(left) => Some(left),
            State::Chunked(_) | State::Failed(_) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Reads from `input`, the bytes that have come and were not used: answers with how many of
    /// them are used now, and what they meant.
    ///
    /// # Errors
    ///
    /// The bytes are not a request that this server accepts. Every later call says the same.
    #[inline]
    pub(crate) fn decode<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<(usize, Event<'a>), Error> {
        let decoded = match &mut self.state {
            State::Head => self.head(input, limits),
            State::Known(0) => {
                self.state = State::Head;
                return Ok((0, Event::End));
            }
            State::Known(_) if input.is_empty() => return Ok((0, Event::More)),
            State::Known(left) => {
                let n = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= n as u64;
                return Ok((n, Event::Data(&input[..n])));
            }
            State::Chunked(state) => match state.decode(input, &mut self.scanned, limits) {
                Ok((n, chunked::Event::More)) => Ok((n, Event::More)),
                Ok((n, chunked::Event::Data(range))) => Ok((n, Event::Data(&input[range]))),
                Ok((n, chunked::Event::End)) => {
                    self.state = State::Head;
                    Ok((n, Event::End))
                }
                Err(error) => Err(error),
            },
            State::Failed(error) => return Err(*error),
        };
        decoded.inspect_err(|error| self.state = State::Failed(*error))
    }

    #[inline]
    fn head<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Result<(usize, Event<'a>), Error> {
        let mut skipped = 0;
        while self.scanned == 0 && matches!(input.get(skipped), Some(b'\r' | b'\n')) {
            match &input[skipped..] {
                [b'\r'] => return Ok((skipped, Event::More)),
                [b'\r', b'\n', ..] if self.leading < LEADING_LINES => self.leading += 1,
                [b'\n', ..] => return Err(Error::BareLf),
                _ => return Err(Error::RequestLine),
            }
            skipped += 2;
        }
        let input = &input[skipped..];
        if input.is_empty() {
            return Ok((skipped, Event::More));
        }
        match head::decode(input, &mut self.scanned, limits)? {
            None => Ok((skipped, Event::More)),
            Some((end, head)) => {
                self.scanned = 0;
                self.leading = 0;
                self.state = match head.body() {
                    BodyLength::Empty => State::Head,
                    BodyLength::Known(length) => State::Known(length),
                    BodyLength::Chunked => State::Chunked(Chunked::default()),
                };
                Ok((skipped + end, Event::Head(head)))
            }
        }
    }
}
