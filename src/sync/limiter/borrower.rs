//! The names of those who borrow.

use crate::hooks::TaskId;
use crate::task;
use std::fmt;

/// Who borrows a token: a name by which a limiter tells borrowers apart, and nothing else.
///
/// It is made of a number of one's own, or of the id of a task. The two are never the same.
///
/// # Examples
///
/// ```
/// use mainspring::sync::limiter::Borrower;
///
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(async { Borrower::from(mainspring::task::id()) });
/// let id = task.id();
/// let borrower = task.await.unwrap();
/// assert_eq!(borrower, Borrower::from(id));
/// assert_ne!(borrower, Borrower::from(id.as_u64()));
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Borrower(Name);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Task(TaskId),
    Number(u64),
}

impl Borrower {
    /// The task that is being polled on this thread.
    pub(super) fn current() -> Option<Self> {
        task::try_id().map(Self::from)
    }
}

impl From<TaskId> for Borrower {
    fn from(id: TaskId) -> Self {
        Self(Name::Task(id))
    }
}

impl From<u64> for Borrower {
    fn from(number: u64) -> Self {
        Self(Name::Number(number))
    }
}

impl fmt::Display for Borrower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Name::Task(id) => write!(f, "task {id}"),
            Name::Number(number) => write!(f, "borrower {number}"),
        }
    }
}

impl fmt::Debug for Borrower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Borrower({self})")
    }
}
