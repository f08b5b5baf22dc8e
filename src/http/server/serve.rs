//! Accepting, serving and draining.

use super::State;
use super::timed::{End, Timed};
use crate::context;
use crate::coop;
use crate::http::afterwork::before;
use crate::http::connection::Connection;
use crate::http::gate::Place;
use crate::net::{TcpListener, TcpStream};
use crate::task;
use crate::time::sleep;
use rustix::event::{PollFd, PollFlags, Timespec};
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

/// Connections that the kernel may hold ready, and so the most that are taken after the stop.
const QUEUE: usize = 4_096;

pub(super) async fn run(listener: TcpListener, state: Arc<State>) -> io::Result<()> {
    let accepted = accept_until_stopped(&listener, &state).await;
    drop(listener);
    accepted?;
    // Each connection ends within the grace.
    state.open.none().await;
    // What they have left behind has been counted by now.
    state.shared.afterworks.end(state.ends_at()).await;
    Ok(())
}

async fn accept_until_stopped(listener: &TcpListener, state: &Arc<State>) -> io::Result<()> {
    let counters = &state.shared.counters;
    let mut stop = pin!(state.stop.wait());
    loop {
        let place = match state.places.enter_now() {
            Some(place) => place,
            None => {
                counters.accept_pauses.one();
                match until(stop.as_mut(), state.places.enter()).await {
                    Some(place) => place,
                    None => return accept_the_rest(listener, state, None).await,
                }
            }
        };
        match until(stop.as_mut(), listener.accept()).await {
            None => return accept_the_rest(listener, state, Some(place)).await,
            Some(Ok((stream, _peer))) => begin(state, stream, place)?,
            Some(Err(error)) if concerns_one_connection(&error) => {}
            Some(Err(error)) if is_exhaustion(&error) => {
                counters.accept_rests.one();
                if until(stop.as_mut(), sleep(REST)).await.is_none() {
                    return accept_the_rest(listener, state, Some(place)).await;
                }
            }
            Some(Err(error)) => return Err(error),
        }
    }
}

/// Serves those whose connection the kernel had completed when the server was told to end, as there
/// are places for them, within its grace.
async fn accept_the_rest(
    listener: &TcpListener,
    state: &Arc<State>,
    mut place: Option<Place>,
) -> io::Result<()> {
    // No room for more in the kernel's queue: those who come now ask again, and find nobody (one at
    // a time may slip through). Where this fails, they wait in vain, as they did elsewhere.
    let _ = rustix::net::listen(listener, 0);
    for _ in 0..QUEUE {
        let free = match place.take().or_else(|| state.places.enter_now()) {
            Some(free) => free,
            // The end need not be waited for where nobody wants a place.
            None if is_queue_empty(listener) => return Ok(()),
            None => match before(state.ends_at(), state.places.enter()).await {
                Some(free) => free,
                None => return Ok(()),
            },
        };
        // A spent budget, or an event that was not told yet, does not mean that nobody is there.
        listener.look_again();
        let waiting = std::future::poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        });
        match coop::unconstrained(waiting).await {
            Some(Ok((stream, _peer))) => begin(state, stream, free)?,
            Some(Err(error)) if concerns_one_connection(&error) => place = Some(free),
            Some(Err(error)) if is_exhaustion(&error) => {
                state.shared.counters.accept_rests.one();
                if before(state.ends_at(), sleep(REST)).await.is_none() {
                    return Ok(());
                }
                place = Some(free);
            }
            Some(Err(_)) | None => return Ok(()),
        }
        coop::consume_budget().await;
    }
    Ok(())
}

/// Whether nobody waits to be accepted.
fn is_queue_empty(listener: &TcpListener) -> bool {
    let mut asked = [PollFd::new(listener, PollFlags::IN)];
    matches!(rustix::event::poll(&mut asked, Some(&Timespec::default())), Ok(0))
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
        state.open.add();
        Self { state, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.open.remove();
    }
}

async fn serve(stream: TcpStream, place: Open) {
    let state = &*place.state;
    let service = Arc::clone(&state.service);
    let connection = Connection::new(stream, service, Arc::clone(&state.shared));
    let stop = pin!(state.stop.wait());
    if Timed::new(connection, state, stop).await == End::CutOff {
        state.shared.counters.cut_off.one();
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
