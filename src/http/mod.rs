//! A small, strict HTTP/1.1 server.

pub(crate) mod codec;
