//! Futures that are polled together, by the task that awaits them.

use super::ready::{ReadyList, Ticket};
use crate::coop;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// Awaits all of the futures at the same time, and gives their outputs in the order of the futures.
///
/// They run within the calling task, so they may borrow, and one that computes holds up the others.
/// Of futures that give a `Result` each has its own: an error ends nothing, see
/// [`try_join_all`]. A panic of one unwinds through the caller, as if it had called it.
///
/// A future is polled when it was woken, not each time that another was. Each poll counts as an
/// operation of the [budget](crate::coop), so that very many futures do not hold up other tasks. A
/// future is dropped as soon as it is ready. There is no bound to how many there may be; each costs
/// two allocations.
///
/// # Panics
///
/// If a future does; and when it is polled again after it was ready.
///
/// # Cancel safety
///
/// Dropping the future drops those that are not ready, and the outputs of those that were.
///
/// # Examples
///
/// ```
/// use mainspring::group::join_all;
/// use mainspring::time::{Instant, sleep};
/// use std::time::Duration;
///
/// # mainspring::LocalRuntime::builder().deterministic(1).build().unwrap().block_on(async {
/// let start = Instant::now();
/// let outputs = join_all([3, 1, 2].map(|n| async move {
///     sleep(Duration::from_millis(10 * n)).await;
///     n
/// }));
/// assert_eq!(outputs.await, [3, 1, 2]);
/// assert_eq!(start.elapsed(), Duration::from_millis(30));
/// # });
/// ```
pub fn join_all<I>(futures: I) -> JoinAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator<Item: IntoFuture>,
{
    let members = Members::new(futures.into_iter().map(IntoFuture::into_future));
    let outputs = members.places();
    JoinAll { members, outputs }
}

/// Awaits all of the futures at the same time, until one of them gives an error.
///
/// Gives their values in the order of the futures, or the error that came first; then the other
/// futures are dropped before it returns. In all else it is like [`join_all`].
///
/// # Errors
///
/// The first error that one of the futures gives.
///
/// # Panics
///
/// If a future does; and when it is polled again after it was ready.
///
/// # Cancel safety
///
/// Dropping the future drops those that are not ready, and the values of those that were.
///
/// # Examples
///
/// ```
/// use mainspring::group::try_join_all;
///
/// # mainspring::block_on(async {
/// let parsed = try_join_all(["1", "2"].map(|text| async move { text.parse::<u8>() }));
/// assert_eq!(parsed.await?, [1, 2]);
/// let parsed = try_join_all(["1", "x"].map(|text| async move { text.parse::<u8>() }));
/// assert!(parsed.await.is_err());
/// # Ok::<(), std::num::ParseIntError>(())
/// # }).unwrap();
/// ```
pub fn try_join_all<I, T, E>(futures: I) -> TryJoinAll<<I::Item as IntoFuture>::IntoFuture, T>
where
    I: IntoIterator<Item: IntoFuture<Output = Result<T, E>>>,
{
    let members = Members::new(futures.into_iter().map(IntoFuture::into_future));
    let values = members.places();
    TryJoinAll { members, values }
}

/// The future of [`join_all`].
#[must_use = "futures do nothing unless polled"]
pub struct JoinAll<F: Future> {
    members: Members<F>,
    outputs: Vec<Option<F::Output>>,
}

// Neither the boxes of the futures nor their outputs are ever pinned.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { members, outputs } = self.get_mut();
        let polled = members.poll(cx, |at, output| {
            outputs[at] = Some(output);
            ControlFlow::<()>::Continue(())
        });
        ready!(polled);
        Poll::Ready(filled(outputs))
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("left", &self.members.left).finish_non_exhaustive()
    }
}

/// The future of [`try_join_all`].
#[must_use = "futures do nothing unless polled"]
pub struct TryJoinAll<F, T> {
    members: Members<F>,
    values: Vec<Option<T>>,
}

// As for `JoinAll`.
impl<F, T> Unpin for TryJoinAll<F, T> {}

impl<F, T, E> Future for TryJoinAll<F, T>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { members, values } = self.get_mut();
        let polled = members.poll(cx, |at, output| match output {
            Ok(value) => {
                values[at] = Some(value);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        });
        Poll::Ready(match ready!(polled) {
            Some(error) => {
                members.end();
                values.clear();
                Err(error)
            }
            None => Ok(filled(values)),
        })
    }
}

impl<F, T> fmt::Debug for TryJoinAll<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryJoinAll").field("left", &self.members.left).finish_non_exhaustive()
    }
}

fn filled<T>(places: &mut Vec<Option<T>>) -> Vec<T> {
    std::mem::take(places).into_iter().flatten().collect()
}

/// The futures, and who of them is to be polled.
struct Members<F> {
    // `None` once it was ready.
    members: Vec<Option<Member<F>>>,
    left: usize,
    // Those that were woken before the present round and are not polled yet.
    round: VecDeque<usize>,
    woken: ReadyList,
    over: bool,
}

struct Member<F> {
    future: Pin<Box<F>>,
    ticket: Arc<Ticket>,
}

impl<F> Members<F> {
    fn new(futures: impl Iterator<Item = F>) -> Self {
        let woken = ReadyList::new();
        let members: Vec<_> = futures
            .enumerate()
            .map(|(at, future)| {
                Some(Member { future: Box::pin(future), ticket: woken.queued_ticket(at) })
            })
            .collect();
        let left = members.len();
        Self { members, left, round: (0..left).collect(), woken, over: false }
    }

    fn places<T>(&self) -> Vec<Option<T>> {
        std::iter::repeat_with(|| None).take(self.members.len()).collect()
    }

    /// Drops all futures.
    fn end(&mut self) {
        self.members.clear();
        self.round.clear();
    }
}

impl<F: Future> Members<F> {
    /// Polls those that were woken before this call, each once, and hands out what is ready. Gives
    /// `None` when all are, or else what `each` breaks with.
    fn poll<B>(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(usize, F::Output) -> ControlFlow<B>,
    ) -> Poll<Option<B>> {
        assert!(!self.over, "join_all or try_join_all was polled again after it was ready");
        if self.round.is_empty() {
            self.woken.take_all(&mut self.round);
        }
        while let Some(&at) = self.round.front() {
            // Counted also if the future waits, as very many may.
            ready!(coop::poll_proceed(cx)).made_progress();
            self.round.pop_front();
            let Some(Some(member)) = self.members.get_mut(at) else { continue };
            member.ticket.begin();
            let waker = Waker::from(Arc::clone(&member.ticket));
            let Poll::Ready(output) = member.future.as_mut().poll(&mut Context::from_waker(&waker))
            else {
                continue;
            };
            self.left -= 1;
            self.members[at] = None;
            if let ControlFlow::Break(end) = each(at, output) {
                self.over = true;
                return Poll::Ready(Some(end));
            }
        }
        if self.left == 0 {
            self.over = true;
            return Poll::Ready(None);
        }
        if self.woken.poll_any(cx).is_ready() {
            // A future that wakes itself in each poll must not keep the caller for ever.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
