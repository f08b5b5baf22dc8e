//! The scheduler of one thread: a queue of its own, an inbox for others, and a driver to sleep in.
//!
//! A wake on the thread itself, while it runs, goes to the back of the own queue: no lock, no system
//! call. Any other wake or spawn goes to the inbox, under a lock, and unparks the driver. The thread
//! empties the inbox when it finds the driver notified, which it asks at least as often as
//! [`Fairness`] says, and before it sleeps.
//!
//! In a deterministic runtime [`Seeded`] picks who runs, in place of the queue's order, and shuffles
//! what a turn of the driver wakes. There the queue also holds closures that block, which go to the
//! executor when they are picked.
//!
//! # The end
//!
//! The home is closed first: no new task gets in, and each of the living is asked to end, which
//! queues it. Then what is queued is run, that is dropped, until no task lives. A thread that has
//! claimed a task by its wake but not put it into the inbox yet is waited for, because a `!Send`
//! future may be dropped here only. At last the inbox is closed, and comes to hold nothing.

use super::fairness::Fairness;
use super::host::Stay;
use super::seeded::Seeded;
use crate::context::{self, Current, DefaultExecutor, Outside, OwnQueue};
use crate::coop;
use crate::driver::{Driver, Turn};
use crate::hooks::{HookSet, PollOutcome, TaskKind};
use crate::primitives::{AtomicBool, Mutex, Ordering};
use crate::task::{Home, Placement, Ran, Runnable, Schedule, Spawn};
use crate::util::WakeList;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// The number of the one worker, as hooks are told it.
pub(super) const WORKER: usize = 0;

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

/// Queues tasks of other homes, which this one's thread is to run.
impl Schedule for LocalSpawn {
    fn schedule(&self, task: Runnable) {
        self.0.schedule(task);
    }
}

/// The queue of the thread itself.
#[derive(Debug, Default)]
pub(super) struct Queue(RefCell<VecDeque<Runnable>>);

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

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// The scheduler, on its thread.
pub(crate) struct Local {
    pub(super) home: Arc<Home<Shard>>,
    pub(super) queue: Rc<Queue>,
    pub(super) current: Rc<Current>,
    /// A host has asked for the descriptor.
    pub(super) watched: Cell<bool>,
    /// The last that hooks were told was a park in the host.
    pub(super) told_parked: Cell<bool>,
    /// The first `block_on` and each later one is told of by this waker.
    root: Arc<RootWaker>,
    pub(super) state: RefCell<State>,
}

/// What only the loop uses.
pub(super) struct State {
    fairness: Fairness,
    pub(super) wakes: WakeList,
    /// How many of the queued tasks run before the root, which was found woken; `None` while it
    /// waits.
    before_root: Option<usize>,
    /// Who decides where the order is not that of the queue.
    seeded: Option<Box<Seeded>>,
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
    /// A scheduler for the present thread; `executor` makes that of its work that blocks, of what
    /// others need to enter the runtime, and of where tasks of its own are queued for this thread.
    pub(crate) fn new(
        driver: Driver,
        hooks: HookSet,
        executor: impl FnOnce(Outside, Arc<dyn Schedule>) -> Arc<dyn DefaultExecutor>,
    ) -> Self {
        let driver = Arc::new(driver);
        let shard = Shard { driver: Arc::clone(&driver), inbox: Mutex::new(Inbox::default()) };
        let home = Home::new_local(shard, hooks);
        let queue = Rc::new(Queue::default());
        let queues = Arc::new(LocalSpawn(Arc::clone(&home)));
        let spawn: Arc<dyn Spawn> = queues.clone();
        let calls = Arc::default();
        let outside = Outside {
            driver: Arc::clone(&driver),
            spawn: Arc::clone(&spawn),
            calls: Arc::clone(&calls),
        };
        let current = Rc::new(Current {
            driver: Arc::clone(&driver),
            spawn,
            executor: executor(outside, queues),
            calls,
            own: Some(Rc::clone(&queue) as Rc<dyn OwnQueue>),
        });
        let fairness = Fairness::new(driver.clock().now());
        let root = Arc::new(RootWaker { woken: AtomicBool::new(false), driver });
        let state = State { fairness, wakes: WakeList::new(), before_root: None, seeded: None };
        let (watched, told_parked) = (Cell::new(false), Cell::new(false));
        Self { home, queue, current, watched, told_parked, root, state: RefCell::new(state) }
    }

