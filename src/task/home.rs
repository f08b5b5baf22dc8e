//! Where a task belongs: the part of a scheduler that every task of it points to.

use super::current::ThreadKey;
use super::list::TaskList;
use super::run::Runnable;
use crate::hooks::HookSet;
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
    /// The one thread that runs the tasks, and may have local ones; `None` if there are several.
    thread: Option<ThreadKey>,
    /// Whether the tasks are closures that block.
    pub(super) blocking: bool,
    pub(super) live: TaskList,
    pub(super) hooks: HookSet,
}

struct HomeVtable {
    schedule: unsafe fn(NonNull<Head>, Runnable),
    release: unsafe fn(NonNull<Head>),
}

impl<S: Schedule> Home<S> {
    /// A home whose `!Send` tasks live on the present thread.
    pub(crate) fn new_local(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, ThreadKey::current(), false, hooks)
    }

    /// A home of tasks that are closures which may block, run by any thread.
    pub(crate) fn new_blocking(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, None, true, hooks)
    }

    /// The same, run by the present thread only.
    pub(crate) fn new_blocking_here(scheduler: S, hooks: HookSet) -> Arc<Self> {
        Self::new(scheduler, ThreadKey::current(), true, hooks)
    }

    fn new(scheduler: S, thread: Option<ThreadKey>, blocking: bool, hooks: HookSet) -> Arc<Self> {
        let vtable = &HomeVtable { schedule: schedule::<S>, release: release::<S> };
        let head = Head { vtable, thread, blocking, live: TaskList::new(), hooks };
        Arc::new(Self { head, scheduler })
    }

    /// A counted pointer for a task.
    pub(super) fn reference(self: &Arc<Self>) -> HomeRef {
        let raw = Arc::into_raw(Arc::clone(self)).cast_mut();
        // SAFETY: `into_raw` gives a pointer to a live value, never null.
        HomeRef(unsafe { NonNull::new_unchecked(raw) }.cast())
    }

    /// The hooks of this home's runtime.
    pub(crate) fn hooks(&self) -> &HookSet {
        &self.head.hooks
    }

    /// How many tasks have been spawned and have not ended.
    pub(crate) fn live_tasks(&self) -> usize {
        self.head.live.len()
    }

    /// Takes a new task among the living, and tells the hooks of it.
    ///
    /// # Errors
    ///
    /// The `Runnable` comes back if the home was closed; dropping it cancels the task.
    pub(crate) fn admit(&self, task: Runnable) -> Result<Runnable, Runnable> {
        if !self.head.live.insert(&task) {
            return Err(task);
        }
        if !self.head.hooks.is_empty() {
            task.tell(|hooks, info| hooks.on_spawn(info));
        }
        Ok(task)
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

    fn deref(&self) -> &S {
        &self.scheduler
    }
}

impl<S: fmt::Debug> fmt::Debug for Home<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("scheduler", &self.scheduler).finish_non_exhaustive()
    }
}

/// A task's counted pointer to its home.
///
/// INVARIANT: it stands for one strong count of an `Arc<Home<S>>`, whose `S` the vtable knows.
pub(super) struct HomeRef(NonNull<Head>);

// SAFETY: it is an `Arc<Home<S>>` with the type forgotten, and `Home<S>` is `Send` and `Sync`:
// `Schedule` asks that of `S`, and the head consists of thread-safe parts.
unsafe impl Send for HomeRef {}
// SAFETY: as above.
unsafe impl Sync for HomeRef {}

impl HomeRef {
    #[inline]
    pub(super) fn schedule(&self, task: Runnable) {
        // SAFETY: the head is alive by the invariant, and belongs to the vtable's type.
        unsafe { (self.vtable.schedule)(self.0, task) };
    }

    /// Whether the present thread is the one on which all the home's tasks run, local ones too.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.thread.is_some() && self.thread == ThreadKey::current()
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
    fn drop(&mut self) {
        // SAFETY: this count is given up once, here.
        unsafe { (self.vtable.release)(self.0) };
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
/// `head` came from `Home::<S>::reference`, and its count is given up by this call.
unsafe fn release<S: Schedule>(head: NonNull<Head>) {
    // SAFETY: the caller's word.
    drop(unsafe { Arc::from_raw(head.cast::<Home<S>>().as_ptr().cast_const()) });
}
