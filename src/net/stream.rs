//! A TCP connection.

use super::addresses::{ToSocketAddrs, lookup_host};
use super::connect::connect;
use super::owned::{OwnedReadHalf, OwnedWriteHalf, into_split};
use super::split::{ReadHalf, WriteHalf, split};
use super::traits::{async_read, async_write};
use crate::coop;
use crate::io::{Moved, Source};
use crate::reactor::Direction;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

/// A TCP connection.
///
/// Dropping it closes it: what was written is still sent, what was not read is lost, and if there
/// was such, the peer sees a reset.
///
/// # Examples
///
/// ```
/// use mainspring::net::{TcpListener, TcpStream};
///
/// # mainspring::block_on(async {
/// let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
/// let stream = TcpStream::connect(listener.local_addr()?).await?;
/// let (peer, _) = listener.accept().await?;
/// stream.write_all(b"ping").await?;
/// let mut buffer = [0; 16];
/// assert_eq!(peer.read(&mut buffer).await?, 4);
/// assert_eq!(&buffer[..4], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    source: Source<std::net::TcpStream>,
}

impl TcpStream {
    /// Connects to `address`, or to the first of several that answers.
    ///
    /// A name is resolved in the pool for work that blocks. Where there are several addresses, the
    /// families take turns, and an attempt begins 250 ms after the one before, or as soon as that
    /// has failed; at most 8 go on at a time, and the first connection is taken
    /// ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305)). How long an attempt may last is the
    /// kernel's affair, two minutes and more: use [`timeout`](crate::time::timeout).
    ///
    /// # Errors
    ///
    /// What the kernel says: refused, unreachable, timed out. Where there were several addresses, it
    /// holds a [`ConnectError`](super::ConnectError) with what each said. What is no address, or a
    /// name that has none, is told as by [`lookup_host`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up all attempts.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        connect(lookup_host(address).await?).await
    }

    pub(super) async fn connect_one(address: SocketAddr) -> io::Result<Self> {
        // An attempt may fail at once, and whoever makes many must not keep the thread.
        coop::consume_budget().await;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        let started = socket.connect(&address.into());
        let stream = Self::from_nonblocking(socket.into());
        match started {
            Ok(()) => return Ok(stream),
            // Interrupted means that the attempt goes on, as in progress does.
            Err(error) if is_in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        stream.source.assume_blocked(Direction::Write);
        stream.source.io(Direction::Write, connected).await?;
        Ok(stream)
    }

    /// Takes over a connection, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If the kernel refuses that.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::from_nonblocking(stream))
    }

    /// Gives the connection back; it stays non-blocking.
    pub fn into_std(self) -> std::net::TcpStream {
        self.source.into_inner()
    }

    pub(super) fn from_nonblocking(stream: std::net::TcpStream) -> Self {
        Self { source: Source::new(stream) }
    }

    /// Reads what has arrived, at most as much as fits; 0 is the end of what the peer sends, unless
    /// `buffer` is empty. It waits until there is something, also with an empty buffer.
    ///
    /// # Errors
    ///
    /// What the kernel says: the connection was reset, or timed out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready has read nothing.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.io(Direction::Read, |stream| read(stream, buffer)).await
    }

    /// Reads what has arrived into several buffers, one after the other; else as
    /// [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready has read nothing.
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.io(Direction::Read, |stream| read_vectored(stream, buffers)).await
    }

    /// Looks at what has arrived, and leaves it there to be read; 0 is the end of what the peer sends.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // However little it finds, it has taken nothing, so the next attempt is as good.
        let attempt = |stream: &std::net::TcpStream| Ok((stream.peek(buffer)?, Moved::Some));
        self.source.io(Direction::Read, attempt).await
    }

    /// Writes as much of `data` as the kernel takes, and tells how much that was.
    ///
    /// # Errors
    ///
    /// What the kernel says: the connection was closed, or reset.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready has written nothing.
    pub async fn write(&self, data: &[u8]) -> io::Result<usize> {
        self.source.io(Direction::Write, |stream| write(stream, data)).await
    }

    /// Writes several slices, one after the other, in one call; else as [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready has written nothing.
    pub async fn write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.io(Direction::Write, |stream| write_vectored(stream, data)).await
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); how much was written by then is not known.
    ///
    /// # Cancel safety
    ///
    /// None: dropping the future may have written a part, and does not tell how much.
    pub async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let written = self.write(data).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            data = &data[written..];
        }
        Ok(())
    }

    /// Closes one direction, or both.
    ///
    /// # Errors
    ///
    /// What the kernel says: the connection is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.get().shutdown(how)
    }

    /// Two halves that may be used at the same time by two parts of one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split(self)
    }

    /// Two halves that may be moved to different tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::io::{AsyncReadExt, AsyncWriteExt, copy};
    /// use mainspring::net::{TcpListener, TcpStream};
    ///
    /// # mainspring::block_on(async {
    /// let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
    /// let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// let echo = mainspring::spawn(async move {
    ///     let (read, mut write) = stream.into_split();
    ///     copy(read, &mut write).await
    /// });
    /// AsyncWriteExt::write_all(&mut client, b"ping").await?;
    /// client.close().await?;
    /// let mut back = String::new();
    /// client.read_to_string(&mut back).await?;
    /// assert_eq!((echo.await.unwrap()?, &*back), (4, "ping"));
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        into_split(self)
    }

    /// Sends small writes at once (`TCP_NODELAY`), instead of gathering them while earlier ones are
    /// not acknowledged. Off by default.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.get().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.get().nodelay()
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the kernel says: the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().peer_addr()
    }

    /// Makes the next read ask the kernel, even if no event has told of anything to read.
    ///
    /// Events are told when the event loop is asked for them, so what is known of a socket may be a
    /// turn old. Whoever must not miss what has arrived by now, before it closes the connection for
    /// example, calls this first.
    pub fn look_again(&self) {
        self.source.assume_ready(Direction::Read);
    }

    /// Waits until the connection is gone in both directions: the peer has reset it, or both sides
    /// were shut down.
    ///
    /// Unlike a read it finds that out in front of data that nobody has read, and takes nothing. A
    /// peer that has ended what it sends may still read, so that is not waited for. Only the last
    /// caller is woken.
    ///
    /// # Errors
    ///
    /// If the connection cannot be watched: no runtime runs here, or the kernel refuses.
    pub fn poll_hangup(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source.poll_hangup(cx)
    }

    /// Waits until a read is worth its system call, for who has no buffer yet. The read that follows
    /// pays for it.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source.poll_worthwhile(Direction::Read, cx)
    }

    pub(super) fn poll_read_ref(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Read, cx, |stream| read(stream, buffer))
    }

    pub(super) fn poll_read_vectored_ref(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Read, cx, |stream| read_vectored(stream, buffers))
    }

    pub(super) fn poll_write_ref(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Write, cx, |stream| write(stream, data))
    }

    pub(super) fn poll_write_vectored_ref(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Write, cx, |stream| write_vectored(stream, data))
    }

    pub(super) fn close_ref(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// What one call takes at most (`IOV_MAX`): with more, a read stops early, which must not pass for
/// the last of what is there, and a write is refused.
const BUFFERS: usize = 1024;

/// What keeps a write to a closed connection from raising SIGPIPE; 0 where a socket option does that.
const NO_SIGNAL: i32 =
    if cfg!(target_vendor = "apple") { 0 } else { rustix::net::SendFlags::NOSIGNAL.bits() as i32 };

/// Whether the attempt goes on. After `EAGAIN` it does not, for TCP (`connect(2)`): no event would
/// ever tell of its end.
fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
        || error.kind() == io::ErrorKind::Interrupted
}

