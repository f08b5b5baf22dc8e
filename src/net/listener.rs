//! Accepting connections.

use super::TcpStream;
use crate::io::{Moved, Source};
use crate::reactor::Direction;
#[cfg(feature = "http")]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
#[cfg(feature = "http")]
use std::io::ErrorKind::{AddrInUse, PermissionDenied};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

/// Connections that the kernel holds ready until they are accepted; it may hold fewer
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A socket that accepts TCP connections.
///
/// # Examples
///
/// ```
/// use mainspring::net::{TcpListener, TcpStream};
///
/// # mainspring::block_on(async {
/// let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
/// let address = listener.local_addr()?;
/// let client = mainspring::spawn(async move { TcpStream::connect(address).await });
/// let (stream, peer) = listener.accept().await?;
/// assert_eq!(stream.peer_addr()?, peer);
/// client.await.unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpListener {
    source: Source<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens at `address`; port 0 asks the kernel to choose one.
    ///
    /// Sets `SO_REUSEADDR`, so that a server can be started again while connections of its
    /// predecessor linger, and a backlog of 4,096. Needs no runtime.
    ///
    /// # Errors
    ///
    /// What the kernel says: the address is taken, or not this machine's, or may not be used.
    pub fn bind(address: impl Into<SocketAddr>) -> io::Result<Self> {
        let address = address.into();
        Self::listen(new_socket(address)?, address)
    }

    /// Another listener at the same address; the kernel deals new connections out among all of them,
    /// by a hash of their addresses and ports. Where it does not, `None`.
    ///
    /// Nobody else can have come to the address before: the first listener began to listen there
    /// without `SO_REUSEPORT`, which the kernel grants to one socket only. The option is set after
    /// that, and on Linux counts when the next one binds. A probe that is closed again would leave a
    /// moment in between, in which two servers that start together could both take the address.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    #[cfg(feature = "http")]
    pub(crate) fn bind_beside(&self) -> io::Result<Option<Self>> {
        // Elsewhere the last one gets all connections, or the option wants another name.
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let address = self.local_addr()?;
        SockRef::from(self).set_reuse_port(true)?;
        let socket = new_socket(address)?;
        socket.set_reuse_port(true)?;
        match Self::listen(socket, address) {
            Ok(listener) => Ok(Some(listener)),
            // The user who listens first may not be the one who goes on: a server that has bound to
            // port 80 gives its rights away. The others are sandboxes that know the option less well.
            Err(error) if matches!(error.kind(), AddrInUse | PermissionDenied) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn listen(socket: Socket, address: SocketAddr) -> io::Result<Self> {
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Self::from_std(socket.into())
    }

    /// Takes over a listening socket, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If the kernel refuses that.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { source: Source::new(mio::net::TcpListener::from_std(listener)) })
    }

    /// Gives the socket back; it stays non-blocking.
    pub fn into_std(self) -> std::net::TcpListener {
        self.source.into_inner().into()
    }

    /// Accepts the next connection, and tells who it is from.
    ///
    /// Several tasks may wait at the same time; each connection goes to one of them.
    ///
    /// # Errors
    ///
    /// What the kernel says. Some errors concern one connection (`ECONNABORTED`) or the process
    /// (`EMFILE`: no descriptor is free), and the next call may succeed. After `EMFILE` the
    /// connection still waits in the kernel, so calling again at once fails again at once: sleep
    /// first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.source.io(Direction::Read, accept).await
    }

    /// Accepts the next connection, for use in a `poll` function; the last caller is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.source.poll_io(Direction::Read, cx, accept)
    }

    /// Calls `attempt`, which is to [`try_accept`](Self::try_accept), when there may be a connection,
    /// until it does not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// That of `attempt`.
    #[cfg(feature = "http")]
    pub(crate) async fn accept_by<R>(
        &self,
        mut attempt: impl FnMut(&Self) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.io(Direction::Read, |_| Ok((attempt(self)?, Moved::Some))).await
    }

    /// Accepts the next connection, if the kernel has one now.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), and `WouldBlock` if there is none.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn try_accept(&self) -> io::Result<TcpStream> {
        let (stream, _peer) = self.source.get().accept()?;
        Ok(TcpStream::from_nonblocking(stream.into()))
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().local_addr()
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn accept(listener: &mio::net::TcpListener) -> io::Result<((TcpStream, SocketAddr), Moved)> {
    let (stream, peer) = listener.accept()?;
    Ok(((TcpStream::from_nonblocking(stream.into()), peer), Moved::Some))
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.get().as_fd()
    }
}
