//! The poll budget: why a task that always has something to do still lets others run.
//!
//! A future that awaits a source which is always ready never returns `Pending`, and a cooperative
//! scheduler never gets its thread back. So each poll of a task starts with a budget of
//! [`BUDGET`] operations. Every resource of this crate (sockets, timers, channels, locks, join
//! handles) takes one unit for each operation that makes progress; when none is left it answers
//! `Pending` after waking the task at once, so that the task goes to the back of the queue and its
//! neighbours get their turn.
//!
//! Code outside a task of this crate (another runtime, a plain thread) has no budget and is never
//! turned away. [`unconstrained`] takes a future out of the budget by hand.
//!
//! This room holds one thread-local, a single cell.

use crate::primitives::local;
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, ready};

/// Operations that a task may make in one poll before its resources ask it to yield: 128.
pub const BUDGET: u16 = 128;

/// Above every budget: resources do not count.
const UNLIMITED: u16 = u16::MAX;

local! {
    static LEFT: Cell<u16> = Cell::new(UNLIMITED);
}

/// Makes the budget of the surrounding poll what it was before, also when the poll panics.
#[derive(Debug)]
pub(crate) struct Restore(u16);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        let _ = LEFT.try_with(|left| left.set(self.0));
    }
}

/// Gives the poll that follows a fresh budget; the previous one returns when the guard drops.
#[inline]
pub(crate) fn start() -> Restore {
    replace(BUDGET)
}

/// Takes the poll that follows out of the budget; the previous one returns when the guard drops.
#[inline]
pub(crate) fn unlimited() -> Restore {
    replace(UNLIMITED)
}

/// What one operation took from the budget.
///
/// Dropped without [`made_progress`](Self::made_progress), it gives the unit back: an operation
/// that ends in `Pending` has cost its neighbours nothing.
#[derive(Debug)]
#[must_use = "an operation that made progress must say so, or it costs nothing"]
pub(crate) struct Charge(bool);

impl Charge {
    /// Keeps the unit: the operation did something.
    #[inline]
    pub(crate) fn made_progress(mut self) {
        self.0 = false;
    }
}

impl Drop for Charge {
    #[inline]
    fn drop(&mut self) {
        if self.0 {
            let _ = LEFT.try_with(|left| left.set(left.get().saturating_add(1)));
        }
    }
}

/// Takes one unit; where none is left, wakes the task and answers `Pending`.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<Charge> {
    // Thread-locals are gone while a thread ends; code that still runs then has no budget.
    let left = LEFT.try_with(Cell::get).unwrap_or(UNLIMITED);
    match left {
        UNLIMITED => Poll::Ready(Charge(false)),
        0 => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        n => {
            let _ = LEFT.try_with(|left| left.set(n - 1));
            Poll::Ready(Charge(true))
        }
    }
}

/// Whether the code runs inside the poll of a task of this crate, or of the root of a `block_on`,
/// where its budget counts.
///
/// It does not in [`unconstrained`] parts, and in closures that may block.
#[inline]
pub(crate) fn is_limited() -> bool {
    LEFT.try_with(Cell::get).unwrap_or(UNLIMITED) != UNLIMITED
}

/// Takes one unit of the task's budget, and yields where none is left.
///
/// For loops that do much between two awaits of resources which would count for them.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let mut sum = 0u64;
/// for n in 0..10_000u64 {
///     sum += n;
///     // At the latest every 128th time round, other tasks get their turn.
///     mainspring::coop::consume_budget().await;
/// }
/// assert_eq!(sum, 49_995_000);
/// # });
/// ```
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub async fn consume_budget() {
    std::future::poll_fn(|cx| {
        ready!(poll_proceed(cx)).made_progress();
        Poll::Ready(())
    })
    .await;
}

/// Lets `future` make as many operations in one poll as it can.
///
/// For work that must not be put behind others, and that is known to end: whatever shares its
/// thread waits for as long as it stays ready.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// mainspring::coop::unconstrained(async {
///     for _ in 0..1_000 {
///         mainspring::coop::consume_budget().await; // never yields here
///     }
/// })
/// .await;
/// # });
/// ```
///
/// # Cancel safety
///
/// As that of `future`.
pub async fn unconstrained<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let _restore = unlimited();
        future.as_mut().poll(cx)
    })
    .await
}

#[inline]
fn replace(budget: u16) -> Restore {
    Restore(LEFT.try_with(|left| left.replace(budget)).unwrap_or(UNLIMITED))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{BUDGET, is_limited, poll_proceed, start, unlimited};
    use std::task::{Context, Waker};

    #[test]
    fn the_budget_is_limited_inside_a_poll_also_when_it_is_spent() {
        assert!(!is_limited());
        {
            let _poll = start();
            assert!(is_limited());
            for _ in 0..BUDGET {
                let charge = poll_proceed(&mut Context::from_waker(Waker::noop()));
                assert!(charge.map(|charge| charge.made_progress()).is_ready());
            }
            assert!(is_limited());
            {
                let _closure = unlimited();
                assert!(!is_limited());
            }
            assert!(is_limited());
        }
        assert!(!is_limited());
    }
}
