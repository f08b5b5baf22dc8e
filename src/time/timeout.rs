//! A limit to how long a future may take.

use super::{Instant, Sleep, sleep, sleep_until};
use crate::coop;
use crate::util::poll_pinned;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

/// Awaits `future` for at most `duration`, counted from this call.
///
/// The future is polled first: if it is ready its output counts, however late it is. On a time-out
/// it is dropped.
///
/// # Errors
///
/// [`Elapsed`] if the time is over first.
///
/// # Panics
///
/// Outside `block_on` and tasks, like [`sleep`].
///
/// # Cancel safety
///
/// Dropping the wait drops `future`; what that loses is said there.
///
/// # Examples
///
/// ```
/// use mainspring::time::timeout;
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// assert_eq!(timeout(Duration::from_secs(1), async { 5 }).await, Ok(5));
/// let never = std::future::pending::<()>();
/// assert!(timeout(Duration::from_millis(1), never).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    limited(sleep(duration), future.into_future())
}

/// Awaits `future` until `deadline` at the most.
///
/// It is like [`timeout`] in all else; a deadline that has passed leaves the future one poll.
///
/// # Errors
///
/// [`Elapsed`] if the deadline comes first.
///
/// # Panics
///
/// Outside `block_on` and tasks, like [`sleep_until`].
///
/// # Cancel safety
///
/// Dropping the wait drops `future`; what that loses is said there.
///
/// # Examples
///
/// ```
/// use mainspring::time::{Instant, timeout_at};
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// // Both together take no longer than this.
/// let deadline = Instant::now() + Duration::from_millis(2);
/// assert_eq!(timeout_at(deadline, async { 5 }).await, Ok(5));
/// assert!(timeout_at(deadline, std::future::pending::<()>()).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(
    deadline: Instant,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    limited(sleep_until(deadline), future.into_future())
}

fn limited<F: Future>(
    mut limit: Sleep,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    poll_pinned(Some(future), move |mut future, cx| {
        let Some(running) = future.as_mut().as_pin_mut() else {
            panic!("timeout or timeout_at was polled again after it was ready");
        };
        let result = match running.poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => {
                // A future that spends the whole budget in each poll must not keep its limit from
                // being looked at.
                let _unlimited = coop::unlimited();
                ready!(Pin::new(&mut limit).poll(cx));
                Err(Elapsed(()))
            }
        };
        future.set(None);
        Poll::Ready(result)
    })
}

/// The time was over before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was over before the future was ready")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}
