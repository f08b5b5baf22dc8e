//! A buffer or two that a thread keeps at hand.
//!
//! What is read and written in one poll needs a buffer only for that long, and the one that was used
//! last is still in the cache. A thread keeps one of each kind, with no lock; who finds none, or finds
//! that there is one already, goes on to what is shared.

use crate::primitives::local;
use std::cell::Cell;

/// What a buffer is for. Those of one kind are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    Input,
    Output,
}

local! {
    static INPUT: Cell<Vec<u8>> = Cell::new(Vec::new());
}

local! {
    static OUTPUT: Cell<Vec<u8>> = Cell::new(Vec::new());
}

impl Spare {
    /// The buffer, if there is one.
    #[inline]
    pub(crate) fn take(self) -> Option<Vec<u8>> {
        Some(self.replace(Vec::new())?).filter(|buffer| buffer.capacity() > 0)
    }

    /// Keeps `buffer`; another that was kept comes back.
    #[inline]
    pub(crate) fn keep(self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        self.replace(buffer).filter(|buffer| buffer.capacity() > 0)
    }

    /// Nothing where the thread is ending.
    #[inline]
    fn replace(self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        let cell = match self {
            Self::Input => &INPUT,
            Self::Output => &OUTPUT,
        };
        cell.try_with(|cell| cell.replace(buffer)).ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Spare;

    #[test]
    fn a_thread_keeps_one_of_each_kind() {
        // A new one, as tests may have one thread together.
        std::thread::spawn(keep_and_take).join().unwrap();
    }

    fn keep_and_take() {
        assert_eq!(Spare::Input.take(), None);
        assert_eq!(Spare::Input.keep(vec![1]), None);
        assert_eq!(Spare::Input.keep(vec![2]), Some(vec![1]), "one only");
        assert_eq!(Spare::Output.take(), None);
        let other = std::thread::spawn(|| Spare::Input.take());
        assert_eq!(other.join().unwrap(), None);
        assert_eq!((Spare::Input.take(), Spare::Input.take()), (Some(vec![2]), None));
    }
}
