//! The scheduler of one thread: a queue of its own, an inbox for others, and a driver to sleep in.
//!
//! A wake on the thread itself, while it runs, goes to the back of the own queue: no lock, no system
//! call. Any other wake or spawn goes to the inbox, under a lock, and unparks the driver. The thread
//! empties the inbox when it finds the driver notified, which it asks at least as often as
//! [`Fairness`] says, and before it sleeps.
//!
//! # The end
//!
//! The home is closed first: no new task gets in, and each of the living is asked to end, which
//! queues it. Then what is queued is run, that is dropped, until no task lives. A thread that has
//! claimed a task by its wake but not put it into the inbox yet is waited for, because a `!Send`
//! future may be dropped here only. At last the inbox is closed, and comes to hold nothing.

use super::fairness::Fairness;
use crate::context::{self, Current, DefaultExecutor, Outside, OwnQueue};
use crate::coop;
use crate::driver::{Driver, Turn};
use crate::hooks::{HookSet, PollOutcome};
use crate::primitives::{AtomicBool, Mutex, Ordering};
use crate::task::{Home, Placement, Ran, Runnable, Schedule, Spawn};
use crate::util::WakeList;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// The number of the one worker, as hooks are told it.
const WORKER: usize = 0;

/// The room that an empty queue keeps, in entries; beyond that it gives its memory back.
const KEEP: usize = 1024;

/// What other threads see of the scheduler.
#[derive(Debug)]
pub(crate) struct Shard {
    driver: Arc<Driver>,
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    tasks: VecDeque<Runnable>,
    closed: bool,
}

impl Schedule for Shard {
    #[inline]
    fn schedule(&self, task: Runnable) {
        if let Err(task) = context::push_own(self.driver.runtime(), task) {
            self.send(task);
        }
    }
}

impl Shard {
    /// Leaves a task for the thread to find.
    fn send(&self, task: Runnable) {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            drop(inbox);
            drop(task);
            return;
        }
        inbox.tasks.push_back(task);
        drop(inbox);
        self.driver.unpark();
    }
}

/// A home of one shard, as those see it who spawn.
#[derive(Debug)]
pub(crate) struct LocalSpawn(Arc<Home<Shard>>);

impl Spawn for LocalSpawn {
    fn place(&self) -> Placement {
        Placement::new(&self.0, context::next_task_id())
    }

    fn submit(&self, task: Runnable) {
        match self.0.admit(task) {
            Ok(task) => self.0.schedule(task),
            Err(refused) => drop(refused),
        }
    }
}

/// The queue of the thread itself.
#[derive(Debug, Default)]
struct Queue(RefCell<VecDeque<Runnable>>);

impl OwnQueue for Queue {
    #[inline]
    fn push(&self, task: Runnable) {
        self.0.borrow_mut().push_back(task);
    }

    fn takes_local(&self) -> bool {
        true
    }
}

impl Queue {
    #[inline]
    fn pop(&self) -> Option<Runnable> {
        self.0.borrow_mut().pop_front()
    }
}

/// The scheduler, on its thread.
pub(crate) struct Local {
    home: Arc<Home<Shard>>,
    queue: Rc<Queue>,
    current: Rc<Current>,
    /// The first `block_on` and each later one is told of by this waker.
    root: Arc<RootWaker>,
    state: RefCell<State>,
}

/// What only the loop uses.
struct State {
    fairness: Fairness,
    wakes: WakeList,
    /// How many of the queued tasks run before the root, which was found woken; `None` while it
    /// waits.
    before_root: Option<usize>,
}

/// The thread is inside the scheduler already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reentered;

impl fmt::Display for Reentered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this runtime is running already, further up on this thread's stack")
    }
}

