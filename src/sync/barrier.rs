//! A place where tasks wait for each other.

use super::waiters::{Queue, Standing, Waiter};
use crate::coop;
use crate::primitives::{Mutex, const_fn};
use crate::util::{WakeList, drop_quietly};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A place where tasks wait until a given number of them have come.
///
/// The last one to come lets all go, and is their leader. Then the next round begins: a barrier is
/// used again and again.
///
/// One that stops waiting before its round is full takes its arrival back: the others wait for
/// somebody else instead. After that it changes nothing, as its round is over.
///
/// It needs no runtime.
///
/// # Examples
///
/// ```
/// use mainspring::sync::Barrier;
/// use std::sync::Arc;
///
/// # mainspring::block_on(async {
/// let barrier = Arc::new(Barrier::new(3));
/// let tasks: Vec<_> = (0..3)
///     .map(|_| {
///         let barrier = barrier.clone();
///         mainspring::spawn(async move {
///             // ... a first step, then all at once ...
///             barrier.wait().await.is_leader()
///         })
///     })
///     .collect();
/// let mut leaders = 0;
/// for task in tasks {
///     leaders += usize::from(task.await.unwrap());
/// }
/// assert_eq!(leaders, 1);
/// # });
/// ```
pub struct Barrier {
    // INVARIANT: at least 1.
    size: usize,
    round: Mutex<Round>,
}

/// The round that is not full yet.
struct Round {
    // INVARIANT: the length of the queue, and less than the size of the barrier, whenever the lock
    // is free.
    arrived: usize,
    queue: Queue<()>,
}

// Who leads is decided by coming last, not by being woken first: the leader is told in the poll in
// which it comes, so nobody can be made leader and dropped before it knows.
//
// What each did before it came happens before any goes on: each takes the lock to come, the last
// one after all others, and the others go on by their standing (see `waiters`), which the last one
// writes.
impl Barrier {
    const_fn! {
        /// Makes a barrier for rounds of `size` tasks; 0 is as good as 1, and with that nobody
        /// waits.
        #[must_use]
        pub fn new(size: usize) -> Self {
            let size = if size == 0 { 1 } else { size };
            Self { size, round: Mutex::new(Round { arrived: 0, queue: Queue::new() }) }
        }
    }

    /// Waits until as many have come as the barrier is for, the caller included.
    ///
    /// One has come when its future is polled for the first time. The last of a round never waits:
    /// it goes on at once, as the leader, and wakes the others in the order in which they came.
    /// Leadership is told in that same poll, so that it cannot be lost by dropping a future.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let barrier = mainspring::sync::Barrier::new(1);
    /// assert!(barrier.wait().await.is_leader());
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before the round is full takes the arrival back, as if it had never
    /// come. Afterwards it changes nothing: the others of the round go on, and the next round does
    /// not count it.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn wait(&self) -> Wait<'_> {
        Wait { barrier: Some(self), waiter: Waiter::new(()) }
    }

    /// Counts `waiter` in, and puts it into the queue unless that makes the round full.
    ///
    /// # Safety
    ///
    /// The waiter is new, is used with this barrier only, and leaves the queue before it is dropped.
    unsafe fn arrive(&self, waiter: Pin<&Waiter<()>>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut round = self.round.lock();
        if round.arrived + 1 < self.size {
            round.arrived += 1;
            // SAFETY: passed on to the caller.
            unsafe { waiter.enqueue(&mut round.queue, waker, |()| {}) };
            return Poll::Pending;
        }
        let mut wakers = WakeList::new();
        round.arrived = 0;
        while round.queue.resolve_front(Standing::Granted, &mut wakers) {}
        drop(round);
        wakers.wake_all();
        // A panic there must not cost the round its leader.
        drop_quietly(Some(waker));
        Poll::Ready(())
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = self.round.lock().arrived;
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .field("arrived", &arrived)
            .finish_non_exhaustive()
    }
}

/// What [`Barrier::wait`] tells one that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// Whether this is the one of its round that came last.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

/// The future of [`Barrier::wait`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait<'a> {
    // INVARIANT: `None` once the wait is over. The waiter is used with the queue of this barrier
    // only.
    barrier: Option<&'a Barrier>,
    // INVARIANT: pinned with the future.
    waiter: Waiter<()>,
}

impl Future for Wait<'_> {
    type Output = BarrierWaitResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing is moved out of the future, and the waiter is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let barrier = this.barrier.expect("a barrier's wait was polled after it was ready");
        // SAFETY: pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let is_leader = waiter.standing() == Standing::New;
        if is_leader {
            // SAFETY: the waiter is new, has this barrier only, and leaves it in `drop`.
            ready!(unsafe { barrier.arrive(waiter, cx) });
        } else {
            // SAFETY: it was queued in the queue in this lock.
            ready!(unsafe { waiter.poll_queued(&barrier.round, cx) });
        }
        charge.made_progress();
        this.barrier = None;
        Poll::Ready(BarrierWaitResult { is_leader })
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(barrier) = self.barrier else { return };
        if self.waiter.standing() != Standing::Queued {
            return;
        }
        // SAFETY: the future was pinned when the waiter was queued, and is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let mut round = barrier.round.lock();
        // SAFETY: the waiter was queued in this queue.
        let waker = unsafe { waiter.leave(&mut round.queue) };
        if waker.is_some() {
            round.arrived -= 1;
        }
        drop(round);
        drop_quietly(waker);
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("barrier", &self.barrier).finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "barrier_loom_tests.rs"]
mod loom_tests;
#[cfg(all(test, not(loom)))]
#[path = "barrier_tests.rs"]
mod tests;
