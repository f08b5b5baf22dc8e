//! How many there are of something, and when there are none.

use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::Event;

/// A number that goes up and down, and that can be waited for to be 0.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: AtomicUsize,
    /// Set when the count falls to 0.
    none: Event,
}

impl Tally {
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove(&self) {
        // Release: whoever sees that there are none sees what each of them did.
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none.set();
        }
    }

    pub(super) fn get(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until there are none. One waits at a time.
    pub(super) async fn none(&self) {
        loop {
            // What sets it from now on was removed after the look below, or is seen by it.
            self.none.clear();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            self.none.wait().await;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Tally;
    use futures::FutureExt;
    use std::pin::pin;

    #[test]
    fn none_is_waited_for() {
        let tally = Tally::default();
        assert!(tally.none().now_or_never().is_some());
        tally.add();
        tally.add();
        let mut none = pin!(tally.none());
        tally.remove();
        assert!((&mut none).now_or_never().is_none());
        tally.remove();
        // It went to 0 and up again before anybody looked.
        tally.add();
        assert!((&mut none).now_or_never().is_none());
        tally.remove();
        assert!(none.now_or_never().is_some());
    }
}
