//! Where a task belongs: the part of a scheduler that every task of it points to.

use super::birth::Birth;
use super::blocks::Kept;
use super::cell::Header;
use super::cells::{Born, Buried, Cells};
use super::dump::{TaskDump, TaskState};
use super::find::Found;
use super::list::TaskList;
use super::notice::Notice;
use super::run::Runnable;
use crate::hooks::{HookSet, TaskId};
use crate::primitives::ThreadKey;
use crate::util::contain;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// What a scheduler does for the tasks that belong to it.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// Queues a task that was woken, from any thread, under no lock of ours.
    ///
    /// A scheduler that has ended drops the `Runnable`, which cancels the task.
    fn schedule(&self, task: Runnable);

    /// Hands a task of an owned home, which another thread than the owner has woken, to the owner.
    ///
    /// A scheduler that has ended drops the notice: its tasks have ended before.
    fn notice(&self, notice: Notice) {
        let _ = notice;
        unreachable!("a home that no thread owns was given a notice");
    }
}

/// A scheduler together with what this room keeps for it.
///
/// A task holds a counted pointer to its `Home`, thin, so that the header stays small and need not
/// know the scheduler's type.
#[repr(C)]
pub(crate) struct Home<S> {
    /// INVARIANT: the first field, so that a pointer to the home is one to its head.
    head: Head,
    scheduler: S,
}

/// The part of a home that does not depend on the scheduler.
pub(super) struct Head {
    vtable: &'static HomeVtable,
    /// The thread that runs the tasks, and keeps their state as `own` says; or nobody.
    owner: ThreadKey,
    /// The one thread that runs the tasks, and may have local ones; nobody if there are several.
    thread: ThreadKey,
    /// The thread that makes and frees most of the cells, and counts them; or nobody.
    maker: ThreadKey,
    pub(super) tasks: Tasks,
    /// The cells of a home with a maker, which stand for one count of its `Arc` together.
    cells: Cells,
    /// Reached by the maker.
    pub(super) kept: Kept,
    pub(super) live: TaskList,
    pub(super) hooks: HookSet,
}

struct HomeVtable {
    schedule: unsafe fn(NonNull<Head>, Runnable),
    notice: unsafe fn(NonNull<Head>, Notice),
    release: unsafe fn(NonNull<Head>),
}

/// What the tasks of a home are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tasks {
    /// Futures that are `Send`, and on a thread of their own others, too.
    Futures,
    /// Futures that are made on the thread where they stay.
    Pinned,
    /// Closures that block.
    Closures,
}

/// Who runs the tasks of a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This thread, which keeps their state.
    Owned(ThreadKey),
    /// The present thread; but any may wake, queue and drop them.
    Here,
    /// Any thread.
    Shared,
    /// Any thread, but mostly this one.
    Mostly(ThreadKey),
}

