//! The tasks of a home that have not ended.

use super::cell::Header;
use super::run::Runnable;
use super::waker::TaskRef;
use crate::primitives::Mutex;
use std::ptr::NonNull;

/// The index of a task that is in no list.
pub(super) const UNLISTED: u32 = u32::MAX;

/// Below this the list keeps its memory.
const KEEP: usize = 64;

/// The live tasks, in no order, under a short lock.
///
/// A task's index in the list is kept in its header, so that leaving costs one swap. The entry needs
/// no count of its own: a task leaves the list before it gives up its live reference.
pub(super) struct TaskList(Mutex<Inner>);

struct Inner {
    /// INVARIANT: each pointer is to a live header whose `index` is its place here.
    tasks: Vec<NonNull<Header>>,
    closed: bool,
}

// SAFETY: the pointers are to headers, which are shared between threads anyway; what lies behind
// them is touched by the rules of the essay only.
unsafe impl Send for Inner {}

impl TaskList {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Inner { tasks: Vec::new(), closed: false }))
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().tasks.len()
    }

    /// Adds a task; `false` if the list was closed, or holds 2³² − 1 tasks.
    #[must_use]
    pub(super) fn insert(&self, task: &Runnable) -> bool {
        let header = task.header();
        let mut inner = self.0.lock();
        let Ok(index) = u32::try_from(inner.tasks.len()) else { return false };
        if inner.closed || index == UNLISTED {
            return false;
        }
        inner.tasks.push(header);
        // SAFETY: the `Runnable` keeps the header alive, and we hold the lock that guards `index`.
        unsafe { header.as_ref().index.with_mut(|at| *at = index) };
        true
    }

    /// Takes a task out; `false` if it was not in.
    ///
    /// # Safety
    ///
    /// `header` is live, and if it is in a list it is in this one.
    pub(super) unsafe fn remove(&self, header: NonNull<Header>) -> bool {
        let mut inner = self.0.lock();
        // SAFETY: live by the caller's word, and by the invariant; we hold the lock.
        unsafe {
            let index = header.as_ref().index.with_mut(|at| std::mem::replace(&mut *at, UNLISTED));
            if index == UNLISTED {
                return false;
            }
            let index_usize = index as usize;
            inner.tasks.swap_remove(index_usize);
            if let Some(moved) = inner.tasks.get(index_usize) {
                moved.as_ref().index.with_mut(|at| *at = index);
            }
        }
        let (len, capacity) = (inner.tasks.len(), inner.tasks.capacity());
        if capacity > KEEP && len < capacity / 4 {
            inner.tasks.shrink_to((2 * len).max(KEEP));
        }
        true
    }

    /// Accepts no more tasks; returns references to those that are in.
    pub(super) fn close(&self) -> Vec<TaskRef> {
        let mut inner = self.0.lock();
        inner.closed = true;
        // SAFETY: in the list means live, and the lock keeps them in: none can give up its live
        // reference before it has left the list, so the count is at least one.
        inner.tasks.iter().map(|&header| unsafe { TaskRef::retain(header) }).collect()
    }
}
