//! Running a task: from the queue through one poll, and to its end.

use super::birth::Birth;
use super::cell::{self, Header, Polled};
use super::current::{self, Restore};
use super::graves::Graves;
use super::state::{Complete, Idle, Start};
use super::waker::{TaskRef, with_waker};
use crate::coop;
use crate::hooks::{Finish, Hooks, TaskId, TaskInfo};
use crate::util::{contain, discard, wake_quietly};
use std::any::Any;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Context;

/// The right, and the duty, to run a task once.
///
/// Dropping it ends the task instead: its future is dropped here and now.
///
/// INVARIANT: made by a transition that says so, or by the spawn; there is one of a task at most,
/// and while there is, the live reference keeps the cell.
#[must_use = "a task that is neither run nor queued is cancelled"]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: what it does to the future happens in `run` and `drop`, which check the thread if the
// future is `!Send`.
unsafe impl Send for Runnable {}

/// What came of running a task once.
#[derive(Debug)]
#[must_use]
pub(crate) enum Ran {
    /// It waits for a wake, and somebody may be running it again already.
    Waits,
    /// It was woken meanwhile, and goes to the back of the queue.
    Again(Runnable),
    /// It ended.
    Done,
}

impl Runnable {
    /// # Safety
    ///
    /// The caller's transition made it; see the invariant.
    pub(super) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        self.0
    }

    /// Says when the task was spawned, before anybody else knows of it.
    #[inline]
    pub(super) fn set_born(&self, born: Birth) {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.set_born(born);
    }

    /// Tells the hooks, of which there are some, what happens to the task.
    pub(super) fn tell(&self, event: impl FnOnce(&dyn Hooks, &TaskInfo)) {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.tell(event);
    }

    /// Takes a task that was spawned now, by the clock of its runtime, among the living of its home, and
    /// tells the hooks of it.
    ///
    /// # Errors
    ///
    /// The `Runnable` comes back if the home was closed; dropping it cancels the task.
    #[inline]
    pub(crate) fn admit(self, now: Birth) -> Result<Self, Self> {
        self.set_born(now);
        // SAFETY: alive by the invariant.
        let home = unsafe { &self.0.as_ref().home };
        if !home.live.insert(&self) {
            return Err(self);
        }
        if !home.hooks.is_empty() {
            self.tell(|hooks, info| hooks.on_spawn(info));
        }
        Ok(self)
    }

    /// The task's number.
    #[inline]
    pub(crate) fn id(&self) -> TaskId {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.id
    }

    /// What hooks are told about the task.
    pub(crate) fn info(&self) -> TaskInfo {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.info()
    }

    /// Whether only the present thread, which has run it, may run the task.
    #[inline]
    pub(crate) fn stays(&self) -> bool {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.home.is_owned()
    }

    /// Whether the task was asked to end, so that [`run`](Self::run) would drop its future.
    pub(crate) fn is_aborted(&self) -> bool {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.state.is_aborted()
    }

    /// Ties the task to its handle, which aborts it when dropped, until [`settle`](Self::settle).
    pub(crate) fn tie(&self) {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.state.set_tentative();
    }

    /// Lets the task live on without its handle, as tasks do.
    pub(crate) fn settle(&self) {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }.state.clear_tentative();
    }

    /// Cancels the task because there is no thread for it, which its handle is told; or because it
    /// was asked to end, if it was.
    pub(crate) fn refuse(self) {
        if !self.is_aborted() {
            // SAFETY: alive by the invariant.
            unsafe { self.0.as_ref() }.state.set_refused();
        }
        drop(self);
    }

    /// Polls the future once, with a fresh budget; or drops it, if the task was aborted.
    ///
    /// # Panics
    ///
    /// For a local task on another thread than its own: a scheduler's mistake.
    #[inline]
    pub(crate) fn run(self) -> Ran {
        self.run_beside(None)
    }

    /// The same; if the task ends, and belongs to another worker, it goes to `graves`, if there are some.
    #[inline]
    pub(crate) fn run_beside(self, graves: Option<&Graves>) -> Ran {
        // SAFETY: alive by the invariant.
        let header = unsafe { self.0.as_ref() };
        let owned = header.home.is_owner_here();
        assert!(owned || may_run_here(header), "a task was run on another thread than its own");
        let raw = ManuallyDrop::new(self).0;
        // SAFETY: `complete` drops the guard before it gives up the live reference, and after `stop`
        // in `poll` comes no code of the user's.
        let current = unsafe { current::enter(raw) };
        let start = if owned { start_owned(header) } else { start_shared(header) };
        match start {
            Start::Cancel => {
                // SAFETY: between `start` and `complete` the stage is ours.
                unsafe { cancel(raw, current, graves) };
                Ran::Done
            }
            // SAFETY: between `start` and `stop` or `complete` the stage is ours.
            Start::Poll => unsafe { poll(raw, current, owned, graves) },
        }
    }
}

/// As [`State::start`](super::state::State::start), of a task whose owner the thread is, or that is
/// known to nobody yet.
#[inline]
fn start_owned(header: &Header) -> Start {
    header.own.start();
    if header.state.is_aborted() { Start::Cancel } else { Start::Poll }
}

/// The same of a task that nobody owns.
#[inline]
fn start_shared(header: &Header) -> Start {
    header.own.begin();
    header.state.start()
}

/// The poll of such a task ended in `Pending`; whether the caller holds its `Runnable` again.
#[inline]
fn stop_shared(header: &Header) -> bool {
    let (again, moved) = header.own.pause();
    if again {
        header.state.keep(moved);
        return true;
    }
    header.state.stop(moved) == Idle::Again
}

