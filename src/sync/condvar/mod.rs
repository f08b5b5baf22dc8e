//! A queue of tasks that wait until what a mutex guards has changed.

mod wait;

pub use wait::{Wait, WaitOwned};

use super::mutex::{MutexGuard, OwnedMutexGuard};
use super::waiters::{Queue, Standing, Waiter};
use crate::primitives::{AtomicBool, Mutex, Ordering, const_fn};
use crate::util::{WakeList, drop_quietly};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use wait::Waiting;

/// A queue of tasks that wait until what a [`Mutex`](super::Mutex) guards has changed.
///
/// It means what `asyncio.Condition` means. A task that has the mutex and does not find what it
/// needs [waits](Self::wait), which unlocks the mutex for the time; one that changes the value calls
/// [`notify_one`](Self::notify_one) or [`notify_all`](Self::notify_all). Notified tasks lock the
/// mutex again before they go on. It needs no runtime.
///
/// - A notification is for those who wait at that moment, in the order in which they came. Where
///   nobody waits it has no effect: what has changed is in the value, for everybody to see.
/// - Nothing is lost between unlocking and waiting: who locks the mutex after the one that waits,
///   and notifies, finds it waiting.
/// - Notifying does not need the mutex, but to change the value does.
/// - A task that waited may be woken when somebody else has taken what it waited for, or where a
///   notification was passed on to it: test the condition in a loop, or use
///   [`wait_while`](Self::wait_while).
///
/// It belongs to no mutex. Tasks may wait in one with guards of different mutexes; a notification
/// then is for the one that waits longest, whichever its mutex.
///
/// # Examples
///
/// ```
/// use mainspring::sync::{Condvar, Mutex};
///
/// static JOBS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
/// static CHANGED: Condvar = Condvar::new();
///
/// # mainspring::block_on(async {
/// let worker = mainspring::spawn(async {
///     let mut jobs = CHANGED.wait_while(JOBS.lock().await, |jobs| jobs.is_empty()).await;
///     jobs.pop()
/// });
/// mainspring::yield_now().await;
/// JOBS.lock().await.push(7);
/// CHANGED.notify_one();
/// assert_eq!(worker.await.unwrap(), Some(7));
/// # });
/// ```
pub struct Condvar {
    // INVARIANT: whether `queue` is not empty, whenever its lock is free. Written only under it.
    queued: AtomicBool,
    queue: Mutex<Queue<Told>>,
}

/// Whom a notification was for, in the words of one who got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// One, whoever it is: who cannot use it passes it on.
    One,
    /// All who waited.
    All,
}

// `queued` needs no order of its own. Who notifies one that waits, and must find it, comes after it
// by way of the mutex that it unlocked later, or by any other way on which it heard of it; what is
// stored before is then seen. Who comes after it by no way may as well have come before.
impl Condvar {
    const_fn! {
        /// Makes one where nobody waits.
        #[must_use]
        pub fn new() -> Self {
            Self { queued: AtomicBool::new(false), queue: Mutex::new(Queue::new()) }
        }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again.
    ///
    /// The mutex is unlocked by the first poll, when the task has its place in the queue; until then
    /// the future holds the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// # use mainspring::sync::{Condvar, Mutex};
    /// # mainspring::block_on(async {
    /// # let (ready, changed) = (Mutex::new(true), Condvar::new());
    /// let mut guard = ready.lock().await;
    /// while !*guard {
    ///     guard = changed.wait(guard).await;
    /// }
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue; the mutex is not locked by it then. Where
    /// it was notified by [`notify_one`](Self::notify_one) and had not locked the mutex yet, the
    /// notification goes on to the one that waits longest then.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> Wait<'_, 'a, T> {
        Wait::new(Waiting::new(self, guard.keep_locked()))
    }

    /// As [`wait`](Self::wait), with a guard that keeps the mutex alive.
    ///
    /// # Cancel safety
    ///
    /// As that of [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn wait_owned<T: ?Sized>(&self, guard: OwnedMutexGuard<T>) -> WaitOwned<'_, T> {
        WaitOwned::new(Waiting::new(self, guard.keep_locked()))
    }

    /// Waits for as long as `condition` is true of the value, and returns with the mutex locked.
    ///
    /// It is tested at once, and after each notification.
    ///
    /// # Examples
    ///
    /// ```
    /// # use mainspring::sync::{Condvar, Mutex};
    /// # mainspring::block_on(async {
    /// # let (jobs, changed) = (Mutex::new(vec![1]), Condvar::new());
    /// let mut jobs = changed.wait_while(jobs.lock().await, |jobs| jobs.is_empty()).await;
    /// assert!(jobs.pop().is_some());
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As that of [`wait`](Self::wait).
    pub async fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// As [`wait_while`](Self::wait_while), with a guard that keeps the mutex alive.
    ///
    /// # Cancel safety
    ///
    /// As that of [`wait`](Self::wait).
    pub async fn wait_while_owned<T: ?Sized>(
        &self,
        mut guard: OwnedMutexGuard<T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> OwnedMutexGuard<T> {
        while condition(&mut guard) {
            guard = self.wait_owned(guard).await;
        }
        guard
    }

    /// Wakes the one that waits longest, if anybody does.
    ///
    /// Where it gives up before it has the mutex again, the next is woken in its place.
    pub fn notify_one(&self) {
        if self.queued.load(Ordering::Relaxed) {
            self.notify(Told::One);
        }
    }

    /// Wakes all who wait, in the order in which they came.
    pub fn notify_all(&self) {
        if self.queued.load(Ordering::Relaxed) {
            self.notify(Told::All);
        }
    }

    fn notify(&self, told: Told) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        while queue.with_front(|item| *item = told).is_some() {
            queue.resolve_front(Standing::Granted, &mut wakers);
            if told == Told::One {
                break;
            }
        }
        self.queued.store(!queue.is_empty(), Ordering::Relaxed);
        drop(queue);
        wakers.wake_all();
    }

    /// Puts `waiter` into the queue.
    ///
    /// # Safety
    ///
    /// The waiter is new, and is used with this queue only. [`cancel`](Self::cancel) is called before
    /// it is dropped.
    unsafe fn enqueue(&self, waiter: Pin<&Waiter<Told>>, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        // SAFETY: passed on to the caller; it leaves in `cancel`.
        unsafe { waiter.enqueue(&mut queue, waker, |_| {}) };
        self.queued.store(true, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The waiter was queued in this queue.
    unsafe fn poll_notified(&self, waiter: Pin<&Waiter<Told>>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: passed on to the caller.
        unsafe { waiter.poll_queued(&self.queue, cx).map(drop) }
    }

    /// Takes out one that waits no more, and passes on what it was told.
    ///
    /// # Safety
    ///
    /// The waiter was queued in this queue.
    unsafe fn cancel(&self, waiter: Pin<&Waiter<Told>>) {
        let mut queue = self.queue.lock();
        if waiter.standing() == Standing::Queued {
            // SAFETY: passed on to the caller.
            let waker = unsafe { waiter.leave(&mut queue) };
            self.queued.store(!queue.is_empty(), Ordering::Relaxed);
            drop(queue);
            drop_quietly(waker);
            return;
        }
        // SAFETY: as above.
        let told = unsafe { waiter.with_item(&mut queue, |told| *told) };
        drop(queue);
        if told == Told::One {
            self.notify_one();
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
