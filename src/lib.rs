//! An embeddable async runtime with executor hooks, and a small HTTP server layered on it.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

pub(crate) mod primitives;
pub(crate) mod util;

pub mod coop;
pub mod hooks;

pub mod sync;
pub mod task;
pub(crate) mod wheel;

#[cfg(feature = "http")]
pub mod http;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
