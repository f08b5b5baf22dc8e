//! Guards that borrow their lock.

use super::RwLock;
use crate::sync::Semaphore;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The value of an [`RwLock`] that is locked for reading, or a part of it. Dropped, it unlocks.
#[must_use = "a guard that is not kept unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // INVARIANT: the guard has one permit of it.
    semaphore: &'a Semaphore,
    // INVARIANT: good for reading until the permit is given back.
    value: NonNull<T>,
    _value: PhantomData<&'a T>,
}

// SAFETY: it is a `&T`, and a permit, which any thread may give back.
unsafe impl<T: ?Sized + Sync> Send for RwLockReadGuard<'_, T> {}
// SAFETY: a shared one gives `&T` and nothing else.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// The caller has one permit, and leaves it to the guard.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        // SAFETY: the caller has a permit, so nobody writes while the guard is there.
        let value = lock.value.with(|value| NonNull::from(unsafe { &*value }));
        Self { semaphore: &lock.semaphore, value, _value: PhantomData }
    }

    /// Makes a guard of a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::rwlock::RwLockReadGuard;
    ///
    /// # mainspring::block_on(async {
    /// let lock = mainspring::sync::RwLock::new((1, "one"));
    /// let name = RwLockReadGuard::map(lock.read().await, |pair| pair.1);
    /// assert_eq!(&*name, "one");
    /// # });
    /// ```
    pub fn map<U: ?Sized>(this: Self, f: impl FnOnce(&T) -> &U) -> RwLockReadGuard<'a, U> {
        let value = NonNull::from(f(&this));
        let semaphore = ManuallyDrop::new(this).semaphore;
        RwLockReadGuard { semaphore, value, _value: PhantomData }
    }

    /// Makes a guard of a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<RwLockReadGuard<'a, U>, Self> {
        let Some(value) = f(&this).map(NonNull::from) else { return Err(this) };
        let semaphore = ManuallyDrop::new(this).semaphore;
        Ok(RwLockReadGuard { semaphore, value, _value: PhantomData })
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has its permit for as long as it is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release(1);
    }
}

/// The value of an [`RwLock`] that is locked for writing. Dropped, it unlocks.
#[must_use = "a guard that is not kept unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    // INVARIANT: the guard has all its permits.
    lock: &'a RwLock<T>,
    _value: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// The caller has all permits, and leaves them to the guard.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock, _value: PhantomData }
    }

    fn keep_locked(self) -> &'a RwLock<T> {
        ManuallyDrop::new(self).lock
    }

    /// The lock that is locked.
    #[must_use]
    pub fn rwlock(this: &Self) -> &'a RwLock<T> {
        this.lock
    }

    /// Goes on as a reader; no writer comes in between, and other readers may come too.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::rwlock::RwLockWriteGuard;
    ///
    /// # mainspring::block_on(async {
    /// let lock = mainspring::sync::RwLock::new(1);
    /// let mut write = lock.write().await;
    /// *write += 1;
    /// let read = RwLockWriteGuard::downgrade(write);
    /// assert_eq!((*read, *lock.read().await), (2, 2));
    /// # });
    /// ```
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        let lock = this.keep_locked();
        // Before the others can read: from here on the value is only shared.
        let read = RwLockReadGuard::new(lock);
        lock.semaphore.release(lock.max_readers - 1);
        read
    }

    /// Makes a guard of a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::rwlock::RwLockWriteGuard;
    ///
    /// # mainspring::block_on(async {
    /// let lock = mainspring::sync::RwLock::new((1, "one"));
    /// *RwLockWriteGuard::map(lock.write().await, |pair| &mut pair.0) += 1;
    /// assert_eq!(*lock.read().await, (2, "one"));
    /// # });
    /// ```
    pub fn map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> RwLockMappedWriteGuard<'a, U> {
        let value = NonNull::from(f(&mut this));
        RwLockMappedWriteGuard::new(this.keep_locked(), value)
    }

    /// Makes a guard of a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<RwLockMappedWriteGuard<'a, U>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(RwLockMappedWriteGuard::new(this.keep_locked(), value))
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has all permits for as long as it is borrowed.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.semaphore.release(self.lock.max_readers);
    }
}

/// A part of the value of an [`RwLock`] that is locked for writing. Dropped, it unlocks.
///
/// Made by [`RwLockWriteGuard::map`] and [`RwLockWriteGuard::filter_map`]. It cannot be downgraded:
/// what it was mapped to need not be fit to be shared.
#[must_use = "a guard that is not kept unlocks at once"]
pub struct RwLockMappedWriteGuard<'a, U: ?Sized> {
    // INVARIANT: the guard has all its permits, which are so many.
    semaphore: &'a Semaphore,
    permits: usize,
    // INVARIANT: made from a `&'a mut U` that a guard of this lock had lent; nobody else uses it
    // until the permits are given back.
    value: NonNull<U>,
    // It is like a `&mut U`, which may not be made a `&mut` of another type than `U`.
    _value: PhantomData<&'a mut U>,
}

// SAFETY: it is a `&mut U`, and permits, which any thread may give back. The rest of the value stays
// where it was: only the present thread can reach it, if it may not be sent.
unsafe impl<U: ?Sized + Send> Send for RwLockMappedWriteGuard<'_, U> {}
// SAFETY: a shared one gives `&U` and nothing else.
unsafe impl<U: ?Sized + Sync> Sync for RwLockMappedWriteGuard<'_, U> {}

impl<'a, U: ?Sized> RwLockMappedWriteGuard<'a, U> {
    fn new<T: ?Sized>(lock: &'a RwLock<T>, value: NonNull<U>) -> Self {
        let (semaphore, permits) = (&lock.semaphore, lock.max_readers);
        Self { semaphore, permits, value, _value: PhantomData }
    }

    fn part<V: ?Sized>(self, value: NonNull<V>) -> RwLockMappedWriteGuard<'a, V> {
        let this = ManuallyDrop::new(self);
        let (semaphore, permits) = (this.semaphore, this.permits);
        RwLockMappedWriteGuard { semaphore, permits, value, _value: PhantomData }
    }

    /// Makes a guard of a part of this part.
    pub fn map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> RwLockMappedWriteGuard<'a, V> {
        let value = NonNull::from(f(&mut this));
        this.part(value)
    }

    /// Makes a guard of a part of this part, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<RwLockMappedWriteGuard<'a, V>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(this.part(value))
    }
}

impl<U: ?Sized> Deref for RwLockMappedWriteGuard<'_, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the guard has all permits for as long as it is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for RwLockMappedWriteGuard<'_, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<U: ?Sized> Drop for RwLockMappedWriteGuard<'_, U> {
    fn drop(&mut self) {
        self.semaphore.release(self.permits);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for RwLockMappedWriteGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for RwLockMappedWriteGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