/// # Safety
///
/// `start` has made the stage the caller's.
#[inline]
unsafe fn poll(
    raw: NonNull<Header>,
    current: Restore,
    owned: bool,
    graves: Option<&Graves>,
) -> Ran {
    // SAFETY: the live reference is ours to give up, so the cell lives until we do.
    unsafe {
        let header = raw.as_ref();
        header.count_poll();
        let budget = coop::start();
        let polled =
            with_waker(raw, |waker| (header.vtable.poll)(raw, &mut Context::from_waker(waker)));
        drop(budget);
        let finish = match polled {
            Polled::Pending => {
                let again = if owned { header.own.stop() } else { stop_shared(header) };
                return if again { Ran::Again(Runnable(raw)) } else { Ran::Waits };
            }
            Polled::Finished => Finish::Finished,
            Polled::Panicked => Finish::Panicked,
        };
        complete(raw, finish, current, graves);
        Ran::Done
    }
}

/// # Safety
///
/// `start` has made the stage the caller's.
unsafe fn cancel(raw: NonNull<Header>, current: Restore, graves: Option<&Graves>) {
    // SAFETY: as in `poll`.
    unsafe {
        let finish = match (raw.as_ref().vtable.cancel)(raw) {
            Polled::Panicked => Finish::Panicked,
            Polled::Finished | Polled::Pending => Finish::Cancelled,
        };
        complete(raw, finish, current, graves);
    }
}

/// # Safety
///
/// The stage is the caller's, and holds an outcome.
unsafe fn complete(
    raw: NonNull<Header>,
    finish: Finish,
    current: Restore,
    graves: Option<&Graves>,
) {
    // SAFETY: the live reference is ours until `complete` gives it up or leaves it to us; the
    // stage and the waker's slot are ours in the cases that say so.
    unsafe {
        let header = raw.as_ref();
        let graves = graves.filter(|_| may_wait_in_list(header));
        let owned = header.home.is_owned();
        // From here on dumps leave it out.
        let moved = if owned { header.own.end() } else { header.own.finish() };
        // One that was never admitted was not told of when it was spawned either.
        let admitted = match graves {
            None => header.home.live.remove(raw),
            Some(graves) => {
                graves.announce();
                // Who runs it has found it in a queue.
                true
            }
        };
        if admitted && !header.home.hooks.is_empty() {
            header.tell(|hooks, info| hooks.on_finish(info, finish));
        }
        let mut outcome_dropped = false;
        // One for the grave, from the same moment on in which the live reference is given up.
        let moved = moved + i32::from(graves.is_some());
        let bury = || {
            if let Some(graves) = graves {
                graves.add(TaskRef::from_raw(raw));
            }
        };
        loop {
            match header.state.complete(outcome_dropped, moved) {
                Complete::DropOutcome => {
                    contain(|| {
                        if let Some(payload) = (header.vtable.drop_outcome)(raw) {
                            lose(header, payload);
                        }
                    });
                    outcome_dropped = true;
                }
                Complete::WakeJoiner => {
                    if let Some(waker) = header.join_waker.with_mut(|slot| (*slot).take()) {
                        wake_quietly(waker);
                    }
                    drop(current);
                    drop(TaskRef::from_raw(raw));
                    return bury();
                }
                // From here on the cell may be gone, unless it goes to its grave; nothing but the
                // guard's own drop follows.
                Complete::Released => return bury(),
                Complete::Free => {
                    drop(current);
                    return cell::free(raw);
                }
            }
        }
    }
}

/// Whether the task may stay in the list of its home after its end. What its user has hung on it goes
/// with the cell, and should not have to wait.
#[inline]
fn may_wait_in_list(header: &Header) -> bool {
    header.home.is_made_elsewhere() && header.origin.data().is_none()
}

/// Tells of a panic that nobody has learned of, and drops its payload. Never unwinds.
#[cold]
pub(super) fn lose(header: &Header, payload: Box<dyn Any + Send>) {
    header.home.hooks.tell_unhandled(|| header.info(), &*payload);
    discard(payload);
}

/// Whether the present thread, which is not the owner, may run the task.
fn may_run_here(header: &Header) -> bool {
    !header.home.is_owned() && may_touch_stage(header)
}

/// Whether the task has an owner on another thread, who knows of it.
///
/// # Safety
///
/// `header` is live.
unsafe fn is_known_to_another(raw: NonNull<Header>) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        let home = &raw.as_ref().home;
        home.is_owned() && !home.is_owner_here() && home.live.contains(raw)
    }
}

/// Whether the present thread may poll or drop the future.
#[inline]
fn may_touch_stage(header: &Header) -> bool {
    !header.state.is_local() || header.home.is_here()
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY: alive by the invariant.
        let header = unsafe { self.0.as_ref() };
        // SAFETY: the `Runnable` keeps the header.
        if !may_touch_stage(header) || unsafe { is_known_to_another(self.0) } {
            // The future must neither be dropped here nor forgotten under a reused address.
            return;
        }
        // SAFETY: as in `run`.
        let current = unsafe { current::enter(self.0) };
        // Whatever it says, the future is dropped unpolled. A task of an owned home that is dropped on
        // another thread was never admitted, so that its owner does not know of it.
        let _ = if header.home.is_owned() { start_owned(header) } else { start_shared(header) };
        // SAFETY: `start` has made the stage ours.
        unsafe { cancel(self.0, current, None) };
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runnable").field(&self.info().id).finish()
    }
}
