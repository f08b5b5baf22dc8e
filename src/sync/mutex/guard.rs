//! Guards that borrow their mutex.

use super::{Mutex, RawMutex};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The value of a locked [`Mutex`], which is unlocked when this is dropped.
#[must_use = "a guard that is not kept unlocks the mutex at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    // INVARIANT: locked, by this guard.
    mutex: &'a Mutex<T>,
    // It is like a `&mut T`: shared between threads, it lends `&T`, so `Sync` needs `T: Sync`, which
    // a reference to the mutex alone would not ask for.
    _value: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has locked the mutex, and leaves it to the guard.
    #[inline]
    pub(in crate::sync) fn new(mutex: &'a Mutex<T>) -> Self {
        Self { mutex, _value: PhantomData }
    }

    /// The mutex, which stays locked: the caller is to unlock it.
    pub(in crate::sync) fn keep_locked(self) -> &'a Mutex<T> {
        ManuallyDrop::new(self).mutex
    }

    /// The mutex that is locked.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::mutex::MutexGuard;
    ///
    /// # mainspring::block_on(async {
    /// let mutex = mainspring::sync::Mutex::new(1);
    /// let guard = mutex.lock().await;
    /// let mutex = MutexGuard::mutex(&guard);
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// # });
    /// ```
    #[must_use]
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.mutex
    }

    /// Makes a guard of a part of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::mutex::MutexGuard;
    ///
    /// # mainspring::block_on(async {
    /// let mutex = mainspring::sync::Mutex::new((1, "one"));
    /// let mut number = MutexGuard::map(mutex.lock().await, |pair| &mut pair.0);
    /// *number += 1;
    /// drop(number);
    /// assert_eq!(*mutex.lock().await, (2, "one"));
    /// # });
    /// ```
    pub fn map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        let value = NonNull::from(f(&mut this));
        MappedMutexGuard::new(&this.keep_locked().raw, value)
    }

    /// Makes a guard of a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<U: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(MappedMutexGuard::new(&this.keep_locked().raw, value))
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the mutex locked, and is borrowed for as long as the reference is.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

/// A part of the value of a locked [`Mutex`], which is unlocked when this is dropped.
///
/// Made by [`MutexGuard::map`] and [`MutexGuard::filter_map`].
#[must_use = "a guard that is not kept unlocks the mutex at once"]
pub struct MappedMutexGuard<'a, U: ?Sized> {
    // INVARIANT: locked, by this guard.
    raw: &'a RawMutex,
    // INVARIANT: made from a `&'a mut U` that a guard of this mutex had lent; nobody else uses it
    // while the mutex is locked.
    value: NonNull<U>,
    // It is like a `&mut U`, which may not be made a `&mut` of another type than `U`.
    _value: PhantomData<&'a mut U>,
}

// SAFETY: it is a `&mut U` and a lock that any thread may unlock. The rest of the value stays where
// it was: only the present thread can reach it, if it may not be sent.
unsafe impl<U: ?Sized + Send> Send for MappedMutexGuard<'_, U> {}
// SAFETY: a shared one gives `&U` and nothing else.
unsafe impl<U: ?Sized + Sync> Sync for MappedMutexGuard<'_, U> {}

impl<'a, U: ?Sized> MappedMutexGuard<'a, U> {
    fn new(raw: &'a RawMutex, value: NonNull<U>) -> Self {
        Self { raw, value, _value: PhantomData }
    }

    /// Makes a guard of a part of this part.
    pub fn map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> &mut V,
    ) -> MappedMutexGuard<'a, V> {
        let value = NonNull::from(f(&mut this));
        MappedMutexGuard::new(ManuallyDrop::new(this).raw, value)
    }

    /// Makes a guard of a part of this part, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, when `f` returns `None`.
    pub fn filter_map<V: ?Sized>(
        mut this: Self,
        f: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<MappedMutexGuard<'a, V>, Self> {
        let Some(value) = f(&mut this).map(NonNull::from) else { return Err(this) };
        Ok(MappedMutexGuard::new(ManuallyDrop::new(this).raw, value))
    }
}

impl<U: ?Sized> Deref for MappedMutexGuard<'_, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the guard has the mutex locked, and is borrowed for as long as the reference is.
        unsafe { self.value.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for MappedMutexGuard<'_, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<U: ?Sized> Drop for MappedMutexGuard<'_, U> {
    fn drop(&mut self) {
        self.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedMutexGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
