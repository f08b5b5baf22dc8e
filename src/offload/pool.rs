//! The pool as its owner sees it, and as the rest of the crate does.

use super::builder::{Builder, Settings};
use super::crew::{Crew, Work};
use super::inline::Inline;
use super::limits::BlockingLimits;
use super::niceness::Niceness;
use super::places::Places;
use super::signals;
use crate::context::{self, Current, DefaultExecutor, Outside};
use crate::driver::Clock;
use crate::hooks::{HookSet, Metrics};
use crate::primitives::{Mutex, thread};
use crate::task::{
    Birth, Busy, Executor, Home, Job, Placement, Ran, Runnable, Schedule, Spawn, TaskDump,
};
use crate::util::contain;
use std::any::Any;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long the drop of a pool waits for closures that have started.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// Threads that run closures which block, with limits that can be changed while it works.
///
/// It starts no thread before it has something to do, never has more than its
/// [limit](BlockingLimits::limit), and lets a thread end that had nothing to do for the keep-alive.
/// Jobs are begun in the order in which they came. What is queued is bounded as well: where the
/// queue is full, the job comes back as [`Busy`].
///
/// A runtime has a pool of its own, which [`spawn_blocking`](crate::spawn_blocking) uses; make one
/// for work that should be kept apart from that.
///
/// # What a closure may expect
///
/// - All signals that others can send are blocked on the threads of a pool, and so they are on
///   threads and in processes that a closure starts in turn, unless it starts them within
///   [`with_signals_unblocked`](super::with_signals_unblocked).
/// - A closure that panics ends, and the thread goes on.
/// - A closure that was taken in is dropped unrun if the pool ends before its turn, or if the system
///   gives not one thread when it is needed.
/// - A closure that has started cannot be stopped from outside.
///
/// - A child process made by `fork` has none of the threads: the pool takes nothing in there, and what was
///   queued at the fork is neither run nor dropped.
///
/// # The end
///
/// Dropping the pool drops the jobs that have not started, and waits at most 5 s for those that
/// have. A closure that is stuck does not hold anybody up longer: its thread is left behind, and is
/// counted by [`BlockingLimits::in_use`] for as long as it lives. See also
/// [`shutdown_timeout`](Self::shutdown_timeout).
///
/// # Examples
///
/// ```
/// use mainspring::offload::{Executor, ThreadPool};
/// use std::sync::mpsc;
///
/// let pool = ThreadPool::builder().max_threads(4).thread_name("hashing").build()?;
/// let (tx, rx) = mpsc::channel();
/// for n in 0..3 {
///     let tx = tx.clone();
///     pool.execute(Box::new(move || tx.send(n * n).unwrap()))?;
/// }
/// drop(tx);
/// assert_eq!(rx.iter().sum::<u32>(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadPool {
    pool: PoolHandle,
    /// How long the drop waits.
    patience: Duration,
}

impl ThreadPool {
    /// The settings, with their defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn new(settings: Settings) -> Self {
        Self::with(settings, HookSet::default(), None, None)
    }

    /// A pool whose threads belong to a runtime.
    pub(crate) fn of_runtime(settings: Settings, hooks: HookSet, outside: Outside) -> Self {
        Self::with(settings, hooks, Some(outside), None)
    }

    /// A pool without threads: its closures run on the runtime's own, among the tasks.
    pub(crate) fn inline(
        settings: Settings,
        hooks: HookSet,
        outside: Outside,
        queue: Arc<dyn Schedule>,
    ) -> Self {
        let inline = Inline::new(outside.clone(), queue, hooks.clone());
        Self::with(settings, hooks, Some(outside), Some(inline))
    }

    fn with(
        settings: Settings,
        hooks: HookSet,
        outside: Option<Outside>,
        inline: Option<Inline>,
    ) -> Self {
        let places = Arc::new(Places::new(settings.queue));
        let duty = Duty {
            name: settings.name,
            stack_size: settings.stack_size,
            niceness: Niceness::beside_this_thread(settings.niceness),
            places: Arc::clone(&places),
            hooks: hooks.clone(),
            outside,
            pool: Mutex::new(Weak::new()),
        };
        let crew = Arc::new(Crew::new(settings.limit, settings.keep_alive, duty));
        let new_home = match &inline {
            None => Home::new_blocking,
            Some(_) => Home::new_blocking_here,
        };
        let home = new_home(Pool { crew, places, inline }, hooks);
        *home.crew.work().pool.lock() = Arc::downgrade(&home);
        Self { pool: PoolHandle(home), patience: DROP_WAIT }
    }

    /// What is queued and running, and the way to change the limits.
    pub fn limits(&self) -> BlockingLimits {
        BlockingLimits::new(&self.pool)
    }

    /// Ends the pool: drops what has not started, and waits up to `limit` for what has.
    ///
    /// Closures that are still running then go on by themselves, on threads that nobody owns. It
    /// says how many those are; one that has just finished may still count.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::offload::{Executor, ThreadPool};
    /// use std::{thread, time::Duration};
    ///
    /// let pool = ThreadPool::builder().build()?;
    /// pool.execute(Box::new(|| thread::sleep(Duration::from_secs(3600))))?;
    /// # while pool.limits().in_use() == 0 { thread::yield_now() }
    /// let left = pool.shutdown_timeout(Duration::from_millis(10));
    /// assert_eq!(left, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_timeout(mut self, limit: Duration) -> usize {
        self.finish(limit)
    }

    /// Takes in nothing more, drops what has not started, and waits for the threads; how many are
    /// still busy.
    pub(crate) fn finish(&mut self, limit: Duration) -> usize {
        // The drop must not wait once more.
        self.patience = Duration::ZERO;
        self.close();
        self.pool.0.crew.wait(limit)
    }

    /// Takes in nothing more, and drops what has not started.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    pub(crate) fn handle(&self) -> &PoolHandle {
        &self.pool
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.finish(self.patience);
    }
}

