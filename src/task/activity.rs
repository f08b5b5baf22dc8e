//! A task that says what it is doing, by a number.

use super::origin::Origin;
use crate::hooks::Doing;
use crate::primitives::{AtomicU32, Ordering::Relaxed};
use std::fmt;
use std::sync::Arc;

/// What a task is doing: a number that it keeps up to date, and what such numbers mean.
///
/// To say it costs a store, so that a task can do it many times a second for one who hardly ever asks.
/// The meanings are shared by all tasks of a kind. It stands in the place of the task's [`Origin`], which is
/// in it, so that it costs one allocation, and a task that a user has hung something on has that as ever.
///
/// *Ordering.* The number stands for itself, and what it means does not change: so it is relaxed. Who asks
/// may be told what was so before, and is told the present when the task has been stuck for as long as a
/// store takes.
pub(crate) struct Activity {
    /// INVARIANT: none that has an activity in its turn.
    pub(super) origin: Origin,
    /// What it is doing; written by the task.
    number: AtomicU32,
    legend: Arc<Legend>,
}

/// What the numbers of an [`Activity`] mean: of each what [`Doing::tell`] answers. 0 is said at first.
///
/// Behind a pointer of its own, so that an activity has but a thin one.
pub(crate) struct Legend(Box<dyn Fn(u32) -> Option<String> + Send + Sync>);

#[cfg(feature = "http")]
impl Legend {
    pub(crate) fn new(read: impl Fn(u32) -> Option<String> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self(Box::new(read)))
    }
}

#[cfg(feature = "http")]
impl Activity {
    /// Of a task that comes from there, and says 0 at first. The task's own origin is made of it.
    pub(crate) fn new(origin: impl Into<Origin>, legend: Arc<Legend>) -> Arc<Self> {
        let origin = origin.into();
        debug_assert!(origin.activity().is_none(), "an activity within an activity");
        Arc::new(Self { origin, number: AtomicU32::new(0), legend })
    }

    /// What it has said last.
    #[inline]
    pub(crate) fn said(&self) -> u32 {
        self.number.load(Relaxed)
    }

    /// Says what the task is doing from now on; called by the task.
    #[inline]
    pub(crate) fn say(&self, number: u32) {
        self.number.store(number, Relaxed);
    }
}

impl Doing for Activity {
    fn tell(&self) -> Option<String> {
        (self.legend.0)(self.number.load(Relaxed))
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// There is one for each connection: with the counts of its `Arc`, a block of 48 bytes.
    #[test]
    fn an_activity_is_small() {
        assert!(size_of::<Activity>() <= 24, "{}", size_of::<Activity>());
    }
}
