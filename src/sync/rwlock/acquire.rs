//! The futures that wait for a lock.

use super::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use crate::sync::Semaphore;
use crate::sync::semaphore::{Acquiring, Handle};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

impl<T: ?Sized> Handle for &RwLock<T> {
    #[inline]
    fn semaphore(&self) -> &Semaphore {
        &self.semaphore
    }
}

impl<T: ?Sized> Handle for Arc<RwLock<T>> {
    fn semaphore(&self) -> &Semaphore {
        &self.semaphore
    }
}

/// Waits for permits of a lock, which is never closed.
#[inline]
fn poll<H: Handle>(acquiring: Pin<&mut Acquiring<H>>, cx: &mut Context<'_>) -> Poll<H> {
    match ready!(acquiring.poll(cx)) {
        Ok((lock, _)) => Poll::Ready(lock),
        Err(_) => unreachable!("nobody closes the semaphore of a lock"),
    }
}

/// The future of [`RwLock::read`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Read<'a, T: ?Sized>(Acquiring<&'a RwLock<T>>);

/// The future of [`RwLock::write`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Write<'a, T: ?Sized>(Acquiring<&'a RwLock<T>>);

/// The future of [`RwLock::read_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct ReadOwned<T: ?Sized>(Acquiring<Arc<RwLock<T>>>);

/// The future of [`RwLock::write_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct WriteOwned<T: ?Sized>(Acquiring<Arc<RwLock<T>>>);

impl<'a, T: ?Sized> Read<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self(Acquiring::new(lock, 1))
    }
}

impl<'a, T: ?Sized> Write<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self(Acquiring::new(lock, lock.max_readers))
    }
}

impl<T: ?Sized> ReadOwned<T> {
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self(Acquiring::new(lock, 1))
    }
}

impl<T: ?Sized> WriteOwned<T> {
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        let all = lock.max_readers;
        Self(Acquiring::new(lock, all))
    }
}

impl<'a, T: ?Sized> Future for Read<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        poll(acquiring, cx).map(RwLockReadGuard::new)
    }
}

impl<'a, T: ?Sized> Future for Write<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        poll(acquiring, cx).map(RwLockWriteGuard::new)
    }
}

impl<T: ?Sized> Future for ReadOwned<T> {
    type Output = OwnedRwLockReadGuard<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        poll(acquiring, cx).map(OwnedRwLockReadGuard::new)
    }
}

impl<T: ?Sized> Future for WriteOwned<T> {
    type Output = OwnedRwLockWriteGuard<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        poll(acquiring, cx).map(OwnedRwLockWriteGuard::new)
    }
}

impl<T: ?Sized> fmt::Debug for Read<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for Write<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for ReadOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOwned").finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for WriteOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOwned").finish_non_exhaustive()
    }
}
