//! The scheduler of one thread: a queue of its own, an inbox for others, and a driver to sleep in.
//!
//! A wake or spawn on the thread itself goes to the back of the own queue: no lock, and no system call
//! while the thread runs; between turns it unparks the driver, as a host may watch the descriptor. One
//! from elsewhere goes to the inbox, under a lock, and unparks the driver. The thread empties the inbox
//! when it finds the driver notified, which it asks at least as often as [`Fairness`] says, and before
//! it sleeps.
//!
//! The future of a `block_on` stands in the queue as a task does, so that neither it nor the tasks
//! starve where both always have something to do; it takes the first turn.
//!
//! In a deterministic runtime [`Seeded`] picks who runs, in place of the queue's order, and shuffles
//! what a turn of the driver wakes. There the queue also holds closures that block, which go to the
//! executor when they are picked.
//!
//! # The end
//!
//! The home is closed first: no new task gets in, and each of the living is asked to end, which
//! queues it. Then what is queued is run, that is dropped, until no task lives. A thread that has
//! spawned a task but not put it into the inbox yet is waited for, because it was promised that the
//! task ends here. At last the inbox and the queue are closed, and come to hold nothing.

use super::fairness::Fairness;
use super::host::Stay;
use super::local_shard::{KEEP, Left, LocalSpawn, Queue, Shard};
use super::local_watch::Watching;
use super::seat::Beside;
use super::seeded::Seeded;
use crate::context::{self, Current, DefaultExecutor, Outside, Runs};
use crate::coop;
use crate::driver::{Driver, Instant, Turn, Turned};
use crate::hooks::{HookSet, TaskKind};
use crate::task::{Home, Ran, Root, Runnable, Schedule, Spawn};
use crate::util::{Patience, WakeList};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How often it looks at the most before it sleeps: for about 45 µs.
const LOOKS: u32 = 1 << 12;

/// The number of the one worker, as hooks are told it.
pub(super) const WORKER: usize = 0;

/// The scheduler, on its thread.
pub(crate) struct Local {
    pub(super) home: Arc<Home<Shard>>,
    pub(super) current: Rc<Current>,
    /// A host has asked for the descriptor.
    pub(super) watched: Cell<bool>,
    /// The last that hooks were told was a park in the host.
    pub(super) told_parked: Cell<bool>,
    /// What stands in the queue for the future of each `block_on`.
    root: Root,
    pub(super) state: RefCell<State>,
    /// Room for what is taken out of the inbox.
    spare: Cell<VecDeque<Left>>,
    /// Until when it is counted how long the thread was busy.
    pub(super) counted: Cell<Instant>,
    /// Since its last sleep it was given something by other threads.
    given: Cell<bool>,
    /// Nobody is told of polls, and nobody watches.
    is_plain: bool,
    pub(super) watching: Option<Watching>,
}

