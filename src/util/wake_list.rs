//! Wakers on their way from under a lock to the place where they may be called.

use super::{Choices, contain};
use std::task::Waker;

/// Wakers that were collected under a lock and are woken after it is released.
///
/// Waking and dropping a waker both run code of its owner, which may panic or call back into the
/// structure that held it. So no waker of somebody else's is woken *or dropped* under a lock of
/// ours: it is put here, the lock is released, and [`wake_all`](Self::wake_all) does the rest.
///
/// The first waker is kept inline, because most wakes wake one task.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl WakeList {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: Vec::new() }
    }

    /// Adds a waker; they are woken in the order in which they were added.
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.rest.push(waker);
        }
    }

    /// Gives the wakers the order that `choices` say.
    pub(crate) fn shuffle(&mut self, choices: &mut Choices) {
        if let (Some(first), false) = (&mut self.first, self.rest.is_empty()) {
            // All are in the vector while it is shuffled.
            self.rest.insert(0, std::mem::replace(first, Waker::noop().clone()));
            choices.shuffle(&mut self.rest);
            *first = self.rest.remove(0);
        }
    }

    /// How many wakers wait to be woken.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Wakes all, in order, and keeps the room for the next time unless it was a peak.
    ///
    /// A waker that panics does not keep the others from being woken; its panic ends here, as it
    /// is not the caller's to answer for.
    pub(crate) fn wake_all(&mut self) {
        if let Some(waker) = self.first.take() {
            wake_quietly(waker);
        }
        for waker in self.rest.drain(..) {
            wake_quietly(waker);
        }
        self.rest.shrink_to(KEEP);
    }
}

/// The room that a list keeps between uses.
const KEEP: usize = 1024;

/// Wakes somebody else's waker, whose panics are not ours to pass on.
pub(crate) fn wake_quietly(waker: Waker) {
    contain(|| waker.wake());
}

/// Drops somebody else's waker, whose panics are not ours to pass on: they would take with them what
/// was gained just before, which nobody would own then.
#[inline]
pub(crate) fn drop_quietly(waker: Option<Waker>) {
    if let Some(waker) = waker {
        contain(|| drop(waker));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Choices, WakeList};
    use std::sync::mpsc;
    use std::task::{Wake, Waker};

    struct Tell(mpsc::Sender<u32>, u32);

    impl Wake for Tell {
        fn wake(self: std::sync::Arc<Self>) {
            assert_ne!(self.1, 13, "the waker that panics");
            let _ = self.0.send(self.1);
        }
    }

    #[test]
    fn wakes_in_order_and_past_a_panic() {
        let (tx, rx) = mpsc::channel();
        let mut list = WakeList::new();
        for n in [1, 13, 2, 3] {
            list.push(Waker::from(std::sync::Arc::new(Tell(tx.clone(), n))));
        }
        assert_eq!(list.len(), 4);
        list.wake_all();
        assert_eq!(list.len(), 0);
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn shuffling_loses_none_and_moves_the_first_too() {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let (tx, rx) = mpsc::channel();
            let mut list = WakeList::new();
            for n in 0..4 {
                list.push(Waker::from(std::sync::Arc::new(Tell(tx.clone(), n))));
            }
            list.shuffle(&mut Choices::drawn(seed));
            list.wake_all();
            let mut woken: Vec<_> = rx.try_iter().collect();
            firsts.insert(woken[0]);
            woken.sort_unstable();
            assert_eq!(woken, [0, 1, 2, 3]);
        }
        assert_eq!(firsts.len(), 4);
    }

    #[test]
    fn the_ordinary_choices_keep_the_order() {
        let (tx, rx) = mpsc::channel();
        let mut list = WakeList::new();
        for n in 0..4 {
            list.push(Waker::from(std::sync::Arc::new(Tell(tx.clone(), n))));
        }
        list.shuffle(&mut Choices::listed(Vec::new()));
        list.wake_all();
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
