//! Accepting, serving and draining.

use super::State;
use super::timed::{End, Timed};
use crate::context;
use crate::coop;
use crate::http::connection::Connection;
use crate::http::gate::Place;
use crate::net::{TcpListener, TcpStream};
use crate::primitives::Ordering;
use crate::task;
use crate::time::sleep;
use rustix::io::Errno;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How long accepting rests when no descriptor is left: an edge will not come again for what waits.
const REST: Duration = Duration::from_millis(100);

pub(super) async fn run(listener: TcpListener, state: Arc<State>) -> io::Result<()> {
    let accepted = accept_until_stopped(&listener, &state).await;
    drop(listener);
    accepted?;
    // Each connection ends within the grace.
    loop {
        state.empty.clear();
        if state.open.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        state.empty.wait().await;
    }
}

async fn accept_until_stopped(listener: &TcpListener, state: &Arc<State>) -> io::Result<()> {
    let mut stop = pin!(state.stop.wait());
    loop {
        let Some(place) = until(stop.as_mut(), state.places.enter()).await else {
            return accept_the_rest(listener, state, None).await;
        };
        match until(stop.as_mut(), listener.accept()).await {
            None => return accept_the_rest(listener, state, Some(place)).await,
            Some(Ok((stream, _peer))) => begin(state, stream, place)?,
            Some(Err(error)) if concerns_one_connection(&error) => {}
            Some(Err(error)) if is_exhaustion(&error) => {
                if until(stop.as_mut(), sleep(REST)).await.is_none() {
                    return accept_the_rest(listener, state, Some(place)).await;
                }
            }
            Some(Err(error)) => return Err(error),
        }
    }
}

/// Serves those whose connection the kernel had completed when the server was told to end, as far as
/// there are places for them.
async fn accept_the_rest(
    listener: &TcpListener,
    state: &Arc<State>,
    mut place: Option<Place>,
) -> io::Result<()> {
    loop {
        let Some(free) = place.take().or_else(|| state.places.enter_now()) else {
            return Ok(());
        };
        let waiting = std::future::poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        });
        match coop::unconstrained(waiting).await {
            Some(Ok((stream, _peer))) => begin(state, stream, free)?,
            Some(Err(error)) if concerns_one_connection(&error) => place = Some(free),
            Some(Err(_)) | None => return Ok(()),
        }
    }
}

/// Gives a connection to a task of its own.
fn begin(state: &Arc<State>, stream: TcpStream, place: Place) -> io::Result<()> {
    // Answers are written whole; waiting for more of them would only delay the last. A peer that
    // is gone already is found out by the first read.
    let _ = stream.set_nodelay(true);
    let current = context::current().map_err(|_| crate::reactor::NoReactor)?;
    let place = Open::new(Arc::clone(state), place);
    let connection = serve(stream, place);
    drop(task::spawn(&*current.spawn, connection, Location::caller()));
    Ok(())
}

/// A connection's place, counted as open until it is dropped, also if its task is cancelled.
struct Open {
    state: Arc<State>,
    _place: Place,
}

impl Open {
    fn new(state: Arc<State>, place: Place) -> Self {
        state.open.fetch_add(1, Ordering::Relaxed);
        Self { state, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.state.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.state.empty.set();
        }
    }
}

async fn serve(stream: TcpStream, place: Open) {
    let state = &*place.state;
    let service = Arc::clone(&state.service);
    let connection = Connection::new(stream, service, Arc::clone(&state.shared));
    let stop = pin!(state.stop.wait());
    if Timed::new(connection, state, stop).await == End::CutOff {
        state.cut_off.fetch_add(1, Ordering::Relaxed);
    }
}

/// Awaits `future`, unless `stop` is ready first.
async fn until<T>(
    mut stop: Pin<&mut impl Future<Output = ()>>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Errors of `accept` that say nothing about the next connection (`accept(2)`, "error handling").
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::PERM
        )
    )
}

/// Errors of `accept` that pass when others give something back.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
