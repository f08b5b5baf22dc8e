//! A number of permits that tasks take and give back.

mod acquire;
mod permit;
mod word;

pub use acquire::{Acquire, AcquireOwned};
pub(super) use acquire::{Acquiring, Handle};
pub use permit::{OwnedPermit, Permit};

use super::waiters::{Queue, Standing, Waiter};
use crate::primitives::{AtomicUsize, Mutex, MutexGuard, Ordering, const_fn};
use crate::util::{WakeList, drop_quietly};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use word::{Claimed, Taken, Word};

/// A number of permits that tasks take, wait for and give back.
///
/// It is fair: who waits is served in the order in which they came, and nobody takes a permit past
/// them, not even with a `try_` method. One who waits for many permits collects them as they come
/// back, and so is not starved by those who want few.
///
/// Taking a permit that is free is one compare-exchange, and giving it back, when nobody waits, one
/// addition. It needs no runtime.
///
/// Take a [`CapacityLimiter`](super::CapacityLimiter) where a number of tasks is limited, and the
/// limit is to be changed while they run or to tell who holds it: a task that asks twice gets an
/// error there, and waits for itself here.
///
/// # Examples
///
/// At most two at a time:
///
/// ```
/// use mainspring::sync::Semaphore;
///
/// # mainspring::block_on(async {
/// let slots = Semaphore::new(2);
/// let one = slots.acquire().await?;
/// let two = slots.acquire().await?;
/// assert!(slots.try_acquire().is_err());
/// drop(one);
/// assert!(slots.try_acquire().is_ok());
/// # drop(two);
/// # Ok::<(), mainspring::sync::semaphore::Closed>(())
/// # }).unwrap();
/// ```
///
/// A permit that goes with the work, into another task:
///
/// ```
/// use mainspring::sync::Semaphore;
/// use std::sync::Arc;
///
/// # mainspring::block_on(async {
/// let slots = Arc::new(Semaphore::new(2));
/// let permit = slots.clone().acquire_owned().await?;
/// std::thread::spawn(move || {
///     // ... work ...
///     drop(permit);
/// });
/// # Ok::<(), mainspring::sync::semaphore::Closed>(())
/// # }).unwrap();
/// ```
pub struct Semaphore {
    word: Word,
    // INVARIANT: the permits that are in `word`, held, or collected by those who wait, together;
    // at most `MAX_PERMITS`, so that no permit that comes back ever finds the word full. It falls
    // only after permits went out of circulation, and rises before they come into it.
    total: AtomicUsize,
    // INVARIANT: `QUEUED` is set in `word` exactly when this is not empty, whenever the lock is
    // free. Each one in it lacks at least one permit.
    queue: Mutex<Queue<Claim>>,
}

/// What one who waits is owed.
#[derive(Debug)]
struct Claim {
    wanted: usize,
    // INVARIANT: at most `wanted`. The difference was collected and is to be given back by one who
    // stops waiting.
    missing: usize,
}

impl Semaphore {
    /// The most permits a semaphore can have, free and held together: an eighth of `usize::MAX`.
    pub const MAX_PERMITS: usize = word::MAX;

