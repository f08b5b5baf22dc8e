//! The state word of a task: who may run it, who waits for it, and who still refers to it.
//!
//! One `u32`: flags below, a count of references above. Everything that happens to a task is one of
//! the transitions below; no other file changes the word.
//!
//! # Flags
//!
//! - [`HELD`]: somebody has the task: its [`Runnable`](super::Runnable) is in a queue or in somebody's
//!   hands, or the future is being polled or taken apart. The holder, and no other, may touch the
//!   stage (the future or its output). A task that yields stays held from one poll to the next.
//! - [`WOKEN`]: there is news that the next poll, or the one that is going on, may not have seen: a
//!   poll that ends goes on to another. Set only on a held task, and cleared by the holder, before it
//!   polls. It may also be left set on a completed task, where it means nothing.
//! - [`COMPLETED`]: the future is gone, and the stage holds an outcome or nothing. Never cleared,
//!   never together with `HELD`.
//! - [`ABORTED`]: somebody asked the task to end. Whoever next has a `Runnable` of it drops the
//!   future instead of polling it. Never cleared.
//! - [`JOIN_INTEREST`]: a `JoinHandle` exists. While it is set on a completed task, the stage
//!   belongs to that handle; once it is clear, to the thread that completes.
//! - [`JOIN_WAKER`]: the join waker's slot is filled. While it is clear, the slot belongs to the
//!   `JoinHandle`; while it is set, nobody writes to it, and on completion it passes to the thread
//!   that completes. Only set while `JOIN_INTEREST` is.
//! - [`LOCAL`]: the future is `!Send`, and stays on its thread. Never cleared; set at birth, or by that
//!   thread when it makes the future.
//! - [`TENTATIVE`]: the task waits for a place in the queue of its home, and belongs to its handle
//!   until it has one: the drop of the handle aborts it. Set before the handle is given out, and
//!   cleared by the home, once. Only a hint to the handle, it orders nothing: a handle that is
//!   dropped just as the place comes may do either, abort or detach.
//! - [`REFUSED`]: the home has no thread for the task and gets none. Set by the holder of the
//!   `Runnable`, just before it drops that; the error of the handle says so. Never cleared.
//! - [`ROOT`]: no task, but what wakes the future of a `block_on`. Never changes.
//!
//! # Tasks that one thread owns
//!
//! There the owner keeps its part in a word of its own, see [`own`](super::own), and this word says
//! what concerns other threads. `HELD` is never set in it, and `WOKEN` means that a
//! [`Notice`](super::Notice) is on its way to the owner.
//!
//! # References
//!
//! 22 bits, a signed number that wraps. The cell is freed by whoever takes the count of a completed
//! task to 0. Every waker, join handle and abort handle holds one. One more, the **live reference**,
//! stands for the task's life: it is there from the start and is given up by the transition to
//! `COMPLETED`. A `Runnable` holds none of its own, since the task cannot complete except through
//! it; so queueing costs no count. Of a task that one thread owns, part of the references are
//! counted in the other word until it completes, and of one that is being polled those that the poll
//! makes and gives up, until it ends: so this count may be 0 or less.
//!
//! An overflow aborts the process: leaked clones in the millions are a bug, and going on would free
//! memory that is in use. The limit lies so far below 2²¹ that what an owner has counted fits on top
//! of it, and 2¹⁶ threads can pass the check at the same time.
//!
//! # Ordering
//!
//! Whoever wakes a task that waits takes it (`HELD`), with an acquire of what the last poll released,
//! and hands it to its next poll through a queue, which orders by itself. Whoever wakes a held task
//! writes its news, then sets `WOKEN` with a release; the holder clears that with an acquire, at the
//! start of a poll or at its end, and so sees the news of everybody who set it, or found it set: a
//! wake of a held task is a read-modify-write all the same, never a mere load, or its news could
//! stay behind in the store buffer while the poll misses it. A start that reads `WOKEN` as clear may
//! be late to know of it; then the end of that poll, a read-modify-write, knows. A poll ends with a
//! release, and the next begins with an acquire, or with the queue's, so the future may move between
//! threads. Completion releases the outcome, and the handle's look at `COMPLETED` acquires it. Giving
//! up a reference releases all that was done under it; the thread that frees acquires.

use super::dump::TaskState;
use crate::primitives::{AtomicU32, Ordering};
use Ordering::{AcqRel, Acquire, Relaxed};
use std::io::Write;

