//! Notifications without a value, to one task or to all that wait.

mod notified;
mod word;

pub use notified::{Notified, OwnedNotified};

use super::waiters::{Queue, Standing, Waiter};
use crate::primitives::{Mutex, MutexGuard, const_fn};
use crate::util::{WakeList, contain};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use word::{Calls, Given, Received, Word};

/// Notifies one task that waits, or all of them.
///
/// It carries no value: tasks share their state elsewhere, and tell each other here to look at it
/// again. [`notify_one`](Self::notify_one) is a doorbell with one light: rung while nobody waits it
/// stays lit for the next who comes, and rung twice it is still one light.
/// [`notify_waiters`](Self::notify_waiters) reaches those who are there and leaves nothing behind.
///
/// A notification that nobody waits for is one compare-exchange. It needs no runtime.
///
/// For a state that stays, so that who comes late passes too, take an [`Event`](super::Event).
///
/// # Examples
///
/// ```
/// use mainspring::sync::Notify;
/// use std::sync::{Arc, Mutex};
///
/// # mainspring::block_on(async {
/// let queue = Arc::new((Mutex::new(Vec::new()), Notify::new()));
/// let (jobs, more) = &*queue;
///
/// let producer = queue.clone();
/// std::thread::spawn(move || {
///     producer.0.lock().unwrap().push("job");
///     producer.1.notify_one();
/// });
///
/// let job = loop {
///     let next = jobs.lock().unwrap().pop();
///     match next {
///         Some(job) => break job,
///         // Pushed between the two lines? Then the notification was kept.
///         None => more.notified().await,
///     }
/// };
/// assert_eq!(job, "job");
/// # });
/// ```
///
/// With [`notify_waiters`](Self::notify_waiters) nothing is kept, so the future is made before one
/// looks:
///
/// ```
/// use mainspring::sync::Notify;
/// use std::sync::{Arc, Mutex};
///
/// # mainspring::block_on(async {
/// let gate = Arc::new((Mutex::new(false), Notify::new()));
/// let (open, changed) = &*gate;
///
/// let opener = gate.clone();
/// std::thread::spawn(move || {
///     *opener.0.lock().unwrap() = true;
///     opener.1.notify_waiters();
/// });
///
/// loop {
///     let notified = changed.notified();
///     if *open.lock().unwrap() {
///         break;
///     }
///     notified.await;
/// }
/// # });
/// ```
pub struct Notify {
    word: Word,
    // INVARIANT: `QUEUED` is set in `word` exactly when this is not empty, whenever the lock is
    // free.
    queue: Mutex<Queue<Call>>,
}

/// By which call a waiter was notified; what it says before that means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    One,
    Last,
    All,
}

impl Notify {
    const_fn! {
        /// Makes one that has notified nobody yet.
        #[must_use]
        pub fn new() -> Self {
            Self { word: Word::new(), queue: Mutex::new(Queue::new()) }
        }
    }

