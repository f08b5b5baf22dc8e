//! The tasks of a home that have not ended.

use super::cell::Header;
use super::run::Runnable;
use super::waker::TaskRef;
use crate::primitives::{Biased, Mutex, ThreadKey, thread};
use std::ptr::NonNull;

/// The index of a task that is in no list.
pub(super) const UNLISTED: u32 = u32::MAX;

/// Below this the list keeps its memory.
const KEEP: usize = 64;

/// So many tasks are looked at under one lock by who searches: some microseconds.
const CHUNK: usize = 256;

/// The live tasks, in no order, under a short lock.
///
/// A task's index in the list is kept in its header, so that leaving costs one swap. The entry needs
/// no count of its own: a task leaves the list before it gives up its live reference, or else there is
/// one in its [grave](super::graves) until it has left.
///
/// Where one thread makes the tasks, nearly all that happens here it does itself, so the lock is one
/// that costs its owner little.
pub(super) struct TaskList(Lock);

enum Lock {
    Owned(Biased<Inner>),
    Shared(Mutex<Inner>),
}

struct Inner {
    /// INVARIANT: each pointer is to a live header whose `index` is its place here.
    tasks: Vec<NonNull<Header>>,
    closed: bool,
    /// How many were taken out of here that had ended before; wraps.
    buried: usize,
}

// SAFETY: the pointers are to headers, which are shared between threads anyway; what lies behind
// them is touched by the rules of the essay only.
unsafe impl Send for Inner {}

impl TaskList {
    /// The list of a home that has this maker, or nobody.
    pub(super) fn new(maker: ThreadKey) -> Self {
        let inner = Inner { tasks: Vec::new(), closed: false, buried: 0 };
        Self(match maker {
            ThreadKey::NONE => Lock::Shared(Mutex::new(inner)),
            maker => Lock::Owned(Biased::owned_by(maker, inner)),
        })
    }

    /// Calls `f`, which runs no code of others, under the lock.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        match &self.0 {
            Lock::Owned(inner) => inner.with(f),
            Lock::Shared(inner) => f(&mut inner.lock()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.with(|inner| inner.tasks.len())
    }

    /// How many are in, and all that were ever [buried](Self::bury), together; wraps.
    pub(super) fn len_and_buried(&self) -> usize {
        self.with(|inner| inner.tasks.len().wrapping_add(inner.buried))
    }

    /// Adds a task; `false` if the list was closed, or holds 2³² − 1 tasks.
    #[inline]
    #[must_use]
    pub(super) fn insert(&self, task: &Runnable) -> bool {
        let header = task.header();
        self.with(|inner| {
            let Ok(index) = u32::try_from(inner.tasks.len()) else { return false };
            if inner.closed || index == UNLISTED {
                return false;
            }
            inner.tasks.push(header);
            // SAFETY: the `Runnable` keeps the header alive, and we hold the lock that guards `index`.
            unsafe { header.as_ref().index.with_mut(|at| *at = index) };
            true
        })
    }

    /// Whether the task is in.
    ///
    /// # Safety
    ///
    /// As for [`remove`](Self::remove).
    pub(super) unsafe fn contains(&self, header: NonNull<Header>) -> bool {
        self.with(|_| {
            // SAFETY: live by the caller's word; we hold the lock.
            unsafe { header.as_ref().index.with(|at| *at != UNLISTED) }
        })
    }

    /// Takes a task out; `false` if it was not in.
    ///
    /// # Safety
    ///
    /// `header` is live, and if it is in a list it is in this one.
    #[inline]
    pub(super) unsafe fn remove(&self, header: NonNull<Header>) -> bool {
        // SAFETY: the caller's word.
        self.with(|inner| unsafe { inner.remove(header) })
    }

    /// Takes tasks out that have ended, and are in this list still.
    pub(super) fn bury(&self, tasks: &[TaskRef]) {
        self.with(|inner| {
            inner.buried = inner.buried.wrapping_add(tasks.len());
            for task in tasks {
                // SAFETY: the reference keeps the header alive.
                let was_in = unsafe { inner.remove(task.raw()) };
                debug_assert!(was_in, "a task in its grave was in no list");
            }
        });
    }