const HELD: u32 = 1 << 0;
const WOKEN: u32 = 1 << 1;
const COMPLETED: u32 = 1 << 2;
const ABORTED: u32 = 1 << 3;
const JOIN_INTEREST: u32 = 1 << 4;
const JOIN_WAKER: u32 = 1 << 5;
const LOCAL: u32 = 1 << 6;
const TENTATIVE: u32 = 1 << 7;
const REFUSED: u32 = 1 << 8;
const ROOT: u32 = 1 << 9;
const REFERENCE: u32 = 1 << 10;
const MAX_REFERENCES: i32 = (i32::MAX / REFERENCE as i32) - MOST_OWNED as i32 - (1 << 16);
/// As many references an owner may count by itself.
pub(super) const MOST_OWNED: u32 = 1 << 19;

/// The word; see the module's documentation.
#[derive(Debug)]
pub(super) struct State(AtomicU32);

/// What whoever wakes or aborts a task has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Wake {
    /// The caller now holds the task's `Runnable` and must queue it.
    Schedule,
    /// Somebody else will see to it, or nobody has to.
    Nothing,
}

/// What becomes of a waker that wakes by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum WakeOwned {
    /// Queue the task's `Runnable`, then give up the waker's reference.
    Schedule,
    /// The reference is given up, and there is nothing to do.
    Released,
    /// The reference was the last: free the cell.
    Free,
}

/// What whoever took a `Runnable` does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Start {
    /// Poll the future.
    Poll,
    /// Drop the future: the task was aborted.
    Cancel,
}

/// What follows a poll that ended in `Pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Idle {
    /// The task waits. The caller has no claim to it any more.
    Waits,
    /// It was woken or aborted meanwhile: the caller holds its `Runnable` again.
    Again,
}

/// What the thread that completes a task has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Complete {
    /// Not completed: the handle is gone, so drop the outcome first, then call again.
    DropOutcome,
    /// Completed; take and wake the join waker, then give up the live reference.
    WakeJoiner,
    /// Completed, and the live reference is given up.
    Released,
    /// Completed, and the live reference was the last: free the cell.
    Free,
}

/// What the drop of a `JoinHandle` has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Detach {
    /// The handle's reference is given up, and nothing is left to do.
    Released,
    /// The task still lives; empty the waker's slot, then give up the reference.
    DropWaker,
    /// The task completed: drop the outcome if it is still there, then give up the reference.
    DropOutcome,
}

/// The task completed before the handle could do what it wanted.
#[derive(Debug)]
pub(super) struct AlreadyComplete;

impl State {
    /// A task that is about to be queued: live, with one handle, both of which are counted in the
    /// other word if the task is `owned`.
    #[inline]
    pub(super) fn new(local: bool, owned: bool) -> Self {
        let kind = if local { LOCAL } else { 0 };
        let queued = if owned { 0 } else { HELD | (2 * REFERENCE) };
        Self(AtomicU32::new(JOIN_INTEREST | kind | queued))
    }

    /// The cell of a root, whose references are counted in the other word.
    pub(super) fn of_root() -> Self {
        Self(AtomicU32::new(LOCAL | ROOT))
    }

    /// Whether the cell stands for the future of a `block_on`.
    pub(super) fn is_root(&self) -> bool {
        self.0.load(Relaxed) & ROOT != 0
    }

    /// The future is `!Send` from now on; said by the thread on which it stays.
    pub(super) fn set_local(&self) {
        self.0.fetch_or(LOCAL, Relaxed);
    }

    pub(super) fn is_local(&self) -> bool {
        self.0.load(Relaxed) & LOCAL != 0
    }

