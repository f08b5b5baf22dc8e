//! Guards that keep their mutex alive.

use super::Mutex;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// The value of a locked [`Mutex`] that this keeps alive, and unlocks when it is dropped.
#[must_use = "a guard that is not kept unlocks the mutex at once"]
pub struct OwnedMutexGuard<T: ?Sized> {
    // INVARIANT: locked, by this guard.
    mutex: Arc<Mutex<T>>,
    // Shared between threads, it lends `&T`, so `Sync` needs `T: Sync`, which the mutex alone would
    // not ask for.
    _value: PhantomData<T>,
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The caller has locked the mutex, and leaves it to the guard.
    pub(in crate::sync) fn new(mutex: Arc<Mutex<T>>) -> Self {
        Self { mutex, _value: PhantomData }
    }

    /// The mutex, which stays locked: the caller is to unlock it.
    pub(in crate::sync) fn keep_locked(self) -> Arc<Mutex<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the field is read once, out of a guard that is not used or dropped any more.
        unsafe { std::ptr::read(&this.mutex) }
    }

    /// The mutex that is locked.
    #[must_use]
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.mutex
    }

    /// Makes a guard of a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::Mutex;
    /// use mainspring::sync::mutex::OwnedMutexGuard;
    /// use std::sync::Arc;
    ///
    /// # mainspring::block_on(async {
    /// let mutex = Arc::new(Mutex::new((1, "one")));
    /// let guard = mutex.clone().lock_owned().await;
    /// let number = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
    /// let task = mainspring::spawn(async move { *number });
    /// assert_eq!(task.await.unwrap(), 1);
    /// # });
    /// ```
    pub fn map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> OwnedMappedMutexGuard<T, U> {
        let value = NonNull::from(f(&mut this));
        OwnedMappedMutexGuard::new(this.keep_locked(), value)
    }

    /// Makes a guard of a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<OwnedMappedMutexGuard<T, U>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(OwnedMappedMutexGuard::new(this.keep_locked(), value))
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the mutex locked, and is borrowed for as long as the reference is.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

/// A part of the value of a locked [`Mutex`] that this keeps alive, and unlocks when it is dropped.
///
/// Made by [`OwnedMutexGuard::map`] and [`OwnedMutexGuard::filter_map`].
#[must_use = "a guard that is not kept unlocks the mutex at once"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized = T> {
    // INVARIANT: locked, by this guard.
    mutex: Arc<Mutex<T>>,
    // INVARIANT: made from a `&mut U` that a guard of this mutex had lent; nobody else uses it while
    // the mutex is locked, and it lives as long as the value of the mutex, or longer.
    value: NonNull<U>,
    // It is like a `&mut U`, which may not be made a `&mut` of another type than `U`.
    _value: PhantomData<*mut U>,
}

// SAFETY: it is a `&mut U`, and a share of the mutex, which may drop the whole value.
unsafe impl<T: ?Sized + Send, U: ?Sized + Send> Send for OwnedMappedMutexGuard<T, U> {}
// SAFETY: a shared one gives `&U`; it says nothing about `T`, and could only lend the mutex of it.
unsafe impl<T: ?Sized + Send, U: ?Sized + Sync> Sync for OwnedMappedMutexGuard<T, U> {}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    fn new(mutex: Arc<Mutex<T>>, value: NonNull<U>) -> Self {
        Self { mutex, value, _value: PhantomData }
    }

    fn keep_locked(self) -> Arc<Mutex<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the field is read once, out of a guard that is not used or dropped any more.
        unsafe { std::ptr::read(&this.mutex) }
    }

    /// Makes a guard of a part of this part.
    pub fn map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> OwnedMappedMutexGuard<T, V> {
        let value = NonNull::from(f(&mut this));
        OwnedMappedMutexGuard::new(this.keep_locked(), value)
    }

    /// Makes a guard of a part of this part, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<OwnedMappedMutexGuard<T, V>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(OwnedMappedMutexGuard::new(this.keep_locked(), value))
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedMappedMutexGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the guard has the mutex locked, and is borrowed for as long as the reference is.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedMappedMutexGuard<T, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedMappedMutexGuard<T, U> {
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
