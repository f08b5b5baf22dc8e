//! The server: it accepts, serves each connection in a task of its own, and drains at the end.

mod accept;
mod builder;
mod lifespan;
mod listeners;
mod metrics;
mod serve;
mod timed;
#[cfg(all(test, not(loom)))]
mod told_tests;
#[cfg(all(test, not(loom)))]
mod workers_tests;

pub use builder::{BuildError, ServerBuilder};
pub use lifespan::RunError;
pub use metrics::ServerMetrics;

use super::bounds::{BadBound, Bounds};
use super::counters::Count;
use super::doing;
use super::gate::Gate;
use super::service::Service;
use super::shared::Shared;
use super::tally::Tally;
use crate::net::TcpListener;
use crate::primitives::{AtomicUsize, Mutex};
use crate::sync::Event;
use crate::task::Legend;
use crate::time::Instant;
use lifespan::{Lifespan, Started};
use listeners::{Listener, Listeners};
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
    listener: Listener,
    local_addr: SocketAddr,
    state: Arc<State>,
    lifespan: Lifespan,
}

/// What the server's tasks and handles share.
struct State {
    service: Arc<dyn Service>,
    /// What the tasks of connections say that they are doing.
    legend: Arc<Legend>,
    shared: Arc<Shared>,
    /// One place for each connection, and where there is one socket, one for the next.
    places: Arc<Gate>,
    /// How many of the places are connections, and not about to be.
    open: Tally,
    /// Sockets at which the server listens.
    listeners: AtomicUsize,
    /// Connections that came, for each socket that there was.
    accepted: Mutex<Vec<Arc<Count>>>,
    /// Set when the server is to end.
    stop: Event,
    /// When the last connection must have ended then.
    ends_at: Mutex<Option<Instant>>,
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
    /// this future. Where no descriptor is left for a new connection, it waits in the kernel, those
    /// that exist are served on, and accepting is tried again ten times a second.
    ///
    /// # Several workers
    ///
    /// Where the runtime has several workers, a listening socket is opened for each, at the same
    /// address, and a connection is served by the worker whose socket it came to, unless another one
    /// has nothing to do and takes it over. The kernel chooses the socket by a hash of both addresses
    /// and ports (`SO_REUSEPORT`): many connections are spread evenly, a few may not be, and what they
    /// ask for does not count. [`ServerHandle::accepted`] tells how it came out. All bounds are those
    /// of the whole server.
    ///
    /// From then on other programs of the same user can listen at the address too, if they ask for
    /// just that; a second `Server` does not, and its `build` fails. Where the system has no such
    /// sockets (others than Linux), or refuses them (the program has given away the right to use its
    /// port since [`build`](ServerBuilder::build)), there is one, and connections go to the workers
    /// in turn.
    ///
    /// # Errors
    ///
    /// [`RunError`]: no further listening socket could be opened, what was to be done at the start
    /// failed, or a listening socket did, for good. In the last case connections that were accepted
    /// go on, and what was given to `on_stop` is done meanwhile.
    ///
    /// # Panics
    ///
    /// If what was given to `on_start` or `on_stop` does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the listening. Connections that were accepted go on, and
    /// what was given to `on_stop` is not done.
    pub async fn run(self) -> Result<Drained, RunError> {
        let Self { listener, local_addr, state, mut lifespan } = self;
        let listeners = Listeners::open(listener)
            .map_err(|source| RunError::Listen { addr: local_addr, source })?;
        if lifespan.start(&state).await? == Started::EndedEarly {
            return Ok(state.drained(0));
        }
        let ended = serve::run(listeners, Arc::clone(&state)).await;
        let unstopped = lifespan.stop(state.ends_at()).await;
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
            legend: doing::legend(&*service),
            service,
            places: Gate::new(bounds.max_connections),
            shared: Arc::new(Shared::new(bounds)),
            open: Tally::default(),
            listeners: AtomicUsize::new(0),
            accepted: Mutex::new(Vec::new()),
            stop: Event::new(),
            ends_at: Mutex::new(None),
        };
        let state = Arc::new(state);
        let listener = Listener::new(listener, Arc::clone(&state));
        Self { listener, local_addr, state, lifespan }
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
    /// Ends the server within `grace`, counted from this call.
    ///
    /// Nobody new is accepted, but connections that the kernel has completed already are, as places
    /// among [`max_connections`](ServerBuilder::max_connections) come free. Connections between
    /// requests are closed, others after the answer to their present request, which says
    /// `Connection: close`. Then work after answers ([`Response::after`](super::Response::after)) is
    /// waited for. What has not ended after `grace` is cut off; what was given to
    /// [`on_stop`](ServerBuilder::on_stop) has 1 s at the least. Only the first call counts.
    pub fn shutdown(&self, grace: Duration) {
        let now = Instant::now();
        self.state.ends_at.lock().get_or_insert(now + grace);
        self.state.stop.set();
    }

    /// How many requests were answered by a handler so far, or with 500 for one that panicked.
    pub fn served(&self) -> u64 {
        self.state.shared.counters.served.get()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.state.open.get()
    }

    /// How many connections came to each listening socket so far: one number for each that the server
    /// has or had; see [`run`](Server::run).
    pub fn accepted(&self) -> Vec<u64> {
        self.state.accepted.lock().iter().map(|count| count.get()).collect()
    }

    /// What the server does at this moment, and how often each of its bounds was met so far.
    pub fn metrics(&self) -> ServerMetrics {
        ServerMetrics::of(&self.state)
    }

    /// The bounds that hold now.
    pub fn bounds(&self) -> Bounds {
        Bounds::clone(&self.state.shared.bounds.get())
    }

    /// Changes bounds while the server runs.
    ///
    /// Connections learn of it with their next request. A number that is lowered below what is there
    /// ends nothing: it holds once as many have ended.
    ///
    /// No change is lost to another at the same time: where somebody else was first, `change` is
    /// called again, with the bounds as they are then. So it must not change bounds by other means.
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
    pub fn set_bounds(&self, mut change: impl FnMut(&mut Bounds)) -> Result<(), BadBound> {
        let live = &self.state.shared.bounds;
        loop {
            let old = live.get();
            let mut new = Bounds::clone(&old);
            // The user's code runs under no lock.
            change(&mut new);
            new.check()?;
            if live.replace(&old, Arc::new(new)) {
                break;
            }
        }
        // What holds by now, if that is a later change: the order of these calls is open.
        self.state.places.set_total(|| live.get().max_connections);
        self.state.shared.admission.set_in_flight(|| live.get().max_in_flight);
        Ok(())
    }
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
    /// Works after answers ([`Response::after`](super::Response::after)) that were not done then.
    pub afterwork_cut_off: u64,
    /// What was given to [`on_stop`](ServerBuilder::on_stop) and was not done when the time for it was
    /// over.
    pub unstopped: usize,
}

impl State {
    /// When the server must have ended, once it was told to.
    fn ends_at(&self) -> Instant {
        self.ends_at.lock().unwrap_or_else(Instant::now)
    }

    fn drained(&self, unstopped: usize) -> Drained {
        let counters = &self.shared.counters;
        Drained {
            unstopped,
            served: counters.served.get(),
            cut_off: counters.cut_off.get(),
            afterwork_cut_off: counters.afterwork_cut_off.get(),
        }
    }
}
