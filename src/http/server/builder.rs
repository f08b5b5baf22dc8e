//! The settings of a server, and what can be wrong with them.

use super::Server;
use crate::http::codec::Limits;
use crate::http::router::{RouteError, Router};
use crate::http::service::Service;
use crate::net::TcpListener;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// The settings of a [`Server`]; made by [`Server::builder`].
///
/// Each bound says what happens at it.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until build() is called"]
pub struct ServerBuilder {
    addr: String,
    max_connections: usize,
    limits: Limits,
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            addr: "127.0.0.1:8080".to_owned(),
            max_connections: 25_000,
            limits: Limits::default(),
        }
    }

    /// Where to listen, as `HOST:PORT`; by default `127.0.0.1:8080`. Port 0 asks the kernel to
    /// choose one.
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    /// Connections at one time; by default 25,000, at least 1. Further ones wait in the kernel.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// Bytes of a request's head; by default 32 KiB, from 64 to 65,535. Longer ones are answered
    /// with 431.
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.limits.head = bytes;
        self
    }

    /// Field lines of a request; by default 100, from 1 to 256. More are answered with 431.
    pub fn max_headers(mut self, count: usize) -> Self {
        self.limits.fields = count;
        self
    }

    /// Bytes of a request's target; by default 8 KiB, at least 1. Longer ones are answered with 414.
    pub fn max_target(mut self, bytes: usize) -> Self {
        self.limits.target = bytes;
        self
    }

    /// Bytes of a request's body; by default 2 MiB. Longer ones are answered with 413.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.limits.body = bytes;
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
        self.check()?;
        let addresses = resolve(&self.addr)?;
        let failed = |source| BuildError::Listen { addr: self.addr.clone(), source };
        let listener = bind_first(&addresses).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let service = Arc::new(service);
        Ok(Server::new(listener, local_addr, service, self.limits, self.max_connections))
    }

    fn check(&self) -> Result<(), BuildError> {
        let Limits { head, fields, target, .. } = self.limits;
        let settings = [
            ("max_connections", self.max_connections, 1..=crate::sync::Semaphore::MAX_PERMITS),
            ("max_head", head, 64..=Limits::HEAD_MAX),
            ("max_headers", fields, 1..=Limits::FIELDS_MAX),
            ("max_target", target, 1..=usize::MAX),
        ];
        for (setting, value, allowed) in settings {
            if !allowed.contains(&value) {
                let (least, most) = allowed.into_inner();
                return Err(BuildError::Setting { setting, value, least, most });
            }
        }
        Ok(())
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
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What was given.
        value: usize,
        /// The least that it takes.
        least: usize,
        /// The most that it takes.
        most: usize,
    },
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
            Self::Setting { setting, value, least, most } => {
                write!(f, "{setting} is {value}, but must be from {least} to {most}")
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } => Some(source),
            Self::Route(error) => Some(error),
            Self::Address { .. } | Self::Setting { .. } => None,
        }
    }
}
