//! The tasks of a home that have not ended.

use super::cell::Header;
use super::run::Runnable;
use super::waker::TaskRef;
use crate::primitives::{AtomicBool, Mutex, Ordering, UnsafeCell, thread};
use Ordering::{Acquire, Relaxed, Release};
use std::ptr::NonNull;
use std::time::Duration;

/// The index of a task that is in no list.
pub(super) const UNLISTED: u32 = u32::MAX;

/// Below this the list keeps its memory.
const KEEP: usize = 64;

/// A visitor that finds the list in use looks again so often before it sleeps.
const LOOKS: u32 = 64;

/// The live tasks, in no order, under a short lock.
///
/// A task's index in the list is kept in its header, so that leaving costs one swap. The entry needs
/// no count of its own: a task leaves the list before it gives up its live reference.
///
/// # The lock
///
/// Where one thread owns the tasks, nearly all that happens here it does itself, so its way in is one
/// exchange of `in_use`, and its way out one store: nobody sleeps on that word. Others, the *visitors*,
/// first agree among themselves by a lock that can be slept on, and then take the same word. They wait
/// for it by looking again, as the owner has it for a few instructions at a time. The owner, if it
/// finds a visitor in, waits at the visitors' lock: whoever has that has `in_use` to itself, or
/// the owner has it.
///
/// Where nobody owns the tasks all are visitors, who need the first lock only.
pub(super) struct TaskList {
    visitors: Mutex<()>,
    in_use: AtomicBool,
    /// INVARIANT: touched under the lock.
    inner: UnsafeCell<Inner>,
}

/// Whose way into the list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// That of the thread which owns the tasks.
    Owner,
    /// That of another thread, where one owns them.
    Visitor,
    /// That of any thread, where none does.
    Shared,
}

struct Inner {
    /// INVARIANT: each pointer is to a live header whose `index` is its place here.
    tasks: Vec<NonNull<Header>>,
    closed: bool,
}

// SAFETY: `inner` is touched under the lock only. The pointers in it are to headers, which are shared
// between threads anyway; what lies behind them is touched by the rules of the essay only.
unsafe impl Send for TaskList {}
// SAFETY: as above.
unsafe impl Sync for TaskList {}

impl TaskList {
    pub(super) fn new() -> Self {
        let inner = Inner { tasks: Vec::new(), closed: false };
        Self {
            visitors: Mutex::new(()),
            in_use: AtomicBool::new(false),
            inner: UnsafeCell::new(inner),
        }
    }

    /// Calls `f`, which runs no code of others, under the lock.
    #[inline]
    fn with<R>(&self, access: Access, f: impl FnOnce(&mut Inner) -> R) -> R {
        let _visit = match access {
            Access::Owner if self.enter() => None,
            _ => Some(self.visit(access)),
        };
        // Also if it unwinds, as it may where memory runs out.
        let _leave = Leave(self);
        // SAFETY: we have the lock, until `_leave` and `_visit` drop, which is after this.
        self.inner.with_mut(|inner| f(unsafe { &mut *inner }))
    }

    /// Takes the word, unless somebody has it.
    ///
    /// Not by a swap, which would write also where it fails: in a model the holder's store might then
    /// come before that write for ever, and nobody get in.
    #[inline]
    fn enter(&self) -> bool {
        self.in_use.compare_exchange(false, true, Acquire, Relaxed).is_ok()
    }

    #[cold]
    fn visit(&self, access: Access) -> crate::primitives::MutexGuard<'_, ()> {
        let visit = self.visitors.lock();
        let mut looks = 0;
        while access != Access::Shared && !self.enter() {
            // Only a visitor gets here: no other is in while we have their lock, so the owner is.
            looks += 1;
            if looks < LOOKS {
                thread::yield_now();
            } else {
                // The owner may have been stopped in there, and need this very CPU to go on.
                pause();
            }
        }
        visit
    }

    pub(super) fn len(&self, access: Access) -> usize {
        self.with(access, |inner| inner.tasks.len())
    }

    /// Adds a task; `false` if the list was closed, or holds 2³² − 1 tasks.
    #[inline]
    #[must_use]
    pub(super) fn insert(&self, access: Access, task: &Runnable) -> bool {
        let header = task.header();
        self.with(access, |inner| {
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
    pub(super) unsafe fn contains(&self, access: Access, header: NonNull<Header>) -> bool {
        self.with(access, |_| {
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
    pub(super) unsafe fn remove(&self, access: Access, header: NonNull<Header>) -> bool {
        self.with(access, |inner| {
            // SAFETY: live by the caller's word, and by the invariant; we hold the lock.
            unsafe {
                let index =
                    header.as_ref().index.with_mut(|at| std::mem::replace(&mut *at, UNLISTED));
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
                inner.shrink(len);
            }
            true
        })
    }

    /// Accepts no more tasks; returns references to those that are in.
    pub(super) fn close(&self, access: Access) -> Vec<TaskRef> {
        self.with(access, |inner| {
            inner.closed = true;
            // SAFETY: in the list means live, and the lock keeps them in: none can give up its live
            // reference before it has left the list, so the count is at least one.
            inner.tasks.iter().map(|&header| unsafe { TaskRef::retain(header) }).collect()
        })
    }
}

impl Inner {
    #[cold]
    fn shrink(&mut self, len: usize) {
        self.tasks.shrink_to((2 * len).max(KEEP));
    }
}

/// Lets the next one in. Where nobody owns the tasks the word means nothing.
struct Leave<'a>(&'a TaskList);

impl Drop for Leave<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.in_use.store(false, Release);
    }
}

/// Sleeps for a moment.
fn pause() {
    #[cfg(loom)]
    thread::yield_now();
    #[cfg(not(loom))]
    thread::sleep(Duration::from_micros(50));
}
