//! Where a thread sits that runs tasks: its queue, the slot for what runs next, and what it is in the
//! middle of. Each worker has one, and so has each thread that stands in for one.

use super::counters::Counters;
use super::spent;
use crate::primitives::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, Stealer, ThreadKey, Worker,
};
use crate::task::{OwnedSlot, Runnable, TaskId, ThreadBound};
use Ordering::{Acquire, Relaxed, Release};
use std::collections::VecDeque;

/// The room that an empty queue keeps, in entries.
const KEEP: usize = 1024;

/// After so many tasks in a row out of the slot, one comes from the queue: two that wake each other
/// must not keep it to themselves.
const SLOT_IN_A_ROW: u32 = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Seat {
    own: ThreadBound<Own>,
    /// The other end of the own queue.
    pub(super) stealer: Stealer<Runnable>,
    /// The task that was woken last by one that runs, and runs next. Others take it only from a thread
    /// that does not come to it.
    pub(super) slot: OwnedSlot,
    /// So many tasks are no surplus; written by the thread that sits here.
    keeps: AtomicUsize,
    pub(super) running: Running,
    /// Events have waited for long enough, however few polls there were.
    kicked: AtomicBool,
    /// What it is in the middle of takes long, says the sentry: others help.
    stuck: AtomicBool,
    /// The number that the system gave to the thread; 0 before it has begun, or if there is none.
    thread: AtomicU32,
    pub(super) counters: Counters,
}

/// What only the thread touches that sits here.
#[derive(Debug)]
struct Own {
    queue: Worker<Runnable>,
    /// Tasks that stay on this worker.
    pinned: VecDeque<Runnable>,
    /// The pinned tasks are next, if both have some.
    pinned_next: bool,
    /// What is woken goes to the back of the queue: no task runs that would wait for it.
    dispatching: bool,
    slot_left: u32,
}

/// Whether there is more to do than what the thread does next, so that another could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Surplus {
    No,
    Yes,
}

impl Seat {
    /// The seat of a thread that need not have begun; or of nobody, and then for one after the other, for
    /// [`ThreadKey::NONE`].
    pub(super) fn of(thread: ThreadKey) -> Self {
        let queue = Worker::new_fifo();
        let stealer = queue.stealer();
        let own = Own {
            queue,
            pinned: VecDeque::new(),
            pinned_next: false,
            dispatching: false,
            slot_left: SLOT_IN_A_ROW,
        };
        Self {
            own: ThreadBound::of(thread, own),
            stealer,
            slot: OwnedSlot::new(),
            keeps: AtomicUsize::new(1),
            running: Running(AtomicU64::new(0)),
            kicked: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            thread: AtomicU32::new(0),
            counters: Counters::default(),
        }
    }

    /// The present thread takes the seat, which is nobody's.
    pub(super) fn sit_down(&self) {
        let taken = self.own.take();
        assert!(taken, "a seat was taken twice");
        self.keeps.store(1, Relaxed);
    }

    /// It leaves the seat to the next, with nothing queued.
    pub(super) fn stand_up(&self) {
        self.own.leave();
        self.thread.store(0, Relaxed);
    }

    /// Says which of the system's threads it is that sits here.
    pub(super) fn is_of_this_thread(&self) {
        self.thread.store(spent::thread_number(), Relaxed);
    }

    /// The number that the system gave to the thread.
    pub(super) fn thread(&self) -> u32 {
        self.thread.load(Relaxed)
    }

    /// Calls `f`, which runs no code of others, with what is the thread's own.
    #[inline]
    fn own<R>(&self, f: impl FnOnce(&mut Own) -> R) -> R {
        match self.own.with((), |own, ()| f(own)) {
            Ok(result) => result,
            Err(()) => unreachable!("what is a thread's own is reached on it"),
        }
    }

    /// Queues a task that was woken or spawned on this thread; it comes back where the queue is in
    /// use, further up on the stack: crossbeam frees memory of others now and then, and so runs what
    /// they hang on that.
    #[inline]
    pub(super) fn push(&self, task: Runnable) -> Result<Surplus, Runnable> {
        self.own.try_with(task, |own, task| {
            if own.dispatching {
                own.queue.push(task);
                // Whoever dispatches looks at the whole when it is done.
                return Surplus::No;
            }
            match self.slot.replace(task) {
                None => Surplus::No,
                Some(before) => {
                    own.queue.push(before);
                    self.surplus_of(own, 1)
                }
            }
        })
    }

