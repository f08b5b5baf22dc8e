//! TCP, with the traits of `futures-io`.
//!
//! Sockets belong to no runtime: they are tried first, and only one that has to wait is registered,
//! with the runtime of the thread that waits. A socket may move to another runtime; its next wait
//! happens there.

mod addresses;
mod connect;
mod listener;
mod owned;
mod split;
mod stream;
mod traits;

pub use addresses::{ToSocketAddrs, lookup_host};
pub use connect::ConnectError;
pub use listener::TcpListener;
pub use owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use split::{ReadHalf, WriteHalf};
pub use stream::TcpStream;
