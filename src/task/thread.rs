//! Values that one thread alone can reach.

use crate::primitives::{Holder, ThreadKey};
use std::cell::RefCell;
use std::fmt;

/// A value that is reached on one thread only, its own, whoever else has a reference.
///
/// INVARIANT: `value` is touched on `thread` only, or by who has the whole. Where that is one thread after
/// the other, the first is done with it when the second takes it: [`Holder`] sees to that.
pub(crate) struct ThreadBound<T> {
    thread: Holder,
    value: RefCell<T>,
}

// SAFETY: by reference the value is reached on its own thread only, and so never by two at a time; and
// by another thread later only if it is `Send`, and after all that the first has done.
// Who has the whole may drop it anywhere, as it is `Send`.
unsafe impl<T: Send> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// A value for the present thread.
    pub(crate) fn new(value: T) -> Self {
        Self { thread: Holder::of(ThreadKey::current()), value: RefCell::new(value) }
    }

    /// A value for another thread, which need not have begun; or, for [`ThreadKey::NONE`], for one thread
    /// after the other, each of which [takes](Self::take) it.
    pub(crate) fn of(thread: ThreadKey, value: T) -> Self
    where
        T: Send,
    {
        Self { thread: Holder::of(thread), value: RefCell::new(value) }
    }

    /// Makes the value the present thread's, if it is nobody's.
    #[must_use]
    pub(crate) fn take(&self) -> bool
    where
        T: Send,
    {
        self.thread.take()
    }

    /// Makes the value nobody's, which is the present thread's.
    ///
    /// # Panics
    ///
    /// If it is not, or is in use.
    pub(crate) fn leave(&self)
    where
        T: Send,
    {
        assert!(self.thread.is_here(), "only who has it leaves it");
        drop(self.value.borrow_mut());
        self.thread.leave();
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

    #[test]
    fn a_value_goes_from_thread_to_thread() {
        let bound = ThreadBound::of(ThreadKey::NONE, 1);
        assert_eq!(bound.with((), |value, ()| *value), Err(()));
        let adds = |more| {
            assert!(bound.take());
            assert_eq!(bound.with(more, |value, more| *value += more), Ok(()));
            let in_use = bound.with((), |_, ()| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bound.leave())).is_err()
            });
            assert_eq!(in_use, Ok(true));
            bound.leave();
        };
        adds(1);
        thread::scope(|scope| scope.spawn(|| adds(10)).join().unwrap());
        assert!(bound.take() && !bound.take());
        assert_eq!(bound.with((), |value, ()| *value), Ok(12));
    }
}