    /// Queues a task behind all others.
    #[inline]
    pub(super) fn push_back(&self, task: Runnable) -> Surplus {
        self.own(|own| {
            own.queue.push(task);
            self.surplus_of(own, usize::from(!self.slot.is_empty()))
        })
    }

    /// Queues a task that stays on this worker; it comes back where [`push`](Self::push)'s does.
    pub(super) fn push_pinned(&self, task: Runnable) -> Result<(), Runnable> {
        self.own.try_with(task, |own, task| own.pinned.push_back(task))
    }

    /// The next task of this thread.
    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        self.own(|own| {
            if own.slot_left > 0
                && let Some(task) = self.slot.take()
            {
                own.slot_left -= 1;
                self.counters.lifo_hits.add(1);
                return Some(task);
            }
            own.slot_left = SLOT_IN_A_ROW;
            let queued = match own.pinned.is_empty() {
                true => own.queue.pop(),
                false => own.pop_pinned_too(),
            };
            queued.or_else(|| self.slot.take())
        })
    }

    /// What is woken while `f` runs goes to the back of the queue.
    pub(super) fn dispatch(&self, f: impl FnOnce()) {
        self.own(|own| own.dispatching = true);
        f();
        self.own(|own| own.dispatching = false);
    }

    /// Whether another thread could help with what is queued.
    pub(super) fn surplus(&self) -> Surplus {
        self.own(|own| self.surplus_of(own, usize::from(!self.slot.is_empty())))
    }

    /// Whether what is queued, and in the slot, is more than the thread keeps to itself.
    #[inline]
    fn surplus_of(&self, own: &Own, in_slot: usize) -> Surplus {
        let keeps = self.keeps.load(Relaxed);
        if own.queue.len() + in_slot > keeps { Surplus::Yes } else { Surplus::No }
    }

    /// Whether the thread had a surplus when it last took a task, as far as another can tell: it may have
    /// called nobody for that, as one searched.
    pub(super) fn had_surplus(&self) -> bool {
        let queued = self.stealer.len();
        let in_slot = || usize::from(!self.slot.is_empty());
        // The one that it is in the middle of counts.
        queued > 0 && queued + in_slot() >= self.keeps.load(Relaxed)
    }

    /// From now on a queue with so many tasks is no surplus.
    pub(super) fn keep(&self, tasks: usize) {
        // Others read it, and are not to lose the line for nothing.
        if self.keeps.load(Relaxed) != tasks {
            self.keeps.store(tasks, Relaxed);
        }
    }

    /// How many tasks wait here for their turn, of those that others may take.
    pub(super) fn queued(&self) -> usize {
        self.stealer.len() + usize::from(!self.slot.is_empty())
    }

    /// Whether the thread itself has nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.slot.is_empty() && self.own(|own| own.queue.is_empty() && own.pinned.is_empty())
    }

    /// Calls `f` with the queue, into which it steals.
    pub(super) fn with_queue<R>(&self, f: impl FnOnce(&Worker<Runnable>) -> R) -> R {
        self.own(|own| f(&own.queue))
    }

    /// Gives back what a peak has left behind.
    pub(super) fn give_back(&self) {
        self.own(|own| {
            if own.pinned.capacity() > KEEP {
                own.pinned.shrink_to(KEEP);
            }
        });
    }

    /// The thread is to look outside after the present poll.
    pub(super) fn kick(&self) {
        self.kicked.store(true, Relaxed);
    }

    /// Whether it was told so since the last look.
    #[inline]
    pub(super) fn is_kicked(&self) -> bool {
        self.kicked.load(Relaxed)
    }

    /// It looks.
    pub(super) fn forget_kick(&self) {
        if self.is_kicked() {
            self.kicked.store(false, Relaxed);
        }
    }

    /// Whether the sentry has marked the thread as stuck.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Acquire)
    }

    /// Marks it, or takes the mark away; by the sentry only. Whether that changes anything.
    pub(super) fn mark(&self, stuck: bool) -> bool {
        let changes = self.stuck.load(Relaxed) != stuck;
        if changes {
            self.stuck.store(stuck, Release);
        }
        changes
    }
}

impl Own {
    #[cold]
    fn pop_pinned_too(&mut self) -> Option<Runnable> {
        self.pinned_next = !self.pinned_next;
        match self.pinned_next {
            true => self.pinned.pop_front(),
            false => self.queue.pop().or_else(|| self.pinned.pop_front()),
        }
    }
}

