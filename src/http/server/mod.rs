//! The server: it accepts, serves each connection in a task of its own, and drains at the end.

mod builder;
mod lifespan;
mod serve;
mod timed;

pub use builder::{BuildError, ServerBuilder};
pub use lifespan::RunError;

use super::bounds::{BadBound, Bounds};
use super::gate::Gate;
use super::service::Service;
use super::shared::Shared;
use crate::net::TcpListener;
use crate::primitives::{AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::sync::Event;
use lifespan::{Lifespan, Started};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An HTTP/1.1 server that listens already, and serves once [`run`](Self::run) is awaited.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Request, Router, Server};
/// use std::time::Duration;
///
/// let app = Router::new()
///     .get("/", |_req: Request| async { "hello" })
///     .post("/echo", |mut req: Request| async move { req.bytes().await });
/// let server = Server::builder().addr("127.0.0.1:0").build(app)?;
/// println!("listening on http://{}", server.local_addr());
///
/// // Any thread may end it, a signal handler's for example.
/// let handle = server.handle();
/// handle.shutdown(Duration::from_secs(5));
/// let drained = mainspring::block_on(server.run())?;
/// assert_eq!((drained.served, drained.cut_off), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    state: Arc<State>,
    lifespan: Lifespan,
}

/// What the server's tasks and handles share.
struct State {
    service: Arc<dyn Service>,
    shared: Arc<Shared>,
    /// One place for each connection, and one for the next, that is waited for.
    places: Arc<Gate>,
    /// How many of the places are connections.
    open: AtomicUsize,
    /// Set when the last connection ends.
    empty: Event,
    /// Set when the server is to end.
    stop: Event,
    /// Held while the bounds are changed, so that the parts of a change stay together.
    changing: Mutex<()>,
    /// How long connections may take to end after that.
    grace: Mutex<Option<Duration>>,
    cut_off: AtomicU64,
}

