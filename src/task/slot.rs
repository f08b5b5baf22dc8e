//! A place for one task that several threads may take it from.

use super::cell::Header;
use super::run::Runnable;
use crate::primitives::{AtomicPtr, Ordering};
use Ordering::{AcqRel, Relaxed};
use std::fmt;
use std::ptr::{self, NonNull};

/// A place for one [`Runnable`], which is its until somebody swaps it out.
///
/// INVARIANT: a pointer in it is that of a `Runnable` which was forgotten; it is looked at by nobody
/// before it was swapped out, and then belongs to who did that.
pub(crate) struct OwnedSlot(AtomicPtr<Header>);

impl OwnedSlot {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts `task` in; what was there comes out.
    #[inline]
    pub(crate) fn replace(&self, task: Runnable) -> Option<Runnable> {
        let raw = task.header().as_ptr();
        std::mem::forget(task);
        self.swap(raw)
    }

    /// Takes out what is there.
    #[inline]
    pub(crate) fn take(&self) -> Option<Runnable> {
        if self.is_empty() { None } else { self.swap(ptr::null_mut()) }
    }

    /// Whether nothing is there, as far as the present thread knows.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Relaxed).is_null()
    }

    #[inline]
    fn swap(&self, raw: *mut Header) -> Option<Runnable> {
        let before = NonNull::new(self.0.swap(raw, AcqRel))?;
        // SAFETY: by the invariant it is a `Runnable`'s, which the swap has made ours.
        Some(unsafe { Runnable::from_raw(before) })
    }
}

impl Drop for OwnedSlot {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl fmt::Debug for OwnedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedSlot").field(&!self.is_empty()).finish()
    }
}
