//! What the fuzz targets in `fuzz/` call: for each a function of bytes, kept in its room.

#[cfg(feature = "http")]
pub use crate::http::fuzzing::{chunked, head, request_stream};

/// Runs the operations that `data` spells on the timer wheel and on a model of it.
pub fn wheel_ops(data: &[u8]) {
    crate::wheel::model::run_bytes(data);
}