/// What only the loop uses.
pub(super) struct State {
    fairness: Fairness,
    pub(super) wakes: WakeList,
    patience: Patience,
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
        let is_plain = hooks.is_empty();
        let home = Home::new_owned(Shard::new(Arc::clone(&driver)), hooks);
        let queues = Arc::new(LocalSpawn(Arc::clone(&home)));
        let spawn: Arc<dyn Spawn> = queues.clone();
        let calls = Arc::default();
        let outside = Outside {
            driver: Arc::clone(&driver),
            spawn: Arc::clone(&spawn),
            calls: Arc::clone(&calls),
        };
        let now = driver.clock().now();
        let fairness = Fairness::new(now);
        let executor = executor(outside, queues);
        let current = Rc::new(Current { driver, spawn, executor, calls, runs: Runs::All });
        let root = Root::new(&home, context::next_task_id());
        let (wakes, patience) = (WakeList::new(), Patience::new(LOOKS));
        let state = RefCell::new(State { fairness, wakes, patience, seeded: None });
        let (watched, told_parked) = (Cell::new(false), Cell::new(false));
        let (spare, counted, given) = (Cell::default(), Cell::new(now), Cell::new(false));
        Self {
            home,
            current,
            watched,
            told_parked,
            root,
            state,
            spare,
            counted,
            given,
            is_plain,
            watching: None,
        }
    }

    /// Has a sentry tell of what the thread does not return from for so long, if it is to.
    pub(crate) fn watched_by_sentry(mut self, report_after: Option<Duration>) -> io::Result<Self> {
        if let Some(after) = report_after {
            self.watch(after)?;
            self.is_plain = false;
        }
        Ok(self)
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
        let _stay = Stay::begin(self, self.current.driver.clock().now());
        let _entered = context::enter(Rc::clone(&self.current));
        self.tell_unparked();
        // Dropped before the runtime is left, so that its drop finds what a task's would.
        let mut root = pin!(root);
        self.forget_root();
        if let Some(task) = self.root.claim() {
            self.home.queue(|queue| queue.tasks.push_front(task));
        }
        // What was spawned and woken before comes before what the root spawns.
        self.take_inbox();
        loop {
            let task = self.run_until_root(&mut state);
            let budget = coop::start();
            let polled = self.root.poll(task, |cx| root.as_mut().poll(cx));
            drop(budget);
            match polled {
                (Poll::Ready(output), again) => {
                    again.into_iter().for_each(|task| self.root.forget(task));
                    return Ok(output);
                }
                (Poll::Pending, again) => again.into_iter().for_each(|task| self.home.push(task)),
            }
            if state.fairness.spend() {
                self.look(&mut state);
            }
        }
    }

    /// Runs tasks, looks outside and sleeps until it is the turn of the root, which comes back.
    fn run_until_root(&self, state: &mut State) -> Runnable {
        if let Some(watching) = &self.watching {
            watching.leave_root();
        }
        loop {
            match self.next(state) {
                Some(task) if self.root.is(&task) => {
                    if let Some(watching) = &self.watching {
                        watching.enter_root();
                    }
                    return task;
                }
                Some(task) => {
                    self.run_next(task, state);
                    if state.fairness.spend() {
                        self.look(state);
                    }
                }
                None if self.has_work() => {}
                None => self.sleep(state),
            }
        }
    }

    /// Runs the next task, in a turn, in which no root takes part; `false` if there is none.
    pub(super) fn run_one(&self, state: &mut State) -> bool {
        while let Some(task) = self.next(state) {
            if !self.root.is(&task) {
                self.run_next(task, state);
                return true;
            }
            self.root.forget(task);
        }
        false
    }

    /// Takes out of the queue whose turn it is.
    #[inline(always)]
    fn next(&self, state: &mut State) -> Option<Runnable> {
        match &mut state.seeded {
            None => self.home.pop(),
            Some(seeded) => self.pick(seeded),
        }
    }

    #[cold]
    fn pick(&self, seeded: &mut Seeded) -> Option<Runnable> {
        let now = self.current.driver.clock().now();
        // Outside the queue: a panic calls the hook for it, which may wake or spawn.
        let at = seeded.pick(self.home.queue(|queue| queue.tasks.len()), now)?;
        // In order, so that the first stays the oldest.
        self.home.queue(|queue| queue.tasks.remove(at))
    }

    #[inline(always)]
    fn run_next(&self, task: Runnable, state: &State) {
        match state.seeded {
            None => self.run(task),
            Some(_) => self.run_any(task),
        }
    }

    /// Runs a task of this home, or one of the executor's that was queued here.
    fn run_any(&self, task: Runnable) {
        if is_closure(&task) {
            self.current.executor.run_inline(task);
        } else {
            self.run(task);
        }
    }

    #[inline(always)]
    fn run(&self, task: Runnable) {
        self.home.counters.polls.add(1);
        if self.is_plain {
            if let Ran::Again(task) = task.run() {
                self.home.push(task);
            }
            return;
        }
        self.run_and_tell(task);
    }

    /// Whether something is to be done that no event is needed for.
    pub(super) fn has_work(&self) -> bool {
        self.take_inbox();
        !self.is_queue_empty()
    }

    pub(super) fn is_queue_empty(&self) -> bool {
        self.home.queue(|queue| queue.tasks.is_empty())
    }

    /// If somebody has left something, takes the notice, and moves the tasks to the own queue.
    #[inline]
    pub(super) fn take_inbox(&self) {
        if self.current.driver.take_notified() {
            self.empty_inbox();
        }
    }

    fn empty_inbox(&self) {
        let mut left = self.spare.take();
        std::mem::swap(&mut left, &mut self.home.inbox.lock().left);
        self.given.set(self.given.get() || !left.is_empty());
        // To take a notice may be to free a task, with what its user has hung on it.
        for left in left.drain(..) {
            let task = match left {
                Left::Task(task) => Some(task),
                Left::Notice(notice) => notice.take(),
            };
            task.into_iter().for_each(|task| self.home.push(task));
        }
        left.shrink_to(KEEP);
        self.spare.set(left);
    }

    /// Takes the root out of the queue while there is nothing to poll for it: what an earlier one has
    /// left behind wakes nobody.
    pub(super) fn forget_root(&self) {
        if self.root.is_queued() {
            let at = |queue: &mut Queue| {
                let at = queue.tasks.iter().position(|task| self.root.is(task))?;
                queue.tasks.remove(at)
            };
            if let Some(task) = self.home.queue(at) {
                self.root.forget(task);
            }
        }
    }

    /// Says whether the scheduler is on the thread's stack.
    pub(super) fn set_running(&self, runs: bool) {
        self.home.queue(|queue| queue.runs = runs);
    }

    /// Waits a little for what other threads may leave at once, where that pays; whether there is
    /// something.
    fn lingers(&self, state: &mut State) -> bool {
        let driver = &self.current.driver;
        let may =
            self.given.take() && state.seeded.is_none() && driver.clock().as_virtual().is_none();
        let comes = may && state.patience.trusts() && state.patience.looks(|| driver.is_notified());
        if comes {
            let now = driver.clock().now();
            self.saw(now);
            if state.fairness.is_due(now) {
                self.look(state);
            }
        }
        comes
    }

    /// Sleeps until there is something to do.
    fn sleep(&self, state: &mut State) {
        if self.lingers(state) {
            return;
        }
        let hooks = self.home.hooks();
        self.give_back();
        self.beside(Beside::Hook, || hooks.call(|hooks| hooks.on_park(WORKER)));
        // The hook may have spawned or woken something.
        let how = if !hooks.is_empty() && self.has_work() {
            Turn::Look
        } else {
            self.home.counters.parks.add(1);
            let now = self.current.driver.clock().now();
            self.saw(now);
            self.stop();
            Turn::Sleep(now)
        };
        let turned = self.current.driver.turn(how, &mut state.wakes);
        hooks.call(|hooks| hooks.on_unpark(WORKER));
        self.finish(how, turned, state);
    }

    /// Looks what there is.
    fn look(&self, state: &mut State) {
        let turned = self.current.driver.turn(Turn::Look, &mut state.wakes);
        self.finish(Turn::Look, turned, state);
    }

    fn finish(&self, turn: Turn, turned: io::Result<Turned>, state: &mut State) {
        let now = match &turned {
            Ok(turned) => turned.now,
            Err(_) => self.current.driver.clock().now(),
        };
        self.settle(turn, now, state);
        match turned {
            Err(error) => panic!("the runtime cannot wait for events any more: {error}"),
            Ok(turned) if turned.stuck => self.tell_deadlock(),
            Ok(_) => {}
        }
    }

    /// Wakes whom a turn of the driver concerns, after which the clock said `now`, and takes what others
    /// have left.
    pub(super) fn settle(&self, turn: Turn, now: Instant, state: &mut State) {
        if let Some(seeded) = &mut state.seeded {
            seeded.shuffle(&mut state.wakes);
        }
        match turn {
            Turn::Look => self.saw(now),
            Turn::Sleep(_) => self.begin(now),
        }
        self.beside(Beside::Wakers, || state.wakes.wake_all());
        self.take_inbox();
        match (&mut state.seeded, turn) {
            (None, Turn::Look) => state.fairness.looked(now),
            (None, Turn::Sleep(_)) => state.fairness.slept(now),
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
    pub(super) fn give_back(&self) {
        self.home.queue(|queue| {
            if queue.tasks.is_empty() && queue.tasks.capacity() > KEEP {
                queue.tasks.shrink_to(KEEP);
            }
        });
    }

    /// Ends all tasks and all waits; see the module's documentation.
    fn shut_down(&self) {
        let entered = context::enter(Rc::clone(&self.current));
        self.is_here();
        self.set_running(true);
        self.home.close();
        let mut wakes = WakeList::new();
        loop {
            self.take_inbox();
            while let Some(task) = self.home.pop() {
                self.end(task);
            }
            if self.home.live_tasks() == 0 {
                break;
            }
            // Another thread has spawned the rest, and is on its way to the inbox. What the driver
            // says meanwhile only wakes tasks that are ending.
            if self.current.driver.check_process().is_err() {
                // That thread is in the parent. It will not come.
                break;
            }
            let driver = &self.current.driver;
            if driver.turn(Turn::Sleep(driver.clock().now()), &mut wakes).is_err() {
                std::thread::yield_now();
            }
            wakes.wake_all();
        }
        let mut inbox = self.home.inbox.lock();
        inbox.closed = true;
        let left = std::mem::take(&mut inbox.left);
        drop(inbox);
        let queued = self.home.queue(|queue| {
            queue.closed = true;
            std::mem::take(&mut queue.tasks)
        });
        // The executor takes in closures until it ends itself, from any thread.
        debug_assert!(
            queued.iter().all(|task| self.root.is(task) || is_closure(task))
                && left.iter().all(|left| match left {
                    Left::Task(task) => is_closure(task),
                    Left::Notice(_) => true,
                }),
            "a task was queued after all had ended"
        );
        drop((left, queued));
        self.current.driver.shut_down(&mut wakes);
        // Nothing of this runtime runs any more; who is told now must not take it for the current.
        drop(entered);
        wakes.wake_all();
        self.home.retire();
    }

    /// Runs a task that was asked to end; one of the executor's own has not begun, and is dropped.
    fn end(&self, task: Runnable) {
        if self.root.is(&task) {
            self.root.forget(task);
        } else if is_closure(&task) {
            drop(task);
        } else {
            self.run(task);
        }
    }
}

/// Whether the task is one of the executor's.
fn is_closure(task: &Runnable) -> bool {
    task.info().kind == TaskKind::Blocking
}

impl Drop for Local {
    fn drop(&mut self) {
        self.shut_down();
        if self.current.driver.check_process().is_err() {
            self.watching.iter_mut().for_each(Watching::forget_sentry);
        }
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("home", &self.home).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::{Clock, KernelTimers};
    use crate::primitives::unique_id;
    use crate::scheduler::host::Budget;
    use crate::scheduler::no_executor::NoExecutor;
    use crate::task::spawn;
    use std::future::poll_fn;
    use std::panic::Location;
    use std::pin::pin;
    use std::time::Duration;

    fn local() -> Local {
        let driver =
            Driver::new(unique_id(), Clock::real(), Duration::from_millis(1), KernelTimers::Unused)
                .unwrap();
        Local::new(driver, HookSet::default(), |_, _| Arc::new(NoExecutor))
    }

    fn spawn_from_elsewhere(local: &Local) {
        let spawner = Arc::clone(&local.current().spawn);
        let other = std::thread::spawn(move || {
            drop(spawn(&*spawner, async {}, Location::caller()));
        });
        other.join().unwrap();
    }

    #[test]
    fn wakes_and_spawns_of_the_thread_itself_notify_nobody_while_it_runs() {
        let local = local();
        let unnoticed = |driver: &Driver| {
            drop(spawn(&*local.current().spawn, async {}, Location::caller()));
            !driver.is_notified()
        };
        let driver = &local.current().driver;
        assert!(local.block_on(async { unnoticed(driver) }).unwrap());
        assert!(!unnoticed(driver), "a host may watch");
        assert_eq!(local.turn_once(Budget::new()).unwrap().polled, 2);
    }

    /// A waker of a timer is told of the end when the queue is closed already.
    #[test]
    fn a_root_that_is_woken_by_the_end_of_the_driver_keeps_nothing() {
        let local = local();
        let home = Arc::downgrade(&local.home);
        let driver = Arc::clone(&local.current().driver);
        let root = local.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone()))).unwrap();
        let deadline = driver.clock().now() + Duration::from_secs(3600);
        let mut timer = None;
        let _ = driver.poll_timer(&mut timer, deadline, &root);
        drop((driver, root));
        drop(local);
        assert!(home.upgrade().is_none());
    }

    #[test]
    fn the_queue_gives_back_what_a_peak_has_left_to_a_host_too() {
        let local = local();
        for _ in 0..100 * KEEP {
            drop(spawn(&*local.current().spawn, async {}, Location::caller()));
        }
        while local.turn_once(Budget::new()).unwrap().has_more {}
        assert!(local.home.queue(|queue| queue.tasks.capacity()) <= 2 * KEEP);
    }

    #[test]
    fn the_inbox_gives_back_what_a_peak_has_left() {
        let local = local();
        let spawner = Arc::clone(&local.current().spawn);
        let others = std::thread::spawn(move || {
            for _ in 0..100 * KEEP {
                drop(spawn(&*spawner, async {}, Location::caller()));
            }
        });
        others.join().unwrap();
        // Each begins with a look into the inbox, of whose two buffers one is in use.
        for _ in 0..2 {
            local.block_on(pin!(async {})).unwrap();
            spawn_from_elsewhere(&local);
        }
        assert!(local.home.inbox.lock().left.capacity() <= 2 * KEEP);
        assert!(local.spare.take().capacity() <= 2 * KEEP);
    }
}
