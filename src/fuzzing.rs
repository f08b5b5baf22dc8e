//! What the fuzz targets in `fuzz/` call: for each a function of bytes, kept in its room.

/// Runs the operations that `data` spells on the timer wheel and on a model of it.
pub fn wheel_ops(data: &[u8]) {
    crate::wheel::model::run_bytes(data);
}

/// Decodes `data` as the head of a request, whole and in pieces.
#[cfg(feature = "http")]
pub fn head(data: &[u8]) {
    crate::http::codec::fuzz::head(data);
}

/// Decodes `data` as a chunked body, whole and in pieces.
#[cfg(feature = "http")]
pub fn chunked(data: &[u8]) {
    crate::http::codec::fuzz::chunked(data);
}

/// Decodes `data` as all that a peer sends, whole and in pieces.
#[cfg(feature = "http")]
pub fn request_stream(data: &[u8]) {
    crate::http::codec::fuzz::request_stream(data);
}