impl Local {
    /// A scheduler for the present thread; `executor` makes that of its work that blocks.
    pub(crate) fn new(
        driver: Driver,
        hooks: HookSet,
        executor: impl FnOnce(Outside) -> Arc<dyn DefaultExecutor>,
    ) -> Self {
        let driver = Arc::new(driver);
        let shard = Shard { driver: Arc::clone(&driver), inbox: Mutex::new(Inbox::default()) };
        let home = Home::new_local(shard, hooks);
        let queue = Rc::new(Queue::default());
        let spawn: Arc<dyn Spawn> = Arc::new(LocalSpawn(Arc::clone(&home)));
        let calls = Arc::default();
        let outside = Outside {
            driver: Arc::clone(&driver),
            spawn: Arc::clone(&spawn),
            calls: Arc::clone(&calls),
        };
        let current = Rc::new(Current {
            driver: Arc::clone(&driver),
            spawn,
            executor: executor(outside),
            calls,
            own: Some(Rc::clone(&queue) as Rc<dyn OwnQueue>),
        });
        let fairness = Fairness::new(driver.clock().now());
        let root = Arc::new(RootWaker { woken: AtomicBool::new(false), driver });
        let state = RefCell::new(State { fairness, wakes: WakeList::new(), before_root: None });
        Self { home, queue, current, root, state }
    }

    /// What code on this thread finds while the scheduler runs.
    pub(crate) fn current(&self) -> &Current {
        &self.current
    }

    /// How many tasks have been spawned and have not ended.
    pub(crate) fn live_tasks(&self) -> usize {
        self.home.live_tasks()
    }

    /// Polls `root` and runs tasks beside it until it is ready.
    ///
    /// # Errors
    ///
    /// [`Reentered`] if the thread runs this scheduler already.
    pub(crate) fn block_on<F: Future>(&self, root: F) -> Result<F::Output, Reentered> {
        let mut state = self.state.try_borrow_mut().map_err(|_| Reentered)?;
        let _entered = context::enter(Rc::clone(&self.current));
        // Dropped before the runtime is left, so that its drop finds what a task's would.
        let mut root = pin!(root);
        let waker = Waker::from(Arc::clone(&self.root));
        let mut cx = Context::from_waker(&waker);
        // A swap, as a store would cut off what an earlier root's waker releases just now: its wake
        // would find the flag set later, and the poll need not see its news.
        self.root.woken.swap(true, Ordering::AcqRel);
        state.before_root = Some(0);
        // What was spawned and woken before comes before what the root spawns.
        self.take_inbox();
        loop {
            let mut worked = false;
            if self.root_is_next(&mut state) && self.root.take() {
                worked = true;
                state.before_root = None;
                let _budget = coop::start();
                if let Poll::Ready(output) = root.as_mut().poll(&mut cx) {
                    return Ok(output);
                }
            }
            worked |= self.run_some(&mut state);
            let turn = if worked || self.has_work() { Turn::Look } else { Turn::Sleep };
            if turn == Turn::Sleep || state.fairness.spend() {
                self.turn(turn, &mut state);
            }
        }
    }

    /// Whether the root was woken, and all tasks that were ready before it have run.
    ///
    /// It takes its turn as if it stood in the queue, so that neither it nor the tasks starve where
    /// both always have something to do.
    fn root_is_next(&self, state: &mut State) -> bool {
        self.root.is_woken()
            && *state.before_root.get_or_insert_with(|| self.queue.0.borrow().len()) == 0
    }

    /// Runs tasks until the queue is empty, it is the root's turn, or time to look outside.
    fn run_some(&self, state: &mut State) -> bool {
        let mut worked = false;
        while !self.root_is_next(state) {
            let Some(task) = self.queue.pop() else { break };
            worked = true;
            state.before_root = state.before_root.map(|tasks| tasks.saturating_sub(1));
            self.run(task);
            if state.fairness.spend() {
                break;
            }
        }
        worked
    }

    fn run(&self, task: Runnable) {
        let hooks = self.home.hooks();
        if hooks.is_empty() {
            if let Ran::Again(task) = task.run() {
                self.queue.push(task);
            }
            return;
        }
        self.run_and_tell(task);
    }

    #[cold]
    fn run_and_tell(&self, task: Runnable) {
        let hooks = self.home.hooks();
        let info = task.info();
        hooks.call(|hooks| hooks.on_poll_start(&info));
        let ran = task.run();
        let outcome = match &ran {
            Ran::Waits => PollOutcome::Pending,
            Ran::Again(_) => PollOutcome::Yielded,
            Ran::Done => PollOutcome::Done,
        };
        hooks.call(|hooks| hooks.on_poll_end(&info, outcome));
        if let Ran::Again(task) = ran {
            self.queue.push(task);
        }
    }

