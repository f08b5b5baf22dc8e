//! One thing after the other until it works.

mod backoff;

pub use backoff::{Backoff, Delays};

use crate::time::{Sleep, sleep};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Calls `operation` and awaits its future, again and again until that gives a value, with waits
/// between that `backoff` tells.
///
/// The last error is what it gives where it gives up; the errors before are shown to
/// [`notify`](Retry::notify), and dropped. What is worth another try is said by
/// [`when`](Retry::when), by default every error is. There is no limit to the time of a try: put a
/// [`timeout`](crate::time::timeout()) around the future that `operation` makes, or around the whole.
///
/// # Errors
///
/// That of the last try: when the tries are used up, or when the error is not worth another one.
///
/// # Panics
///
/// If `operation` does. Outside `block_on` and tasks when there is to be a wait, like
/// [`sleep`]. When it is polled again after it was ready.
///
/// # Cancel safety
///
/// Dropping the future drops the try or the wait that is going on; what the former loses is up to
/// `operation`.
///
/// # Examples
///
/// ```
/// use mainspring::group::{Backoff, retry};
/// use mainspring::net::TcpStream;
/// use std::io::ErrorKind;
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// # let listener = mainspring::net::TcpListener::bind(([127, 0, 0, 1], 0))?;
/// # let address = listener.local_addr()?;
/// let backoff = Backoff::exponential(Duration::from_millis(50)).jitter().max_tries(8);
/// let stream = retry(backoff, || TcpStream::connect(address))
///     .when(|error| error.kind() == ErrorKind::ConnectionRefused)
///     .notify(|error, delay| eprintln!("{error}; trying again in {delay:?}"))
///     .await?;
/// # drop(stream);
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub fn retry<Op, F, T, E>(backoff: Backoff, operation: Op) -> Retry<Op, F, E>
where
    Op: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
{
    Retry {
        operation,
        attempt: None,
        wait: None,
        delays: backoff.into_iter(),
        when: |_| true,
        notify: |_, _| {},
        over: false,
        _error: PhantomData,
    }
}

/// The future of [`retry`], and what can be said about it beforehand.
#[must_use = "futures do nothing unless polled"]
pub struct Retry<Op, F, E, When = fn(&E) -> bool, Notify = fn(&E, Duration)> {
    operation: Op,
    // One allocation for all tries; empty between them.
    attempt: Option<Pin<Box<Option<F>>>>,
    wait: Option<Sleep>,
    delays: Delays,
    when: When,
    notify: Notify,
    over: bool,
    _error: PhantomData<fn(&E)>,
}

// The future of a try is in a box; nothing else is pinned.
impl<Op, F, E, When, Notify> Unpin for Retry<Op, F, E, When, Notify> {}

impl<Op, F, E, When, Notify> Retry<Op, F, E, When, Notify> {
    /// Tries again only after errors for which `predicate` is true; a second call replaces the first.
    pub fn when<P: FnMut(&E) -> bool>(self, predicate: P) -> Retry<Op, F, E, P, Notify> {
        let Self { operation, attempt, wait, delays, when: _, notify, over, _error } = self;
        Retry { operation, attempt, wait, delays, when: predicate, notify, over, _error }
    }

    /// Calls `f` before each wait, with the error and the length of the wait; a second call replaces
    /// the first.
    pub fn notify<N: FnMut(&E, Duration)>(self, f: N) -> Retry<Op, F, E, When, N> {
        let Self { operation, attempt, wait, delays, when, notify: _, over, _error } = self;
        Retry { operation, attempt, wait, delays, when, notify: f, over, _error }
    }
}

impl<Op, F, T, E, When, Notify> Future for Retry<Op, F, E, When, Notify>
where
    Op: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
    When: FnMut(&E) -> bool,
    Notify: FnMut(&E, Duration),
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.over, "retry was polled again after it was ready");
        loop {
            if let Some(wait) = &mut this.wait {
                ready!(Pin::new(wait).poll(cx));
                this.wait = None;
            }
            let attempt = this.attempt.get_or_insert_with(|| Box::pin(None));
            if attempt.is_none() {
                attempt.set(Some((this.operation)()));
            }
            let Some(future) = attempt.as_mut().as_pin_mut() else { continue };
            let outcome = ready!(future.poll(cx));
            // What the try holds is let go of before the wait.
            attempt.set(None);
            let error = match outcome {
                Err(error) if (this.when)(&error) => error,
                last => return this.end(last),
            };
            let Some(delay) = this.delays.next() else { return this.end(Err(error)) };
            (this.notify)(&error, delay);
            this.wait = Some(sleep(delay));
        }
    }
}

impl<Op, F, E, When, Notify> Retry<Op, F, E, When, Notify> {
    fn end<R>(&mut self, outcome: R) -> Poll<R> {
        self.over = true;
        self.attempt = None;
        Poll::Ready(outcome)
    }
}

impl<Op, F, E, When, Notify> fmt::Debug for Retry<Op, F, E, When, Notify> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("delays", &self.delays)
            .field("waits", &self.wait.is_some())
            .finish_non_exhaustive()
    }
}