impl Executor for ThreadPool {
    fn execute(&self, job: Job) -> Result<(), Busy<Job>> {
        self.pool.execute(job)
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("limits", &self.limits()).finish()
    }
}

/// A reference to a pool, which does not keep it from ending.
#[derive(Clone)]
pub(crate) struct PoolHandle(Arc<Home<Pool>>);

/// What the tasks of a pool point to.
pub(super) struct Pool {
    crew: Arc<Crew<Duty>>,
    places: Arc<Places>,
    /// Who runs the closures where there are no threads.
    inline: Option<Inline>,
}

/// How a job fared that asked for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Reserved {
    /// It has one: queue it.
    Place,
    /// All are taken.
    Full,
    /// The pool has ended.
    Ended,
    /// The pool has no thread, and gets none.
    NoThread,
}

impl PoolHandle {
    /// The pool of the runtime that runs here, for one who keeps it.
    pub(crate) fn of(current: &Current) -> Self {
        Self::within(current).clone()
    }

    /// The pool of the runtime that runs here.
    #[inline]
    pub(crate) fn within(current: &Current) -> &Self {
        let executor: &dyn Any = &*current.executor;
        executor.downcast_ref::<Self>().expect("the only default executor that there is")
    }

    #[inline]
    pub(super) fn reserve(&self) -> Reserved {
        let pool = &*self.0;
        if pool.crew.is_over() {
            return Reserved::Ended;
        }
        if pool.inline.is_none() && !pool.crew.ensure_thread() {
            return Reserved::NoThread;
        }
        if pool.places.try_take() { Reserved::Place } else { Reserved::Full }
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.0.places
    }

    pub(super) fn crew(&self) -> &Arc<Crew<Duty>> {
        &self.0.crew
    }

    pub(super) fn inline(&self) -> Option<&Inline> {
        self.0.inline.as_ref()
    }

    /// Takes in a task that brings its place along, to run it among those of the runtime.
    pub(super) fn submit_inline(&self, task: Runnable) {
        // One that is not admitted is dropped here, and thereby cancelled.
        if let (Ok(task), Some(inline)) = (self.admit(task), self.inline()) {
            inline.queue(task);
        }
    }

    /// Takes in a task that waits for its place.
    pub(super) fn submit_waiting(&self, task: Runnable) {
        // One that is not admitted is dropped here, and thereby cancelled.
        let Ok(task) = self.admit(task) else { return };
        task.tie();
        // This poll leaves the task in the queue for places, and cannot run the closure.
        if let Ran::Again(task) = task.run() {
            self.0.schedule(task);
        }
    }

    fn admit(&self, task: Runnable) -> Result<Runnable, Runnable> {
        task.admit(self.present())
    }

    /// By the clock of the runtime.
    fn present(&self) -> Birth {
        let outside = self.0.crew.work().outside.as_ref();
        let clock = outside.map_or(&Clock::Real, |outside| outside.driver.clock());
        Birth::from_nanos(clock.now().as_nanos())
    }

