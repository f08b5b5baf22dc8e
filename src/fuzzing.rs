//! Drivers for the fuzzers of `fuzz/`, which are a package of their own and see only what is
//! public.

#[cfg(feature = "http")]
pub use crate::http::fuzzing::{chunked, head, request_stream};
