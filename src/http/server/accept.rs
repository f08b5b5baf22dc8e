//! Accepting at one socket: until the server is told to end, and then who is there already.

use super::State;
use super::listeners::Listener;
use super::serve::{Dealer, begin};
use crate::coop;
use crate::http::afterwork::before;
use crate::http::gate::Place;
use crate::net::TcpListener;
use crate::primitives::Ordering;
use crate::time::sleep;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How long accepting rests when no descriptor is left: an edge will not come again for what waits.
const REST: Duration = Duration::from_millis(100);

/// Connections that the kernel may hold ready, and so the most that are taken after the stop.
const QUEUE: usize = 4_096;

/// Accepts, each into a place of its own.
///
/// Where there are several sockets, none is held while nobody is there: who comes to another socket may
/// need the last one.
pub(super) async fn accept_until_stopped(
    listener: &Listener,
    state: &Arc<State>,
    mut dealer: Dealer,
) -> io::Result<()> {
    let counters = &state.shared.counters;
    let mut stop = pin!(state.stop.wait());
    let alone = state.listeners.load(Ordering::Relaxed) == 1;
    let mut place = None;
    loop {
        let attempt = |socket: &TcpListener| {
            let Some(free) = place.take().or_else(|| state.places.enter_now()) else {
                return Ok(None);
            };
            match socket.try_accept() {
                Ok(stream) => Ok(Some((stream, free))),
                Err(error) => {
                    place = alone.then_some(free);
                    Err(error)
                }
            }
        };
        match until(stop.as_mut(), listener.socket.accept_by(attempt)).await {
            None => break,
            Some(Ok(Some((stream, place)))) => begin(listener, stream, place, &mut dealer)?,
            Some(Ok(None)) => {
                counters.accept_pauses.one();
                match until(stop.as_mut(), state.places.enter()).await {
                    None => break,
                    free => place = free,
                }
            }
            Some(Err(error)) if concerns_one_connection(&error) => {}
            Some(Err(error)) if is_exhaustion(&error) => {
                counters.accept_rests.one();
                if until(stop.as_mut(), sleep(REST)).await.is_none() {
                    break;
                }
            }
            Some(Err(error)) => return Err(error),
        }
    }
    accept_the_rest(listener, state, &mut dealer, place).await
}

/// Serves those whose connection the kernel had completed when the server was told to end, as there
/// are places for them, within its grace.
pub(super) async fn accept_the_rest(
    listener: &Listener,
    state: &Arc<State>,
    dealer: &mut Dealer,
    mut place: Option<Place>,
) -> io::Result<()> {
    let socket = &listener.socket;
    // No room for more in the kernel's queue: those who come now ask again, and find nobody (one at
    // a time may slip through). Where this fails, they wait in vain, as they did elsewhere.
    let _ = rustix::net::listen(socket, 0);
    for _ in 0..QUEUE {
        let free = match place.take().or_else(|| state.places.enter_now()) {
            Some(free) => free,
            // The end need not be waited for where nobody wants a place.
            None if is_queue_empty(socket) => return Ok(()),
            None => match before(state.ends_at(), state.places.enter()).await {
                Some(free) => free,
                None => return Ok(()),
            },
        };
        match socket.try_accept() {
            Ok(stream) => begin(listener, stream, free, dealer)?,
            Err(error) if concerns_one_connection(&error) => place = Some(free),
            Err(error) if is_exhaustion(&error) => {
                // Others may need it meanwhile.
                drop(free);
                state.shared.counters.accept_rests.one();
                if before(state.ends_at(), sleep(REST)).await.is_none() {
                    return Ok(());
                }
            }
            Err(_) => return Ok(()),
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
                | Errno::INTR
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
