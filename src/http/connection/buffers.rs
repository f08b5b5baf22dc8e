//! The bytes between socket and codec.

use super::{Peer, guarded};
use crate::http::codec::Limits;
use crate::http::response::Body;
use crate::http::shared::Buffers;
use bytes::{Buf, Bytes};
use futures_io::AsyncWrite;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body up to this size is copied behind its head; a larger one is written from where it is.
pub(super) const COPIED: usize = 16 * 1024;

/// Bytes of answers that may wait for the socket before no further request is looked at.
const OUTPUT_MAX: usize = 64 * 1024;

/// Bytes that have been read and not used.
///
/// The buffer is borrowed while there are any. It begins with 8 KiB and grows when a head needs
/// it, at most to what the limit for heads makes it; that is also the bound of what is read ahead.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// All of it initialised, so that it can be read into.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.buffer.capacity()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once; 0 is the end.
    #[inline]
    pub(super) fn poll_fill<S: Peer>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
        spare: &Buffers,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        match io.poll_readable(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.is_empty() {
                    self.release(spare);
                }
                return Poll::Pending;
            }
        }
        self.make_room(spare, room);
        let read = Pin::new(io).poll_read(cx, &mut self.buffer[self.end..]);
        if let Poll::Ready(Ok(n)) = read {
            self.end += n;
        } else if self.is_empty() {
            self.release(spare);
        }
        read
    }

    /// Gives the buffer back, with whatever is in it.
    pub(super) fn release(&mut self, spare: &Buffers) {
        (self.start, self.end) = (0, 0);
        let buffer = mem::take(&mut self.buffer);
        if !buffer.is_empty() {
            spare.give_input(buffer);
        }
    }

    #[inline]
    fn make_room(&mut self, spare: &Buffers, room: usize) {
        if self.is_empty() && self.buffer.len() < room {
            self.release(spare);
            self.buffer = vec![0; room];
        } else if self.buffer.is_empty() {
            self.buffer = spare.take_input();
        } else if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start.., 0);
            (self.start, self.end) = (0, self.len());
        } else if self.end == self.buffer.len() {
            // What is kept is one head or trailer section, and the codec refuses it before it
            // needs more than this.
            let longest = Limits::HEAD_MAX + Buffers::INPUT;
            self.buffer.resize((2 * self.end).min(longest), 0);
        }
    }
}

/// Answers on their way to the socket.
#[derive(Debug, Default)]
pub(super) struct Output {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were written.
    sent: usize,
    /// A large body, which follows the buffer.
    tail: Bytes,
    /// Bytes that were written since the connection began.
    pub(super) total: u64,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.tail.is_empty()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.buffer.capacity() + self.tail.len()
    }

    /// Whether what is there must be written before more may be added.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= OUTPUT_MAX || !self.tail.is_empty()
    }

    /// Where to write an answer's head.
    #[inline]
    pub(super) fn head(&mut self, spare: &Buffers) -> &mut Vec<u8> {
        debug_assert!(self.tail.is_empty(), "a full output takes no more");
        if self.buffer.capacity() == 0 {
            self.buffer = spare.take_output();
        }
        &mut self.buffer
    }

    /// Adds a piece of a body.
    pub(super) fn piece(&mut self, data: Bytes, spare: &Buffers) {
        if data.len() <= COPIED {
            self.head(spare).extend_from_slice(&data);
            give_back(data);
        } else {
            self.tail = data;
        }
    }

    /// Adds a body that is all here.
    #[inline]
    pub(super) fn whole(&mut self, body: Body) {
        match body.whole() {
            Some(bytes) if bytes.len() <= COPIED => {
                self.buffer.extend_from_slice(bytes);
                give_back(body);
            }
            _ => self.tail = body.into_bytes(),
        }
    }

    /// Writes and flushes all there is, and gives the buffer back.
    #[inline]
    pub(super) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
        spare: &Buffers,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.buffer.len() || !self.tail.is_empty() {
            let ahead = &self.buffer[self.sent..];
            let written = match (ahead.is_empty(), self.tail.is_empty()) {
                (_, true) => Pin::new(&mut *io).poll_write(cx, ahead),
                (true, _) => Pin::new(&mut *io).poll_write(cx, &self.tail),
                _ => {
                    let both = [IoSlice::new(ahead), IoSlice::new(&self.tail)];
                    Pin::new(&mut *io).poll_write_vectored(cx, &both)
                }
            };
            let n = ready!(written)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.total += n as u64;
            let of_buffer = n.min(self.buffer.len() - self.sent);
            self.sent += of_buffer;
            let of_tail = (n - of_buffer).min(self.tail.len());
            self.tail.advance(of_tail);
            if self.tail.is_empty() {
                // Empty, it would still hold the memory that it was a part of.
                give_back(mem::take(&mut self.tail));
            }
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        self.sent = 0;
        spare.give_output(mem::take(&mut self.buffer));
        Poll::Ready(Ok(()))
    }
}

/// Drops bytes of an answer. They may be the user's memory, whose drop may panic.
#[inline]
pub(super) fn give_back<T>(bytes: T) {
    let _ = guarded(move || drop(bytes));
}
