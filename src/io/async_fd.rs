//! Descriptors that others made: of libraries, pipes, terminals, other event queues.

use super::Source;
use crate::reactor::{Direction, Seen};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

/// A descriptor of any kind that can be polled, and what is known of its readiness.
///
/// For what somebody else reads or writes: a database library's socket, D-Bus, a pipe, a terminal,
/// an event queue. It waits until the descriptor is ready and leaves the rest to the caller, who says
/// through the guard when the descriptor was not ready after all. Only that takes readiness away: as
/// long as no attempt has blocked, the next wait is over at once.
///
/// The descriptor must be non-blocking, or be used only in ways that do not block when it is ready;
/// [`new`](Self::new) does not change it. Regular files cannot be waited for.
///
/// Like sockets it belongs to no runtime, and is watched from its first wait on by the runtime that
/// waits. It is closed when the `AsyncFd` is dropped, if `T` closes it.
///
/// # Examples
///
/// A pipe whose ends are those of the standard library:
///
/// ```
/// use mainspring::io::AsyncFd;
/// use std::io::{Read, Write};
///
/// # mainspring::block_on(async {
/// let (reader, mut writer) = std::os::unix::net::UnixStream::pair()?;
/// reader.set_nonblocking(true)?;
/// let reader = AsyncFd::new(reader);
/// writer.write_all(b"hello")?;
///
/// let mut buffer = [0; 16];
/// let count = loop {
///     let mut guard = reader.readable().await?;
///     match guard.try_io(|mut pipe| pipe.read(&mut buffer)) {
///         Ok(result) => break result?,
///         Err(_would_block) => continue,
///     }
/// };
/// assert_eq!(&buffer[..count], b"hello");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub struct AsyncFd<T: AsFd> {
    source: Source<T>,
}

impl<T: AsFd> AsyncFd<T> {
    /// Takes `inner`, of whose readiness nothing is known yet. Needs no runtime.
    pub fn new(inner: T) -> Self {
        let source = Source::new(inner);
        // The kernel is asked before the first attempt: a library that is told of readiness may
        // block, or take a spurious one for an error.
        source.assume_blocked(Direction::Read);
        source.assume_blocked(Direction::Write);
        Self { source }
    }

    /// Waits until reading will not block: there is something to read, the end, or an error.
    ///
    /// # Errors
    ///
    /// If the descriptor cannot be watched: it is a regular file, for example, or no runtime runs
    /// here, or another `AsyncFd` watches the same one, which Linux tells and kqueue does not: wait in
    /// both directions through one, or give the other a copy of the descriptor.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn readable(&self) -> io::Result<ReadyGuard<'_, T>> {
        self.ready(Direction::Read).await
    }

    /// Waits until writing will not block: there is room, or an error.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<ReadyGuard<'_, T>> {
        self.ready(Direction::Write).await
    }

    async fn ready(&self, direction: Direction) -> io::Result<ReadyGuard<'_, T>> {
        let seen = self.source.ready(direction).await?;
        Ok(ReadyGuard { fd: self, direction, seen })
    }

    /// As [`readable`](Self::readable), for a `poll_…` function of one's own; of its callers only the
    /// last is woken.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<ReadyGuard<'_, T>>> {
        self.poll_ready(Direction::Read, cx)
    }

    /// As [`writable`](Self::writable), for a `poll_…` function of one's own; of its callers only the
    /// last is woken.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<ReadyGuard<'_, T>>> {
        self.poll_ready(Direction::Write, cx)
    }

    fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<ReadyGuard<'_, T>>> {
        let seen = ready!(self.source.poll_ready(direction, cx))?;
        Poll::Ready(Ok(ReadyGuard { fd: self, direction, seen }))
    }

    /// Calls `attempt` when reading will not block, until it does not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable), and any other error of `attempt`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready loses nothing: no attempt has succeeded.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::io::AsyncFd;
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// # mainspring::block_on(async {
    /// let (reader, mut writer) = UnixStream::pair()?;
    /// reader.set_nonblocking(true)?;
    /// let reader = AsyncFd::new(reader);
    /// writer.write_all(b"hello")?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(reader.read_with(|mut pipe| pipe.read(&mut buffer)).await?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn read_with<R>(&self, attempt: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.with(Direction::Read, attempt).await
    }

    /// Calls `attempt` when writing will not block, until it does not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable), and any other error of `attempt`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready loses nothing: no attempt has succeeded.
    pub async fn write_with<R>(&self, attempt: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.with(Direction::Write, attempt).await
    }

    async fn with<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let mut guard = self.ready(direction).await?;
            match guard.try_io(&mut attempt) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(WouldBlock) => {}
            }
        }
    }

    /// What was given to [`new`](Self::new).
    pub fn get_ref(&self) -> &T {
        self.source.get()
    }

    /// Gives back what was given to [`new`](Self::new); it is watched no more.
    pub fn into_inner(self) -> T {
        self.source.into_inner()
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.get_ref()).finish()
    }
}

/// The word that a descriptor is ready, as far as is known.
///
/// Dropping it changes nothing: the descriptor is still taken to be ready. An attempt that would
/// have blocked is told of by [`try_io`](Self::try_io), or by [`clear_ready`](Self::clear_ready).
#[must_use = "an attempt that would block must be told of, or the next wait is over at once"]
pub struct ReadyGuard<'a, T: AsFd> {
    fd: &'a AsyncFd<T>,
    direction: Direction,
    /// Of an event that came later, nothing is taken away.
    seen: Seen,
}

impl<'a, T: AsFd> ReadyGuard<'a, T> {
    /// Calls `attempt`; if it says `WouldBlock`, the descriptor is not taken to be ready any more.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`]: wait again. What else `attempt` says is in the `Ok`.
    pub fn try_io<R>(
        &mut self,
        attempt: impl FnOnce(&'a T) -> io::Result<R>,
    ) -> Result<io::Result<R>, WouldBlock> {
        match attempt(self.fd.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(WouldBlock)
            }
            result => Ok(result),
        }
    }

    /// An attempt has blocked, or would have: the next wait is for an event that comes after the one
    /// which this guard was given for.
    ///
    /// Called without such an attempt it may make the next wait last for ever: an event is told once.
    pub fn clear_ready(&mut self) {
        self.fd.source.disprove(self.direction, self.seen);
    }

    /// What was given to [`AsyncFd::new`].
    pub fn get_ref(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for ReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyGuard").field("fd", self.fd).finish_non_exhaustive()
    }
}

/// The descriptor was not ready after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WouldBlock;

impl fmt::Display for WouldBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor is not ready: wait for it again")
    }
}

impl std::error::Error for WouldBlock {}
