//! The owner's word of a task: what only the thread that runs the task may say of it.
//!
//! Where one thread runs all tasks of a home, that thread *owns* them, and most of what happens to
//! a task happens on it. So the owner keeps its part of the state in a word of its own, which it
//! alone writes and for which plain loads and stores do: a wake, a poll, and the clone and drop of
//! a waker cost no read-modify-write there. What other threads do stays in [`State`](super::state).
//!
//! # What the word says
//!
//! - [`QUEUED`]: a [`Runnable`](super::Runnable) of the task is in the owner's queue or hands. Set
//!   together with `RUNNING` it means "woken while polled: queue it again afterwards". It stays set
//!   for good once the task has ended, so that nobody queues it again.
//! - [`RUNNING`]: the owner polls the future or takes it apart.
//! - A count of references: those that were made on the owner's thread less those that were given
//!   up there. The live reference is always among them until the task ends.
//!
//! # Two counts for one thing
//!
//! A reference may be made on one thread and given up on another, so neither count says how many
//! there are; their sum does. The count in `State` wraps, and may stand for less than nothing. As
//! long as the task lives the sum is at least one, the live reference, so nobody has to look. When
//! the task ends the owner moves its count over, in the same step that says so to everybody; from
//! then on there is but one count, and whoever takes it to 0 frees the cell. (The idea is that of
//! "Biased Reference Counting", Choi, Shull, Torrellas, PACT 2018, with the end of the task in the
//! place of their queue of objects to merge.)
//!
//! The owner counts up to 2¹⁹ by itself and further ones in `State`, so that neither overflows
//! where references are made here and given up elsewhere for ever.
//!
//! # How a wake from elsewhere reaches the owner
//!
//! It sets `WOKEN` in `State`. Whoever set it hands a [`Notice`](super::Notice), which holds a
//! reference, to the home. The owner clears the bit when it takes the notice, with an acquire, and
//! then queues the task unless that is queued. A wake that found the bit set has a notice before it
//! that is not taken yet, and its news was released by its own read-modify-write of the same word.
//! So the two words agree on nothing but this: that a task which was woken is polled afterwards.
//!
//! # Tasks that any thread may run
//!
//! There this word belongs to the thread that polls, for as long as the poll lasts, and serves it for
//! what most polls do: to clone and drop the task's own waker, and to wake the task (`QUEUED`), as one
//! does that yields. The count begins in the middle, and what it has come to by the end of the poll is
//! moved over with the step that ends it. So a task that yields costs no read-modify-write at all.

use super::dump::TaskState;
use super::state::MOST_OWNED as MOST;
use crate::primitives::{AtomicU32, Ordering::Relaxed};

const QUEUED: u32 = 1 << 0;
const RUNNING: u32 = 1 << 1;
const REFERENCE: u32 = 1 << 2;
/// Where the count of a poll begins, so that as many may be given up as made.
const MIDDLE: u32 = MOST / 2;

/// The word; see the module's documentation.
///
/// INVARIANT: written by the owner only; or, as long as the task is not listed, by the thread that spawns
/// it; or, without an owner, by the thread that polls. Others do no more than [`look`](Self::look), so
/// that plain loads and stores do.
#[derive(Debug)]
pub(super) struct Own(AtomicU32);

