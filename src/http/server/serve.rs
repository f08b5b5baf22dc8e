//! Accepting, serving and draining.

use super::{Drained, State};
use crate::context;
use crate::coop;
use crate::http::connection::{Connection, Phase};
use crate::net::{TcpListener, TcpStream};
use crate::primitives::Ordering;
use crate::sync::semaphore::OwnedPermit;
use crate::task;
use crate::time::{Instant, Sleep, sleep, sleep_until};
use rustix::io::Errno;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long accepting rests when no descriptor is left: an edge will not come again for what waits.
const REST: Duration = Duration::from_millis(100);

/// How long a peer may take to close its side after we have closed ours.
const LINGER: Duration = Duration::from_secs(5);

pub(super) async fn run(listener: TcpListener, state: Arc<State>) -> io::Result<Drained> {
    let accepted = accept_until_stopped(&listener, &state).await;
    drop(listener);
    accepted?;
    // Each connection gives its place back when it ends, which the grace bounds.
    let all = state.places.acquire_many(state.max_connections).await;
    drop(all);
    Ok(state.drained())
}

async fn accept_until_stopped(listener: &TcpListener, state: &Arc<State>) -> io::Result<()> {
    let mut stop = pin!(state.stop.wait());
    loop {
        let Some(place) = until(stop.as_mut(), state.places.clone().acquire_owned()).await else {
            return accept_the_rest(listener, state, None).await;
        };
        // Nobody closes the semaphore.
        let Ok(place) = place else { return Ok(()) };
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
    mut place: Option<OwnedPermit>,
) -> io::Result<()> {
    loop {
        let Some(free) = place.take().or_else(|| state.places.clone().try_acquire_owned().ok())
        else {
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
fn begin(state: &Arc<State>, stream: TcpStream, place: OwnedPermit) -> io::Result<()> {
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
    _place: OwnedPermit,
}

impl Open {
    fn new(state: Arc<State>, place: OwnedPermit) -> Self {
        state.open.fetch_add(1, Ordering::Relaxed);
        Self { state, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(stream: TcpStream, place: Open) {
    let state = &*place.state;
    let service = Arc::clone(&state.service);
    let connection = Connection::new(stream, service, Arc::clone(&state.shared));
    let stop = pin!(state.stop.wait());
    let (asked, told, lingers, limit) = (false, false, false, None);
    let ended = Served { connection, state, stop, asked, told, lingers, limit }.await;
    if ended == End::CutOff {
        state.cut_off.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    ByItself,
    /// The peer did not close its side in time; what could be answered was.
    Lingered,
    CutOff,
}

/// A connection, with the times at which it is told to end or is cut off.
struct Served<'a, S> {
    connection: Connection<TcpStream>,
    state: &'a State,
    stop: Pin<&'a mut S>,
    /// The wait for the stop has this task's waker, which stays the same.
    asked: bool,
    /// The connection knows that the server was told to end.
    told: bool,
    /// The time to linger has begun.
    lingers: bool,
    /// When to end a connection that does not end by itself.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<S: Future<Output = ()>> Future for Served<'_, S> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = &mut *self;
        if this.must_stop(cx) {
            this.told = true;
            this.connection.stop();
            // The order to end may be here sooner than the event that tells of a request.
            this.connection.io().look_again();
            this.end_within(this.state.grace());
        }
        if Pin::new(&mut this.connection).poll(cx).is_ready() {
            return Poll::Ready(End::ByItself);
        }
        if !this.lingers && this.connection.phase() == Phase::Linger {
            this.lingers = true;
            this.end_within(LINGER);
        }
        let Some(limit) = &mut this.limit else { return Poll::Pending };
        // A handler that spends the whole budget in each poll must not keep its limit from being
        // looked at.
        let _unlimited = coop::unlimited();
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(if this.lingers { End::Lingered } else { End::CutOff })
    }
}

impl<S: Future<Output = ()>> Served<'_, S> {
    /// Whether the server was told to end, and this connection does not know yet.
    fn must_stop(&mut self, cx: &mut Context<'_>) -> bool {
        if self.told {
            return false;
        }
        if std::mem::replace(&mut self.asked, true) {
            return self.state.stop.is_set();
        }
        self.stop.as_mut().poll(cx).is_ready()
    }

    /// Limits what is left of the connection's time, where it is not limited to less.
    fn end_within(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        if self.limit.as_ref().is_none_or(|limit| deadline < limit.deadline()) {
            self.limit = Some(Box::pin(sleep_until(deadline)));
        }
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