    /// Whether an outcome is there; if so, it may be read.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.0.load(Acquire) & COMPLETED != 0
    }

    /// Whether somebody has asked the task to end; if so, what was done before that is visible.
    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.0.load(Acquire) & ABORTED != 0
    }

    /// Whether the drop of the handle ends the task.
    #[inline]
    pub(super) fn is_tentative(&self) -> bool {
        self.0.load(Relaxed) & TENTATIVE != 0
    }

    /// The task waits for a place from now on.
    pub(super) fn set_tentative(&self) {
        self.0.fetch_or(TENTATIVE, Relaxed);
    }

    /// The task has its place.
    pub(super) fn clear_tentative(&self) {
        self.0.fetch_and(!TENTATIVE, Relaxed);
    }

    /// There is no thread to run the task. The completion that follows releases it.
    pub(super) fn set_refused(&self) {
        self.0.fetch_or(REFUSED, Relaxed);
    }

    /// Whether the task was cancelled for want of a thread; asked after its completion.
    pub(super) fn is_refused(&self) -> bool {
        self.0.load(Relaxed) & REFUSED != 0
    }

    /// A waker that stays wakes the task.
    #[inline]
    pub(super) fn wake(&self) -> Wake {
        self.claim(0)
    }

    /// Somebody asks the task to end.
    #[inline]
    pub(super) fn abort(&self) -> Wake {
        self.claim(ABORTED)
    }

    #[inline]
    fn claim(&self, with: u32) -> Wake {
        let mut now = self.0.load(Relaxed);
        loop {
            if now & COMPLETED != 0 {
                return Wake::Nothing;
            }
            let held = now & HELD != 0;
            let next = now | with | if held { WOKEN } else { HELD };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if held => return Wake::Nothing,
                Ok(_) => return Wake::Schedule,
                Err(seen) => now = seen,
            }
        }
    }

    /// The same of a task that one thread owns, on another: to schedule it is to give the owner
    /// notice.
    pub(super) fn wake_elsewhere(&self) -> Wake {
        Self::notify(self.0.fetch_or(WOKEN, AcqRel))
    }

    /// As [`abort`](Self::abort), of a task that another thread owns.
    pub(super) fn abort_elsewhere(&self) -> Wake {
        Self::notify(self.0.fetch_or(WOKEN | ABORTED, AcqRel))
    }

    fn notify(before: u32) -> Wake {
        if before & (WOKEN | COMPLETED) == 0 { Wake::Schedule } else { Wake::Nothing }
    }

    /// As [`abort`](Self::abort), by who may write the other word and sees to the rest.
    pub(super) fn set_aborted(&self) {
        self.0.fetch_or(ABORTED, Relaxed);
    }

    /// A waker wakes the task and ends with that.
    ///
    /// Where the task must be queued the reference stays, because it keeps the cell, and with it
    /// the task's home, alive until the caller has left the queue.
    #[inline]
    pub(super) fn wake_owned(&self) -> WakeOwned {
        let mut now = self.0.load(Relaxed);
        loop {
            let idle = now & (HELD | COMPLETED) == 0;
            let next = if idle { now | HELD } else { (now | WOKEN).wrapping_sub(REFERENCE) };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if idle => return WakeOwned::Schedule,
                Ok(_) if is_free(next) => return WakeOwned::Free,
                Ok(_) => return WakeOwned::Released,
                Err(seen) => now = seen,
            }
        }
    }

    /// The holder of the `Runnable` begins.
    #[inline]
    pub(super) fn start(&self) -> Start {
        let mut now = self.0.load(Acquire);
        debug_assert_eq!(now & (HELD | COMPLETED), HELD, "a second Runnable");
        if now & WOKEN != 0 {
            now = self.0.fetch_and(!WOKEN, AcqRel);
        }
        if now & ABORTED == 0 { Start::Poll } else { Start::Cancel }
    }

    /// The poll ended in `Pending`. `moved` references come over from the other word.
    #[inline]
    pub(super) fn stop(&self, moved: i32) -> Idle {
        let mut now = self.0.load(Relaxed);
        loop {
            debug_assert_eq!(now & (HELD | COMPLETED), HELD, "stopped what did not run");
            let woken = now & WOKEN != 0;
            let next = with_moved(now & if woken { !WOKEN } else { !HELD }, moved);
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if woken => return Idle::Again,
                Ok(_) => return Idle::Waits,
                Err(seen) => now = seen,
            }
        }
    }

    /// The poll ended in `Pending`, and has woken its own task: the caller keeps it.
    #[inline]
    pub(super) fn keep(&self, moved: i32) {
        if moved != 0 {
            let before = self.0.fetch_add((moved as u32).wrapping_mul(REFERENCE), AcqRel);
            let _ = with_moved(before, moved);
        }
    }

    /// The owner takes a notice: what was done before the wakes that it stands for is visible now.
    pub(super) fn take_notice(&self) {
        let before = self.0.fetch_and(!WOKEN, AcqRel);
        debug_assert_ne!(before & WOKEN, 0, "a second notice");
    }

    /// The future is gone and the outcome in its place, or dropped if `outcome_dropped`. `moved`
    /// references come over from the other word, the live one among them if one thread owns the task; one
    /// that the caller gets with this step is in it, too.
    #[inline]
    pub(super) fn complete(&self, outcome_dropped: bool, moved: i32) -> Complete {
        let moved = (moved as u32).wrapping_mul(REFERENCE);
        let mut now = self.0.load(Acquire);
        loop {
            debug_assert_eq!(now & COMPLETED, 0, "completed twice");
            if now & JOIN_INTEREST == 0 && !outcome_dropped {
                // Nobody can gain an interest any more: the stage is ours to empty. What the handle
                // did before it released it was acquired with the word.
                return Complete::DropOutcome;
            }
            let wakes = now & JOIN_WAKER != 0;
            let done = ((now & !HELD) | COMPLETED).wrapping_add(moved);
            let next = if wakes { done } else { done.wrapping_sub(REFERENCE) };
            if is_free(next) {
                // The live reference is the only one, so nobody else is there to tell.
                return Complete::Free;
            }
            match self.0.compare_exchange_weak(now, next, AcqRel, Acquire) {
                Ok(_) if wakes => return Complete::WakeJoiner,
                Ok(_) => return Complete::Released,
                Err(seen) => now = seen,
            }
        }
    }

    /// The handle has filled the waker's slot.
    pub(super) fn set_join_waker(&self) -> Result<(), AlreadyComplete> {
        self.unless_complete(|now| now | JOIN_WAKER)
    }

    /// The handle wants the waker's slot back, to replace what is in it.
    pub(super) fn unset_join_waker(&self) -> Result<(), AlreadyComplete> {
        self.unless_complete(|now| now & !JOIN_WAKER)
    }

    /// Whether the handle's waker is in its slot; only the handle may ask.
    pub(super) fn has_join_waker(&self) -> bool {
        self.0.load(Relaxed) & JOIN_WAKER != 0
    }

    fn unless_complete(&self, change: impl Fn(u32) -> u32) -> Result<(), AlreadyComplete> {
        let mut now = self.0.load(Acquire);
        loop {
            if now & COMPLETED != 0 {
                return Err(AlreadyComplete);
            }
            match self.0.compare_exchange_weak(now, change(now), AcqRel, Acquire) {
                Ok(_) => return Ok(()),
                Err(seen) => now = seen,
            }
        }
    }

    /// The handle is dropped.
    #[inline]
    pub(super) fn detach(&self) -> Detach {
        let mut now = self.0.load(Acquire);
        loop {
            if now & COMPLETED != 0 {
                return Detach::DropOutcome;
            }
            let waker = now & JOIN_WAKER != 0;
            let without = now & !(JOIN_INTEREST | JOIN_WAKER);
            // The live reference is there as long as the task is not complete: ours is not the last.
            let next = if waker { without } else { without.wrapping_sub(REFERENCE) };
            match self.0.compare_exchange_weak(now, next, AcqRel, Acquire) {
                Ok(_) if waker => return Detach::DropWaker,
                Ok(_) => return Detach::Released,
                Err(seen) => now = seen,
            }
        }
    }

    /// One more reference; the caller has one already.
    #[inline]
    pub(super) fn retain(&self) {
        let before = self.0.fetch_add(REFERENCE, Relaxed);
        if before as i32 / REFERENCE as i32 >= MAX_REFERENCES {
            too_many_references();
        }
    }

    /// One reference less; `true` if it was the last, and the cell is the caller's to free.
    #[inline]
    pub(super) fn release(&self) -> bool {
        // Where ours is the only one nobody can gain another, and the count need not be written.
        if is_last(self.0.load(Acquire)) {
            return true;
        }
        is_last(self.0.fetch_sub(REFERENCE, AcqRel))
    }

    /// What the task is doing, as far as this word says, which does not know of polls; for one who just
    /// looks, and does nothing on the strength of it. `None` if it has ended.
    pub(super) fn look(&self) -> Option<TaskState> {
        match self.0.load(Relaxed) {
            now if now & COMPLETED != 0 => None,
            now if now & (HELD | WOKEN) != 0 => Some(TaskState::Queued),
            _ => Some(TaskState::Idle),
        }
    }

    #[cfg(test)]
    pub(super) fn references(&self) -> i32 {
        self.0.load(Acquire) as i32 >> REFERENCE.trailing_zeros()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn with_references(count: i32) -> Self {
        Self(AtomicU32::new(HELD | (count * REFERENCE as i32) as u32))
    }
}

