//! A value that one task at a time may use.

mod guard;
mod owned_guard;
mod raw;
mod word;

pub use guard::{MappedMutexGuard, MutexGuard};
pub use owned_guard::{OwnedMappedMutexGuard, OwnedMutexGuard};
pub(super) use raw::{Handle, Locking, RawMutex};

use super::blocking;
use crate::coop;
use crate::primitives::{UnsafeCell, const_fn};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A value that one task at a time may use, and that may stay locked across an `.await`.
///
/// Locking it when it is free is one compare-exchange, and so is unlocking it when nobody waits. It
/// needs no runtime. Where the lock is never held across an `.await`, `std::sync::Mutex` is the
/// better choice: it is as quick, and makes no task wait.
///
/// # Fairness
///
/// Who waits, waits in the order in which they came, and nobody starves: a task that comes by while
/// the mutex is free may take it before the first of those who wait, who was woken and is on its
/// way, but only once; then it is that one's turn. So a task that finds `k` others waiting gets the
/// mutex after at most `2k + 1` others had it, beside the present holder. No clock is read for that.
///
/// The mutex is handed to the future that waits, so that one must be polled when it was woken, or
/// dropped: kept without either, as where a `select` by reference has gone on with another branch, it
/// holds up everybody.
///
/// # No poison
///
/// A task that panics or is aborted while it holds the guard just unlocks the mutex. Who locks it
/// next sees the value as it was left: keep it whole at each `.await`, and where code may panic.
///
/// # Examples
///
/// ```
/// use mainspring::sync::Mutex;
///
/// static LOG: Mutex<Vec<&str>> = Mutex::new(Vec::new());
///
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(async { LOG.lock().await.push("task") });
/// {
///     let mut log = LOG.lock().await;
///     log.push("root");
///     mainspring::yield_now().await;
///     log.push("root, still alone");
/// }
/// task.await.unwrap();
/// assert_eq!(LOG.lock().await.len(), 3);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    // INVARIANT: reached only by who has `raw` locked, through one guard; or through `&mut Mutex`.
    value: UnsafeCell<T>,
}

// What follows is all that is unsafe around the value.
//
// A guard stands for `raw` being locked by it. It gives `&T` for as long as it is borrowed, and
// `&mut T` for as long as it is borrowed exclusively, like the value itself would. A mapped guard
// has a pointer that was made from such a `&mut T`, and stands for the lock from then on. `T` wanders
// from thread to thread with the lock, so to share a mutex needs `T: Send`; it is never used by two
// threads at once, unless a guard is shared, which needs `T: Sync` (each guard says so itself).

// SAFETY: the value is reached by one holder at a time, in turns that happen one after the other;
// each may be on another thread, so `T: Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// Makes an unlocked mutex.
        #[must_use]
        pub fn new(value: T) -> Self {
            Self { raw: RawMutex::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Takes the mutex apart, and returns its value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the mutex, and locks it until the guard is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let mutex = mainspring::sync::Mutex::new(1);
    /// *mutex.lock().await += 1;
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue. If the mutex was handed to it already,
    /// it goes on to the next.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    #[inline]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock(Locking::new(self))
    }

    /// Locks the mutex if nobody has it at the moment.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = mainspring::sync::Mutex::new(1);
    /// let guard = mutex.try_lock()?;
    /// assert!(mutex.try_lock().is_err());
    /// # drop(guard);
    /// # Ok::<(), mainspring::sync::mutex::TryLockError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryLockError`] when somebody has it.
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        if self.raw.try_lock() { Ok(MutexGuard::new(self)) } else { Err(TryLockError(())) }
    }

    /// Waits for the mutex, and locks it by a guard that keeps it alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::Mutex;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let mutex = Arc::new(Mutex::new(1));
    /// let mut guard = mutex.clone().lock_owned().await;
    /// let task = mainspring::spawn(async move { *guard += 1 });
    /// task.await.unwrap();
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue. If the mutex was handed to it already,
    /// it goes on to the next.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn lock_owned(self: Arc<Self>) -> LockOwned<T> {
        LockOwned(Locking::new(self))
    }

    /// Locks the mutex by a guard that keeps it alive, if nobody has it at the moment.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] when somebody has it.
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        if self.raw.try_lock() { Ok(OwnedMutexGuard::new(self)) } else { Err(TryLockError(())) }
    }

    /// Locks the mutex on a thread that may block, which sleeps until it has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::Mutex;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let mutex = Arc::new(Mutex::new(1));
    /// let guard = mutex.lock().await;
    /// let thread = std::thread::spawn({
    ///     let mutex = mutex.clone();
    ///     move || *mutex.blocking_lock() += 1
    /// });
    /// drop(guard);
    /// # mainspring::spawn_blocking(move || {
    /// thread.join().unwrap();
    /// # }).await.unwrap();
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// Inside a task, whose thread it would block. Await [`lock`](Self::lock) there.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        let (call, instead) = ("Mutex::blocking_lock", "await `lock()`");
        blocking::refuse_in_task(call, instead);
        self.try_lock().unwrap_or_else(|_| blocking::block_on(self.lock(), call, instead))
    }

    /// As [`blocking_lock`](Self::blocking_lock), with a guard that keeps the mutex alive.
    ///
    /// # Panics
    ///
    /// Inside a task, whose thread it would block. Await [`lock_owned`](Self::lock_owned) there.
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        let (call, instead) = ("Mutex::blocking_lock_owned", "await `lock_owned()`");
        blocking::refuse_in_task(call, instead);
        if self.raw.try_lock() {
            return OwnedMutexGuard::new(self);
        }
        blocking::block_on(self.lock_owned(), call, instead)
    }

    /// The value, without locking: as the caller alone has the mutex, nobody else has the value.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: no guard of a mutex is alive that is borrowed exclusively.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => f.field("value", &&*guard),
            Err(_) => f.field("value", &format_args!("<locked>")),
        };
        f.finish_non_exhaustive()
    }
}

impl<T: ?Sized> Handle for &Mutex<T> {
    #[inline]
    fn raw(&self) -> &RawMutex {
        &self.raw
    }
}

impl<T: ?Sized> Handle for Arc<Mutex<T>> {
    #[inline]
    fn raw(&self) -> &RawMutex {
        &self.raw
    }
}

/// The future of [`Mutex::lock`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Lock<'a, T: ?Sized>(Locking<&'a Mutex<T>>);

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: the only field is pinned with the future.
        let locking = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let mutex = ready!(locking.poll_lock(cx));
        charge.made_progress();
        Poll::Ready(MutexGuard::new(mutex))
    }
}

/// The future of [`Mutex::lock_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct LockOwned<T: ?Sized>(Locking<Arc<Mutex<T>>>);

impl<T: ?Sized> Future for LockOwned<T> {
    type Output = OwnedMutexGuard<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: the only field is pinned with the future.
        let locking = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let mutex = ready!(locking.poll_lock(cx));
        charge.made_progress();
        Poll::Ready(OwnedMutexGuard::new(mutex))
    }
}

impl<T: ?Sized> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for LockOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOwned").finish_non_exhaustive()
    }
}

/// The lock was not taken, as it would have been necessary to wait: try later, or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLockError(pub(super) ());

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is taken, try later or wait for it")
    }
}

impl std::error::Error for TryLockError {}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