    /// Whether something is to be done that no event is needed for.
    fn has_work(&self) -> bool {
        // The notice is taken before anything is looked at. The other way round, a wake of the root
        // that comes in between would lose its notice after its flag was missed.
        self.take_inbox();
        self.root.is_woken() || !self.queue.0.borrow().is_empty()
    }

    /// If somebody has left something, takes the notice, and moves the tasks to the own queue.
    fn take_inbox(&self) {
        if self.current.driver.take_notified() {
            let mut inbox = self.home.inbox.lock();
            self.queue.0.borrow_mut().append(&mut inbox.tasks);
            inbox.tasks.shrink_to(KEEP);
        }
    }

    /// Turns the driver, then wakes whom that concerns.
    fn turn(&self, turn: Turn, state: &mut State) {
        let driver = &self.current.driver;
        let hooks = self.home.hooks();
        let mut how = turn;
        if turn == Turn::Sleep {
            self.give_back();
            hooks.call(|hooks| hooks.on_park(WORKER));
            if !hooks.is_empty() && self.has_work() {
                // The hook has spawned or woken something.
                how = Turn::Look;
            }
        }
        let turned = driver.turn(how, &mut state.wakes);
        if turn == Turn::Sleep {
            hooks.call(|hooks| hooks.on_unpark(WORKER));
        }
        state.wakes.wake_all();
        self.take_inbox();
        let now = driver.clock().now();
        match turn {
            Turn::Look => state.fairness.looked(now),
            Turn::Sleep => state.fairness.slept(now),
        }
        if let Err(error) = turned {
            panic!("the runtime cannot wait for events any more: {error}");
        }
    }

    /// Gives back what a peak has left behind.
    fn give_back(&self) {
        let mut queue = self.queue.0.borrow_mut();
        if queue.is_empty() && queue.capacity() > KEEP {
            queue.shrink_to(KEEP);
        }
    }

    /// Ends all tasks and all waits; see the module's documentation.
    fn shut_down(&self) {
        let entered = context::enter(Rc::clone(&self.current));
        self.home.close();
        let mut wakes = WakeList::new();
        loop {
            self.take_inbox();
            while let Some(task) = self.queue.pop() {
                self.run(task);
            }
            if self.home.live_tasks() == 0 {
                break;
            }
            // Another thread has claimed the rest, and is on its way to the inbox. What the driver
            // says meanwhile only wakes tasks that are ending.
            if self.current.driver.turn(Turn::Sleep, &mut wakes).is_err() {
                std::thread::yield_now();
            }
            wakes.wake_all();
        }
        let mut inbox = self.home.inbox.lock();
        inbox.closed = true;
        let left = std::mem::take(&mut inbox.tasks);
        drop(inbox);
        debug_assert!(left.is_empty(), "a task was queued after all had ended");
        self.current.driver.shut_down(&mut wakes);
        // Nothing of this runtime runs any more; who is told now must not take it for the current.
        drop(entered);
        wakes.wake_all();
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("home", &self.home).finish_non_exhaustive()
    }
}

/// The waker of the future given to `block_on`.
#[derive(Debug)]
struct RootWaker {
    woken: AtomicBool,
    driver: Arc<Driver>,
}

impl RootWaker {
    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        self.is_woken() && self.woken.swap(false, Ordering::AcqRel)
    }

    fn runtime(&self) -> NonZeroU64 {
        self.driver.runtime()
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // On the thread itself the loop looks at the flag before it sleeps.
        if !self.woken.swap(true, Ordering::AcqRel) && !context::runs_here(self.runtime()) {
            self.driver.unpark();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::Clock;
    use crate::primitives::unique_id;
    use crate::scheduler::no_executor::NoExecutor;
    use crate::task::spawn;
    use std::panic::Location;
    use std::pin::pin;
    use std::time::Duration;

    #[test]
    fn the_inbox_gives_back_what_a_peak_has_left() {
        let driver = Driver::new(unique_id(), Clock::real(), Duration::from_millis(1)).unwrap();
        let local = Local::new(driver, HookSet::new(None), |_| Arc::new(NoExecutor));
        for _ in 0..100 * KEEP {
            drop(spawn(&*local.current().spawn, async {}, Location::caller()));
        }
        // It begins with a look into the inbox.
        local.block_on(pin!(async {})).unwrap();
        assert!(local.home.inbox.lock().tasks.capacity() <= 2 * KEEP);
    }
}