    const_fn! {
        /// Makes a semaphore with this many free permits; none is a good number too.
        ///
        /// # Panics
        ///
        /// With more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        #[must_use]
        pub fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "more permits than Semaphore::MAX_PERMITS");
            Self {
                word: Word::new(permits),
                total: AtomicUsize::new(permits),
                queue: Mutex::new(Queue::new()),
            }
        }
    }

    /// How many permits are free.
    ///
    /// Those that were collected for somebody who still waits for more are not.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.word.load().permits()
    }

    /// Waits for a permit.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let semaphore = mainspring::sync::Semaphore::new(1);
    /// let permit = semaphore.acquire().await?;
    /// assert_eq!(semaphore.available_permits(), 0);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// # Ok::<(), mainspring::sync::semaphore::Closed>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] when the semaphore is closed before the permit is there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and gives back what was collected.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    #[inline]
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire::new(self, 1)
    }

    /// Waits for `n` permits at once.
    ///
    /// Nobody who comes later is served before, so one who wants many makes the others wait. For
    /// more permits than there are it waits until some are added or the semaphore is closed. For
    /// none it does not wait.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the semaphore is closed before all are there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and gives back what was collected.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    #[inline]
    pub fn acquire_many(&self, n: usize) -> Acquire<'_> {
        Acquire::new(self, n)
    }

    /// Takes a permit if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::NoPermits`] when there is none, or others came first, and
    /// [`TryAcquireError::Closed`] when the semaphore is closed.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if they are free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::NoPermits`] when there are too few, or others came first, and
    /// [`TryAcquireError::Closed`] when the semaphore is closed.
    #[inline]
    pub fn try_acquire_many(&self, n: usize) -> Result<Permit<'_>, TryAcquireError> {
        self.try_take(n)?;
        Ok(Permit::new(self, n))
    }

    /// Waits for a permit that keeps the semaphore alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().acquire_owned().await?;
    /// drop(semaphore);
    /// drop(permit);
    /// # Ok::<(), mainspring::sync::semaphore::Closed>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] when the semaphore is closed before the permit is there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and gives back what was collected.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn acquire_owned(self: Arc<Self>) -> AcquireOwned {
        AcquireOwned::new(self, 1)
    }

    /// Waits for `n` permits at once that keep the semaphore alive.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the semaphore is closed before all are there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and gives back what was collected.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn acquire_many_owned(self: Arc<Self>, n: usize) -> AcquireOwned {
        AcquireOwned::new(self, n)
    }

    /// Takes a permit that keeps the semaphore alive, if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Takes `n` permits that keep the semaphore alive, if they are free and nobody waits.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`](Self::try_acquire_many).
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: usize,
    ) -> Result<OwnedPermit, TryAcquireError> {
        self.try_take(n)?;
        Ok(OwnedPermit::new(self, n))
    }

    /// Adds `n` permits, and wakes those whom that serves.
    ///
    /// # Panics
    ///
    /// When there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS), free and held together.
    /// Nothing is added then.
    pub fn add_permits(&self, n: usize) {
        let mut total = self.total.load(Ordering::Acquire);
        loop {
            assert!(n <= Self::MAX_PERMITS - total, "more permits than Semaphore::MAX_PERMITS");
            let (order, failed) = (Ordering::AcqRel, Ordering::Acquire);
            match self.total.compare_exchange_weak(total, total + n, order, failed) {
                Ok(_) => break,
                Err(now) => total = now,
            }
        }
        self.release(n);
    }

    /// Takes up to `n` free permits out of circulation for good, and says how many it found.
    ///
    /// Permits that are held, or collected by those who wait, are not touched.
    pub fn forget_permits(&self, n: usize) -> usize {
        let found = self.word.take_up_to(n);
        self.retire(found);
        found
    }

    /// Closes the semaphore: everybody who waits, and everybody who comes, gets an error.
    ///
    /// Permits that are held stay good, as do those that were handed to somebody who has not looked
    /// yet. Those that were collected by somebody who waited for more become free.
    pub fn close(&self) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        let was = self.word.close();
        let mut back = 0;
        while let Some(collected) = queue.with_front(|claim| claim.wanted - claim.missing) {
            back += collected;
            queue.resolve_front(Standing::Refused, &mut wakers);
        }
        if was.is_queued() {
            self.word.put_last(back);
        }
        drop(queue);
        wakers.wake_all();
    }

    /// Whether the semaphore was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.word.load().is_closed()
    }

    /// Takes `n` permits, for the caller to [release](Self::release).
    #[inline]
    pub(super) fn try_take(&self, n: usize) -> Result<(), TryAcquireError> {
        match self.word.take(n) {
            Taken::All => Ok(()),
            Taken::None => Err(TryAcquireError::NoPermits),
            Taken::Closed => Err(TryAcquireError::Closed),
        }
    }

    /// Gives back `n` permits; those of a [`Permit`] that was leaked, if the caller is outside.
    #[inline]
    pub(crate) fn release(&self, n: usize) {
        if n == 0 {
            return;
        }
        if self.word.load().is_queued() {
            self.hand_out(self.queue.lock(), n);
        } else if self.word.put(n).is_queued() {
            self.settle();
        }
    }

    /// Brings the permits into the queue that were put into the word just as it formed.
    #[cold]
    fn settle(&self) {
        let queue = self.queue.lock();
        // An empty queue has left them where everybody can take them.
        if !queue.is_empty() {
            let n = self.word.drain();
            self.hand_out(queue, n);
        }
    }

    /// Gives `n` permits to those who wait, in their order, and the rest to the word.
    fn hand_out(&self, mut queue: MutexGuard<'_, Queue<Claim>>, mut n: usize) {
        let mut wakers = WakeList::new();
        let somebody = !queue.is_empty();
        // Says whether that was enough for the first.
        let serve = |claim: &mut Claim, n: &mut usize| {
            let given = claim.missing.min(*n);
            claim.missing -= given;
            *n -= given;
            claim.missing == 0
        };
        while let Some(served) = queue.with_front(|claim| serve(claim, &mut n)) {
            if !served {
                break;
            }
            queue.resolve_front(Standing::Granted, &mut wakers);
        }
        if queue.is_empty() {
            if somebody {
                self.word.put_last(n);
            } else {
                self.word.put(n);
            }
        }
        drop(queue);
        wakers.wake_all();
    }

    /// Notes that `n` permits went out of circulation; those of a [`Permit`] that was leaked, if the
    /// caller is outside.
    pub(crate) fn retire(&self, n: usize) {
        self.total.fetch_sub(n, Ordering::AcqRel);
    }

    /// Polls one who wants `n` permits.
    ///
    /// # Safety
    ///
    /// The waiter was made with [`Claim::new`] for `n`, and is used with this semaphore only. Unless
    /// this returned `Ready`, [`cancel`](Self::cancel) is called before it is dropped.
    #[inline]
    unsafe fn poll_acquire(
        &self,
        waiter: Pin<&Waiter<Claim>>,
        n: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Closed>> {
        let standing = match waiter.standing() {
            Standing::New => match self.word.take(n) {
                Taken::All => Standing::Granted,
                Taken::Closed => Standing::Refused,
                // SAFETY: passed on to the caller.
                Taken::None => ready!(unsafe { self.enqueue(waiter, n, cx) }),
            },
            // SAFETY: it was queued in this queue, by the line above.
            _ => ready!(unsafe { waiter.poll_queued(&self.queue, cx) }),
        };
        Poll::Ready(if standing == Standing::Granted { Ok(()) } else { Err(Closed(())) })
    }

    /// # Safety
    ///
    /// As [`poll_acquire`](Self::poll_acquire), and the waiter is new.
    unsafe fn enqueue(
        &self,
        waiter: Pin<&Waiter<Claim>>,
        n: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Standing> {
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        let settled = match self.word.claim(n) {
            Claimed::All => Standing::Granted,
            Claimed::Closed => Standing::Refused,
            Claimed::Some(there) => {
                // SAFETY: the waiter is new, has only this queue, and leaves it in `cancel`.
                unsafe { waiter.enqueue(&mut queue, waker, |claim| claim.missing = n - there) };
                return Poll::Pending;
            }
        };
        drop(queue);
        // Only now, as dropping a waker runs code of its owner.
        drop_quietly(Some(waker));
        Poll::Ready(settled)
    }

    /// Gives back what a waiter has that will not be polled again.
    ///
    /// # Safety
    ///
    /// As [`poll_acquire`](Self::poll_acquire), which has not returned `Ready`.
    unsafe fn cancel(&self, waiter: Pin<&Waiter<Claim>>, n: usize) {
        match waiter.standing() {
            Standing::New | Standing::Refused => {}
            // Nobody looked at what was handed over.
            Standing::Granted => self.release(n),
            Standing::Queued => {
                let mut queue = self.queue.lock();
                // SAFETY: it was queued in this queue.
                let Some(waker) = (unsafe { waiter.leave(&mut queue) }) else {
                    drop(queue);
                    // SAFETY: passed on; it was resolved just now, so this ends.
                    return unsafe { self.cancel(waiter, n) };
                };
                // SAFETY: as above.
                let back =
                    unsafe { waiter.with_item(&mut queue, |claim| claim.wanted - claim.missing) };
                if queue.is_empty() {
                    self.word.put_last(back);
                    drop(queue);
                } else {
                    self.hand_out(queue, back);
                }
                drop_quietly(Some(waker));
            }
        }
    }
}

impl Claim {
    fn new(n: usize) -> Self {
        Self { wanted: n, missing: n }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The semaphore was closed: no permit will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed(());

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed, no permit will come")
    }
}

impl std::error::Error for Closed {}

/// Why no permit was taken without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is closed: no permit will come.
    Closed,
    /// Too few are free, or others wait for them: try later, or wait.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the semaphore is closed, no permit will come",
            Self::NoPermits => "no permit is free for a newcomer, try later or wait with acquire",
        })
    }
}

impl std::error::Error for TryAcquireError {}

#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
