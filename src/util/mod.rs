//! Small structures that several rooms share.

mod wake_list;

pub(crate) use wake_list::{WakeList, wake_quietly};

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
        static DROPS: Cell<u32> = const { Cell::new(0) };
    }

    /// Panics with itself for as long as there is something left.
    struct Chain(u32);

    impl Drop for Chain {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
            if self.0 > 0 {
                panic_any(Chain(self.0 - 1));
            }
        }
    }

    #[test]
    fn payloads_that_panic_are_dropped_too() {
        contain(|| panic_any(Chain(3)));
        assert_eq!(DROPS.get(), 4);
    }

    #[test]
    fn a_payload_that_never_stops_is_given_up() {
        contain(|| panic_any(Chain(9)));
        assert_eq!(DROPS.get(), 8);
    }
}
