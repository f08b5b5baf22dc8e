//! The sockets at which a server listens, and the tasks that accept there.

use super::State;
use super::accept::{accept_the_rest, accept_until_stopped};
use super::serve::{Deal, Dealer};
use crate::context::{self, Runs};
use crate::group::try_join_all;
use crate::http::counters::Count;
use crate::net::TcpListener;
use crate::primitives::Ordering;
use crate::task::{self, JoinError, JoinHandle};
use rustix::net::Shutdown;
use std::io;
use std::panic::{Location, resume_unwind};
use std::sync::Arc;

/// A socket at which a server listens, counted until it is closed.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// Connections that came here.
    pub(super) accepted: Arc<Count>,
    pub(super) state: Arc<State>,
}

impl Listener {
    pub(super) fn new(socket: TcpListener, state: Arc<State>) -> Self {
        let accepted = Arc::new(Count::default());
        state.accepted.lock().push(Arc::clone(&accepted));
        state.listeners.fetch_add(1, Ordering::Relaxed);
        Self { socket, accepted, state }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.state.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who accepts, and where.
pub(super) enum Listeners {
    /// The task that runs the server, as its thread runs all tasks.
    Here(Listener),
    /// A task for each socket.
    ByTasks { sockets: Vec<Arc<Listener>>, deal: Deal },
}

impl Listeners {
    /// Opens a socket for each worker of the present runtime, at the address of `first`.
    pub(super) fn open(first: Listener) -> io::Result<Self> {
        let Ok(current) = context::current() else { return Ok(Self::Here(first)) };
        let workers = current.spawn.workers();
        if workers == 1 && current.runs != Runs::Nothing {
            return Ok(Self::Here(first));
        }
        let state = Arc::clone(&first.state);
        let mut sockets = vec![Arc::new(first)];
        while sockets.len() < workers
            && let Some(socket) = sockets[0].socket.bind_beside()?
        {
            sockets.push(Arc::new(Listener::new(socket, Arc::clone(&state))));
        }
        // Where workers share a socket, one task deals out what comes there. If each had one, all
        // would be woken for each connection, and the quickest would have most of them.
        let deal = if sockets.len() < workers { Deal::InTurn(workers) } else { Deal::Here };
        Ok(Self::ByTasks { sockets, deal })
    }

    /// Accepts until the server is told to end, then those who are there already, and closes.
    pub(super) async fn accept(self, state: &Arc<State>) -> io::Result<()> {
        match self {
            Self::Here(listener) => accept_until_stopped(&listener, state, Dealer::here()).await,
            Self::ByTasks { sockets, deal } => {
                Loops::spawn(sockets, state, deal)?.join(state).await
            }
        }
    }
}

/// The tasks that accept. When it is dropped, nobody is accepted any more, and they end.
struct Loops {
    sockets: Vec<Arc<Listener>>,
    tasks: Vec<JoinHandle<io::Result<()>>>,
}

impl Loops {
    fn spawn(sockets: Vec<Arc<Listener>>, state: &Arc<State>, deal: Deal) -> io::Result<Self> {
        let current = context::current().map_err(|_| crate::reactor::NoReactor)?;
        let mut loops = Self { sockets, tasks: Vec::new() };
        for (shard, listener) in loops.sockets.iter().enumerate() {
            let (listener, state) = (Arc::clone(listener), Arc::clone(state));
            let dealer = Dealer::new(deal, shard);
            let accepts = async move { accept_until_stopped(&listener, &state, dealer).await };
            let origin = Location::caller();
            let task = task::spawn_on(&*current.spawn, shard, accepts, origin);
            loops.tasks.push(task.unwrap_or_else(|none| {
                // There are as many workers as were counted just now.
                task::spawn(&*current.spawn, none.0, origin)
            }));
        }
        Ok(loops)
    }

    /// Waits until all have ended, and closes all sockets then: to those that are still open, the
    /// kernel would deal what one that is closed would have got.
    async fn join(mut self, state: &Arc<State>) -> io::Result<()> {
        let ends = self.tasks.iter_mut().map(async |task| task.await.unwrap_or_else(broken_off));
        try_join_all(ends).await?;
        // Those who slipped in where the queue was empty first.
        for listener in &self.sockets {
            accept_the_rest(listener, state, &mut Dealer::here(), None).await?;
        }
        Ok(())
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        for listener in &self.sockets {
            // The task has it until its worker comes to drop it; nobody is to be accepted meanwhile.
            let _ = rustix::net::shutdown(&listener.socket, Shutdown::Both);
        }
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What becomes of the server whose accepting task has no result.
fn broken_off(error: JoinError) -> io::Result<()> {
    match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(cancelled) => Err(io::Error::other(cancelled)),
    }
}
