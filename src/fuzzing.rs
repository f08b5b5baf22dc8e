//! Drivers for the fuzzers of `fuzz/`, which are a package of their own and see only what is
//! public.

#[cfg(feature = "http")]
use crate::http::codec::fuzz;

/// One request head.
#[cfg(feature = "http")]
pub fn head(data: &[u8]) {
    fuzz::head(data);
}

/// A chunked body.
#[cfg(feature = "http")]
pub fn chunked(data: &[u8]) {
    fuzz::chunked(data);
}

/// A connection's worth of requests, cut as the first bytes say.
#[cfg(feature = "http")]
pub fn request_stream(data: &[u8]) {
    fuzz::request_stream(data);
}
