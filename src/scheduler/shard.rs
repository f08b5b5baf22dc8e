//! One worker's share of a runtime: its queue, and what others may reach of it.

use super::counters::Counters;
use crate::driver::Driver;
use crate::primitives::{AtomicU64, AtomicUsize, Mutex, Ordering, Stealer, ThreadKey, Worker};
use crate::task::{Graves, Notice, OwnedSlot, Runnable, TaskId, ThreadBound};
use std::collections::VecDeque;
use std::sync::Arc;

/// The room that an empty queue keeps, in entries.
const KEEP: usize = 1024;

/// After so many tasks in a row out of the slot, one comes from the queue: two that wake each other
/// must not keep it to themselves.
const SLOT_IN_A_ROW: u32 = 3;

/// A worker, as all threads see it.
#[derive(Debug)]
pub(super) struct Shard {
    /// Where it sleeps.
    pub(super) driver: Arc<Driver>,
    own: ThreadBound<Own>,
    /// The other end of the own queue.
    pub(super) stealer: Stealer<Runnable>,
    /// The task that was woken last by one that runs, and runs next. Others take it only from a worker
    /// that does not come to it.
    pub(super) slot: OwnedSlot,
    /// So many tasks are no surplus; written by the worker.
    keeps: AtomicUsize,
    inbox: Mutex<Inbox>,
    /// Tasks of others that have ended here.
    pub(super) graves: Graves,
    pub(super) running: Running,
    pub(super) counters: Counters,
}

/// What only the worker's thread touches.
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

/// Whether there is more to do than what the worker does next, so that another could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Surplus {
    No,
    Yes,
}

#[derive(Debug, Default)]
struct Inbox {
    left: VecDeque<Left>,
    closed: bool,
}

/// What another thread has left for one worker.
#[derive(Debug)]
pub(super) enum Left {
    /// A task that begins there, and may go elsewhere afterwards.
    Task(Runnable),
    /// A task that stays there.
    Pinned(Runnable),
    /// A task that stays there was woken.
    Notice(Notice),
}

impl Shard {
    /// The shard of a worker whose thread need not have begun.
    pub(super) fn new(thread: ThreadKey, driver: Arc<Driver>) -> Self {
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
            driver,
            own: ThreadBound::of(thread, own),
            stealer,
            slot: OwnedSlot::new(),
            keeps: AtomicUsize::new(1),
            inbox: Mutex::default(),
            graves: Graves::of(thread),
            running: Running(AtomicU64::new(0)),
            counters: Counters::default(),
        }
    }

    /// Calls `f`, which runs no code of others, with what is the worker's own.
    #[inline]
    fn own<R>(&self, f: impl FnOnce(&mut Own) -> R) -> R {
        match self.own.with((), |own, ()| f(own)) {
            Ok(result) => result,
            Err(()) => unreachable!("a worker's own is reached on its thread"),
        }
    }

    /// Queues a task that was woken or spawned on this worker; it comes back where the queue is in
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

    /// The next task of this worker.
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

    /// Whether another worker could help with what is queued.
    pub(super) fn surplus(&self) -> Surplus {
        self.own(|own| self.surplus_of(own, usize::from(!self.slot.is_empty())))
    }

    /// Whether what is queued, and in the slot, is more than the worker keeps to itself.
    #[inline]
    fn surplus_of(&self, own: &Own, in_slot: usize) -> Surplus {
        let keeps = self.keeps.load(Ordering::Relaxed);
        if own.queue.len() + in_slot > keeps { Surplus::Yes } else { Surplus::No }
    }

    /// Whether the worker had a surplus when it last took a task, as far as another can tell: it may have
    /// called nobody for that, as one searched.
    pub(super) fn had_surplus(&self) -> bool {
        let queued = self.stealer.len();
        let in_slot = || usize::from(!self.slot.is_empty());
        // The one that it is in the middle of counts.
        queued > 0 && queued + in_slot() >= self.keeps.load(Ordering::Relaxed)
    }

    /// From now on a queue with so many tasks is no surplus.
    pub(super) fn keep(&self, tasks: usize) {
        // Others read it, and are not to lose the line for nothing.
        if self.keeps.load(Ordering::Relaxed) != tasks {
            self.keeps.store(tasks, Ordering::Relaxed);
        }
    }

    /// How many tasks wait here for their turn, as far as anybody may see; those that stay here count only
    /// as long as they are in the inbox.
    pub(super) fn queued(&self) -> usize {
        let next = usize::from(!self.slot.is_empty());
        self.stealer.len() + next + self.inbox.lock().left.len()
    }

    /// Whether the worker itself has nothing to do.
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

    /// Leaves something for the worker; a worker that has ended gives it back.
    ///
    /// The caller unparks the driver.
    pub(super) fn leave(&self, left: Left) -> Result<(), Left> {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return Err(left);
        }
        inbox.left.push_back(left);
        Ok(())
    }

    /// Takes what others have left, and leaves them the room of `spare`, which is empty.
    pub(super) fn take_inbox(&self, spare: VecDeque<Left>) -> VecDeque<Left> {
        std::mem::replace(&mut self.inbox.lock().left, spare)
    }

    /// Takes those tasks out of the inbox that need not begin here.
    pub(super) fn take_placed(&self) -> Vec<Runnable> {
        let mut inbox = self.inbox.lock();
        let mut placed = Vec::new();
        for left in std::mem::take(&mut inbox.left) {
            match left {
                Left::Task(task) => placed.push(task),
                stays => inbox.left.push_back(stays),
            }
        }
        placed
    }

    /// Nothing can be left any more; gives what was.
    pub(super) fn close_inbox(&self) -> VecDeque<Left> {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        std::mem::take(&mut inbox.left)
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

/// What a worker is in the middle of: which task, and which of its polls that is. It stays the same
/// for as long as that lasts, and for no two of them.
///
/// `id:40 | polls:24`; the id is 0 for what the worker does between polls, and the whole is 0 while it
/// does nothing of others. Written by the worker only.
#[derive(Debug)]
pub(super) struct Running(AtomicU64);

const POLLS: u32 = 24;

impl Running {
    /// The worker begins with a poll, or ends the task: the `polls`th time that it begins something.
    /// What it was in before comes back.
    #[inline]
    pub(super) fn enter(&self, task: Option<TaskId>, polls: u64) -> u64 {
        let before = self.0.load(Ordering::Relaxed);
        let id = task.map_or(0, TaskId::as_u64);
        // One that does nothing is told from all others.
        let polls = (polls & ((1 << POLLS) - 1)).max(1);
        self.0.store(id << POLLS | polls, Ordering::Relaxed);
        before
    }

    /// It is back in what it was in before.
    #[inline]
    pub(super) fn leave(&self, before: u64) {
        self.0.store(before, Ordering::Relaxed);
    }

    /// What it is in the middle of, or 0.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
