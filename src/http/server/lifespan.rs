//! What a program does around the life of its server.

use super::State;
use crate::coop;
use crate::time::{Instant, timeout};
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// The least time for what is done at the end, however little is left of the grace.
const LEAST: Duration = Duration::from_secs(1);

type StartFuture = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send>>;
type Start = Box<dyn FnOnce() -> StartFuture + Send>;
type StopFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type Stop = Box<dyn FnOnce() -> StopFuture + Send>;
type StartError = Box<dyn Error + Send + Sync>;

/// What is called before the first connection is accepted, and after the last has ended.
#[derive(Default)]
pub(super) struct Lifespan {
    starts: Vec<Start>,
    stops: Vec<Stop>,
}

/// How the start went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Started {
    All,
    /// The server was told to end before it had started.
    EndedEarly,
}

impl Lifespan {
    pub(super) fn add_start<F, Fut, E>(&mut self, start: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.starts.push(Box::new(move || {
            let start = start();
            Box::pin(async move { start.await.map_err(Into::into) })
        }));
    }

    pub(super) fn add_stop<F, Fut>(&mut self, stop: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.stops.push(Box::new(move || Box::pin(stop())));
    }

    /// Starts, one thing after the other, until all have or `state` says to stop.
    pub(super) async fn start(&mut self, state: &State) -> Result<Started, RunError> {
        let mut stop = pin!(state.stop.wait());
        for start in std::mem::take(&mut self.starts) {
            let mut start = start();
            let started = poll_fn(|cx| {
                if let Poll::Ready(started) = start.as_mut().poll(cx) {
                    return Poll::Ready(Some(started));
                }
                // A start that spends the whole budget in each poll must not keep the end away.
                let _unlimited = coop::unlimited();
                stop.as_mut().poll(cx).map(|()| None)
            });
            match started.await {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(RunError::Start(error)),
                None => return Ok(Started::EndedEarly),
            }
        }
        Ok(Started::All)
    }

    /// Stops, the last thing first; tells how many were dropped at `ends_at`.
    pub(super) async fn stop(self, ends_at: Instant) -> usize {
        let mut left = self.stops.len();
        let stopping = async {
            for stop in self.stops.into_iter().rev() {
                stop().await;
                left -= 1;
            }
        };
        // Which of the two it was is seen by what is left.
        let left_of_grace = ends_at.saturating_duration_since(Instant::now());
        let _ = timeout(left_of_grace.max(LEAST), stopping).await;
        left
    }
}

impl fmt::Debug for Lifespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifespan")
            .field("starts", &self.starts.len())
            .field("stops", &self.stops.len())
            .finish()
    }
}

/// Why a server could not begin to serve, or go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A socket for a further worker could not be opened; nothing was started.
    Listen {
        /// Where the server listens.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was to be done at the start has failed; no connection was accepted.
    Start(Box<dyn Error + Send + Sync>),
    /// The listening socket failed for good.
    Accept(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { addr, source } => {
                write!(f, "cannot listen at {addr} for each worker: {source}")
            }
            Self::Start(error) => write!(f, "the server could not start: {error}"),
            Self::Accept(error) => write!(f, "the server accepts no connections any more: {error}"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start(error) => Some(&**error),
            Self::Listen { source: error, .. } | Self::Accept(error) => Some(error),
        }
    }
}

impl From<RunError> for io::Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Listen { source: error, .. } | RunError::Accept(error) => error,
            start => Self::other(start),
        }
    }
}
