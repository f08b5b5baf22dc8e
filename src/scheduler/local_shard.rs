//! Where the tasks of a one-thread scheduler are queued: by the thread itself, and by others.

use crate::context;
use crate::driver::Driver;
use crate::primitives::Mutex;
use crate::task::{Home, Notice, Placement, Runnable, Schedule, Spawn, ThreadBound};
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
            Ok(Pushed::Unseen) => self.driver.unpark(),
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
        Self { driver, own, inbox: Mutex::new(Inbox::default()) }
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
        match task.admit() {
            Ok(task) => self.0.schedule(task),
            Err(refused) => drop(refused),
        }
    }
}

/// Queues tasks of other homes, which this one's thread is to run.
impl Schedule for LocalSpawn {
    fn schedule(&self, task: Runnable) {
        self.0.schedule(task);
    }
}