    /// Leaves to `seeded` in which order tasks run and are woken.
    pub(crate) fn in_order_of(mut self, seeded: Seeded) -> Self {
        self.state.get_mut().seeded = Some(Box::new(seeded));
        self
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
        let _stay = Stay::begin(self);
        let _entered = context::enter(Rc::clone(&self.current));
        self.tell_unparked();
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
            if self.is_turn_of_root(&mut state) && self.root.take() {
                worked = true;
                state.before_root = None;
                if let Some(seeded) = &mut state.seeded {
                    seeded.take_root();
                }
                let _budget = coop::start();
                if let Poll::Ready(output) = root.as_mut().poll(&mut cx) {
                    return Ok(output);
                }
            }
            worked |= match state.seeded {
                None => self.run_some(&mut state),
                Some(_) => self.run_seeded(&mut state),
            };
            let turn = if worked || self.has_work() { Turn::Look } else { Turn::Sleep };
            if turn == Turn::Sleep || state.fairness.spend() {
                self.turn(turn, &mut state);
            }
        }
    }

    /// Whether the root runs now.
    fn is_turn_of_root(&self, state: &mut State) -> bool {
        match &mut state.seeded {
            None => self.root_is_next(state),
            Some(seeded) => {
                let (woken, tasks) = (self.root.is_woken(), self.queue.0.borrow().len());
                seeded.picks_root(woken, tasks, self.current.driver.clock().now())
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

    /// As [`run_some`](Self::run_some), in the order that the seed says.
    fn run_seeded(&self, state: &mut State) -> bool {
        let mut worked = false;
        while !self.is_turn_of_root(state) {
            let Some(seeded) = &mut state.seeded else { break };
            let Some(task) = seeded.take(&mut self.queue.0.borrow_mut()) else { break };
            worked = true;
            self.run_any(task);
            if state.fairness.spend() {
                break;
            }
        }
        worked
    }

    /// Runs the next task, in a turn, in which no root takes part; `false` if there is none.
    pub(super) fn run_next(&self, state: &mut State) -> bool {
        let Some(seeded) = &mut state.seeded else {
            return self.queue.pop().map(|task| self.run(task)).is_some();
        };
        let tasks = self.queue.0.borrow().len();
        seeded.picks_root(false, tasks, self.current.driver.clock().now());
        let next = seeded.take(&mut self.queue.0.borrow_mut());
        next.map(|task| self.run_any(task)).is_some()
    }

    /// Runs a task of this home, or one of the executor's that was queued here.
    fn run_any(&self, task: Runnable) {
        if task.info().kind == TaskKind::Blocking {
            self.current.executor.run_inline(task);
            // What it has woken and spawned, from outside as it were, takes part from now on.
            self.take_inbox();
        } else {
            self.run(task);
        }
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
    pub(super) fn has_work(&self) -> bool {
        // The notice is taken before anything is looked at. The other way round, a wake of the root
        // that comes in between would lose its notice after its flag was missed.
        self.take_inbox();
        self.root.is_woken() || !self.queue.is_empty()
    }

    /// If somebody has left something, takes the notice, and moves the tasks to the own queue.
    pub(super) fn take_inbox(&self) {
        if self.current.driver.take_notified() {
            let mut inbox = self.home.inbox.lock();
            self.queue.0.borrow_mut().append(&mut inbox.tasks);
            inbox.tasks.shrink_to(KEEP);
        }
    }

    /// Turns the driver, then wakes whom that concerns.
    fn turn(&self, turn: Turn, state: &mut State) {
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
        let turned = self.current.driver.turn(how, &mut state.wakes);
        if turn == Turn::Sleep {
            hooks.call(|hooks| hooks.on_unpark(WORKER));
        }
        self.settle(turn, state);
        match turned {
            Err(error) => panic!("the runtime cannot wait for events any more: {error}"),
            Ok(turned) if turned.stuck => self.tell_deadlock(),
            Ok(_) => {}
        }
    }

    /// Wakes whom a turn of the driver concerns, and takes what others have left.
    pub(super) fn settle(&self, turn: Turn, state: &mut State) {
        if let Some(seeded) = &mut state.seeded {
            seeded.shuffle(&mut state.wakes);
        }
        state.wakes.wake_all();
        self.take_inbox();
        let clock = self.current.driver.clock();
        match (&mut state.seeded, turn) {
            (None, Turn::Look) => state.fairness.looked(clock.now()),
            (None, Turn::Sleep) => state.fairness.slept(clock.now()),
            (Some(seeded), _) => state.fairness.allow(seeded.polls_until_look()),
        }
    }

    #[cold]
    fn tell_deadlock(&self) -> ! {
        let paused = self.current.driver.clock().as_virtual().is_some_and(|time| time.is_paused());
        let why = if paused { "the clock is paused" } else { "no timer is armed" };
        let tasks = self.live_tasks();
        panic!("nothing can run and {why}: deadlock of {tasks} live tasks and the root");
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
                self.end(task);
            }
            if self.home.live_tasks() == 0 {
                break;
            }
            // Another thread has claimed the rest, and is on its way to the inbox. What the driver
            // says meanwhile only wakes tasks that are ending.
            if self.current.driver.check_process().is_err() {
                // That thread is in the parent. It will not come.
                break;
            }
            if self.current.driver.turn(Turn::Sleep, &mut wakes).is_err() {
                std::thread::yield_now();
            }
            wakes.wake_all();
        }
        let mut inbox = self.home.inbox.lock();
        inbox.closed = true;
        let left = std::mem::take(&mut inbox.tasks);
        drop(inbox);
        // The executor takes in closures until it ends itself, from any thread.
        debug_assert!(
            left.iter().all(|task| task.info().kind == TaskKind::Blocking),
            "a task was queued after all had ended"
        );
        drop(left);
        self.current.driver.shut_down(&mut wakes);
        // Nothing of this runtime runs any more; who is told now must not take it for the current.
        drop(entered);
        wakes.wake_all();
    }
}

impl Local {
    /// Runs a task that was asked to end; one of the executor's own has not begun, and is dropped.
    fn end(&self, task: Runnable) {
        match task.info().kind {
            TaskKind::Blocking => drop(task),
            TaskKind::Send | TaskKind::Local => self.run(task),
        }
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
    use crate::driver::{Clock, KernelTimers};
    use crate::primitives::unique_id;
    use crate::scheduler::no_executor::NoExecutor;
    use crate::task::spawn;
    use std::panic::Location;
    use std::pin::pin;
    use std::time::Duration;

    #[test]
    fn the_inbox_gives_back_what_a_peak_has_left() {
        let driver =
            Driver::new(unique_id(), Clock::real(), Duration::from_millis(1), KernelTimers::Unused)
                .unwrap();
        let local = Local::new(driver, HookSet::new(None), |_, _| Arc::new(NoExecutor));
        for _ in 0..100 * KEEP {
            drop(spawn(&*local.current().spawn, async {}, Location::caller()));
        }
        // It begins with a look into the inbox.
        local.block_on(pin!(async {})).unwrap();
        assert!(local.home.inbox.lock().tasks.capacity() <= 2 * KEEP);
    }
}
