//! What a mutex is without its value: how it is taken, waited for, and passed on.
//!
//! # Who gets the mutex
//!
//! One that comes and finds the mutex free takes it, also where others wait: they were woken, but a
//! wake takes time, and meanwhile the mutex would lie idle. Who came past them like that hands the
//! mutex to the front of the queue when it is done (`PASSED` in [`word`](super::word)). So at most
//! one comes past each front, and one that has `k` others before it waits for at most `2k + 1`
//! further holders.
//!
//! ```text
//!            take                               free
//!   free ───────────▶ held, nobody waits ───────────▶ free
//!                        │ claim, enqueue
//!                        ▼       release: WakeFront
//!                     held, some wait ──────────▶ free, the front is woken
//!                        ▲                           │            │
//!                        │    take_for_front         │            │ take, by a newcomer
//!                        ├───────────────────────────┘            ▼
//!                        └────────────────────────── held by one that came past
//!                            release: HandOver
//! ```
//!
//! The front that is woken keeps its place until it has the mutex. One that gives up, woken, passes
//! the wake on; one that gives up, with the mutex handed to it, frees the mutex.

use super::word::{Claimed, Released, Word};
use crate::primitives::{Mutex as Latch, const_fn};
use crate::sync::waiters::{Queue, Standing, Waiter};
use crate::util::{WakeList, contain, wake_quietly};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A mutex around nothing.
#[derive(Debug)]
pub(in crate::sync) struct RawMutex {
    word: Word,
    // INVARIANT: `QUEUED` is set in `word` exactly when this is not empty, whenever the lock is
    // free.
    queue: Latch<Queue<()>>,
}

impl RawMutex {
    const_fn! {
        pub(super) fn new() -> Self {
            Self { word: Word::new(), queue: Latch::new(Queue::new()) }
        }
    }

    /// Takes the mutex if it is free.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        self.word.take()
    }

    /// Frees the mutex, or hands it over. Only its holder calls this.
    #[inline]
    pub(in crate::sync) fn unlock(&self) {
        if !self.word.free() {
            self.unlock_queued();
        }
    }

    #[cold]
    fn unlock_queued(&self) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        match self.word.release() {
            Released::Alone => {}
            Released::WakeFront => {
                if let Some(waker) = queue.take_front_waker() {
                    wakers.push(waker);
                }
            }
            Released::HandOver => {
                let handed_over = queue.resolve_front(Standing::Granted, &mut wakers);
                debug_assert!(handed_over, "the word says that somebody waits");
                if queue.is_empty() {
                    self.word.nobody_waits();
                }
            }
        }
        drop(queue);
        wakers.wake_all();
    }

    /// # Safety
    ///
    /// The waiter is used with this mutex only. Unless this returned `Ready`,
    /// [`cancel`](Self::cancel) is called before it is dropped.
    #[inline]
    unsafe fn poll_lock(&self, waiter: Pin<&Waiter<()>>, cx: &mut Context<'_>) -> Poll<()> {
        match waiter.standing() {
            Standing::New if self.word.take() => Poll::Ready(()),
            // SAFETY: passed on to the caller.
            Standing::New => unsafe { self.enqueue(waiter, cx) },
            // SAFETY: it is not new, so it was queued, by the line above.
            _ => unsafe { self.poll_queued(waiter, cx) },
        }
    }

    /// # Safety
    ///
    /// As [`poll_lock`](Self::poll_lock), and the waiter is new.
    unsafe fn enqueue(&self, waiter: Pin<&Waiter<()>>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        if self.word.claim() == Claimed::Taken {
            drop(queue);
            // Only now, as dropping a waker runs code of its owner; a panic there must not cost
            // the mutex.
            contain(|| drop(waker));
            return Poll::Ready(());
        }
        // SAFETY: the waiter is new, has only this queue, and leaves it in `cancel`.
        unsafe { waiter.enqueue(&mut queue, waker, |()| {}) };
        Poll::Pending
    }

    /// # Safety
    ///
    /// The waiter was queued in this queue.
    unsafe fn poll_queued(&self, waiter: Pin<&Waiter<()>>, cx: &mut Context<'_>) -> Poll<()> {
        let take = |queue: &mut Queue<()>| {
            if !queue.is_front(&waiter) || !self.word.take_for_front() {
                return ControlFlow::Continue(());
            }
            // SAFETY: the waiter was queued in this queue.
            let old = unsafe { waiter.leave(queue) };
            if queue.is_empty() {
                self.word.nobody_waits();
            }
            ControlFlow::Break(old)
        };
        // SAFETY: as above.
        let standing = ready!(unsafe { waiter.poll_queued_or(&self.queue, cx, take) });
        debug_assert_eq!(standing, Standing::Granted);
        Poll::Ready(())
    }

    /// Passes on what a waiter has that will not be polled again: a wake, or the mutex.
    ///
    /// # Safety
    ///
    /// As [`poll_lock`](Self::poll_lock), which has not returned `Ready`.
    #[inline]
    unsafe fn cancel(&self, waiter: Pin<&Waiter<()>>) {
        match waiter.standing() {
            Standing::New | Standing::Refused => {}
            // Nobody looked at what was handed over.
            Standing::Granted => self.unlock(),
            // SAFETY: passed on to the caller; the waiter was queued in this queue.
            Standing::Queued => unsafe { self.leave(waiter) },
        }
    }

    /// # Safety
    ///
    /// The waiter was queued in this queue.
    #[cold]
    unsafe fn leave(&self, waiter: Pin<&Waiter<()>>) {
        let mut queue = self.queue.lock();
        if waiter.standing() != Standing::Queued {
            // It was handed the mutex just now.
            drop(queue);
            return self.unlock();
        }
        let was_front = queue.is_front(&waiter);
        // SAFETY: as above.
        let old = unsafe { waiter.leave(&mut queue) };
        let mut next = None;
        if queue.is_empty() {
            self.word.nobody_waits();
        } else if was_front && !self.word.is_locked() {
            // It was woken to take the mutex, so now the next one is.
            next = queue.take_front_waker();
        }
        drop(queue);
        drop(old);
        if let Some(waker) = next {
            wake_quietly(waker);
        }
    }
}

