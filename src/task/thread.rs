//! Values that one thread alone can reach.

use crate::primitives::ThreadKey;
use std::cell::RefCell;
use std::fmt;

/// A value that is reached on one thread only, its own, whoever else has a reference.
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

    /// A value for another thread, which need not have begun.
    pub(crate) fn of(thread: ThreadKey, value: T) -> Self
    where
        T: Send,
    {
        Self { thread, value: RefCell::new(value) }
    }

    /// The value, for who has the whole.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
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

impl<T> ThreadBound<T> {
    /// The same, but where the value is in use `input` comes back as well.
    #[inline]
    pub(crate) fn try_with<I, R>(&self, input: I, f: impl FnOnce(&mut T, I) -> R) -> Result<R, I> {
        if !self.thread.is_here() {
            return Err(input);
        }
        match self.value.try_borrow_mut() {
            Ok(mut value) => Ok(f(&mut value, input)),
            Err(_) => Err(input),
        }
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
}