/// What a thread is in the middle of: which task, and which of its polls that is. It stays the same
/// for as long as that lasts, and for no two of them.
///
/// `id:40 | polls:24`; the id is one that no task has for what is done between polls, and the whole is 0
/// while the thread does nothing of others. Written by that thread only.
#[derive(Debug, Default)]
pub(super) struct Running(AtomicU64);

const POLLS: u32 = 24;

/// What a thread does of others that is no poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// It calls a hook.
    Hook = 1,
    /// It calls wakers, or drops them.
    Wakers = 2,
    /// It polls the future of a `block_on`.
    Root = 3,
}

/// Below this there are no numbers of tasks: they come in blocks, of which the first is not given out.
const FIRST_TASK: u64 = 4;

/// What [`Running`] said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    pub(super) const NOTHING: Self = Self(0);

    pub(super) fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }

    /// What it is beside a poll, or how the number of the task ends.
    pub(super) fn begun(self) -> Result<TaskEnd, Beside> {
        match self.0 >> POLLS {
            1 => Err(Beside::Hook),
            3 => Err(Beside::Root),
            // A task's number that ends in this comes once in 2⁴⁰.
            id if id < FIRST_TASK => Err(Beside::Wakers),
            id => Ok(TaskEnd(id)),
        }
    }
}

/// How the number of a task ends: in its last 40 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskEnd(u64);

impl TaskEnd {
    /// Whether it may be that of `task`: no other has it that lives at the same time, unless there were 2⁴⁰
    /// others in between.
    pub(super) fn is_of(self, task: TaskId) -> bool {
        task.as_u64() & (u64::MAX >> POLLS) == self.0
    }
}

impl Running {
    /// The thread begins with a poll, or ends the task: the `polls`th time that it begins something.
    /// What it was in before comes back.
    #[inline]
    pub(super) fn enter(&self, task: TaskId, polls: u64) -> u64 {
        self.begin(task.as_u64(), polls)
    }

    /// It begins with something else.
    pub(super) fn enter_beside(&self, what: Beside, polls: u64) -> u64 {
        self.begin(what as u64, polls)
    }

    #[inline]
    fn begin(&self, id: u64, polls: u64) -> u64 {
        let before = self.0.load(Relaxed);
        self.0.store(id << POLLS | polls & ((1 << POLLS) - 1), Relaxed);
        before
    }

    /// It is back in what it was in before.
    #[inline]
    pub(super) fn leave(&self, before: u64) {
        self.0.store(before, Relaxed);
    }

    /// What it is in the middle of.
    pub(super) fn get(&self) -> Word {
        Word(self.0.load(Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use super::*;
    use std::num::NonZeroU64;

    /// A poll of that number.
    pub(in super::super) fn word(poll: u64) -> Word {
        let running = Running(AtomicU64::new(0));
        running.enter(task(1024), poll);
        running.get()
    }

    fn task(id: u64) -> TaskId {
        TaskId::from_raw(NonZeroU64::new(id).unwrap())
    }

    #[test]
    fn what_runs_is_told_from_what_ran_before_and_comes_back() {
        let running = Running(AtomicU64::new(0));
        assert!(running.get().is_nothing());
        let outside = running.enter(task(1024), 1 << 24);
        let poll = running.get();
        assert!(!poll.is_nothing(), "also where the count has turned over");
        let within = running.enter_beside(Beside::Hook, 2);
        assert_eq!(running.get().begun(), Err(Beside::Hook));
        running.leave(within);
        assert_eq!(running.get(), poll);
        running.leave(outside);
        assert!(running.get().is_nothing());
        let _ = running.enter(task(1024), 3);
        assert_ne!(running.get(), poll, "another poll of the same task");
        assert_eq!(running.enter_beside(Beside::Wakers, 4), 1024 << 24 | 3);
        assert_eq!(running.get().begun(), Err(Beside::Wakers));
    }

    #[test]
    fn a_task_is_known_by_the_end_of_its_number() {
        let running = Running(AtomicU64::new(0));
        let long = 5 << 40 | 1077;
        let _ = running.enter(task(long), 7);
        let end = running.get().begun().unwrap();
        assert!(end.is_of(task(long)) && end.is_of(task(1077)) && !end.is_of(task(1078)));
    }
}