/// Something that leads to a mutex: always the same one.
pub(in crate::sync) trait Handle {
    fn raw(&self) -> &RawMutex;
}

/// Waits for a mutex; what all futures that do so are made of.
///
/// It takes no part in the budget: that is up to those who poll it.
pub(in crate::sync) struct Locking<H: Handle> {
    // INVARIANT: always of the same mutex; `None` once the wait is over.
    handle: Option<H>,
    // INVARIANT: pinned with the future.
    waiter: Waiter<()>,
}

impl<H: Handle> Locking<H> {
    #[inline]
    pub(in crate::sync) fn new(handle: H) -> Self {
        Self { handle: Some(handle), waiter: Waiter::new(()) }
    }

    /// The handle, until the wait is over.
    #[inline]
    pub(in crate::sync) fn handle(&self) -> Option<&H> {
        self.handle.as_ref()
    }

    /// Returns the handle when the mutex is the caller's.
    ///
    /// # Panics
    ///
    /// When it is polled again after that.
    #[inline]
    pub(in crate::sync) fn poll_lock(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<H> {
        // SAFETY: nothing pinned is moved out of the future: the waiter is handled pinned, and the
        // handle is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let handle = this.handle.as_ref().expect("a lock was polled after it was ready");
        // SAFETY: the waiter is pinned with the future. It is used with the mutex of this handle
        // only, and is cancelled in `drop`.
        ready!(unsafe { handle.raw().poll_lock(Pin::new_unchecked(&this.waiter), cx) });
        let Some(handle) = this.handle.take() else { unreachable!("it was there above") };
        Poll::Ready(handle)
    }
}

impl<H: Handle> Drop for Locking<H> {
    #[inline]
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            // SAFETY: where the waiter was queued, it was pinned then, and is not moved any more.
            // The wait is not over, as the handle is still there.
            unsafe { handle.raw().cancel(Pin::new_unchecked(&self.waiter)) };
        }
    }
}
