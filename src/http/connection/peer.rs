//! What a connection needs of its socket.

use crate::net::TcpStream;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::task::{Context, Poll};

/// A socket whose end is found out without reading.
pub(crate) trait Peer: AsyncRead + AsyncWrite + Unpin {
    /// Waits until the connection is gone in both directions. Takes no part in the budget.
    fn poll_hangup(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits until a read is worth its system call, so that no buffer is needed before.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Peer for TcpStream {
    fn poll_hangup(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_hangup(self, cx)
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_readable(self, cx)
    }
}