    /// References to the tasks that are in.
    pub(super) fn references(&self) -> Vec<TaskRef> {
        // The memory is got outside the lock, unless many come in between.
        let mut references = Vec::with_capacity(self.len() + KEEP);
        // SAFETY: as in `close`.
        let retain = |&header: &_| unsafe { TaskRef::retain(header) };
        self.with(|inner| references.extend(inner.tasks.iter().map(retain)));
        references
    }

    /// A reference to a task that is wanted; of several, to any. What is in from the beginning to the end
    /// is found, as [`Search`] says.
    ///
    /// `wanted` runs under the lock, so it is none of the user's code.
    pub(super) fn find(&self, wanted: impl Fn(&Header) -> bool) -> Option<TaskRef> {
        let mut search = Search::of(CHUNK);
        loop {
            match search.step(self, &wanted) {
                Step::Found(task) => return Some(task),
                Step::Over => return None,
                // Who waits for the lock gets it.
                Step::GoesOn => thread::yield_now(),
            }
        }
    }

    /// Accepts no more tasks; returns references to those that are in.
    pub(super) fn close(&self) -> Vec<TaskRef> {
        self.with(|inner| {
            inner.closed = true;
            // SAFETY: the lock keeps them in, and as long as they are in they have their live reference,
            // or one in a grave, so the count is at least one.
            inner.tasks.iter().map(|&header| unsafe { TaskRef::retain(header) }).collect()
        })
    }
}

/// A search through a list, from its end to its beginning.
///
/// The list may be long, and its lock is the maker's, who must not wait while all of it is searched. So it
/// is searched in chunks, each under a lock of its own, and tasks come and go in between.
///
/// A task that is in from the first step to the last is looked at nevertheless, because the search goes
/// *down*. While a task is in, its index gets smaller or stays: only [`Inner::remove`] changes it, which
/// moves the last task to the place of one before it; and what comes is put behind all. INVARIANT: a task
/// that was in since the first step and was not looked at has an index below `end`. At first there is
/// nothing above `end`. A step looks at all in the list from the new `end` to the old one, so that what it
/// did not look at lies below; and what happens until the next one moves nothing up. When `end` is 0, there
/// is no such task. What came meanwhile, or was moved down past `end`, is not looked at, or is once more.
struct Search {
    end: usize,
    chunk: usize,
}

/// What came of one step of a search.
enum Step {
    Found(TaskRef),
    GoesOn,
    Over,
}

impl Search {
    fn of(chunk: usize) -> Self {
        Self { end: usize::MAX, chunk }
    }

    fn step(&mut self, list: &TaskList, wanted: impl Fn(&Header) -> bool) -> Step {
        let found = list.with(|inner| {
            let last = self.end.min(inner.tasks.len());
            self.end = last.saturating_sub(self.chunk);
            // SAFETY: by the invariant all are live, and stay so while we hold the lock.
            let is_wanted = |header: &&NonNull<Header>| wanted(unsafe { header.as_ref() });
            let found = inner.tasks[self.end..last].iter().rev().find(is_wanted);
            // SAFETY: as in `close`.
            found.map(|&header| unsafe { TaskRef::retain(header) })
        });
        match found {
            Some(task) => Step::Found(task),
            None if self.end == 0 => Step::Over,
            None => Step::GoesOn,
        }
    }
}

impl Inner {
    /// # Safety
    ///
    /// As for [`TaskList::remove`].
    #[inline]
    unsafe fn remove(&mut self, header: NonNull<Header>) -> bool {
        // SAFETY: live by the caller's word, and by the invariant; who has the inner holds the lock.
        unsafe {
            let index = header.as_ref().index.with_mut(|at| std::mem::replace(&mut *at, UNLISTED));
            if index == UNLISTED {
                return false;
            }
            let index_usize = index as usize;
            self.tasks.swap_remove(index_usize);
            if let Some(moved) = self.tasks.get(index_usize) {
                moved.as_ref().index.with_mut(|at| *at = index);
            }
        }
        let (len, capacity) = (self.tasks.len(), self.tasks.capacity());
        if capacity > KEEP && len < capacity / 4 {
            self.shrink(len);
        }
        true
    }

