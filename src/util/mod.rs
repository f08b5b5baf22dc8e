//! Small structures that several rooms share.

mod list;
mod wake_list;

pub(crate) use list::{List, Node};
pub(crate) use wake_list::{WakeList, wake_quietly};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs somebody else's code whose panics nobody waits for.
///
/// The panic hook has told of it already. The payload is leaked, because its drop is somebody
/// else's code too.
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        std::mem::forget(payload);
    }
}
