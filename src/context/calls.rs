//! The calls that a runtime was asked to make soon, in order.

use crate::primitives::Mutex;
use crate::task::Job;
use std::collections::VecDeque;
use std::fmt;

/// The room that an empty queue keeps, in entries.
const KEEP: usize = 64;

/// A queue of calls, which one task at a time makes, one after the other.
#[derive(Default)]
pub(crate) struct Calls(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    queue: VecDeque<Job>,
    /// Whether somebody is to empty the queue.
    tended: bool,
}

impl Calls {
    /// Adds a call; `true` if the caller has to see to it that somebody tends the queue, that is, makes
    /// the calls until there is no next one.
    #[must_use]
    pub(crate) fn push(&self, call: Job) -> bool {
        let mut inner = self.0.lock();
        inner.queue.push_back(call);
        !std::mem::replace(&mut inner.tended, true)
    }

    /// The next call; where there is none, nobody tends the queue any more.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut inner = self.0.lock();
        let next = inner.queue.pop_front();
        if next.is_none() {
            inner.tended = false;
            inner.queue.shrink_to(KEEP);
        }
        next
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