impl<S: Schedule> Home<S> {
    /// A home whose tasks, `!Send` ones too, are run by the present thread only, which owns them.
    ///
    /// The owner [retires](Self::retire) it at the end, or it is never freed.
    pub(crate) fn new_owned(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Owned(ThreadKey::current()), Tasks::Futures, hooks)
    }

    /// The same for another thread, which need not have begun, and for tasks that others place there.
    pub(crate) fn of_pinned(thread: ThreadKey, scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Owned(thread), Tasks::Pinned, hooks)
    }

    /// A home of tasks that are made on one thread mostly, and mostly run there, but may be on any.
    ///
    /// That thread [retires](Self::retire) it at the end, or it is never freed.
    pub(crate) fn of_shard(thread: ThreadKey, scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Mostly(thread), Tasks::Futures, hooks)
    }

    /// A home of tasks that are made and run on any thread.
    pub(crate) fn of_nobody(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Shared, Tasks::Futures, hooks)
    }

    /// A home of tasks that are closures which may block, run by any thread.
    pub(crate) fn new_blocking(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Shared, Tasks::Closures, hooks)
    }

    /// The same, run by the present thread only.
    pub(crate) fn new_blocking_here(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Here, Tasks::Closures, hooks)
    }

    /// A home of tasks that any thread may run, and whose `!Send` tasks live on the present one.
    #[cfg(all(test, loom))]
    pub(crate) fn new_shared(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, Kind::Here, Tasks::Futures, hooks)
    }

    fn new(scheduler: S, kind: Kind, tasks: Tasks, hooks: HookSet) -> Arc<Self> {
        let vtable =
            &HomeVtable { schedule: schedule::<S>, notice: notice::<S>, release: release::<S> };
        let nobody = ThreadKey::NONE;
        let (owner, thread, maker) = match kind {
            Kind::Owned(thread) => (thread, thread, thread),
            Kind::Here => (nobody, ThreadKey::current(), nobody),
            Kind::Shared => (nobody, nobody, nobody),
            Kind::Mostly(maker) => (nobody, nobody, maker),
        };
        let (cells, live, kept) = (Cells::new(), TaskList::new(maker), Kept::new(maker));
        let head = Head { vtable, owner, thread, maker, tasks, cells, kept, live, hooks };
        let home = Arc::new(Self { head, scheduler });
        if home.head.counts_cells() {
            // The count that the cells stand for.
            std::mem::forget(Arc::clone(&home));
        }
        home
    }

    /// A counted pointer for a task.
    #[inline]
    pub(super) fn reference(self: &Arc<Self>) -> HomeRef {
        let counts = !self.head.counts_cells()
            || self.head.cells.bear(self.head.maker.is_here()) == Born::First;
        if counts {
            std::mem::forget(Arc::clone(self));
        }
        let raw = Arc::as_ptr(self).cast_mut();
        // SAFETY: it is a pointer to a live value, never null.
        HomeRef(unsafe { NonNull::new_unchecked(raw) }.cast())
    }

    /// Says that a home with a maker has come to its end, on the maker's thread, once: it is freed with
    /// the last cell.
    pub(crate) fn retire(self: &Arc<Self>) {
        if !self.head.counts_cells() {
            return;
        }
        debug_assert!(self.head.maker.is_here(), "only the maker retires its home");
        self.retire_for_maker();
    }

    /// The same for a home whose maker never begins: by who was to begin it, once.
    pub(crate) fn retire_for_maker(self: &Arc<Self>) {
        if self.head.cells.retire() == Buried::Last {
            // SAFETY: the count that the cells stood for, and there are no more cells.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
    }

    /// The hooks of this home's runtime.
    pub(crate) fn hooks(&self) -> &HookSet {
        &self.head.hooks
    }

    /// How many tasks have been spawned and have not ended, or have, but lie in their [graves](super::graves).
    pub(crate) fn live_tasks(&self) -> usize {
        self.head.live.len()
    }

    /// The same and all that were ever taken out of graves; wraps. Less what has
    /// [ended](super::Graves::ended) there, of all homes and graves, these are the living.
    pub(crate) fn live_and_buried_tasks(&self) -> usize {
        self.head.live.len_and_buried()
    }

    /// Adds what there is to tell of each living task, which is a task of that worker; `now` reads the
    /// clock by which they were admitted.
    ///
    /// Nothing stops meanwhile: the lock is held while references are made. Tasks that begin or end
    /// then may be in or not.
    pub(crate) fn dump(
        &self,
        worker: Option<usize>,
        now: impl FnOnce() -> Birth,
        into: &mut Vec<TaskDump>,
    ) {
        let tasks = self.head.live.references();
        // After that, so that no task is of the future.
        let now = now();
        into.extend(tasks.iter().filter_map(|task| TaskDump::of(task.header(), worker, now)));
    }

    /// A living task whose number is wanted; of several, any.
    ///
    /// From any thread, and whatever the task does meanwhile: one that is living, and admitted, from the
    /// beginning of the call to its end is found. The lock of the list is held for some microseconds at a
    /// time. `wanted` runs under it.
    pub(crate) fn find(&self, wanted: &dyn Fn(TaskId) -> bool) -> Option<Found> {
        let is = |header: &Header| wanted(header.id) && TaskState::of(header).is_some();
        self.head.live.find(is).map(|task| Found::of(task.header()))
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn live_list(&self) -> &TaskList {
        &self.head.live
    }

    /// Admits no more tasks, and asks all the living to end.
    ///
    /// Each that waits is scheduled; running it drops its future.
    pub(crate) fn close(&self) {
        for task in self.head.live.close() {
            task.abort();
        }
    }
}

impl<S> Deref for Home<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        &self.scheduler
    }
}