/// Whether an attempt to connect has ended, and how.
fn connected(stream: &std::net::TcpStream) -> io::Result<((), Moved)> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(((), Moved::Some)),
        // An event that came too early: the attempt goes on.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

/// Fewer bytes than there was room for: the kernel has no more, and will tell when it does.
///
/// None at all is the end: it stays to be read again, and no event would tell of it a second time.
fn moved(count: usize, room: usize) -> Moved {
    if count != 0 && count < room { Moved::All } else { Moved::Some }
}

fn read(mut stream: &std::net::TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Moved)> {
    let count = stream.read(buffer)?;
    Ok((count, moved(count, buffer.len())))
}

fn read_vectored(
    mut stream: &std::net::TcpStream,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<(usize, Moved)> {
    let most = buffers.len().min(BUFFERS);
    let buffers = &mut buffers[..most];
    let room = buffers.iter().map(|buffer| buffer.len()).sum();
    let count = stream.read_vectored(buffers)?;
    let moved = if count == 0 { Moved::Some } else { moved(count, room) };
    Ok((count, moved))
}

fn write_vectored(
    stream: &std::net::TcpStream,
    data: &[IoSlice<'_>],
) -> io::Result<(usize, Moved)> {
    let data = &data[..data.len().min(BUFFERS)];
    let length = data.iter().map(|slice| slice.len()).sum();
    // Unlike `writev`, it raises no SIGPIPE in a host that does not ignore it.
    let count = SockRef::from(stream).send_vectored_with_flags(data, NO_SIGNAL)?;
    Ok((count, moved(count, length)))
}

fn write(mut stream: &std::net::TcpStream, data: &[u8]) -> io::Result<(usize, Moved)> {
    let count = stream.write(data)?;
    Ok((count, moved(count, data.len())))
}

async_read!(TcpStream, this => this);
async_read!(&TcpStream, this => this);
async_write!(TcpStream, this => this);
async_write!(&TcpStream, this => this);

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.get().as_fd()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::is_in_progress;
    use rustix::io::Errno;
    use std::io;

    #[test]
    fn an_attempt_to_connect_goes_on_after_these_only() {
        let goes_on = |errno: Errno| is_in_progress(&io::Error::from(errno));
        assert!(goes_on(Errno::INPROGRESS) && goes_on(Errno::INTR));
        assert!(!goes_on(Errno::AGAIN) && !goes_on(Errno::CONNREFUSED));
    }
}
