//! Small structures that several rooms share.

mod choices;
mod list;
mod patience;
mod poll_pinned;
mod rng;
mod wake_list;

pub(crate) use choices::{Choices, MOST_MADE, Made, OutOfTime};
pub(crate) use list::{List, Node};
pub(crate) use patience::Patience;
pub(crate) use poll_pinned::poll_pinned;
pub(crate) use rng::{Rng, SharedRng, below};
pub(crate) use wake_list::{WakeList, drop_quietly, wake_quietly};

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs somebody else's code whose panics nobody waits for; the panic hook has told of them already.
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops the payload of a panic that nobody is told of. Never unwinds.
///
/// The drop is somebody else's code too, and may panic with a payload of its own. After a few of
/// those the last one is leaked.
#[cold]
pub(crate) fn discard(mut payload: Box<dyn Any + Send>) {
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::contain;
    use std::cell::Cell;
    use std::panic::panic_any;

    thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(0) };
    }

    /// Panics with itself for as long as there is something left. Holds no memory, as it may end up
    /// leaked.
    struct Chain;

    impl Drop for Chain {
        fn drop(&mut self) {
            if let Some(left) = LEFT.get().checked_sub(1) {
                LEFT.set(left);
                panic_any(Chain);
            }
        }
    }

    #[test]
    fn payloads_that_panic_are_dropped_too() {
        LEFT.set(3);
        contain(|| panic_any(Chain));
        assert_eq!(LEFT.get(), 0);
    }

    #[test]
    fn a_payload_that_never_stops_is_given_up() {
        LEFT.set(100);
        contain(|| panic_any(Chain));
        assert_eq!(LEFT.get(), 92);
    }
}
