//! TCP, with the traits of `futures-io`.
//!
//! Sockets belong to no runtime: they are tried first, and only one that has to wait is registered,
//! with the runtime of the thread that waits. A socket may move to another runtime; its next wait
//! happens there.

mod listener;
mod owned;
mod split;
mod stream;
mod traits;

pub use listener::TcpListener;
pub use owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use split::{ReadHalf, WriteHalf};
pub use stream::TcpStream;
