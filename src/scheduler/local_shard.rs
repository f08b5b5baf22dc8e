//! Where the tasks of a one-thread scheduler are queued: by the thread itself, and by others.

use super::counters::Counters;
use super::local::WORKER;
use super::tally::Tally;
use crate::context;
use crate::driver::Driver;
use crate::hooks::{Metrics, TaskId, TaskKind};
use crate::primitives::{AtomicUsize, Mutex, Ordering::Relaxed};
use crate::task::{
    Birth, Found, Home, Notice, Placement, Runnable, Schedule, Spawn, TaskDump, ThreadBound,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// The room that an empty queue keeps, in entries; beyond that it gives its memory back.
pub(super) const KEEP: usize = 1024;

/// What other threads see of the scheduler.
#[derive(Debug)]
pub(crate) struct Shard {
    driver: Arc<Driver>,
    own: ThreadBound<Queue>,
    pub(super) inbox: Mutex<Inbox>,
    pub(super) counters: Counters,
    pub(super) tally: Tally,
    /// How long the own queue was when the thread last said so, for others.
    depth: AtomicUsize,
}

/// The queue of the thread itself.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) tasks: VecDeque<Runnable>,
    /// The scheduler is on the thread's stack, and looks here before it sleeps.
    pub(super) runs: bool,
    pub(super) closed: bool,
}

/// What became of a task that was to be queued.
enum Pushed {
    /// The loop comes to it.
    Seen,
    /// The loop does not run now.
    Unseen,
    Closed(Runnable),
}

impl Queue {
    #[inline]
    fn push(&mut self, task: Runnable) -> Pushed {
        if self.closed {
            return Pushed::Closed(task);
        }
        self.tasks.push_back(task);
        if self.runs { Pushed::Seen } else { Pushed::Unseen }
    }
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) left: VecDeque<Left>,
    pub(super) closed: bool,
}

/// What another thread has left.
#[derive(Debug)]
pub(super) enum Left {
    /// A task that is new, or of another home.
    Task(Runnable),
    /// A task of this home that was woken.
    Notice(Notice),
}

impl Schedule for Shard {
    #[inline]
    fn schedule(&self, task: Runnable) {
        match self.own.with(task, Queue::push) {
            Ok(Pushed::Seen) => {}
            Ok(Pushed::Unseen) => self.tell_host(),
            // All tasks have ended: this stands for the root, or for a closure.
            Ok(Pushed::Closed(task)) => drop(task),
            Err(task) => self.leave(Left::Task(task)),
        }
    }

    fn notice(&self, notice: Notice) {
        self.leave(Left::Notice(notice));
    }
}

impl Shard {
    /// For the present thread, which sleeps in `driver`.
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        let own = ThreadBound::new(Queue::default());
        let (inbox, counters) = (Mutex::new(Inbox::default()), Counters::default());
        let (tally, depth) = (Tally::default(), AtomicUsize::new(0));
        Self { driver, own, inbox, counters, tally, depth }
    }

    /// Something was queued by the thread itself while the loop does not run.
    #[cold]
    #[inline(never)]
    fn tell_host(&self) {
        self.say_depth();
        self.driver.unpark();
    }

    /// When a task is born that is spawned now.
    #[inline]
    fn birth(&self) -> Birth {
        self.counters.present.get().unwrap_or_else(|| self.exact_birth())
    }

    /// The same, by a fresh reading of the clock.
    #[cold]
    #[inline(never)]
    fn exact_birth(&self) -> Birth {
        Birth::from_nanos(self.driver.clock().now().as_nanos())
    }

    /// Leaves something for the thread to find.
    fn leave(&self, left: Left) {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            drop(inbox);
            drop(left);
            return;
        }
        inbox.left.push_back(left);
        drop(inbox);
        self.driver.unpark();
    }

    /// Calls `f`, which runs no code of others, with the queue; on the scheduler's thread.
    #[inline]
    pub(super) fn queue<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        match self.own.with((), |queue, ()| f(queue)) {
            Ok(result) => result,
            Err(()) => unreachable!("the scheduler runs on its own thread"),
        }
    }

    /// Tells others how long the queue is; on the scheduler's thread.
    pub(super) fn say_depth(&self) {
        self.depth.store(self.queue(|queue| queue.tasks.len()), Relaxed);
    }

    /// How long the queue is, as far as this thread knows.
    fn depth(&self) -> usize {
        let here = self.own.with((), |queue, ()| queue.tasks.len());
        here.unwrap_or_else(|()| self.depth.load(Relaxed))
    }

    #[inline]
    pub(super) fn push(&self, task: Runnable) {
        self.queue(|queue| queue.tasks.push_back(task));
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        self.queue(|queue| queue.tasks.pop_front())
    }
}

/// A home of one shard, as those see it who spawn.
#[derive(Debug)]
pub(crate) struct LocalSpawn(pub(super) Arc<Home<Shard>>);

impl Spawn for LocalSpawn {
    fn place(&self) -> Placement {
        Placement::new(&self.0, context::next_task_id())
    }

    fn submit(&self, task: Runnable) {
        match task.admit(self.0.birth()) {
            Ok(task) => self.0.schedule(task),
            Err(refused) => drop(refused),
        }
    }

    fn dump(&self, into: &mut Vec<TaskDump>) {
        self.0.dump(Some(WORKER), || self.0.exact_birth(), into);
    }

    fn find(&self, wanted: &dyn Fn(TaskId) -> bool) -> Option<Found> {
        self.0.find(wanted)
    }

    fn staying(&self, _: usize, beside: Option<TaskKind>) -> usize {
        self.0.live_tasks().saturating_sub(usize::from(beside.is_some()))
    }

    fn measure(&self, metrics: &mut Metrics) {
        let shard = &self.0;
        metrics.workers.push(shard.counters.read(shard.depth()));
        metrics.injector += shard.inbox.lock().left.len();
        metrics.alive_tasks += shard.live_tasks();
        let waiting = shard.driver.count();
        metrics.timers += waiting.timers;
        metrics.registrations += waiting.registrations;
        shard.tally.measure(metrics);
    }
}

/// Queues tasks of other homes, which this one's thread is to run.
impl Schedule for LocalSpawn {
    fn schedule(&self, task: Runnable) {
        self.0.schedule(task);
    }
}
