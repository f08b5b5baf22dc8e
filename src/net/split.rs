//! The two directions of one connection, apart.

use super::TcpStream;
use super::traits::{async_read, async_write};

/// The reading half of a [`TcpStream`]; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The writing half of a [`TcpStream`]; made by [`TcpStream::split`].
///
/// Closing it ends what is sent; the other half goes on reading. Dropping it does not.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    let stream = &*stream;
    (ReadHalf(stream), WriteHalf(stream))
}

impl ReadHalf<'_> {
    /// The whole connection, by reference.
    pub fn stream(&self) -> &TcpStream {
        self.0
    }
}

impl WriteHalf<'_> {
    /// The whole connection, by reference.
    pub fn stream(&self) -> &TcpStream {
        self.0
    }
}

async_read!(ReadHalf<'_>, this => this.0);
async_write!(WriteHalf<'_>, this => this.0);
