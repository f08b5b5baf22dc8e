//! Counted references to a task, and the wakers made of them.

use super::cell::{self, Header};
use super::current;
use super::notice::Notice;
use super::run::Runnable;
use super::state::{Wake, WakeOwned};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// One counted reference to a task.
///
/// INVARIANT: it stands for one count in the header's state, which keeps the cell alive.
pub(super) struct TaskRef(NonNull<Header>);

// SAFETY: a reference only reads what never changes, and changes the state by its transitions; see
// the essay of `task` for why that is sound whatever the future is.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over a count that is there already.
    ///
    /// # Safety
    ///
    /// The count is the caller's to give.
    pub(super) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// Adds a count.
    ///
    /// # Safety
    ///
    /// The cell is alive, and stays so during the call.
    pub(super) unsafe fn retain(header: NonNull<Header>) -> Self {
        // SAFETY: the caller's word.
        retain(unsafe { header.as_ref() });
        Self(header)
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: alive by the invariant.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn raw(&self) -> NonNull<Header> {
        self.0
    }

    /// Asks the task to end; see [`AbortHandle::abort`](super::AbortHandle::abort).
    pub(super) fn abort(&self) {
        let header = self.header();
        if keeps_own_word(header) {
            header.state.set_aborted();
            self.wake_here();
        } else if header.home.is_owned() {
            self.give_notice(header.state.abort_elsewhere());
        } else {
            self.schedule(header.state.abort());
        }
    }

    #[inline]
    fn wake_by_ref(&self) {
        let header = self.header();
        if keeps_own_word(header) {
            self.wake_here();
        } else if header.home.is_owned() {
            self.give_notice(header.state.wake_elsewhere());
        } else {
            self.schedule(header.state.wake());
        }
    }

    /// Wakes the task by the word that the present thread keeps.
    #[inline]
    fn wake_here(&self) {
        // Of a task that has no owner, that thread polls it, and queues it afterwards.
        if self.header().own.claim() {
            // SAFETY: the claim made a `Runnable`, and it is ours.
            schedule(unsafe { Runnable::from_raw(self.0) }, self.header());
        }
    }

    #[inline]
    fn schedule(&self, wake: Wake) {
        if wake == Wake::Schedule {
            // SAFETY: the transition made a `Runnable`, and it is ours.
            schedule(unsafe { Runnable::from_raw(self.0) }, self.header());
        }
    }

    /// Tells the owner, if the caller's transition has set `WOKEN`.
    fn give_notice(&self, wake: Wake) {
        if wake == Wake::Schedule {
            give_notice(Notice::new(self.clone()), self.header());
        }
    }

    #[inline]
    fn wake(self) {
        if keeps_own_word(self.header()) {
            let this = ManuallyDrop::new(self);
            this.wake_here();
            if !this.header().own.release() {
                drop(ManuallyDrop::into_inner(this));
            }
            return;
        }
        if self.header().home.is_owned() {
            // On another thread the reference keeps the cell, and with it the home, until that is
            // left.
            return self.wake_by_ref();
        }
        let this = ManuallyDrop::new(self);
        match this.header().state.wake_owned() {
            WakeOwned::Schedule => {
                // SAFETY: the transition made a `Runnable`, and it is ours.
                schedule(unsafe { Runnable::from_raw(this.0) }, this.header());
                drop(ManuallyDrop::into_inner(this));
            }
            WakeOwned::Released => {}
            // SAFETY: the transition gave up the last reference, which was ours.
            WakeOwned::Free => unsafe { cell::free(this.0) },
        }
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> Self {
        retain(self.header());
        Self(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        let header = self.header();
        if keeps_own_word(header) && header.own.release() {
            return;
        }
        if header.state.release() {
            // SAFETY: that was the last reference.
            unsafe { cell::free(self.0) };
        }
    }
}

/// Counts one more reference, in the word that the present thread may write.
#[inline]
fn retain(header: &Header) {
    if !(keeps_own_word(header) && header.own.retain()) {
        header.state.retain();
    }
}

/// Whether the present thread writes the other word: it owns the task, or polls one without an owner.
#[inline]
fn keeps_own_word(header: &Header) -> bool {
    header.home.is_owner_here() || current::is(header)
}

/// Hands a woken task to its home. The caller's reference keeps both alive meanwhile.
#[inline]
fn schedule(task: Runnable, header: &Header) {
    tell_of_wake(header);
    header.home.schedule(task);
}

/// The same, for a thread that is not the owner.
fn give_notice(notice: Notice, header: &Header) {
    tell_of_wake(header);
    header.home.notice(notice);
}

#[inline]
fn tell_of_wake(header: &Header) {
    if !header.home.hooks.is_empty() && !header.state.is_root() {
        header.tell(|hooks, info| hooks.on_wake(info));
    }
}

/// Calls `f` with a waker for the task that is about to be polled.
///
/// The waker borrows the live reference instead of counting its own, since most polls keep it no
/// longer than they last.
///
/// # Safety
///
/// The cell stays alive during the call.
#[inline]
pub(super) unsafe fn with_waker<R>(header: NonNull<Header>, f: impl FnOnce(&Waker) -> R) -> R {
    let raw = RawWaker::new(header.as_ptr().cast_const().cast(), &VTABLE);
    // SAFETY: the vtable keeps the contract of `RawWaker` (below); the count that this waker would
    // give up is not its own, so it is never dropped.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
    f(&waker)
}

/// INVARIANT: every data pointer is `TaskRef`'s: a header, with one count behind it.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// # Safety
///
/// `data` is from a waker with [`VTABLE`], which the caller borrows or gives up for this call.
#[inline]
unsafe fn borrowed(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: such a pointer is a header's, never null; not dropping leaves the count alone.
    ManuallyDrop::new(unsafe {
        TaskRef::from_raw(NonNull::new_unchecked(data.cast_mut().cast::<Header>()))
    })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the contract of `RawWaker`: called on a live waker.
    let waker = unsafe { borrowed(data) };
    let more = ManuallyDrop::new(TaskRef::clone(&waker));
    RawWaker::new(more.raw().as_ptr().cast_const().cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the contract of `RawWaker`: the waker, and with it its count, ends here.
    ManuallyDrop::into_inner(unsafe { borrowed(data) }).wake();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the contract of `RawWaker`: called on a live waker.
    unsafe { borrowed(data) }.wake_by_ref();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the contract of `RawWaker`: the waker, and with it its count, ends here.
    drop(ManuallyDrop::into_inner(unsafe { borrowed(data) }));
}
