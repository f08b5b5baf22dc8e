//! Serving connections, each in a task of its own, and waiting for the last.

use super::State;
use super::listeners::{Listener, Listeners};
use super::timed::{End, Timed};
use crate::context;
use crate::http::connection::Connection;
use crate::http::doing::Told;
use crate::http::gate::Place;
use crate::net::TcpStream;
use crate::task::{self, Activity};
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;

pub(super) async fn run(listeners: Listeners, state: Arc<State>) -> io::Result<()> {
    listeners.accept(&state).await?;
    // Each connection ends within the grace.
    state.open.none().await;
    // What they have left behind has been counted by now.
    state.shared.afterworks.end(state.ends_at()).await;
    Ok(())
}

/// To which worker connections go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deal {
    /// The one that accepts them.
    Here,
    /// One after the other, of so many.
    InTurn(usize),
}

/// A [`Deal`] on its way.
pub(super) struct Dealer {
    deal: Deal,
    next: usize,
}

impl Dealer {
    pub(super) fn here() -> Self {
        Self::new(Deal::Here, 0)
    }

    /// Begins at worker `first`.
    pub(super) fn new(deal: Deal, first: usize) -> Self {
        Self { deal, next: first }
    }

    /// The worker for the next connection, unless that is the present one: none that is stuck, as long as
    /// there are others.
    fn next(&mut self, is_stuck: impl Fn(usize) -> bool) -> Option<usize> {
        match self.deal {
            Deal::Here => None,
            Deal::InTurn(workers) => {
                let mut in_turn = (self.next..workers).chain(0..self.next);
                let next = in_turn.find(|worker| !is_stuck(*worker)).unwrap_or(self.next);
                self.next = (next + 1) % workers;
                Some(next)
            }
        }
    }
}

/// Gives a connection to a task of its own.
#[inline]
pub(super) fn begin(
    listener: &Listener,
    stream: TcpStream,
    place: Place,
    dealer: &mut Dealer,
) -> io::Result<()> {
    listener.accepted.add(1);
    // Answers are written whole; waiting for more of them would only delay the last. A peer that
    // is gone already is found out by the first read.
    let _ = stream.set_nodelay(true);
    let place = Open::new(Arc::clone(&listener.state), place);
    let is_stuck = |worker| context::current().is_ok_and(|current| current.spawn.is_stuck(worker));
    match dealer.next(is_stuck) {
        None => spawn(stream, place),
        Some(shard) => spawn_there(shard, stream, place),
    }
}

fn spawn(stream: TcpStream, place: Open) -> io::Result<()> {
    let current = context::current().map_err(|_| crate::reactor::NoReactor)?;
    let activity = Activity::new(Location::caller(), Arc::clone(&place.state.legend));
    let told = Told::new(Arc::clone(&activity));
    drop(task::spawn(&*current.spawn, serve(stream, place, told), activity));
    Ok(())
}

/// By a task there that spawns in its turn: so the code of a connection exists once.
#[cold]
fn spawn_there(shard: usize, stream: TcpStream, place: Open) -> io::Result<()> {
    let current = context::current().map_err(|_| crate::reactor::NoReactor)?;
    // A task has a runtime.
    let spawns = async { drop(spawn(stream, place)) };
    let task = task::spawn_on(&*current.spawn, shard, spawns, Location::caller());
    drop(task.unwrap_or_else(|none| task::spawn(&*current.spawn, none.0, Location::caller())));
    Ok(())
}

/// A connection's place, counted as open until it is dropped, also if its task is cancelled.
struct Open {
    state: Arc<State>,
    _place: Place,
}

impl Open {
    fn new(state: Arc<State>, place: Place) -> Self {
        state.open.add();
        Self { state, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.open.remove();
    }
}

async fn serve(stream: TcpStream, place: Open, told: Told) {
    let state = &*place.state;
    let service = Arc::clone(&state.service);
    let connection = Connection::new(stream, service, Arc::clone(&state.shared), told);
    let stop = pin!(state.stop.wait());
    if Timed::new(connection, state, stop).await == End::CutOff {
        state.shared.counters.cut_off.one();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn connections_go_to_one_after_the_other_but_not_to_those_who_are_stuck() {
        let mut dealer = Dealer::new(Deal::InTurn(3), 1);
        let mut deal = |stuck: &[usize]| dealer.next(|worker| stuck.contains(&worker)).unwrap();
        let free: Vec<_> = (0..4).map(|_| deal(&[])).collect();
        assert_eq!(free, [1, 2, 0, 1]);
        let some: Vec<_> = (0..4).map(|_| deal(&[2, 0])).collect();
        assert_eq!(some, [1, 1, 1, 1]);
        let all: Vec<_> = (0..4).map(|_| deal(&[0, 1, 2])).collect();
        assert_eq!(all, [2, 0, 1, 2], "as if none were");
        assert_eq!(Dealer::here().next(|_| true), None);
    }
}
