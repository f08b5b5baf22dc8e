//! A number that moves on, and those who wait until it does: what `watch` and `broadcast` share.
//!
//! A [`Sequence`] is moved by senders, one step at a time, and closed when no step will follow.
//! A receiver remembers the [`Mark`] that it knows, and waits, by a [`Wait`], while the sequence
//! still stands there.
//!
//! # Why no step is missed
//!
//! The number and two flags are one word. `QUEUED` is set by a compare-exchange that fails once the
//! number has moved; without `QUEUED`, the number is moved by one that fails once somebody is
//! queued. With `QUEUED`, number and flag change together under the lock of the queue, which is then
//! emptied. So whoever is in the queue knows the number that the word has, and whoever is taken out
//! of it is told of a step that was made since it came: `Granted` for a step, `Refused` for the end.
//!
//! What a sender did before a step happens before a receiver that sees it: the step releases the
//! word, and all steps are ordered by the lock that senders hold, and the end after them by their
//! count; a receiver acquires the word, or learns of the step from its standing (see `waiters`).
//!
//! *Locks.* Senders move the sequence while they hold the lock that orders them, so that what they
//! publish and the number change together; the lock of the queue is taken under that lock, which is
//! let go of before the queue is emptied. Under the lock of the queue none is taken.
//!
//! *In models.* Loom remembers the last access to an atomic alone: a load of one's own in front of a
//! write hides from it that the write races with loads of others. So no write here has one.

use super::waiters::{Queue, Standing, Waiter};
use crate::primitives::{AtomicU64, Mutex, Ordering};
use crate::util::{WakeList, drop_quietly};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// No step will follow.
const CLOSED: u64 = 1;
/// Somebody is in the queue. Changes only under its lock, and is never set together with `CLOSED`.
const QUEUED: u64 = 2;
const FLAGS: u64 = CLOSED | QUEUED;
/// One step of the number, which is all bits but the flags, and wraps around.
const STEP: u64 = 4;

/// A number that moves on.
#[derive(Debug)]
pub(super) struct Sequence {
    word: AtomicU64,
    // INVARIANT: `QUEUED` is set in `word` exactly when this is not empty, whenever the lock is
    // free. Everybody in it knows the number that is in `word`.
    queue: Mutex<Queue<()>>,
}

/// A state of the number: 62 bits, so that none comes back within a hundred years of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The number is, or was, another one than the waiter knew.
    Moved,
    /// It is the one that the waiter knew, and will stay so.
    Closed,
}

impl Mark {
    /// The mark after `steps` steps from the start.
    pub(super) fn at(steps: u64) -> Self {
        Self(steps.wrapping_mul(STEP))
    }

    /// The mark one step after.
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(STEP))
    }

    /// The mark one step before.
    pub(super) fn previous(self) -> Self {
        Self(self.0.wrapping_sub(STEP))
    }
}

impl Sequence {
    pub(super) fn new(start: Mark) -> Self {
        Self { word: AtomicU64::new(start.0), queue: Mutex::new(Queue::new()) }
    }

