//! Tasks that have ended elsewhere than where they were made, and are still in the list of their home.
//!
//! The list of a home is its maker's; for others the lock costs much, and for the maker too from then on,
//! if there is one after every stolen task. So a worker leaves those it has run in the list when they end,
//! and takes them out [`MOST`] at a time, and before it sleeps. To all others such a task has ended:
//! dumps leave it out, its future is gone, whoever joins it has the outcome. What stays for as long is the
//! memory of the cell.

use super::thread::ThreadBound;
use super::waker::TaskRef;
use crate::primitives::{AtomicUsize, Ordering, ThreadKey};
use Ordering::{Acquire, Relaxed, Release};

/// After so many the worker sees to them.
const MOST: usize = if cfg!(loom) { 2 } else { 32 };

/// What one worker has left in the lists of others.
#[derive(Debug)]
pub(crate) struct Graves {
    own: ThreadBound<Vec<TaskRef>>,
    /// How many tasks there were so far, each from just before its end; wraps. Written by the worker only.
    ended: AtomicUsize,
    /// How many of them it has seen to; the worker's alone.
    seen_to: AtomicUsize,
}

impl Graves {
    /// For the worker of a thread that need not have begun.
    pub(crate) fn of(thread: ThreadKey) -> Self {
        Self {
            own: ThreadBound::of(thread, Vec::new()),
            ended: AtomicUsize::new(0),
            seen_to: AtomicUsize::new(0),
        }
    }

    /// How many tasks there were so far, those included that have left their lists since; wraps.
    ///
    /// The lists count those, too: so, of who reads this first and the lists then, the difference is never
    /// off for a task that is taken out meanwhile. All that are counted here are so in the lists.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Acquire)
    }

    /// A task is about to end whose reference [`add`](Self::add) will get.
    pub(super) fn announce(&self) {
        // Others see it before they see the end, which is a release; and with it that the task was listed.
        self.ended.store(self.ended.load(Relaxed).wrapping_add(1), Release);
    }

    /// A task of a home with another maker has ended, and has not left the list.
    pub(super) fn add(&self, ended: TaskRef) {
        let added = self.own.with(ended, |own, ended| own.push(ended));
        debug_assert!(added.is_ok(), "a worker's graves are dug on its thread");
    }

    /// Whether it is time to [`bury`](Self::bury).
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= MOST
    }

    /// How many there are now, for the worker.
    #[inline]
    fn len(&self) -> usize {
        self.ended.load(Relaxed).wrapping_sub(self.seen_to.load(Relaxed))
    }

    /// Takes all out of the lists of their homes, on the worker's thread, and gives the references up.
    /// Frees cells, on which users have hung nothing that is dropped with them.
    pub(crate) fn bury(&self) {
        if self.len() > 0
            && let Ok(ended) = self.own.with((), |own, ()| std::mem::take(own))
        {
            self.seen_to.store(self.seen_to.load(Relaxed).wrapping_add(ended.len()), Relaxed);
            leave_lists(&ended);
        }
    }
}

/// Takes tasks out of the lists, those of one home in a row under one lock.
fn leave_lists(mut ended: &[TaskRef]) {
    while let Some(first) = ended.first() {
        let home = &first.header().home;
        let others = |task: &TaskRef| !task.header().home.is(home);
        let (of_it, rest) = ended.split_at(ended.iter().position(others).unwrap_or(ended.len()));
        home.live.bury(of_it);
        ended = rest;
    }
}

