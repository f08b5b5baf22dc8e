//! The future of a `block_on` among the tasks: how it is woken, and takes its turn.

use super::cell;
use super::home::{Home, Schedule};
use super::origin::Origin;
use super::own::Own;
use super::run::Runnable;
use super::state::State;
use super::waker::{TaskRef, with_waker};
use crate::hooks::TaskId;
use std::fmt;
use std::future::pending;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What stands in an owned home's queue for a future that lies on somebody's stack.
///
/// It has a cell, and so a state and wakers, as a task has; but no future of its own, no handle, and
/// no place among the living, and hooks are not told of it. One serves all that come one after the
/// other: a waker which an earlier future has left behind wakes the present one, which is harmless.
///
/// INVARIANT: it stays on the owner's thread.
pub(crate) struct Root(TaskRef, PhantomData<*const ()>);

impl Root {
    /// A root for the owner's thread, which is the present one.
    pub(crate) fn new<S: Schedule>(home: &Arc<Home<S>>, id: TaskId) -> Self {
        let home = home.reference();
        assert!(home.is_owner_here(), "a root needs a home that the thread owns");
        let state = (State::of_root(), Own::idle());
        let origin = Origin::alone(Location::caller());
        let raw = cell::allocate(pending::<()>(), state, home, id, origin);
        // SAFETY: the second reference of a cell that is idle; the first is the live one.
        Self(unsafe { TaskRef::from_raw(raw) }, PhantomData)
    }

    /// Whether `task` stands for the root.
    #[inline]
    pub(crate) fn is(&self, task: &Runnable) -> bool {
        task.header() == self.0.raw()
    }

    /// What is to be queued for the root to be polled, unless that is queued already.
    pub(crate) fn claim(&self) -> Option<Runnable> {
        // SAFETY: the claim made it, and it is ours.
        self.0.header().own.claim().then(|| unsafe { Runnable::from_raw(self.0.raw()) })
    }

    /// Whether it is queued.
    pub(crate) fn is_queued(&self) -> bool {
        self.0.header().own.is_queued()
    }

    /// Takes back what was queued, which is nobody's turn now.
    pub(crate) fn forget(&self, task: Runnable) {
        let again = Turn::begin(self, task).end();
        debug_assert!(again.is_none(), "woken while nothing ran");
    }

    /// Takes the turn that `task` stands for: calls `poll` with the root's waker.
    ///
    /// What comes back beside the answer is to be queued: it was woken meanwhile.
    #[inline]
    pub(crate) fn poll<T>(
        &self,
        task: Runnable,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> (Poll<T>, Option<Runnable>) {
        let turn = Turn::begin(self, task);
        // SAFETY: `self` keeps the cell.
        let polled =
            unsafe { with_waker(self.0.raw(), |waker| poll(&mut Context::from_waker(waker))) };
        (polled, turn.end())
    }
}

/// While the root is polled. Ends also where that panics.
struct Turn<'a>(&'a Root);

impl<'a> Turn<'a> {
    #[inline]
    fn begin(root: &'a Root, task: Runnable) -> Self {
        debug_assert!(root.is(&task), "that is a task");
        std::mem::forget(task);
        root.0.header().own.start();
        Self(root)
    }

    #[inline]
    fn end(self) -> Option<Runnable> {
        let task = &self.0.0;
        std::mem::forget(self);
        // SAFETY: `stop` says that it is ours.
        task.header().own.stop().then(|| unsafe { Runnable::from_raw(task.raw()) })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let own = &self.0.0.header().own;
        if own.stop() {
            // Nobody is left to be polled.
            own.start();
            let _ = own.stop();
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // As a task is cancelled. If it is queued, it is when that is dropped.
        drop(self.claim());
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Root").field(&self.0.header().id).finish()
    }
}