impl<S: fmt::Debug> fmt::Debug for Home<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("scheduler", &self.scheduler).finish_non_exhaustive()
    }
}

impl Head {
    /// Whether one thread owns the tasks; see `own`.
    #[inline]
    pub(super) fn is_owned(&self) -> bool {
        self.owner != ThreadKey::NONE
    }

    /// Whether that is the present thread.
    #[inline]
    pub(super) fn is_owner_here(&self) -> bool {
        self.owner.is_here()
    }

    /// Whether a home has a maker, who is on another thread.
    #[inline]
    pub(super) fn is_made_elsewhere(&self) -> bool {
        self.counts_cells() && !self.maker.is_here()
    }

    /// Whether the cells are counted apart.
    #[inline]
    fn counts_cells(&self) -> bool {
        self.maker != ThreadKey::NONE
    }

    /// Whether the present thread is the one on which all the home's tasks run, local ones too.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.thread.is_here()
    }
}

/// A task's counted pointer to its home.
///
/// INVARIANT: it is from an `Arc<Home<S>>`, whose `S` the vtable knows, and stands for one strong
/// count of it; or, if the home has a maker, for one of its cells, all of which stand for one together.
pub(super) struct HomeRef(NonNull<Head>);

// SAFETY: it is an `Arc<Home<S>>` with the type forgotten, and `Home<S>` is `Send` and `Sync`:
// `Schedule` asks that of `S`, and the head consists of thread-safe parts.
unsafe impl Send for HomeRef {}
// SAFETY: as above.
unsafe impl Sync for HomeRef {}

impl HomeRef {
    /// Whether both are of the same home.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    #[inline]
    pub(super) fn schedule(&self, task: Runnable) {
        // SAFETY: the head is alive by the invariant, and belongs to the vtable's type.
        unsafe { (self.vtable.schedule)(self.0, task) };
    }

    pub(super) fn notice(&self, notice: Notice) {
        // SAFETY: as above.
        unsafe { (self.vtable.notice)(self.0, notice) };
    }

    /// Gives up the last count. It may be the end of the user's hooks, whose panics in a drop are
    /// nobody's to answer for.
    #[cold]
    fn release(&self) {
        // SAFETY: the caller gives up this count once.
        contain(|| unsafe { (self.vtable.release)(self.0) });
    }
}

impl Deref for HomeRef {
    type Target = Head;

    #[inline]
    fn deref(&self) -> &Head {
        // SAFETY: alive by the invariant; heads are only ever shared.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for HomeRef {
    #[inline]
    fn drop(&mut self) {
        if !self.counts_cells() || self.cells.bury(self.maker.is_here()) == Buried::Last {
            self.release();
        }
    }
}

/// # Safety
///
/// `head` is that of a live `Home<S>`.
unsafe fn schedule<S: Schedule>(head: NonNull<Head>, task: Runnable) {
    // SAFETY: the caller's word; the head is the first field, and the pointer came from the whole.
    unsafe { head.cast::<Home<S>>().as_ref() }.scheduler.schedule(task);
}

/// # Safety
///
/// `head` is that of a live `Home<S>`.
unsafe fn notice<S: Schedule>(head: NonNull<Head>, notice: Notice) {
    // SAFETY: as above.
    unsafe { head.cast::<Home<S>>().as_ref() }.scheduler.notice(notice);
}

/// # Safety
///
/// `head` came from `Home::<S>::reference`, and its count is given up by this call.
unsafe fn release<S: Schedule>(head: NonNull<Head>) {
    // SAFETY: the caller's word.
    drop(unsafe { Arc::from_raw(head.cast::<Home<S>>().as_ptr().cast_const()) });
}