impl Drop for Graves {
    fn drop(&mut self) {
        // The lists must not keep what is gone. Those of a runtime are empty by now: what was in them would
        // have kept its home, and that the runtime.
        leave_lists(self.own.get_mut());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::*;
    use super::*;
    use crate::hooks::HookSet;
    use crate::primitives::{Mutex, NewThread};
    use std::panic::Location;
    use std::sync::Arc;

    #[derive(Default)]
    struct Queue(Mutex<Vec<Runnable>>);

    impl Schedule for Queue {
        fn schedule(&self, task: Runnable) {
            self.0.lock().push(task);
        }
    }

    struct Rt(Arc<Home<Queue>>);

    impl Spawn for Rt {
        fn place(&self) -> Placement {
            Placement::new(&self.0, TaskId::from_raw(crate::primitives::unique_id()))
        }

        fn submit(&self, task: Runnable) {
            match task.admit(Birth::from_nanos(0)) {
                Ok(task) => self.0.schedule(task),
                Err(task) => drop(task),
            }
        }
    }

    impl Rt {
        /// Whose tasks are made by a thread that never begins, and run here.
        fn new() -> (Self, Graves) {
            let maker = NewThread::new().key();
            let home = Home::of_shard(maker, Queue::default(), HookSet::default());
            (Self(home), Graves::of(ThreadKey::current()))
        }

        fn spawn(&self) -> JoinHandle<u32> {
            spawn(self, async { 5 }, Location::caller())
        }

        fn run(&self, graves: &Graves) {
            let queued = std::mem::take(&mut *self.0.0.lock());
            for task in queued {
                assert!(matches!(task.run_beside(Some(graves)), Ran::Done));
            }
        }

        fn dumped(&self) -> usize {
            let mut tasks = Vec::new();
            self.0.dump(Some(0), || Birth::from_nanos(0), &mut tasks);
            tasks.len()
        }
    }

    impl Drop for Rt {
        fn drop(&mut self) {
            self.0.retire_for_maker();
        }
    }

    fn wait(handle: JoinHandle<u32>) -> u32 {
        handle.wait(std::time::Duration::MAX).ok().unwrap().unwrap()
    }

    #[test]
    fn a_task_in_its_grave_has_ended_for_all_but_the_list() {
        let (rt, graves) = Rt::new();
        let (joined, detached, lives) = (rt.spawn(), rt.spawn(), rt.spawn());
        let last = rt.0.0.lock().pop().unwrap();
        drop(detached);
        rt.run(&graves);
        assert_eq!((rt.0.live_tasks(), graves.len(), rt.dumped()), (3, 2, 1));
        assert!(rt.0.find(&|id| id == joined.id()).is_none());
        assert_eq!(rt.0.find(&|_| true).map(|found| found.info.id), Some(lives.id()));
        assert!(joined.is_finished());
        assert_eq!(wait(joined), 5);
        graves.bury();
        assert_eq!((rt.0.live_tasks(), graves.len(), rt.dumped()), (1, 0, 1));
        drop((last, lives));
        assert_eq!(rt.0.live_tasks(), 0, "who is no worker does not wait");
    }

    #[test]
    fn what_was_aborted_is_buried_too_and_user_data_do_not_wait() {
        let (rt, graves) = Rt::new();
        let (aborted, data) = (rt.spawn(), Arc::new(()));
        aborted.abort();
        let with_data = Builder::new().data(Arc::clone(&data)).origin(Location::caller());
        drop(spawn(&rt, async {}, with_data));
        rt.run(&graves);
        assert_eq!((Arc::strong_count(&data), graves.len()), (1, 1));
        graves.bury();
        assert_eq!(rt.0.live_tasks(), 0);
        drop(aborted);
    }

    /// Looks, when it is dropped, how many tasks there are in a dump.
    struct Dumps(Arc<Rt>, Arc<Mutex<Option<usize>>>);

    impl Drop for Dumps {
        fn drop(&mut self) {
            *self.1.lock() = Some(self.0.dumped());
        }
    }

    #[test]
    fn a_dump_leaves_it_out_while_its_outcome_is_dropped() {
        let (rt, graves) = Rt::new();
        let (rt, seen) = (Arc::new(rt), Arc::new(Mutex::new(None)));
        let dumps = Dumps(Arc::clone(&rt), Arc::clone(&seen));
        drop(spawn(&*rt, async { dumps }, Location::caller()));
        rt.run(&graves);
        assert_eq!((*seen.lock(), graves.len()), (Some(0), 1));
        graves.bury();
    }

    #[test]
    fn several_homes_lie_side_by_side() {
        let (one, graves) = Rt::new();
        let (two, _) = Rt::new();
        for rt in [&one, &two, &one, &one] {
            drop(rt.spawn());
            rt.run(&graves);
        }
        assert_eq!(graves.len(), 4);
        graves.bury();
        assert_eq!((one.0.live_tasks(), two.0.live_tasks(), graves.len()), (0, 0, 0));
    }

    #[test]
    fn it_is_full_in_time() {
        let (rt, graves) = Rt::new();
        for _ in 0..MOST {
            assert!(!graves.is_full());
            drop(rt.spawn());
            rt.run(&graves);
        }
        assert!(graves.is_full());
        graves.bury();
    }

    /// Where it would not, the list would keep what is freed.
    #[test]
    fn graves_that_nobody_has_seen_to_leave_the_list_when_they_are_dropped() {
        let (rt, graves) = Rt::new();
        let (ended, lives) = (rt.spawn(), rt.spawn());
        let last = rt.0.0.lock().pop().unwrap();
        drop(ended);
        rt.run(&graves);
        drop(graves);
        assert_eq!((rt.0.live_tasks(), rt.dumped()), (1, 1));
        drop((last, lives));
    }
}
