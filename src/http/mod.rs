//! A small, strict HTTP/1.1 server.

pub(crate) mod codec;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    //! The codec's drivers, for `crate::fuzzing`.
    pub use super::codec::fuzz::{chunked, head, request_stream};
}
