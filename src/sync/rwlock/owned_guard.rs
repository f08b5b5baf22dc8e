//! Guards that keep their lock alive.

use super::RwLock;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// The value of an [`RwLock`] that this keeps alive and locked for reading, or a part of it.
/// Dropped, it unlocks.
#[must_use = "a guard that is not kept unlocks at once"]
pub struct OwnedRwLockReadGuard<T: ?Sized, U: ?Sized = T> {
    // INVARIANT: the guard has one permit of it.
    lock: Arc<RwLock<T>>,
    // INVARIANT: good for reading until the permit is given back.
    value: NonNull<U>,
}

// SAFETY: it is a `&U`, and a share of the lock, which may drop the whole value.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Send for OwnedRwLockReadGuard<T, U> {}
// SAFETY: a shared one gives `&U`, and the lock, which is `Sync` by the same bounds on `T`.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Sync for OwnedRwLockReadGuard<T, U> {}

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// The caller has one permit, and leaves it to the guard.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        // SAFETY: the caller has a permit, so nobody writes while the guard is there.
        let value = lock.value.with(|value| NonNull::from(unsafe { &*value }));
        Self { lock, value }
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockReadGuard<T, U> {
    fn keep_locked(self) -> Arc<RwLock<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the field is read once, out of a guard that is not used or dropped any more.
        unsafe { std::ptr::read(&this.lock) }
    }

    /// The lock that is locked.
    #[must_use]
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.lock
    }

    /// Makes a guard of a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::RwLock;
    /// use mainspring::sync::rwlock::OwnedRwLockReadGuard;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let lock = Arc::new(RwLock::new((1, "one")));
    /// let name = OwnedRwLockReadGuard::map(lock.read_owned().await, |pair| pair.1);
    /// assert_eq!(&*name, "one");
    /// # });
    /// ```
    pub fn map<V: ?Sized>(this: Self, f: impl FnOnce(&U) -> &V) -> OwnedRwLockReadGuard<T, V> {
        let value = NonNull::from(f(&this));
        OwnedRwLockReadGuard { lock: this.keep_locked(), value }
    }

    /// Makes a guard of a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<V: ?Sized>(
        this: Self,
        f: impl FnOnce(&U) -> Option<&V>,
    ) -> Result<OwnedRwLockReadGuard<T, V>, Self> {
        let Some(value) = f(&this).map(NonNull::from) else { return Err(this) };
        Ok(OwnedRwLockReadGuard { lock: this.keep_locked(), value })
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedRwLockReadGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the guard has its permit for as long as it is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedRwLockReadGuard<T, U> {
    fn drop(&mut self) {
        self.lock.semaphore.release(1);
    }
}

/// The value of an [`RwLock`] that this keeps alive and locked for writing. Dropped, it unlocks.
#[must_use = "a guard that is not kept unlocks at once"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    // INVARIANT: the guard has all its permits.
    lock: Arc<RwLock<T>>,
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// The caller has all permits, and leaves them to the guard.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self { lock }
    }

    fn keep_locked(self) -> Arc<RwLock<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the field is read once, out of a guard that is not used or dropped any more.
        unsafe { std::ptr::read(&this.lock) }
    }

    /// The lock that is locked.
    #[must_use]
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.lock
    }

    /// Goes on as a reader; no writer comes in between, and other readers may come too.
    pub fn downgrade(this: Self) -> OwnedRwLockReadGuard<T> {
        // Before the others can read: from here on the value is only shared.
        let read = OwnedRwLockReadGuard::new(this.keep_locked());
        read.lock.semaphore.release(read.lock.max_readers - 1);
        read
    }

    /// Makes a guard of a part of the value.
    pub fn map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> OwnedRwLockMappedWriteGuard<T, U> {
        let value = NonNull::from(f(&mut this));
        OwnedRwLockMappedWriteGuard::new(this.keep_locked(), value)
    }

    /// Makes a guard of a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, U>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(OwnedRwLockMappedWriteGuard::new(this.keep_locked(), value))
    }
}

impl<T: ?Sized> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has all permits for as long as it is borrowed.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for OwnedRwLockWriteGuard<T> {
    fn drop(&mut self) {
        self.lock.semaphore.release(self.lock.max_readers);
    }
}

/// A part of the value of an [`RwLock`] that this keeps alive and locked for writing. Dropped, it
/// unlocks.
///
/// Made by [`OwnedRwLockWriteGuard::map`] and [`OwnedRwLockWriteGuard::filter_map`].
#[must_use = "a guard that is not kept unlocks at once"]
pub struct OwnedRwLockMappedWriteGuard<T: ?Sized, U: ?Sized = T> {
    // INVARIANT: the guard has all its permits.
    lock: Arc<RwLock<T>>,
    // INVARIANT: made from a `&mut U` that a guard of this lock had lent; nobody else uses it until
    // the permits are given back, and it lives as long as the value of the lock, or longer.
    value: NonNull<U>,
    // It is like a `&mut U`, which may not be made a `&mut` of another type than `U`.
    _value: PhantomData<*mut U>,
}

// SAFETY: it is a `&mut U`, and a share of the lock, which may drop the whole value.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send> Send for OwnedRwLockMappedWriteGuard<T, U> {}
// SAFETY: a shared one gives `&U`; it says nothing about `T`, and could only lend the lock of it.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Sync for OwnedRwLockMappedWriteGuard<T, U> {}

impl<T: ?Sized, U: ?Sized> OwnedRwLockMappedWriteGuard<T, U> {
    fn new(lock: Arc<RwLock<T>>, value: NonNull<U>) -> Self {
        Self { lock, value, _value: PhantomData }
    }

    fn keep_locked(self) -> Arc<RwLock<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the field is read once, out of a guard that is not used or dropped any more.
        unsafe { std::ptr::read(&this.lock) }
    }

    /// Makes a guard of a part of this part.
    pub fn map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> OwnedRwLockMappedWriteGuard<T, V> {
        let value = NonNull::from(f(&mut this));
        OwnedRwLockMappedWriteGuard::new(this.keep_locked(), value)
    }

    /// Makes a guard of a part of this part, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, V>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(OwnedRwLockMappedWriteGuard::new(this.keep_locked(), value))
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedRwLockMappedWriteGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the guard has all permits for as long as it is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedRwLockMappedWriteGuard<T, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedRwLockMappedWriteGuard<T, U> {
    fn drop(&mut self) {
        self.lock.semaphore.release(self.lock.max_readers);
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedRwLockReadGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockMappedWriteGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedRwLockMappedWriteGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
