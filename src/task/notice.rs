//! The word of another thread that a task of an owned home was woken.

use super::run::Runnable;
use super::waker::TaskRef;
use std::fmt;

/// A task that another thread has woken or asked to end, on its way to the owner; see `own`.
///
/// INVARIANT: `WOKEN` is set in the task's state, and stays so until the notice is taken.
pub(crate) struct Notice(TaskRef);

impl Notice {
    /// The caller's transition set `WOKEN`.
    pub(super) fn new(task: TaskRef) -> Self {
        Self(task)
    }

    /// Takes the notice, on the owner's thread: the task's `Runnable`, unless it is queued already or
    /// has ended.
    pub(crate) fn take(self) -> Option<Runnable> {
        let header = self.0.header();
        assert!(header.home.is_owner_here(), "a notice was taken on another thread");
        header.state.take_notice();
        // SAFETY: the claim made it, and it is ours.
        header.own.claim().then(|| unsafe { Runnable::from_raw(self.0.raw()) })
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notice").field(&self.0.header().id).finish()
    }
}