    /// Where the number stands.
    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark(self.word.load(Ordering::Acquire) & !FLAGS)
    }

    /// Whether it was closed.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Where the number stands, and whether it stays there.
    #[inline]
    pub(super) fn look(&self) -> (Mark, bool) {
        let word = self.word.load(Ordering::Acquire);
        (Mark(word & !FLAGS), word & CLOSED != 0)
    }

    /// Moves on from `from` by one step, and collects the wakers of all who waited for it.
    ///
    /// `order` is the guard of the lock that all movers hold, and is released on the way. The
    /// sequence stands at `from` and is not closed.
    pub(super) fn advance<G>(&self, from: Mark, order: G, wakers: &mut WakeList) {
        let (from, next) = (from.0, from.next().0);
        if self.word.compare_exchange(from, next, Ordering::Release, Ordering::Relaxed).is_ok() {
            return;
        }
        // Somebody is queued, or was: nothing else changes the word while `order` is held.
        let mut queue = self.queue.lock();
        self.word.store(next, Ordering::Release);
        drop(order);
        while queue.resolve_front(Standing::Granted, wakers) {}
    }

    /// Closes the sequence, and collects the wakers of all who waited. Nobody moves it any more.
    pub(super) fn close(&self, wakers: &mut WakeList) {
        let mut queue = self.queue.lock();
        self.word.fetch_xor(CLOSED | if queue.is_empty() { 0 } else { QUEUED }, Ordering::Release);
        while queue.resolve_front(Standing::Refused, wakers) {}
    }

    /// Waits until the sequence stands elsewhere than at `known`, or is closed.
    pub(super) fn wait(&self, known: Mark) -> Wait<'_> {
        Wait { sequence: Some(self), known, waiter: Waiter::new(()) }
    }

    /// Puts `waiter` into the queue, if the sequence stands at `known` and is not closed.
    fn enqueue(
        &self,
        waiter: Pin<&Waiter<()>>,
        known: Mark,
        cx: &mut Context<'_>,
    ) -> Poll<Standing> {
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        // A guess, which the exchange confirms.
        let mut word = known.0;
        let settled = loop {
            if word & !FLAGS != known.0 {
                break Standing::Granted;
            }
            if word & CLOSED != 0 {
                break Standing::Refused;
            }
            let (failed, queued) = (Ordering::Acquire, word | QUEUED);
            if word == queued {
                // SAFETY: the waiter is `New`, is used with this queue only, and leaves it in
                // `Wait::drop`.
                unsafe { waiter.enqueue(&mut queue, waker, |()| {}) };
                return Poll::Pending;
            }
            match self.word.compare_exchange_weak(word, queued, Ordering::Relaxed, failed) {
                Ok(_) => word = queued,
                Err(now) => word = now,
            }
        };
        drop(queue);
        // Only now, as dropping a waker runs code of its owner.
        drop_quietly(Some(waker));
        Poll::Ready(settled)
    }
}

/// A future of the next step. It takes no part in the budget: whoever polls it does.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    // INVARIANT: `None` once the wait is over. The waiter is used with the queue of this sequence
    // only.
    sequence: Option<&'a Sequence>,
    known: Mark,
    // INVARIANT: pinned with the future.
    waiter: Waiter<()>,
}

impl Future for Wait<'_> {
    type Output = Outcome;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        // SAFETY: nothing is moved out of the future, and the waiter is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let sequence = this.sequence.expect("a receiving future was polled after it was ready");
        // SAFETY: pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let standing = match waiter.standing() {
            Standing::New if sequence.mark() != this.known => Standing::Granted,
            Standing::New => ready!(sequence.enqueue(waiter, this.known, cx)),
            // SAFETY: the waiter was queued in this queue.
            _ => ready!(unsafe { waiter.poll_queued(&sequence.queue, cx) }),
        };
        this.sequence = None;
        Poll::Ready(match standing {
            Standing::Granted => Outcome::Moved,
            _ => Outcome::Closed,
        })
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(sequence) = self.sequence else { return };
        if self.waiter.standing() != Standing::Queued {
            return;
        }
        // SAFETY: the future was pinned when the waiter was queued, and is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let mut queue = sequence.queue.lock();
        // SAFETY: the waiter was queued in this queue.
        let waker = unsafe { waiter.leave(&mut queue) };
        if queue.is_empty() {
            sequence.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        drop(queue);
        drop_quietly(waker);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{FLAGS, Mark, Outcome, Sequence};
    use crate::primitives::Ordering;
    use crate::sync::test_kit::Task;
    use crate::util::WakeList;

    #[test]
    fn one_that_gave_up_leaves_no_flag_that_would_send_the_next_step_to_the_queue() {
        let start = Mark::at(u64::MAX >> 2);
        let sequence = Sequence::new(start);
        let flags = || sequence.word.load(Ordering::Relaxed) & FLAGS;
        let (one, two) = (sequence.wait(start), sequence.wait(start));
        let (one, two) = (Task::waiting(one), Task::waiting(two));
        drop(one);
        assert_ne!(flags(), 0, "another waits still");
        drop(two);
        assert_eq!(flags(), 0);
        let waiting = Task::waiting(sequence.wait(start));
        let mut wakers = WakeList::new();
        sequence.advance(start, (), &mut wakers);
        wakers.wake_all();
        assert_eq!(flags(), 0);
        assert_eq!(waiting.woken(), Outcome::Moved);
        assert_eq!(sequence.mark(), Mark::at(0), "it wraps around");
    }
}
