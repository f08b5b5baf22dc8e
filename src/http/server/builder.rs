//! The settings of a server, and what can be wrong with them.

use super::Server;
use super::lifespan::Lifespan;
use crate::http::bounds::{BadBound, Bounds};
use crate::http::router::{RouteError, Router};
use crate::http::service::Service;
use crate::net::TcpListener;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`Server`]; made by [`Server::builder`].
///
/// Each bound says what happens at it.
#[derive(Debug)]
#[must_use = "a builder does nothing until build() is called"]
pub struct ServerBuilder {
    addr: String,
    bounds: Bounds,
    lifespan: Lifespan,
}

macro_rules! bounds {
    ($($(#[$meta:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$meta])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.bounds.$name = $name;
            self
        }
    )*};
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            addr: "127.0.0.1:8080".to_owned(),
            bounds: Bounds::default(),
            lifespan: Lifespan::default(),
        }
    }

    /// Where to listen, as `HOST:PORT`; by default `127.0.0.1:8080`. Port 0 asks the kernel to
    /// choose one.
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    bounds! {
        /// Connections at one time; by default 25,000. See [`Bounds::max_connections`].
        max_connections: usize;
        /// Requests that handlers work on at one time; by default 1,024. See [`Bounds::max_in_flight`].
        max_in_flight: usize;
        /// Requests that wait for a handler; by default 1,024. See [`Bounds::max_waiting`].
        max_waiting: usize;
        /// How long a request waits for a handler; by default 10 s. See [`Bounds::waiting_time`].
        waiting_time: Duration;
        /// Requests on one connection; by default no bound. See [`Bounds::max_requests`].
        max_requests: u64;
        /// Answers of one connection that may wait for the client; by default 16. See [`Bounds::read_ahead`].
        read_ahead: usize;
        /// Bytes of a request's head; by default 32 KiB. See [`Bounds::max_head`].
        max_head: usize;
        /// Field lines of a request; by default 100. See [`Bounds::max_headers`].
        max_headers: usize;
        /// Bytes of a request's target; by default 8 KiB. See [`Bounds::max_target`].
        max_target: usize;
        /// Bytes of a request's body; by default 2 MiB. See [`Bounds::max_body`].
        max_body: u64;
        /// How long a request's head may take; by default 10 s. See [`Bounds::header_time`].
        header_time: Duration;
        /// How long a connection may be idle after an answer; by default 5 s. See [`Bounds::keep_alive`].
        keep_alive: Duration;
        /// How long a body may take beside what its rate earns; by default 30 s. See [`Bounds::body_time`].
        body_time: Duration;
        /// Bytes of a body that earn it a second more; by default 256. See [`Bounds::body_rate`].
        body_rate: u64;
        /// How long a client may take nothing of its answer; by default 30 s. See [`Bounds::write_time`].
        write_time: Duration;
    }

    /// What is to be done before the first connection is accepted, such as to open a database.
    ///
    /// May be called several times; one is done after the other. The socket listens meanwhile, so
    /// that clients wait in the kernel. An error ends [`run`](Server::run), and so does a
    /// [`shutdown`](super::ServerHandle::shutdown): then what was to be started is dropped, and
    /// nothing given to [`on_stop`](Self::on_stop) is done.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::{Router, Server};
    ///
    /// let server = Server::builder()
    ///     .addr("127.0.0.1:0")
    ///     .on_start(|| async { Err::<(), _>("the database is not there") })
    ///     .build(Router::new())?;
    /// let error = mainspring::block_on(server.run()).unwrap_err();
    /// assert_eq!(error.to_string(), "the server could not start: the database is not there");
    /// # Ok::<(), mainspring::http::BuildError>(())
    /// ```
    pub fn on_start<F, Fut, E>(mut self, start: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.lifespan.add_start(start);
        self
    }

    /// What is to be done when the last connection has ended, or none can be accepted any more,
    /// before [`run`](Server::run) returns.
    ///
    /// May be called several times; the last is done first. All together have what the connections
    /// have left of the grace that [`shutdown`](super::ServerHandle::shutdown) was given, and at
    /// least 1 s; what is not done by then is dropped, and counted in [`Drained`](super::Drained).
    pub fn on_stop<F, Fut>(mut self, stop: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.lifespan.add_stop(stop);
        self
    }

    /// Makes a server for `router`, and begins to listen.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says which setting is wrong, or why the address cannot be listened at.
    pub fn build(self, router: Router) -> Result<Server, BuildError> {
        let app = router.into_app().map_err(BuildError::Route)?;
        self.build_service(app)
    }

    /// Makes a server for any [`Service`], and begins to listen.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_service(self, service: impl Service) -> Result<Server, BuildError> {
        self.bounds.check().map_err(BuildError::Bound)?;
        let addresses = resolve(&self.addr)?;
        let addr = self.addr;
        let failed = |source| BuildError::Listen { addr: addr.clone(), source };
        let listener = bind_first(&addresses).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let service = Arc::new(service);
        Ok(Server::new(listener, local_addr, service, self.bounds, self.lifespan))
    }
}

fn resolve(addr: &str) -> Result<Vec<SocketAddr>, BuildError> {
    let bad = |reason: String| BuildError::Address { addr: addr.to_owned(), reason };
    let found: Vec<_> = addr.to_socket_addrs().map_err(|error| bad(error.to_string()))?.collect();
    if found.is_empty() { Err(bad("the name has no addresses".to_owned())) } else { Ok(found) }
}

/// Listens at the first address that can be listened at; the error is that of the first.
fn bind_first(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut first_error = None;
    for address in addresses {
        match TcpListener::bind(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// Why a server could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is not `HOST:PORT`, or the host is not known.
    Address {
        /// What was given.
        addr: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be listened at.
    Listen {
        /// What was given.
        addr: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A route is wrong.
    Route(RouteError),
    /// A bound is out of its range.
    Bound(BadBound),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { addr, reason } => {
                write!(f, "`{addr}` is not an address to listen at ({reason}): give HOST:PORT")
            }
            Self::Listen { addr, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{addr} is taken by another program: end that, or choose another port")
            }
            Self::Listen { addr, source } => write!(f, "cannot listen at {addr}: {source}"),
            Self::Route(error) => error.fmt(f),
            Self::Bound(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } => Some(source),
            Self::Route(error) => Some(error),
            Self::Bound(error) => Some(error),
            Self::Address { .. } => None,
        }
    }
}