    /// Waits for a notification.
    ///
    /// The future receives, whichever comes first: a notification that was kept; one that
    /// [`notify_one`](Self::notify_one) or [`notify_last`](Self::notify_last) gives it, for which
    /// it stands in a queue from its first poll on, or from [`enable`](Notified::enable); and any
    /// call of [`notify_waiters`](Self::notify_waiters) since it was made, polled or not.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let notify = mainspring::sync::Notify::new();
    /// let notified = notify.notified();
    /// notify.notify_waiters();
    /// notified.await;
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue. What `notify_one` or `notify_last` gave
    /// it and it has not told yet goes to another, as if they were called again.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    #[inline]
    pub fn notified(&self) -> Notified<'_> {
        Notified::new(self)
    }

    /// As [`notified`](Self::notified), with a future that keeps the `Notify` alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::Notify;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let notify = Arc::new(Notify::new());
    /// let task = mainspring::spawn(notify.clone().notified_owned());
    /// notify.notify_one();
    /// task.await.unwrap();
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`notified`](Self::notified).
    ///
    /// # Panics
    ///
    /// As [`notified`](Self::notified).
    pub fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        OwnedNotified::new(self)
    }

    /// Notifies the one that waits longest; if nobody waits, the next one who comes.
    ///
    /// At most one notification is kept: calls while nobody waits do not add up.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let notify = mainspring::sync::Notify::new();
    /// notify.notify_one();
    /// notify.notify_one();
    /// notify.notified().await;
    /// // A second one would wait now.
    /// # });
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        if self.word.keep() == Given::Queued {
            self.pass(self.queue.lock(), Call::One);
        }
    }

    /// Notifies the one that came last; if nobody waits, the next one who comes.
    ///
    /// For workers whose caches are the warmer the shorter they have slept. Those that came first
    /// may wait for ever then.
    #[inline]
    pub fn notify_last(&self) {
        if self.word.keep() == Given::Queued {
            self.pass(self.queue.lock(), Call::Last);
        }
    }

    /// Notifies all that wait, in the order in which they came, and all whose
    /// [`notified`](Self::notified) was called before, though they were not polled yet.
    ///
    /// Nothing is kept: who comes later waits. It happens at once for all: who begins to wait while
    /// the others are being woken is not among them. A notification that is kept stays.
    pub fn notify_waiters(&self) {
        if self.word.call() == Given::Yes {
            return;
        }
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        if queue.is_empty() {
            // They left in the meantime, and nobody comes while the lock is held.
            self.word.call();
        } else {
            self.word.call_queued();
        }
        while queue.with_front(|call| *call = Call::All).is_some() {
            queue.resolve_front(Standing::Granted, &mut wakers);
        }
        drop(queue);
        wakers.wake_all();
    }

    /// Gives a notification to one that waits, or keeps it.
    #[cold]
    fn pass(&self, mut queue: MutexGuard<'_, Queue<Call>>, to: Call) {
        let mut wakers = WakeList::new();
        let given = match to {
            Call::One => {
                queue.with_front(|call| *call = to);
                queue.resolve_front(Standing::Granted, &mut wakers)
            }
            Call::Last => {
                queue.with_back(|call| *call = to);
                queue.resolve_back(Standing::Granted, &mut wakers)
            }
            Call::All => return,
        };
        if !given {
            // Nobody comes while the lock is held, so this does not fail.
            self.word.keep();
        } else if queue.is_empty() {
            self.word.unqueue();
        }
        drop(queue);
        wakers.wake_all();
    }

    /// Receives for a new waiter, or puts it into the queue.
    ///
    /// # Safety
    ///
    /// The waiter is new, and is used with this `Notify` only. If this returns `Pending`,
    /// [`cancel`](Self::cancel) is called before it is dropped.
    #[inline]
    unsafe fn receive(&self, waiter: Pin<&Waiter<Call>>, since: Calls, waker: &Waker) -> Poll<()> {
        if self.word.receive(since) == Received::Yes {
            return Poll::Ready(());
        }
        let waker = waker.clone();
        let mut queue = self.queue.lock();
        if self.word.receive_or_queue(since) == Received::Yes {
            drop(queue);
            // Only now, as dropping a waker runs code of its owner; a panic there must not cost
            // the notification.
            contain(|| drop(waker));
            return Poll::Ready(());
        }
        // SAFETY: the waiter is new, has only this queue, and leaves it in `cancel`.
        unsafe { waiter.enqueue(&mut queue, waker, |_| {}) };
        Poll::Pending
    }

    /// Sees to it that what a waiter has and nobody saw is not lost.
    ///
    /// # Safety
    ///
    /// The waiter is used with this `Notify` only, and will not be polled again.
    unsafe fn cancel(&self, waiter: Pin<&Waiter<Call>>) {
        if waiter.standing() == Standing::New {
            return;
        }
        let mut queue = self.queue.lock();
        // SAFETY: it was queued in this queue.
        if let Some(waker) = unsafe { waiter.leave(&mut queue) } {
            if queue.is_empty() {
                self.word.unqueue();
            }
            drop(queue);
            drop(waker);
        } else {
            // SAFETY: as above.
            let call = unsafe { waiter.with_item(&mut queue, |call| *call) };
            self.pass(queue, call);
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.word.load().has_permit();
        f.debug_struct("Notify").field("is_kept", &kept).finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
