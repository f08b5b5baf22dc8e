//! Threads by number, and values that one thread alone can reach.

use crate::primitives::{local, unique_id};
use std::cell::{Cell, RefCell};
use std::fmt;

local! {
    static THREAD: Cell<u64> = Cell::new(0);
}

/// A thread, told from every other that this process has or had.
///
/// `std::thread::ThreadId` means the same but costs a counted reference each time it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadKey(u64);

impl ThreadKey {
    /// No thread.
    pub(super) const NONE: Self = Self(u64::MAX);

    /// The present thread; [`NONE`](Self::NONE) while its thread-locals are gone.
    pub(super) fn current() -> Self {
        let key = THREAD.try_with(|key| {
            if key.get() == 0 {
                key.set(unique_id().get());
            }
            Self(key.get())
        });
        key.unwrap_or(Self::NONE)
    }

    /// Whether this is the present thread.
    #[inline]
    pub(super) fn is_here(self) -> bool {
        // A thread that was never asked for its number has 0, which is no key's.
        THREAD.try_with(Cell::get).is_ok_and(|here| here == self.0)
    }
}

/// A value that is reached on one thread only, the one that made it, whoever else has a reference.
///
/// INVARIANT: `value` is touched on `thread` only, or by who has the whole.
pub(crate) struct ThreadBound<T> {
    thread: ThreadKey,
    value: RefCell<T>,
}

// SAFETY: by reference the value is reached on its own thread only, and so never by two at a time.
// Who has the whole may drop it anywhere, as it is `Send`.
unsafe impl<T: Send> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// A value for the present thread.
    pub(crate) fn new(value: T) -> Self {
        Self { thread: ThreadKey::current(), value: RefCell::new(value) }
    }

    /// Calls `f`, which must not come back here, with the value and `input`; on another thread
    /// `input` comes back.
    ///
    /// # Panics
    ///
    /// If `f` does come back.
    #[inline]
    pub(crate) fn with<I, R>(&self, input: I, f: impl FnOnce(&mut T, I) -> R) -> Result<R, I> {
        if self.thread.is_here() { Ok(f(&mut self.value.borrow_mut(), input)) } else { Err(input) }
    }
}

impl<T> fmt::Debug for ThreadBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadBound").field("thread", &self.thread).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_value_is_reached_on_its_own_thread_only() {
        let bound = ThreadBound::new(1);
        assert!(bound.with(1, |value, more| *value += more).is_ok());
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(bound.with(10, |value, more| *value += more), Err(10)));
        });
        assert!(bound.with((), |value, ()| *value) == Ok(2));
    }

    #[test]
    fn keys_are_of_threads() {
        let here = ThreadKey::current();
        assert!(here.is_here() && ThreadKey::current().is_here());
        assert!(!ThreadKey::NONE.is_here());
        thread::spawn(move || assert!(!here.is_here())).join().unwrap();
    }
}