impl Server {
    /// The settings, with their defaults.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// The address at which it listens; the port is the real one, if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle that ends the server from any thread.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { state: Arc::clone(&self.state) }
    }

    /// Serves until a [`handle`](Self::handle) says to end, then drains.
    ///
    /// First it does what was given to [`on_start`](ServerBuilder::on_start), and last what was given
    /// to [`on_stop`](ServerBuilder::on_stop). Each connection is a task of the runtime that runs
    /// this future. Where no descriptor is left
    /// for a new connection, it waits in the kernel, those that exist are served on, and accepting
    /// is tried again ten times a second.
    ///
    /// # Errors
    ///
    /// [`RunError`]: what was to be done at the start failed, or the listening socket did, for good.
    ///
    /// # Panics
    ///
    /// If what was given to `on_start` or `on_stop` does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listening socket. Connections that were accepted go on, and
    /// what was given to `on_stop` is not done.
    pub async fn run(self) -> Result<Drained, RunError> {
        let Self { listener, state, mut lifespan, .. } = self;
        if lifespan.start(&state).await? == Started::EndedEarly {
            return Ok(state.drained(0));
        }
        let ended = serve::run(listener, Arc::clone(&state)).await;
        let unstopped = lifespan.stop(state.grace()).await;
        ended.map_err(RunError::Accept)?;
        Ok(state.drained(unstopped))
    }

    fn new(
        listener: TcpListener,
        local_addr: SocketAddr,
        service: Arc<dyn Service>,
        bounds: Bounds,
        lifespan: Lifespan,
    ) -> Self {
        let state = State {
            service,
            places: Gate::new(bounds.max_connections),
            shared: Arc::new(Shared::new(bounds)),
            open: AtomicUsize::new(0),
            empty: Event::new(),
            stop: Event::new(),
            changing: Mutex::new(()),
            grace: Mutex::new(None),
            cut_off: AtomicU64::new(0),
        };
        Self { listener, local_addr, state: Arc::new(state), lifespan }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

/// Reaches a server from any thread; cheap to clone.
#[derive(Clone)]
pub struct ServerHandle {
    state: Arc<State>,
}

impl ServerHandle {
    /// Ends the server within `grace`.
    ///
    /// It stops accepting at once, but for connections that the kernel has completed, as far as
    /// [`max_connections`](ServerBuilder::max_connections) lets them in. Connections between requests are closed, others after the answer
    /// to their present request, which says `Connection: close`. What has not ended after `grace`
    /// is cut off. Only the first call counts.
    pub fn shutdown(&self, grace: Duration) {
        let mut first = self.state.grace.lock();
        if first.is_none() {
            *first = Some(grace);
        }
        drop(first);
        self.state.stop.set();
    }

    /// How many requests were answered by a handler so far, or with 500 for one that panicked.
    pub fn served(&self) -> u64 {
        self.state.shared.counters.served()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.state.open.load(Ordering::Relaxed)
    }

    /// What the server does at this moment, and has done so far.
    pub fn metrics(&self) -> ServerMetrics {
        let shared = &self.state.shared;
        ServerMetrics {
            connections: self.connections(),
            in_flight: shared.admission.in_flight(),
            waiting: shared.admission.waiting(),
            served: shared.counters.served(),
            refused: shared.counters.refused(),
            timed_out: shared.counters.timed_out(),
            cut_off: self.state.cut_off.load(Ordering::Relaxed),
        }
    }

    /// The bounds that hold now.
    pub fn bounds(&self) -> Bounds {
        Bounds::clone(&self.state.shared.bounds.get())
    }

    /// Changes bounds while the server runs.
    ///
    /// Connections learn of it with their next request. A number that is lowered below what is there
    /// ends nothing: it holds once as many have ended.
    /// Of two calls at the same time the later one's bounds hold.
    ///
    /// # Errors
    ///
    /// [`BadBound`] if one is out of its range; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::{Router, Server};
    ///
    /// let server = Server::builder().addr("127.0.0.1:0").max_in_flight(10).build(Router::new())?;
    /// let handle = server.handle();
    /// handle.set_bounds(|bounds| bounds.max_in_flight *= 2)?;
    /// assert_eq!(handle.bounds().max_in_flight, 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_bounds(&self, change: impl FnOnce(&mut Bounds)) -> Result<(), BadBound> {
        let mut bounds = self.bounds();
        // The user's code runs under no lock.
        change(&mut bounds);
        bounds.check()?;
        let _one_at_a_time = self.state.changing.lock();
        self.state.places.set_total(bounds.max_connections);
        self.state.shared.admission.set_in_flight(bounds.max_in_flight);
        self.state.shared.bounds.set(bounds);
        Ok(())
    }
}

/// What a server does, in numbers; made by [`ServerHandle::metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMetrics {
    /// Connections that are open.
    pub connections: usize,
    /// Requests that handlers work on.
    pub in_flight: usize,
    /// Requests that wait for a handler.
    pub waiting: usize,
    /// Requests that were answered by a handler.
    pub served: u64,
    /// Requests that were answered with 503, for want of a place.
    pub refused: u64,
    /// Requests and answers whose client took too long.
    pub timed_out: u64,
    /// Connections that were cut off at the end of the server.
    pub cut_off: u64,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("served", &self.served()).finish_non_exhaustive()
    }
}

/// What a server did in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Requests that were answered by a handler, or with 500 for one that panicked.
    pub served: u64,
    /// Connections that were still to be answered when the time for that was over.
    pub cut_off: u64,
    /// What was given to [`on_stop`](ServerBuilder::on_stop) and was not done when the time for it was
    /// over.
    pub unstopped: usize,
}

impl State {
    fn grace(&self) -> Duration {
        self.grace.lock().unwrap_or(Duration::ZERO)
    }

    fn drained(&self, unstopped: usize) -> Drained {
        Drained {
            unstopped,
            served: self.shared.counters.served(),
            cut_off: self.cut_off.load(Ordering::Relaxed),
        }
    }
}
