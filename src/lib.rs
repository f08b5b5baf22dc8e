//! An embeddable async runtime with executor hooks, and a small HTTP server layered on it.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

pub(crate) mod primitives;
pub(crate) mod util;

pub mod coop;
pub mod hooks;

pub(crate) mod reactor;
pub mod sync;
pub mod task;
pub(crate) mod wheel;

pub(crate) mod context;
pub(crate) mod driver;

pub(crate) mod scheduler;

pub(crate) mod runtime;

pub mod io;
pub mod net;
pub mod time;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(feature = "http")]
pub mod http;

pub use runtime::{
    BuildError, Handle, LocalBuilder, LocalRuntime, NoRuntime, YieldNow, block_on, spawn,
    spawn_local, yield_now,
};
pub use task::JoinHandle;
