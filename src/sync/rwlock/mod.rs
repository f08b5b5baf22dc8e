//! A value that many tasks at a time may read, or one change.
//!
//! The lock is a [`Semaphore`] with a permit for each reader: a reader takes one, a writer all. So
//! who waits, what is first come, what a future that is dropped gives back, and which memory orders
//! make it sound, are said there and nowhere else.

mod acquire;
mod guard;
mod owned_guard;

pub use super::mutex::TryLockError;
pub use acquire::{Read, ReadOwned, Write, WriteOwned};
pub use guard::{RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard};
pub use owned_guard::{OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use super::{Semaphore, blocking};
use crate::primitives::{UnsafeCell, const_fn};
use std::fmt;
use std::sync::Arc;

/// A value that many tasks at a time may read, or one change, and that may stay locked across an
/// `.await`.
///
/// Locking it and unlocking it, where nobody has to wait, is one atomic operation each. It needs no
/// runtime.
///
/// # Fairness
///
/// First come, first served, for readers and writers alike. A writer waits for those who read, and
/// for those who waited before it; readers that come later wait for the writer. So a task that
/// reads, and has the lock, must not wait to read once more: where a writer came in between, both
/// wait for ever.
///
/// The lock is handed to the future that waits, so that one must be polled when it was woken, or
/// dropped: kept without either, as where a `select` by reference has gone on with another branch, it
/// holds up everybody.
///
/// # No poison
///
/// A task that panics or is aborted while it holds a guard just unlocks. Who locks next sees the
/// value as it was left.
///
/// # Examples
///
/// ```
/// use mainspring::sync::RwLock;
///
/// # mainspring::block_on(async {
/// let lock = RwLock::new(5);
/// {
///     let one = lock.read().await;
///     let two = lock.read().await;
///     assert_eq!(*one + *two, 10);
/// }
/// *lock.write().await += 1;
/// assert_eq!(*lock.read().await, 6);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    // INVARIANT: as many permits as there may be readers; those that are not in it are with guards,
    // or on the way to one. It is never closed.
    semaphore: Semaphore,
    max_readers: usize,
    // INVARIANT: shared by those who hold a permit, while nobody has all; exclusive to one who holds
    // all. Or reached through `&mut RwLock`.
    value: UnsafeCell<T>,
}

// What follows is all that is unsafe around the value.
//
// A read guard stands for one permit, and is like a `&T`. A write guard stands for all permits, and
// is like a `&mut T`; as it can be downgraded, on whichever thread it is, it is also like a lock
// that is shared with that thread, so to send it needs `T: Sync` too. A mapped write guard cannot
// be, and is like a `&mut U` alone.

// SAFETY: the value is used by one writer at a time, each maybe on another thread (`T: Send`), or by
// many readers on many threads (`T: Sync`). One who locks does so after those who held what it now
// holds unlocked, as the permits come and go with Release and Acquire.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// As many as fit a semaphore on machines of 32 bits.
const MAX_READERS: u32 = u32::MAX >> 3;

impl<T> RwLock<T> {
    const_fn! {
        /// Makes an unlocked lock for as many readers at a time as
        /// [`MAX_READERS`](Self::MAX_READERS).
        #[must_use]
        pub fn new(value: T) -> Self {
            Self::with_max_readers(value, MAX_READERS)
        }
    }

    const_fn! {
        /// Makes an unlocked lock for this many readers at a time; a further one waits.
        ///
        /// # Panics
        ///
        /// With 0, or more than [`MAX_READERS`](Self::MAX_READERS).
        #[must_use]
        pub fn with_max_readers(value: T, max_readers: u32) -> Self {
            assert!(max_readers > 0, "a lock without readers has no permit for a writer either");
            assert!(max_readers <= MAX_READERS, "more readers than RwLock::MAX_READERS");
            let max_readers = max_readers as usize;
            let semaphore = Semaphore::new(max_readers);
            Self { semaphore, max_readers, value: UnsafeCell::new(value) }
        }
    }

    /// Takes the lock apart, and returns its value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// The most readers at a time: 536,870,911.
    pub const MAX_READERS: u32 = MAX_READERS;

    /// Waits until nobody writes, and locks the value for reading until the guard is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let lock = mainspring::sync::RwLock::new(1);
    /// let guard = lock.read().await;
    /// assert!(lock.try_read().is_ok());
    /// assert!(lock.try_write().is_err());
    /// # drop(guard);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    #[inline]
    pub fn read(&self) -> Read<'_, T> {
        Read::new(self)
    }

    /// Waits until nobody reads or writes, and locks the value until the guard is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let lock = mainspring::sync::RwLock::new(1);
    /// *lock.write().await += 1;
    /// assert_eq!(*lock.read().await, 2);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and lets go on who waited behind it.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    #[inline]
    pub fn write(&self) -> Write<'_, T> {
        Write::new(self)
    }

    /// Locks the value for reading, if nobody writes or waits at the moment.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] when it would have to wait.
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.try_take(1)?;
        Ok(RwLockReadGuard::new(self))
    }

    /// Locks the value for writing, if nobody reads, writes or waits at the moment.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] when it would have to wait.
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        self.try_take(self.max_readers)?;
        Ok(RwLockWriteGuard::new(self))
    }

    /// As [`read`](Self::read), with a guard that keeps the lock alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::RwLock;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = lock.clone().read_owned().await;
    /// let task = mainspring::spawn(async move { *guard });
    /// assert_eq!(task.await.unwrap(), 1);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn read_owned(self: Arc<Self>) -> ReadOwned<T> {
        ReadOwned::new(self)
    }

    /// As [`write`](Self::write), with a guard that keeps the lock alive.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and lets go on who waited behind it.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready.
    pub fn write_owned(self: Arc<Self>) -> WriteOwned<T> {
        WriteOwned::new(self)
    }

    /// As [`try_read`](Self::try_read), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] when it would have to wait.
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        self.try_take(1)?;
        Ok(OwnedRwLockReadGuard::new(self))
    }

    /// As [`try_write`](Self::try_write), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] when it would have to wait.
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        self.try_take(self.max_readers)?;
        Ok(OwnedRwLockWriteGuard::new(self))
    }

    /// Locks the value for reading on a thread that may block, which sleeps until it has it.
    ///
    /// # Panics
    ///
    /// Inside a task, whose thread it would block. Await [`read`](Self::read) there.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        let (call, instead) = ("RwLock::blocking_read", "await `read()`");
        blocking::refuse_in_task(call, instead);
        self.try_read().unwrap_or_else(|_| blocking::block_on(self.read(), call, instead))
    }

    /// Locks the value for writing on a thread that may block, which sleeps until it has it.
    ///
    /// # Panics
    ///
    /// Inside a task, whose thread it would block. Await [`write`](Self::write) there.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        let (call, instead) = ("RwLock::blocking_write", "await `write()`");
        blocking::refuse_in_task(call, instead);
        self.try_write().unwrap_or_else(|_| blocking::block_on(self.write(), call, instead))
    }

    /// The value, without locking: as the caller alone has the lock, nobody else has the value.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: no guard of a lock is alive that is borrowed exclusively.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    #[inline]
    fn try_take(&self, n: usize) -> Result<(), TryLockError> {
        self.semaphore.try_take(n).map_err(|_| TryLockError(()))
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => f.field("value", &&*guard),
            Err(_) => f.field("value", &format_args!("<locked>")),
        };
        f.finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
