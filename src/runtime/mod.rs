//! The composition root: runtimes, their builders, and the handles by which they are reached.

mod builder;
mod calls;
mod error;
mod free;
mod handle;
mod join;
mod local;
mod multi;
mod multi_builder;
mod tasks;

pub use crate::scheduler::host::{Budget, TurnError, TurnReport};
pub use builder::LocalBuilder;
pub use calls::TimerHandle;
pub use error::BuildError;
pub use free::{YieldNow, block_on, spawn, spawn_local, spawn_pinned, yield_now};
pub use handle::{EnterGuard, Handle, NoRuntime};
pub use local::{Leftover, LocalRuntime};
pub use multi::Runtime;
pub use multi_builder::Builder;