    fn close(&self) {
        if self.0.crew.is_elsewhere() {
            // What is queued belongs to the parent, which sees to its own.
            return;
        }
        // First those who wait for a place: the places that come back below are not for them.
        self.0.close();
        self.0.crew.close();
    }
}

impl Executor for PoolHandle {
    fn execute(&self, job: Job) -> Result<(), Busy<Job>> {
        if self.reserve() != Reserved::Place {
            return Err(Busy(job));
        }
        match self.0.inline {
            Some(_) => drop(self.spawn_inline(job, Location::caller())),
            None => self.0.crew.push(Item::Job(job)),
        }
        Ok(())
    }
}

impl DefaultExecutor for PoolHandle {
    fn run_inline(&self, task: Runnable) {
        match &self.0.inline {
            Some(inline) => inline.run(task, self),
            None => drop(task),
        }
    }
}

/// Spawns tasks for which a place was reserved.
impl Spawn for PoolHandle {
    fn place(&self) -> Placement {
        Placement::new(&self.0, context::next_task_id())
    }

    fn submit(&self, task: Runnable) {
        match self.admit(task) {
            Ok(task) => self.0.crew.push(Item::Placed(task)),
            Err(refused) => {
                self.0.places.put_back();
                drop(refused);
            }
        }
    }

    fn dump(&self, into: &mut Vec<TaskDump>) {
        self.0.dump(None, || self.present(), into);
    }

    fn measure(&self, metrics: &mut Metrics) {
        let now = BlockingLimits::new(self);
        metrics.blocking.limit = now.limit();
        metrics.blocking.threads = now.threads();
        metrics.blocking.busy = now.in_use();
        metrics.blocking.queued = now.queued();
    }
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolHandle").finish_non_exhaustive()
    }
}

/// What is woken here was tied to its handle, and either has its place now or is to end.
impl Schedule for Pool {
    fn schedule(&self, task: Runnable) {
        if task.is_aborted() {
            // At once: it has no place in the queue to wait for its turn in.
            drop(task);
            return;
        }
        task.settle();
        match &self.inline {
            Some(inline) => inline.queue(task),
            None => self.crew.push(Item::Granted(task)),
        }
    }
}

/// What lies in the queue.
pub(super) enum Item {
    Job(Job),
    /// A task whose place was reserved before it was made.
    Placed(Runnable),
    /// A task that waited for its place, and puts it back itself.
    Granted(Runnable),
}

/// What the threads do.
pub(super) struct Duty {
    name: String,
    stack_size: Option<usize>,
    niceness: Niceness,
    places: Arc<Places>,
    hooks: HookSet,
    outside: Option<Outside>,
    /// Set when the pool is made, which happens after this.
    pool: Mutex<Weak<Home<Pool>>>,
}

/// Runs a closure, and tells of it.
pub(super) fn run_told(hooks: &HookSet, task: Runnable) {
    if hooks.is_empty() || task.is_aborted() {
        let _ = task.run();
        return;
    }
    let info = task.info();
    hooks.call(|hooks| hooks.on_blocking_start(&info));
    let _ = task.run();
    hooks.call(|hooks| hooks.on_blocking_end(&info));
}

impl Work for Duty {
    type Job = Item;

    fn start(&self, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut builder = thread::Builder::new().name(self.name.clone());
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        // The new thread inherits the mask, so no signal can come to it before it blocks them.
        let _blocked = signals::block();
        builder.spawn(body).map(drop)
    }

    fn on_thread(&self, serve: impl FnOnce()) {
        self.niceness.apply();
        let pool = self.pool.lock().upgrade();
        let _entered = match (&self.outside, pool) {
            (Some(outside), Some(pool)) => Some(outside.enter(Arc::new(PoolHandle(pool)))),
            _ => None,
        };
        serve();
    }

    fn run(&self, item: Item) {
        match item {
            Item::Job(job) => {
                self.places.put_back();
                contain(job);
            }
            Item::Placed(task) => {
                self.places.put_back();
                run_told(&self.hooks, task);
            }
            Item::Granted(task) => run_told(&self.hooks, task),
        }
    }

    fn refuse(&self, item: Item) {
        match item {
            Item::Job(job) => {
                self.places.put_back();
                contain(|| drop(job));
            }
            Item::Placed(task) => {
                self.places.put_back();
                task.refuse();
            }
            Item::Granted(task) => task.refuse(),
        }
    }
}
