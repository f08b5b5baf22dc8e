//! A non-blocking descriptor together with what is known of its readiness.

use crate::context;
use crate::coop;
use crate::reactor::{Direction, Registration, Seen, WaitKey};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A descriptor that is tried first and waited for only when it would block.
///
/// It is registered with the driver of the thread on which it first has to wait. One that never has
/// to costs no `epoll_ctl`.
pub(crate) struct Source<T: AsFd> {
    /// `None` only after `into_inner` took it, in a value that nobody can reach any more.
    inner: Option<T>,
    registration: Arc<Registration>,
}

/// Whether an attempt took all there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// There may be more; the next attempt is worth its system call.
    Some,
    /// A further attempt would block: nothing is left, or nothing more fits.
    All,
}

impl<T: AsFd> Source<T> {
    /// Takes a descriptor that must be non-blocking already.
    pub(crate) fn new(inner: T) -> Self {
        Self { inner: Some(inner), registration: Registration::new() }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("a source was used after into_inner"),
        }
    }

    /// Ends the watch and gives the descriptor back.
    pub(crate) fn into_inner(mut self) -> T {
        self.registration.unbind(self.get().as_fd());
        match self.inner.take() {
            Some(inner) => inner,
            None => unreachable!("a source was taken apart twice"),
        }
    }

    /// The descriptor is known not to be ready: whoever comes next waits before the first attempt.
    pub(crate) fn assume_blocked(&self, direction: Direction) {
        if let Some(seen) = self.registration.look(direction) {
            self.registration.disprove(direction, seen);
        }
    }

    /// An attempt based on `seen` would have blocked.
    pub(crate) fn disprove(&self, direction: Direction, seen: Seen) {
        self.registration.disprove(direction, seen);
    }

    /// Waits until an attempt in `direction` is worth it; any number of callers may wait.
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<Seen> {
        let mut place = Place { source: self, direction, key: WaitKey::Future(0) };
        std::future::poll_fn(|cx| self.poll_ready_as(&mut place.key, direction, cx)).await
    }

    /// Waits until an attempt in `direction` is worth it, for a `poll_…` function.
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Seen>> {
        self.poll_ready_as(&mut WaitKey::Poll, direction, cx)
    }

    /// As [`poll_ready`](Self::poll_ready), for who makes an attempt next, which the budget is charged
    /// for: what is ready already costs nothing here.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn poll_worthwhile(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self.registration.look(direction) {
            Some(_) => Poll::Ready(Ok(())),
            None => self.poll_ready(direction, cx).map_ok(drop),
        }
    }

    fn poll_ready_as(
        &self,
        key: &mut WaitKey,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Seen>> {
        let charge = ready!(coop::poll_proceed(cx));
        loop {
            if let Some(seen) = self.registration.look(direction) {
                charge.made_progress();
                return Poll::Ready(Ok(seen));
            }
            if let Err(error) = ready!(self.poll_wait(key, direction, cx)) {
                // Whoever tries again at once must not keep the thread.
                charge.made_progress();
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Waits with the reactor of the runtime that runs here.
    fn poll_wait(
        &self,
        key: &mut WaitKey,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let current = context::current().ok();
        let reactor = current.as_ref().map(|current| current.driver.reactor());
        self.registration.poll_wait(self.get().as_fd(), direction, reactor, key, cx)
    }

    /// What is known may be older than what the kernel has: whoever comes next makes an attempt.
    pub(crate) fn assume_ready(&self, direction: Direction) {
        self.registration.suppose(direction);
    }

    /// Waits until the connection is gone in both directions; only the last caller is woken.
    pub(crate) fn poll_hangup(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let current = context::current().ok();
        let reactor = current.as_ref().map(|current| current.driver.reactor());
        self.registration.poll_hangup(self.get().as_fd(), reactor, cx)
    }

    /// Makes attempts in `direction` until one does not block, for a `poll_…` function.
    ///
    /// Only the last caller in each direction is woken.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&T) -> io::Result<(R, Moved)>,
    ) -> Poll<io::Result<R>> {
        self.poll_as(&mut WaitKey::Poll, direction, cx, attempt)
    }

    /// Makes attempts in `direction` until one does not block.
    ///
    /// Any number of callers may wait at the same time, and all are woken.
    pub(crate) async fn io<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(&T) -> io::Result<(R, Moved)>,
    ) -> io::Result<R> {
        let mut place = Place { source: self, direction, key: WaitKey::Future(0) };
        std::future::poll_fn(|cx| self.poll_as(&mut place.key, direction, cx, &mut attempt)).await
    }

    #[inline]
    fn poll_as<R>(
        &self,
        key: &mut WaitKey,
        direction: Direction,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&T) -> io::Result<(R, Moved)>,
    ) -> Poll<io::Result<R>> {
        let charge = ready!(coop::poll_proceed(cx));
        loop {
            while let Some(seen) = self.registration.look(direction) {
                match attempt(self.get()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.registration.disprove(direction, seen);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        charge.made_progress();
                        return Poll::Ready(Err(error));
                    }
                    Ok((result, moved)) => {
                        if moved == Moved::All {
                            self.registration.exhaust(direction, seen);
                        }
                        charge.made_progress();
                        return Poll::Ready(Ok(result));
                    }
                }
            }
            if let Err(error) = ready!(self.poll_wait(key, direction, cx)) {
                // Whoever tries again at once must not keep the thread.
                charge.made_progress();
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        if let Some(inner) = &self.inner {
            self.registration.unbind(inner.as_fd());
        }
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// The place of a future among those who wait; given up when the future is dropped.
struct Place<'a, T: AsFd> {
    source: &'a Source<T>,
    direction: Direction,
    key: WaitKey,
}

impl<T: AsFd> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.source.registration.give_up(self.direction, self.key);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::future::Future;
    use std::os::unix::net::UnixStream;
    use std::pin::pin;
    use std::task::Waker;

    #[test]
    fn whoever_cannot_wait_and_tries_again_yields() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let source = Source::new(socket);
        let mut cx = Context::from_waker(Waker::noop());
        let _budget = coop::start();
        for _ in 0..coop::BUDGET {
            let attempt = |_: &UnixStream| Err::<((), Moved), _>(io::ErrorKind::WouldBlock.into());
            // No runtime runs here.
            let read = pin!(source.io(Direction::Read, attempt)).poll(&mut cx);
            assert!(matches!(read, Poll::Ready(Err(_))));
        }
        assert!(coop::poll_proceed(&mut cx).is_pending(), "the budget is not spent");
    }
}
