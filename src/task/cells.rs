//! How many cells point to a home that has a maker, which must outlive them.
//!
//! Nearly all cells are made and freed on the maker's thread, the *owner* of the count, who counts those by itself,
//! with plain loads and stores, and others count in a word that is shared; as with a task's
//! references (see `own`), only the sum means something. Nobody looks at it before the owner
//! *retires* the home: it moves its count over then, and from then on whoever takes the count to 0
//! frees the home. A home that is never retired is never freed. One that is retired may get cells
//! still, for a moment, from a thread that keeps it alive and learns then that it was closed.

use crate::primitives::{AtomicU64, Ordering};
use Ordering::{AcqRel, Relaxed};

/// In the shared word: the owner has moved its count over. The count is above it, and wraps.
const RETIRED: u64 = 1;
const CELL: u64 = 2;

/// What the owner's count says once it has been moved over.
const MOVED: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Cells {
    /// INVARIANT: written by the owner only. Below 0 it wraps, at half of the way to `MOVED`.
    own: AtomicU64,
    shared: AtomicU64,
}

/// Whether a home is still pointed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Buried {
    /// It may be.
    One,
    /// That was the last cell, and there will be no more.
    Last,
}

/// Whether a new cell is the only one of a retired home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Born {
    OneMore,
    /// What was told to the last one is not so any more, and will be told again.
    First,
}

impl Cells {
    pub(super) fn new() -> Self {
        Self { own: AtomicU64::new(0), shared: AtomicU64::new(0) }
    }

    /// One cell more. The caller keeps the home alive meanwhile.
    #[inline]
    pub(super) fn bear(&self, owner_here: bool) -> Born {
        if owner_here && self.count(1) {
            return Born::OneMore;
        }
        let before = self.shared.fetch_add(CELL, Relaxed);
        if before == RETIRED { Born::First } else { Born::OneMore }
    }

    /// One cell less.
    #[inline]
    pub(super) fn bury(&self, owner_here: bool) -> Buried {
        if owner_here && self.count(u64::MAX) {
            return Buried::One;
        }
        // What was done with the home comes before its end.
        let before = self.shared.fetch_sub(CELL, AcqRel);
        if before == CELL | RETIRED { Buried::Last } else { Buried::One }
    }

    /// Adds to the owner's count; `false` if that has been moved.
    #[inline]
    fn count(&self, step: u64) -> bool {
        let now = self.own.load(Relaxed);
        if now == MOVED {
            return false;
        }
        // The top bit stays clear, so that no count looks like `MOVED`.
        self.own.store(now.wrapping_add(step) & (MOVED >> 1), Relaxed);
        true
    }

    /// The owner's last word.
    pub(super) fn retire(&self) -> Buried {
        let own = self.own.load(Relaxed);
        debug_assert_ne!(own, MOVED, "retired twice");
        self.own.store(MOVED, Relaxed);
        let moved = own.wrapping_mul(CELL).wrapping_add(RETIRED);
        let before = self.shared.fetch_add(moved, AcqRel);
        if before.wrapping_add(moved) == RETIRED { Buried::Last } else { Buried::One }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Cells that are made and freed here and there: the last one is told of, once, and not
        /// before the home was retired.
        #[test]
        fn the_last_is_told(steps in prop::collection::vec((any::<bool>(), any::<bool>()), 0..60), retires in 0_usize..60) {
            let cells = Cells::new();
            let (mut alive, mut retired, mut told) = (0, false, false);
            for (at, (bears, here)) in steps.into_iter().enumerate() {
                if at == retires {
                    retired = true;
                    told = cells.retire() == Buried::Last;
                    prop_assert_eq!(told, alive == 0);
                }
                if bears {
                    let born = cells.bear(here);
                    prop_assert_eq!(born == Born::First, told);
                    told = false;
                    alive += 1;
                } else if alive > 0 {
                    alive -= 1;
                    told = cells.bury(here) == Buried::Last;
                    prop_assert_eq!(told, retired && alive == 0);
                }
            }
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::primitives::{Arc, AtomicBool, thread};

    /// Whoever is told of the last cell, and frees the home, sees what was done before under others.
    #[test]
    fn loom_owned_whoever_buries_the_last_comes_last() {
        loom::model(|| {
            let shared = Arc::new((Cells::new(), [AtomicBool::new(false), AtomicBool::new(false)]));
            assert_eq!(shared.0.bear(true), Born::OneMore);
            let ends = |(cells, done): &(Cells, [AtomicBool; 2]), here: usize| {
                done[here].store(true, Relaxed);
                let last = if here == 0 { cells.retire() } else { cells.bury(false) };
                if last == Buried::Last {
                    assert!(done.iter().all(|done| done.load(Relaxed)));
                }
                last == Buried::Last
            };
            let other = {
                let shared = shared.clone();
                thread::spawn(move || ends(&shared, 1))
            };
            let here = ends(&shared, 0);
            assert!(here != other.join().unwrap(), "one of the two");
        });
    }
}