impl Own {
    /// A task that is about to be queued: live, with one handle.
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(QUEUED | (2 * REFERENCE)))
    }

    /// A cell that is not queued and has no handle, but the live reference and one more.
    pub(super) fn idle() -> Self {
        Self(AtomicU32::new(2 * REFERENCE))
    }

    /// A task that nobody owns, and nobody polls yet.
    pub(super) fn of_nobody() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    #[inline]
    fn set(&self, word: u32) {
        self.0.store(word, Relaxed);
    }

    /// The task was woken; `true` if the caller now holds its `Runnable` and must queue it.
    #[inline]
    #[must_use]
    pub(super) fn claim(&self) -> bool {
        let now = self.get();
        if now & QUEUED != 0 {
            return false;
        }
        self.set(now | QUEUED);
        now & RUNNING == 0
    }

    /// Whether there is a `Runnable`, or the task has ended.
    pub(super) fn is_queued(&self) -> bool {
        self.get() & QUEUED != 0
    }

    /// The holder of the `Runnable` begins.
    #[inline]
    pub(super) fn start(&self) {
        let now = self.get();
        debug_assert_eq!(now & (QUEUED | RUNNING), QUEUED, "a second Runnable");
        self.set(now ^ (QUEUED | RUNNING));
    }

    /// The poll ended in `Pending`; `true` if the caller holds the `Runnable` again.
    #[inline]
    #[must_use]
    pub(super) fn stop(&self) -> bool {
        let now = self.get();
        debug_assert_ne!(now & RUNNING, 0, "stopped what did not run");
        self.set(now & !RUNNING);
        now & QUEUED != 0
    }

    /// The poll of a task that nobody owns begins.
    #[inline]
    pub(super) fn begin(&self) {
        self.set(RUNNING | (MIDDLE * REFERENCE));
    }

    /// That poll ended in `Pending`: whether it has woken its task, and how many references there are
    /// more than before.
    #[inline]
    pub(super) fn pause(&self) -> (bool, i32) {
        let now = self.get();
        debug_assert_ne!(now & RUNNING, 0, "paused what did not run");
        self.set(0);
        (now & QUEUED != 0, Self::more(now))
    }

    /// That task ends, in such a poll; how many references there are more than before it.
    #[inline]
    pub(super) fn finish(&self) -> i32 {
        let now = self.get();
        self.set(QUEUED);
        Self::more(now)
    }

    #[inline]
    fn more(word: u32) -> i32 {
        (word / REFERENCE) as i32 - MIDDLE as i32
    }

    /// Counts one more reference; `false` if it has to be counted in the other word.
    #[inline]
    #[must_use]
    pub(super) fn retain(&self) -> bool {
        let now = self.get();
        let counts = (REFERENCE..MOST * REFERENCE).contains(&now);
        if counts {
            self.set(now + REFERENCE);
        }
        counts
    }

    /// Counts one reference less; `false` if it has to be taken from the other word.
    #[inline]
    #[must_use]
    pub(super) fn release(&self) -> bool {
        let now = self.get();
        // The last one here is the live reference.
        let counts = now >= 2 * REFERENCE;
        if counts {
            self.set(now - REFERENCE);
        }
        counts
    }

    /// The task ends: nobody queues it any more, and all references are counted elsewhere from now
    /// on, to which the caller adds those that it gets.
    #[inline]
    pub(super) fn end(&self) -> i32 {
        let references = self.get() / REFERENCE;
        debug_assert_ne!(references, 0, "ended twice");
        self.set(QUEUED);
        references as i32
    }

    /// Whether a task without an owner is being polled, for one who just looks.
    pub(super) fn is_polled(&self) -> bool {
        self.get() & RUNNING != 0
    }

    /// Whether a task without an owner has ended, or is about to say so; for one who just looks.
    pub(super) fn has_finished(&self) -> bool {
        // Nobody sets this one in between polls.
        self.get() == QUEUED
    }

    /// What the task is doing, for one who just looks, from any thread, and may be told what was so
    /// before the last step; `None` if it has ended.
    pub(super) fn look(&self) -> Option<TaskState> {
        match self.get() {
            now if now < REFERENCE => None,
            now if now & RUNNING != 0 => Some(TaskState::Running),
            now if now & QUEUED != 0 => Some(TaskState::Queued),
            _ => Some(TaskState::Idle),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_queued_once_however_often_it_is_woken() {
        let own = Own::new();
        assert!(!own.claim(), "queued already");
        assert_eq!(own.look(), Some(TaskState::Queued));
        own.start();
        assert!(!own.claim(), "it comes back to the one who polls");
        assert_eq!(own.look(), Some(TaskState::Running));
        assert!(own.stop());
        own.start();
        assert!(!own.stop());
        assert_eq!(own.look(), Some(TaskState::Idle));
        assert!(own.claim());
        assert!(!own.claim());
    }

    #[test]
    fn the_live_reference_is_given_up_by_the_end_only() {
        let own = Own::idle();
        assert!(own.release());
        assert!(!own.release());
        assert!(own.retain());
        assert_eq!(own.end(), 2);
        assert!(!own.retain() && !own.release() && !own.claim());
        assert_eq!(own.look(), None);
    }

    #[test]
    fn a_poll_counts_in_both_directions() {
        let own = Own::of_nobody();
        assert!(!own.retain() && !own.release(), "nobody polls");
        own.begin();
        assert!(own.release() && own.release() && own.retain());
        assert!(!own.claim());
        assert_eq!(own.pause(), (true, -1));
        own.begin();
        assert!(own.retain());
        assert_eq!(own.pause(), (false, 1));
        own.begin();
        assert!((0..2 * MOST).filter(|_| own.release()).count() < MOST as usize);
        assert!(!own.release() && own.retain());
        assert!(!own.has_finished());
        assert!(own.finish() < 0);
        assert!(own.has_finished());
        assert!(!own.retain() && !own.release() && !own.claim());
    }

    #[test]
    fn the_count_stops_before_it_overflows() {
        let own = Own::new();
        let counted = (0..2 * MOST).filter(|_| own.retain()).count();
        assert!(counted as u32 >= MOST - 3);
        assert!(!own.retain());
        assert!(own.is_queued(), "no other bit was touched");
        assert!(own.release() && own.retain());
    }
}
