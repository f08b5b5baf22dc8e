//! A flag that tasks wait for.

use super::waiters::{Queue, Standing, Waiter};
use crate::coop;
use crate::primitives::{AtomicU32, Mutex, Ordering, const_fn};
use crate::util::{WakeList, drop_quietly};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The flag is set.
const SET: u32 = 1;
/// Somebody is in the queue. Changes only under its lock, and never set together with `SET`.
const QUEUED: u32 = 2;

/// A flag that is set and cleared, and that tasks wait for.
///
/// It means what `asyncio.Event` means: [`set`](Self::set) lets everybody go who waits, and
/// everybody who comes while the flag stays set; after [`clear`](Self::clear) they wait again. Who
/// waited when the flag was set goes on, also when it is cleared before they get their turn.
///
/// An event that is set costs one load to wait for. It needs no runtime.
///
/// # Examples
///
/// ```
/// use mainspring::sync::Event;
///
/// static READY: Event = Event::new();
///
/// # mainspring::block_on(async {
/// std::thread::spawn(|| READY.set());
/// READY.wait().await;
/// assert!(READY.is_set());
/// # });
/// ```
pub struct Event {
    word: AtomicU32,
    // INVARIANT: `QUEUED` is set in `word` exactly when this is not empty, whenever the lock is
    // free.
    queue: Mutex<Queue<()>>,
}

// What `set` did before it happens before `wait` returns, on two ways. Who finds the flag set
// loads it with Acquire, and each write of it is a read-modify-write with Release, so that a later
// `set` keeps the chain of an earlier one. Who was queued learns it from its standing (see
// `waiters`).
//
// No wake is lost, because `QUEUED` is set by a compare-exchange that fails once the flag is set,
// and the flag is set by one that fails once somebody is queued: one of the two sees the other.
impl Event {
    const_fn! {
        /// Makes an event that is not set.
        #[must_use]
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0), queue: Mutex::new(Queue::new()) }
        }
    }

    /// Whether the flag is set.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) & SET != 0
    }

    /// Sets the flag, and wakes everybody who waits, in the order in which they came.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = mainspring::sync::Event::new();
    /// event.set();
    /// event.set(); // does nothing more
    /// assert!(event.is_set());
    /// ```
    pub fn set(&self) {
        let mut wakers = WakeList::new();
        self.set_quietly(&mut wakers);
        wakers.wake_all();
    }

    /// Sets the flag, and collects the wakers of those who waited, for one who holds a lock.
    ///
    /// It takes the lock of the queue, under which no other is ever taken.
    pub(super) fn set_quietly(&self, wakers: &mut WakeList) {
        // A guess, which the exchange confirms or corrects.
        let mut word = 0;
        while word & QUEUED == 0 {
            match self.word.compare_exchange_weak(word, SET, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        let mut queue = self.queue.lock();
        self.word.swap(SET, Ordering::Release);
        while queue.resolve_front(Standing::Granted, wakers) {}
    }

    /// Clears the flag: who comes from now on waits for the next [`set`](Self::set).
    pub fn clear(&self) {
        // Acquire: who clears and then looks for work sees what was done before the `set` that it
        // cleared.
        self.word.fetch_and(!SET, Ordering::Acquire);
    }

    /// Waits until the flag is set, or was set since the future was first polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let event = mainspring::sync::Event::new();
    /// event.set();
    /// event.wait().await;
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn wait(&self) -> Wait<'_> {
        Wait { event: Some(self), waiter: Waiter::new(()) }
    }

    /// Puts `waiter` into the queue, unless the flag is set.
    fn enqueue(&self, waiter: Pin<&Waiter<()>>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & SET != 0 {
                drop(queue);
                // Only now, as dropping a waker runs code of its owner.
                drop_quietly(Some(waker));
                return Poll::Ready(());
            }
            if word & QUEUED != 0 {
                break;
            }
            match self.word.compare_exchange_weak(
                word,
                QUEUED,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        // SAFETY: the waiter is `New`, is used with this queue only, and leaves it in `Wait::drop`.
        unsafe { waiter.enqueue(&mut queue, waker, |()| {}) };
        Poll::Pending
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

/// The future of [`Event::wait`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait<'a> {
    // INVARIANT: `None` once the wait is over. The waiter is used with the queue of this event
    // only.
    event: Option<&'a Event>,
    // INVARIANT: pinned with the future.
    waiter: Waiter<()>,
}

impl Future for Wait<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing is moved out of the future, and the waiter is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let event = this.event.expect("an event's wait was polled after it was over");
        // SAFETY: pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        match waiter.standing() {
            Standing::New if event.is_set() => {}
            Standing::New => ready!(event.enqueue(waiter, cx)),
            // SAFETY: the waiter was queued in this queue.
            _ => drop(ready!(unsafe { waiter.poll_queued(&event.queue, cx) })),
        }
        charge.made_progress();
        this.event = None;
        Poll::Ready(())
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(event) = self.event else { return };
        if self.waiter.standing() != Standing::Queued {
            return;
        }
        // SAFETY: the future was pinned when the waiter was queued, and is not moved any more.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let mut queue = event.queue.lock();
        // SAFETY: the waiter was queued in this queue.
        let waker = unsafe { waiter.leave(&mut queue) };
        if queue.is_empty() {
            event.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        drop(queue);
        drop_quietly(waker);
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("event", &self.event).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "event_tests.rs"]
mod tests;
