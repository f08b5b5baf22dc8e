//! The tasks of a home that have not ended.

use super::cell::Header;
use super::run::Runnable;
use super::waker::TaskRef;
use crate::primitives::{Biased, Mutex, ThreadKey};
use std::ptr::NonNull;

/// The index of a task that is in no list.
pub(super) const UNLISTED: u32 = u32::MAX;

/// Below this the list keeps its memory.
const KEEP: usize = 64;

/// The live tasks, in no order, under a short lock.
///
/// A task's index in the list is kept in its header, so that leaving costs one swap. The entry needs
/// no count of its own: a task leaves the list before it gives up its live reference, or else there is
/// one in its [grave](super::graves) until it has left.
///
/// Where one thread makes the tasks, nearly all that happens here it does itself, so the lock is one
/// that costs its owner little.
pub(super) struct TaskList(Lock);

enum Lock {
    Owned(Biased<Inner>),
    Shared(Mutex<Inner>),
}

struct Inner {
    /// INVARIANT: each pointer is to a live header whose `index` is its place here.
    tasks: Vec<NonNull<Header>>,
    closed: bool,
    /// How many were taken out of here that had ended before; wraps.
    buried: usize,
}

// SAFETY: the pointers are to headers, which are shared between threads anyway; what lies behind
// them is touched by the rules of the essay only.
unsafe impl Send for Inner {}

impl TaskList {
    /// The list of a home that has this maker, or nobody.
    pub(super) fn new(maker: ThreadKey) -> Self {
        let inner = Inner { tasks: Vec::new(), closed: false, buried: 0 };
        Self(match maker {
            ThreadKey::NONE => Lock::Shared(Mutex::new(inner)),
            maker => Lock::Owned(Biased::owned_by(maker, inner)),
        })
    }

    /// Calls `f`, which runs no code of others, under the lock.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        match &self.0 {
            Lock::Owned(inner) => inner.with(f),
            Lock::Shared(inner) => f(&mut inner.lock()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.with(|inner| inner.tasks.len())
    }

    /// How many are in, and all that were ever [buried](Self::bury), together; wraps.
    pub(super) fn len_and_buried(&self) -> usize {
        self.with(|inner| inner.tasks.len().wrapping_add(inner.buried))
    }

    /// Adds a task; `false` if the list was closed, or holds 2³² − 1 tasks.
    #[inline]
    #[must_use]
    pub(super) fn insert(&self, task: &Runnable) -> bool {
        let header = task.header();
        self.with(|inner| {
            let Ok(index) = u32::try_from(inner.tasks.len()) else { return false };
            if inner.closed || index == UNLISTED {
                return false;
            }
            inner.tasks.push(header);
            // SAFETY: the `Runnable` keeps the header alive, and we hold the lock that guards `index`.
            unsafe { header.as_ref().index.with_mut(|at| *at = index) };
            true
        })
    }

    /// Whether the task is in.
    ///
    /// # Safety
    ///
    /// As for [`remove`](Self::remove).
    pub(super) unsafe fn contains(&self, header: NonNull<Header>) -> bool {
        self.with(|_| {
            // SAFETY: live by the caller's word; we hold the lock.
            unsafe { header.as_ref().index.with(|at| *at != UNLISTED) }
        })
    }

    /// Takes a task out; `false` if it was not in.
    ///
    /// # Safety
    ///
    /// `header` is live, and if it is in a list it is in this one.
    #[inline]
    pub(super) unsafe fn remove(&self, header: NonNull<Header>) -> bool {
        // SAFETY: the caller's word.
        self.with(|inner| unsafe { inner.remove(header) })
    }

    /// Takes tasks out that have ended, and are in this list still.
    pub(super) fn bury(&self, tasks: &[TaskRef]) {
        self.with(|inner| {
            inner.buried = inner.buried.wrapping_add(tasks.len());
            for task in tasks {
                // SAFETY: the reference keeps the header alive.
                let was_in = unsafe { inner.remove(task.raw()) };
                debug_assert!(was_in, "a task in its grave was in no list");
            }
        });
    }

    /// References to the tasks that are in.
    pub(super) fn references(&self) -> Vec<TaskRef> {
        // The memory is got outside the lock, unless many come in between.
        let mut references = Vec::with_capacity(self.len() + KEEP);
        // SAFETY: as in `close`.
        let retain = |&header: &_| unsafe { TaskRef::retain(header) };
        self.with(|inner| references.extend(inner.tasks.iter().map(retain)));
        references
    }

    /// Accepts no more tasks; returns references to those that are in.
    pub(super) fn close(&self) -> Vec<TaskRef> {
        self.with(|inner| {
            inner.closed = true;
            // SAFETY: the lock keeps them in, and as long as they are in they have their live reference,
            // or one in a grave, so the count is at least one.
            inner.tasks.iter().map(|&header| unsafe { TaskRef::retain(header) }).collect()
        })
    }
}

impl Inner {
    /// # Safety
    ///
    /// As for [`TaskList::remove`].
    #[inline]
    unsafe fn remove(&mut self, header: NonNull<Header>) -> bool {
        // SAFETY: live by the caller's word, and by the invariant; who has the inner holds the lock.
        unsafe {
            let index = header.as_ref().index.with_mut(|at| std::mem::replace(&mut *at, UNLISTED));
            if index == UNLISTED {
                return false;
            }
            let index_usize = index as usize;
            self.tasks.swap_remove(index_usize);
            if let Some(moved) = self.tasks.get(index_usize) {
                moved.as_ref().index.with_mut(|at| *at = index);
            }
        }
        let (len, capacity) = (self.tasks.len(), self.tasks.capacity());
        if capacity > KEEP && len < capacity / 4 {
            self.shrink(len);
        }
        true
    }

    #[cold]
    fn shrink(&mut self, len: usize) {
        self.tasks.shrink_to((2 * len).max(KEEP));
    }
}
