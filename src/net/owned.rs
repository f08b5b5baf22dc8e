//! The two directions of one connection, for two tasks.

use super::TcpStream;
use super::traits::{async_read, async_write};
use std::fmt;
use std::sync::Arc;

/// The reading half of a [`TcpStream`], owned; made by [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Arc<TcpStream>,
}

/// The writing half of a [`TcpStream`], owned; made by [`TcpStream::into_split`].
///
/// Dropping it ends what is sent, so that the peer sees the end even while the other half reads on;
/// [`forget`](Self::forget) lets it go without that.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    ends_sending: bool,
}

pub(super) fn into_split(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    let read = OwnedReadHalf { stream: Arc::clone(&stream) };
    (read, OwnedWriteHalf { stream, ends_sending: true })
}

impl OwnedReadHalf {
    /// The whole connection, by reference.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Puts the halves of one connection together again.
    ///
    /// # Errors
    ///
    /// Both come back if they are of different connections.
    pub fn reunite(self, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.stream, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        // The other half is gone, and there were two.
        Ok(Arc::into_inner(self.stream).expect("a connection has two halves"))
    }
}

impl OwnedWriteHalf {
    /// The whole connection, by reference.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Drops the half without ending what is sent; the connection lives as long as the other half.
    pub fn forget(mut self) {
        self.ends_sending = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.ends_sending {
            // The connection may be gone already; there is nobody to tell.
            let _ = self.stream.close_ref();
        }
    }
}

/// The halves were of different connections; here they are.
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Debug for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReuniteError(..)")
    }
}

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different connections: reunite those of one into_split")
    }
}

impl std::error::Error for ReuniteError {}

async_read!(OwnedReadHalf, this => this.stream);
async_write!(OwnedWriteHalf, this => this.stream);
