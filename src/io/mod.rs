//! Waiting for descriptors.

mod async_fd;
mod source;

pub use async_fd::{AsyncFd, ReadyGuard, WouldBlock};
pub(crate) use source::{Moved, Source};