    #[cold]
    fn shrink(&mut self, len: usize) {
        self.tasks.shrink_to((2 * len).max(KEEP));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::*;
    use super::*;
    use crate::hooks::HookSet;
    use proptest::prelude::*;
    use std::panic::Location;
    use std::sync::Arc;

    #[derive(Default)]
    struct Queue(Mutex<Vec<Runnable>>);

    impl Schedule for Queue {
        fn schedule(&self, task: Runnable) {
            self.0.lock().push(task);
        }
    }

    /// Tasks that never run: one that is dropped leaves the list.
    struct Tasks {
        rt: Rt,
        listed: Vec<Runnable>,
    }

    struct Rt(Arc<Home<Queue>>);

    impl Spawn for Rt {
        fn place(&self) -> Placement {
            Placement::new(&self.0, TaskId::from_raw(crate::primitives::unique_id()))
        }

        fn submit(&self, task: Runnable) {
            self.0.schedule(task.admit(Birth::from_nanos(0)).ok().unwrap());
        }
    }

    impl Tasks {
        fn new(count: usize) -> Self {
            let home = Home::of_nobody(Queue::default(), HookSet::default());
            let mut tasks = Self { rt: Rt(home), listed: Vec::new() };
            (0..count).for_each(|_| tasks.insert());
            tasks
        }

        fn insert(&mut self) {
            drop(spawn(&self.rt, async {}, Location::caller()));
            self.listed.append(&mut self.rt.0.0.lock());
        }

        fn list(&self) -> &TaskList {
            self.rt.0.live_list()
        }

        fn id(&self, at: usize) -> TaskId {
            header(&self.listed[at]).id
        }

        fn find(&self, id: TaskId) -> Option<TaskId> {
            self.list().find(|header| header.id == id).map(|task| task.header().id)
        }
    }

    fn header(task: &Runnable) -> &Header {
        // SAFETY: the `Runnable` keeps it alive.
        unsafe { task.header().as_ref() }
    }

    #[test]
    fn each_task_is_found_and_what_has_left_is_not() {
        let mut tasks = Tasks::new(2 * CHUNK + 3);
        for at in [2 * CHUNK + 2, CHUNK + 3, CHUNK, 1, 0] {
            let id = tasks.id(at);
            assert_eq!(tasks.find(id), Some(id));
            drop(tasks.listed.remove(at));
            assert_eq!(tasks.find(id), None);
        }
        assert_eq!(Tasks::new(0).find(tasks.id(0)), None);
        assert_eq!(tasks.list().len(), tasks.listed.len());
    }

    /// What happens between two steps of a search.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Insert,
        /// Of those that may leave, the one with this number, modulo how many there are.
        Remove(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![Just(Change::Insert), any::<usize>().prop_map(Change::Remove)]
    }

    proptest! {
        /// Of those that stay from the first step to the last none is missed, wherever it is.
        #[test]
        fn a_search_meets_all_that_stay(
            count in 1..40_usize,
            chunk in 1..6_usize,
            stay in 1..8_usize,
            changes in proptest::collection::vec(proptest::collection::vec(change(), 0..12), 40),
        ) {
            let mut tasks = Tasks::new(count);
            let mut stays = Vec::new();
            for n in 0..stay.min(count) {
                let at = (n * 7919) % tasks.listed.len();
                stays.push(tasks.listed.swap_remove(at));
            }
            let wanted: Vec<_> = stays.iter().map(|task| header(task).id).collect();
            let met = Mutex::new(Vec::new());
            let look = |header: &Header| {
                met.lock().push(header.id);
                false
            };
            let (mut search, mut steps, mut changes) = (Search::of(chunk), 0, changes.into_iter());
            while let Step::GoesOn = search.step(tasks.list(), look) {
                steps += 1;
                for change in changes.next().into_iter().flatten() {
                    match change {
                        Change::Insert => tasks.insert(),
                        Change::Remove(_) if tasks.listed.is_empty() => {}
                        Change::Remove(n) => {
                            drop(tasks.listed.swap_remove(n % tasks.listed.len()));
                        }
                    }
                }
            }
            prop_assert!(steps <= count / chunk, "it comes to an end, whatever is inserted");
            let met = met.lock();
            prop_assert!(wanted.iter().all(|id| met.contains(id)));
        }
    }
}
