//! A small, strict HTTP/1.1 server.
//!
//! A [`Router`] says which handler answers which method and path; a handler is an async function
//! from [`Request`] to something that is [`IntoResponse`].
//!
//! Of HTTP it has the parts where others were attacked in their strict form (RFC 9112): a message
//! whose end could be seen differently by somebody else is refused, and the connection closes.

mod admission;
mod afterwork;
mod blocking;
mod body;
mod bounds;
pub(crate) mod codec;

pub(crate) mod connection;
mod cors;
mod counters;
mod doing;
mod error;
mod gate;
mod incoming;
mod metrics;
mod middleware;
mod percent;
mod request;
mod response;
mod router;
mod server;
mod service;
pub(crate) mod shared;
mod sse;
mod tally;
#[cfg(all(test, not(loom)))]
mod tests;

pub use body::Body;
pub use bounds::{BadBound, Bounds};
pub use cors::{Cors, CorsError, CorsLayer};
pub use error::{BadParam, BadQuery, BodyError, Error, JsonError, MissingState};
pub use metrics::{RouteMetrics, RouteSnapshot, Times};
pub use middleware::{Middleware, Next};
pub use request::Request;
pub use response::{IntoResponse, Json, Response};
pub use router::{App, RouteError, RouteProblem, Router};
pub use server::{
    BuildError, Drained, RunError, Server, ServerBuilder, ServerHandle, ServerMetrics,
};
pub use service::{ResponseFuture, Service};
pub use sse::{Sse, SseEvent};
