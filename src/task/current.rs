//! What this thread is doing: the task being polled.

use super::cell::Header;
use crate::hooks::{TaskId, UserData};
use crate::primitives::local;
use std::cell::Cell;
use std::ptr::NonNull;

local! {
    /// INVARIANT: the header of a cell that is alive, by the promise to [`enter`].
    static CURRENT: Cell<Option<NonNull<Header>>> = Cell::new(None);
}

/// The id of the task that is being polled on this thread.
///
/// # Panics
///
/// Outside a task; [`try_id`] answers `None` there.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(async { mainspring::task::id() });
/// let id = task.id();
/// assert_eq!(task.await.unwrap(), id);
/// # });
/// ```
#[track_caller]
pub fn id() -> TaskId {
    try_id()
        .expect("task::id() needs a task: call it inside a future given to spawn, or use try_id")
}

/// The id of the task that is being polled on this thread, if there is one.
///
/// The future given to `block_on` is not a task.
///
/// # Examples
///
/// ```
/// assert!(mainspring::task::try_id().is_none());
/// ```
pub fn try_id() -> Option<TaskId> {
    with(|header| header.id)
}

/// The header of the task that is being polled on this thread, if there is one, to tell it from others.
#[inline]
pub(super) fn header() -> Option<NonNull<Header>> {
    CURRENT.try_with(Cell::get).ok().flatten()
}

/// Whether that is the task of this header.
#[inline]
pub(super) fn is(task: &Header) -> bool {
    header().is_some_and(|current| std::ptr::eq(current.as_ptr(), task))
}

/// Calls `f`, which runs no code of the user's, with the header of the task that is being polled.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Header) -> R) -> Option<R> {
    // SAFETY: alive by the invariant, and until `f` returns, as nobody leaves the task meanwhile.
    header().map(|header| f(unsafe { header.as_ref() }))
}

/// The user data of the task that is being polled, which those that it spawns will share.
#[inline]
pub(super) fn inherited() -> Option<UserData> {
    with(|header| header.origin.data().cloned()).flatten()
}

/// Makes the current task what it was before.
#[derive(Debug)]
pub(super) struct Restore(Option<NonNull<Header>>);

/// Says that the task is being polled, until the guard drops.
///
/// # Safety
///
/// The guard is dropped before the cell may be freed, or at least before any code of the user's runs
/// after that.
#[inline]
pub(super) unsafe fn enter(header: NonNull<Header>) -> Restore {
    Restore(CURRENT.try_with(|current| current.replace(Some(header))).ok().flatten())
}

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.set(self.0));
    }
}