/// The word of a living task with as many references more as a poll has made. What a poll counts by
/// itself is checked here, as one after the other could go past what [`State::retain`] allows.
#[inline]
fn with_moved(word: u32, moved: i32) -> u32 {
    let word = word.wrapping_add((moved as u32).wrapping_mul(REFERENCE));
    if moved > 0 && word as i32 / REFERENCE as i32 >= MAX_REFERENCES {
        too_many_references();
    }
    word
}

/// Whether one reference is left to a completed task.
#[inline]
fn is_last(word: u32) -> bool {
    word & COMPLETED != 0 && word / REFERENCE == 1
}

/// Whether no reference is left to a completed task.
#[inline]
fn is_free(word: u32) -> bool {
    word & COMPLETED != 0 && word / REFERENCE == 0
}

#[cold]
fn too_many_references() -> ! {
    // Unlike eprintln!, it does not panic where nobody reads standard error.
    let _ = writeln!(
        std::io::stderr(),
        "mainspring: a task has over {MAX_REFERENCES} wakers and handles; aborting"
    );
    std::process::abort();
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_queued_once_however_often_it_is_woken() {
        let state = State::new(false, false);
        assert_eq!(state.wake(), Wake::Nothing, "queued already");
        assert_eq!(state.start(), Start::Poll, "which sees that news, too");
        assert_eq!(state.stop(0), Idle::Waits);
        assert_eq!(state.wake(), Wake::Schedule);
        assert_eq!(state.wake(), Wake::Nothing);
        assert_eq!(state.abort(), Wake::Nothing);
        assert_eq!(state.start(), Start::Cancel);
    }

    #[test]
    fn a_wake_during_the_poll_comes_back_to_the_one_who_polls() {
        let state = State::new(false, false);
        assert_eq!(state.start(), Start::Poll);
        assert_eq!(state.wake(), Wake::Nothing);
        assert_eq!(state.stop(0), Idle::Again);
        assert_eq!(state.start(), Start::Poll);
        assert_eq!(state.stop(0), Idle::Waits);
    }

    #[test]
    fn what_a_poll_counted_by_itself_is_counted_when_it_ends() {
        let state = State::new(false, false);
        assert_eq!(state.start(), Start::Poll);
        state.keep(2);
        assert_eq!(state.references(), 4);
        assert_eq!(state.start(), Start::Poll, "held from one poll to the next");
        assert_eq!(state.abort(), Wake::Nothing);
        assert_eq!(state.stop(-3), Idle::Again);
        assert_eq!(state.references(), 1);
        assert_eq!(state.start(), Start::Cancel);
        assert_eq!(state.complete(true, 1), Complete::Released);
        assert_eq!(state.references(), 1);
    }

    #[test]
    fn the_last_reference_frees() {
        let state = State::new(true, false);
        assert!(state.is_local());
        assert_eq!(state.start(), Start::Poll);
        assert_eq!(state.detach(), Detach::Released);
        assert_eq!(state.complete(false, 0), Complete::DropOutcome);
        assert_eq!(state.complete(true, 0), Complete::Free);
    }

    #[test]
    fn references_of_an_owned_task_may_be_given_up_before_they_are_counted_here() {
        let state = State::new(true, true);
        // The handle's, and then that of a waker, both made by the owner.
        assert_eq!(state.detach(), Detach::Released);
        assert!(!state.release());
        assert_eq!(state.references(), -2);
        assert_eq!(state.wake_elsewhere(), Wake::Schedule);
        assert_eq!(state.wake_elsewhere(), Wake::Nothing, "the notice is on its way");
        state.take_notice();
        // The live reference, the two from above, and one more.
        assert_eq!(state.complete(true, 4), Complete::Released);
        assert_eq!(state.references(), 1);
        assert!(state.release());
    }

    #[test]
    fn who_has_the_only_reference_of_an_owned_task_completes_it_alone() {
        let state = State::new(true, true);
        assert_eq!(state.detach(), Detach::Released);
        assert_eq!(state.complete(false, 2), Complete::DropOutcome);
        assert_eq!(state.complete(true, 2), Complete::Free);
    }

    #[test]
    fn references_fill_their_bits_and_no_other() {
        let state = State::with_references(MAX_REFERENCES - 1);
        state.retain();
        assert_eq!(state.references(), MAX_REFERENCES);
        assert_eq!(state.start(), Start::Poll);
        assert_eq!(state.stop(0), Idle::Waits);
        assert!(!state.release());
        assert_eq!(state.references(), MAX_REFERENCES - 1);
    }

    /// However they are counted; in a process of its own, which that ends.
    #[cfg(not(miri))]
    #[test]
    fn one_reference_too_many_aborts() {
        const NAME: &str = "task::state::tests::one_reference_too_many_aborts";
        const CHILD: &str = "MAINSPRING_TEST_REFERENCES";
        if let Some(how) = std::env::var_os(CHILD) {
            let state = State::with_references(MAX_REFERENCES - 1);
            match how.to_str().unwrap() {
                "retain" => (0..2).for_each(|_| state.retain()),
                "stop" => assert_eq!(state.stop(1), Idle::Waits),
                _ => state.keep(1),
            }
            return;
        }
        for how in ["retain", "stop", "keep"] {
            let itself = std::env::current_exe().unwrap();
            let args = [NAME, "--exact", "--nocapture"];
            let output = std::process::Command::new(itself).args(args).env(CHILD, how).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains("; aborting"), "{how}: {output:?}");
        }
    }
}
