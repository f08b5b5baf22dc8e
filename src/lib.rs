//! An embeddable async runtime with executor hooks, and a small HTTP server layered on it.
//!
//! There are two runtimes, for the same futures, sockets and timers:
//!
//! - A [`Runtime`] has threads of its own, as many as there are CPUs unless told otherwise. Each has a
//!   queue, an event loop and timers, and takes tasks from the others when it has none. [`block_on`]
//!   makes one for the time of a future.
//! - A [`LocalRuntime`] runs futures on the thread that made it, `Send` or not. It starts threads only
//!   for work that blocks, and a host with a loop of its own can drive it by [turns](LocalRuntime::turn).
//!
//! A [`Handle`] reaches either from any thread, and tells what its tasks do; [`hooks`] tell it as it
//! happens.
//!
//! ```
//! use mainspring::net::{TcpListener, TcpStream};
//! use mainspring::time::{sleep, timeout};
//! use std::time::Duration;
//!
//! mainspring::block_on(async {
//!     let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
//!     let address = listener.local_addr()?;
//!
//!     let server = mainspring::spawn(async move {
//!         let (stream, _peer) = listener.accept().await?;
//!         sleep(Duration::from_millis(1)).await;
//!         stream.write_all(b"hello").await
//!     });
//!
//!     let stream = TcpStream::connect(address).await?;
//!     let mut buffer = [0; 16];
//!     let count = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await??;
//!     assert_eq!(&buffer[..count], b"hello");
//!     server.await??;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! | module | what it has |
//! |---|---|
//! | the root | [`Runtime`], [`LocalRuntime`], [`Handle`], [`block_on`], [`spawn`], [`spawn_local`], [`spawn_pinned`], [`Metrics`], [`TaskDump`] |
//! | [`offload`] | [`spawn_blocking`], pools of threads with live limits |
//! | [`task`] | [`JoinHandle`], its errors, numbers, names and data of tasks, [`task_local!`], [`Executor`](task::Executor) |
//! | [`time`] | [`sleep`](time::sleep), [`timeout`](time::timeout), [`Instant`](time::Instant) |
//! | [`group`] | [`JoinSet`](group::JoinSet), [`TaskScope`](group::TaskScope), [`join_all`](group::join_all), [`retry`](group::retry()) |
//! | [`net`] | TCP with the traits of `futures-io` |
//! | [`io`] | [`AsyncFd`](io::AsyncFd), for descriptors of others |
//! | [`sync`] | what tasks coordinate with; it works under any executor |
//! | [`coop`] | the budget that keeps a busy task from starving others |
//! | [`hooks`] | what an embedder can watch: tasks, workers, panics |
//! | [`sim`] | tests in virtual time, under many seeded orders of events |
#![cfg_attr(feature = "http", doc = "| [`http`] | the HTTP/1.1 server |")]
//!
//! # Features
//!
//! None is on by default: the core alone depends on mio, slab, socket2, rustix and the `futures`
//! traits. `http` adds the server, `full` everything.
//!
//! # Common to all
//!
//! - Dropping a future cancels it. What that loses, if anything, is said under *Cancel safety*.
//! - A panic in a task ends that task, and is told by its [`JoinHandle`]; nothing else notices.
//! - [`spawn`], [`spawn_local`], [`spawn_pinned`], [`yield_now`] and [`sleep`](time::sleep) panic outside a runtime,
//!   with a sentence that names the remedy. The methods of [`Handle`], and I/O, return errors.
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

pub mod offload;
pub(crate) mod scheduler;

pub(crate) mod runtime;

pub mod group;
pub mod io;
pub mod net;
pub mod sim;
pub mod time;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(feature = "http")]
pub mod http;

pub use hooks::{BlockingMetrics, Metrics, WorkerMetrics};
pub use offload::{spawn_blocking, try_spawn_blocking};
pub use runtime::{
    Budget, BuildError, Builder, EnterGuard, Handle, Leftover, LocalBuilder, LocalRuntime,
    NoRuntime, Runtime, TimerHandle, TurnError, TurnReport, YieldNow, block_on, spawn, spawn_local,
    spawn_pinned, yield_now,
};
pub use task::{JoinHandle, NoSuchShard, TaskDump, TaskState};

/// The examples of the README, compiled with those of the documentation.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
