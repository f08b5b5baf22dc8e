//! How a runtime is put together.

use super::error::{BuildError, Why, check_resolution, check_stall_time};
use super::local::LocalRuntime;
use crate::context::DefaultExecutor;
use crate::driver::{Clock, Driver, KernelTimers, VirtualTime};
use crate::hooks::{HookSet, Hooks, OnStall, OnUnhandledPanic, Stall, TaskInfo};
use crate::offload::{self, ThreadPool};
use crate::primitives::unique_id;
use crate::scheduler::local::Local;
use crate::scheduler::seeded::Seeded;
use crate::scheduler::sentry::Stalls;
use crate::util::Choices;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One step of the timer wheel, by default; the kernel's wait has none that is finer.
pub(super) const TIMER_RESOLUTION: Duration = Duration::from_millis(1);

/// The settings of a [`LocalRuntime`]; made by [`LocalRuntime::builder`].
///
/// # Examples
///
/// ```
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// assert_eq!(rt.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), mainspring::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct LocalBuilder {
    hooks: Option<Arc<dyn Hooks>>,
    on_unhandled_panic: Option<OnUnhandledPanic>,
    on_stall: Option<OnStall>,
    blocking: offload::Builder,
    timer_resolution: Duration,
    timer_fd: bool,
    seed: Option<u64>,
    watch_stalls: bool,
    report_stall_after: Duration,
    /// For a runtime that says when it is stuck, after how long and how many polls.
    ends_when_stuck: Option<(Duration, u64)>,
    /// What the order of a deterministic runtime follows, if not its seed.
    choices: Option<Choices>,
}

impl Default for LocalBuilder {
    fn default() -> Self {
        Self {
            hooks: None,
            on_unhandled_panic: None,
            on_stall: None,
            blocking: offload::Builder::default(),
            timer_resolution: TIMER_RESOLUTION,
            timer_fd: false,
            seed: None,
            watch_stalls: false,
            report_stall_after: Stalls::default().report_after,
            ends_when_stuck: None,
            choices: None,
        }
    }
}

impl LocalBuilder {
    /// The step in which timers are kept, from 50 µs to 1 s; by default 1 ms.
    ///
    /// A timer fires at the first step that is not before its deadline. The kernel's wait counts in
    /// milliseconds, and so adds up to one more; a resolution below 1 ms makes a timer of the
    /// kernel's (`timerfd_create(2)`) end the sleep instead, which costs a system call whenever the
    /// next deadline has changed by the time of a sleep. That is there on Linux only.
    pub fn timer_resolution(mut self, resolution: Duration) -> Self {
        self.timer_resolution = resolution;
        self
    }

    /// Whether deadlines make the descriptor of [`LocalRuntime::as_fd`] readable, for hosts that can
    /// only watch descriptors; by default not.
    ///
    /// It costs a descriptor, and a system call for each turn after which the next deadline is
    /// another. Linux only.
    pub fn timer_fd(mut self, timer_fd: bool) -> Self {
        self.timer_fd = timer_fd;
        self
    }

    /// Tells `hooks` of the life of tasks and of the thread; by default nobody is told.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// Calls `f` when a task panicked and nobody will learn of it, because its
    /// [`JoinHandle`](crate::JoinHandle) was dropped, before the task ended or unasked after that; by
    /// default nothing is called. The panic hook of std has printed the panic already.
    ///
    /// `f` gets the task and what it panicked with. It runs on the thread where the task ended, for a
    /// closure of [`spawn_blocking`](crate::spawn_blocking) on the pool's; or where the handle was
    /// dropped, if that came later; under no lock of the runtime. The rules for [hooks](Hooks) are those for `f`, and
    /// [`Hooks::on_unhandled_panic`] says of which panics it is not told; but the events of other tasks
    /// cost no more with it. If there are hooks, too, they are told first. If `f` panics, that is
    /// caught and reported once on standard error, and `f` is not called again; neither do hooks that
    /// panic switch it off.
    ///
    /// # Examples
    ///
    /// To count:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let lost = Arc::new(AtomicUsize::new(0));
    /// let count = lost.clone();
    /// let rt = mainspring::LocalRuntime::builder()
    ///     .on_unhandled_panic(move |_task, _payload| drop(count.fetch_add(1, Ordering::Relaxed)))
    ///     .build()?;
    /// rt.block_on(async {
    ///     drop(mainspring::spawn(async { panic!("nobody waits") }));
    ///     let joined = mainspring::spawn(async { panic!("this one is waited for") });
    ///     assert!(joined.await.is_err());
    /// });
    /// assert_eq!(lost.load(Ordering::Relaxed), 1);
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    ///
    /// To end the process where a part of it is gone that nobody watches:
    ///
    /// ```
    /// let rt = mainspring::LocalRuntime::builder()
    ///     .on_unhandled_panic(|task, _payload| {
    ///         eprintln!("task {} of {} panicked, and nobody waits for it", task.id, task.location);
    ///         std::process::abort();
    ///     })
    ///     .build()?;
    /// # drop(rt);
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn on_unhandled_panic(
        mut self,
        f: impl Fn(&TaskInfo, &(dyn Any + Send)) + Send + Sync + 'static,
    ) -> Self {
        self.on_unhandled_panic = Some(Arc::new(f));
        self
    }

    /// How many closures of [`spawn_blocking`](crate::spawn_blocking) may run at a time, each on a
    /// thread of its own: from 1 to 8,191, by default 64.
    ///
    /// It can be changed later: see [`Handle::blocking`](crate::Handle::blocking).
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking = self.blocking.max_threads(threads);
        self
    }

    /// How many more of these closures have a place in the queue: from 1 to 1,000,000, by default
    /// 1,024.
    ///
    /// It can be changed later: see [`Handle::blocking`](crate::Handle::blocking).
    pub fn blocking_queue(mut self, jobs: usize) -> Self {
        self.blocking = self.blocking.queue(jobs);
        self
    }

    /// How long a thread stays that has no such closure to run; by default 10 s.
    pub fn blocking_keep_alive(mut self, time: Duration) -> Self {
        self.blocking = self.blocking.keep_alive(time);
        self
    }

    /// How much is *added* to the nice value for the threads of these closures, from 0 to 19; by
    /// default 0.
    ///
    /// With some, closures that compute do not keep from the CPU the thread that runs the tasks,
    /// whose own nice value stays as it is. Only on Linux, and with what follows: see
    /// [`offload::Builder::niceness`].
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = mainspring::LocalRuntime::builder().blocking_niceness(10).build()?;
    /// let squares = rt.handle().spawn_blocking(|| (0..1000u64).map(|n| n * n).sum::<u64>());
    /// assert_eq!(rt.block_on(squares).unwrap(), 332_833_500);
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn blocking_niceness(mut self, added: u8) -> Self {
        self.blocking = self.blocking.niceness(added);
        self
    }

    /// Makes the runtime deterministic: virtual time, and an order of events that is drawn from
    /// `seed`. Two runs of the same code with the same seed do the same.
    ///
    /// - [Time is virtual](crate::time#virtual-time): it stands still while anything can run, and
    ///   jumps to the next deadline when nothing can.
    /// - The next to run is drawn among the tasks that are ready (of more than 256, among those that
    ///   wait longest) and the future of `block_on`, each with the same chance; every sixteenth time
    ///   it is the one that waits longest, so that each gets its turn. Thus
    ///   [`yield_now`](crate::yield_now) lets others run, but not all. Wakers that are due at the same
    ///   time are woken in any order. After how many polls the kernel is asked is drawn too.
    /// - Closures of [`spawn_blocking`](crate::spawn_blocking) run on the thread of the runtime, when
    ///   they are picked among the tasks. One that waits for a task waits for ever.
    ///
    /// What comes from outside is beyond that: other threads that wake or spawn, sockets (over
    /// loopback a peer in the same runtime is usually seen in time, but the kernel promises nothing),
    /// the order of a `HashMap`, `select!` of the `futures` crate, which draws its order by itself
    /// (`select_biased!` does not). When nothing can run and no timer is armed, the thread really
    /// sleeps until something comes from outside.
    ///
    /// To run a test under many seeds, see [`sim`](crate::sim).
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::time::{Instant, sleep};
    /// use std::time::Duration;
    ///
    /// let rt = mainspring::LocalRuntime::builder().deterministic(7).build()?;
    /// rt.block_on(async {
    ///     let start = Instant::now();
    ///     sleep(Duration::from_secs(3600)).await; // takes no time
    ///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// });
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn deterministic(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether a thread of the runtime's own tells when this thread does not return from a poll; by default
    /// none does.
    ///
    /// It tells [`Hooks::on_stall`](crate::hooks::Hooks::on_stall), and warns by the `tracing` crate where
    /// that feature is on. That is all it does: tasks of this runtime cannot go elsewhere. The future of
    /// [`block_on`](LocalRuntime::block_on) is watched, too.
    ///
    /// It costs a thread, which looks every 5 ms while the loop runs, every millisecond for 10 s after it
    /// has seen a stall, and not at all while the loop sleeps or the host has the thread; and a few
    /// nanoseconds for each poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::hooks::{Hooks, Stall};
    /// use std::sync::{Arc, Mutex, mpsc};
    ///
    /// struct Tells(mpsc::Sender<String>);
    ///
    /// impl Hooks for Tells {
    ///     fn on_stall(&self, stall: &Stall) {
    ///         self.0.send(stall.to_string()).unwrap();
    ///     }
    /// }
    ///
    /// let (tell, told) = mpsc::channel();
    /// let rt = mainspring::LocalRuntime::builder()
    ///     .hooks(Arc::new(Tells(tell)))
    ///     .watch_stalls(true)
    ///     .build()?;
    /// let task = rt.spawn_local(async move { told.recv().unwrap() }); // never do that
    /// println!("{}", rt.block_on(task)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch_stalls(mut self, watches: bool) -> Self {
        self.watch_stalls = watches;
        self
    }

    /// After how long in one poll that is told, once for each such poll, if
    /// [`watch_stalls`](Self::watch_stalls) says so: from 2 ms to 1 h, by default 50 ms.
    pub fn report_stall_after(mut self, time: Duration) -> Self {
        self.report_stall_after = time;
        self
    }

    /// Calls `f` when a thread has been in the middle of one poll for longer than
    /// [`report_stall_after`](Self::report_stall_after), once for each such poll, if
    /// [`watch_stalls`](Self::watch_stalls) says so; by default nothing is
    /// called.
    ///
    /// As [`Hooks::on_stall`](crate::hooks::Hooks::on_stall), but that events which nobody else listens to
    /// cost nothing. If `f` panics that is reported once, and it is called no more.
    pub fn on_stall(mut self, f: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.on_stall = Some(Arc::new(f));
        self
    }

    /// Makes `block_on` of a deterministic runtime panic where it finds that nothing can run, and
    /// nothing came from outside for `patience` of real time; or that there were so many polls while
    /// time stood still.
    pub(crate) fn ends_when_stuck(mut self, patience: Duration, polls: u64) -> Self {
        self.ends_when_stuck = Some((patience, polls));
        self
    }

    /// Makes a deterministic runtime follow `choices` where it would draw from its seed in which order
    /// things happen. What is drawn for other ends comes from the seed still.
    pub(crate) fn follows(mut self, choices: Choices) -> Self {
        self.choices = Some(choices);
        self
    }

    /// Makes the runtime, for the present thread. It starts no other thread, but for the one of
    /// [`watch_stalls`](Self::watch_stalls).
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left: a runtime needs two to four. If a setting is out of
    /// its bounds, or asks for what the system does not have, as a thread for
    /// [`watch_stalls`](Self::watch_stalls).
    pub fn build(self) -> Result<LocalRuntime, BuildError> {
        let blocking = self.blocking.check().map_err(|bad| BuildError(Why::Setting(bad)))?;
        let resolution = check_resolution(self.timer_resolution)?;
        let report_after = self.watch_stalls.then_some(self.report_stall_after);
        check_stall_time("report_stall_after", self.report_stall_after)?;
        let kernel_timers = match self.timer_fd {
            _ if resolution < TIMER_RESOLUTION => KernelTimers::Always,
            true => KernelTimers::ForHosts,
            false => KernelTimers::Unused,
        };
        let (patience, polls) = self.ends_when_stuck.unzip();
        let clock = match self.seed {
            None => Clock::real(),
            Some(_) => Clock::Virtual(VirtualTime::new(patience)),
        };
        let mut driver = Driver::new(unique_id(), clock, resolution, kernel_timers)
            .map_err(|error| BuildError(Why::Descriptors(error)))?;
        if let Some(seed) = self.seed {
            driver = driver.with_seed(seed);
        }
        let hooks = HookSet::new(self.hooks, self.on_unhandled_panic).on_stall(self.on_stall);
        let mut pool = None;
        let mut scheduler = Local::new(driver, hooks.clone(), |outside, queue| {
            let pool = pool.insert(match self.seed {
                None => ThreadPool::of_runtime(blocking, hooks, outside),
                Some(_) => ThreadPool::inline(blocking, hooks, outside, queue),
            });
            Arc::new(pool.handle().clone()) as Arc<dyn DefaultExecutor>
        });
        if let Some(seed) = self.seed {
            let choices = self.choices.unwrap_or_else(|| Choices::drawn(seed));
            scheduler = scheduler.in_order_of(Seeded::new(choices, polls));
        }
        let watched = scheduler.watched_by_sentry(report_after);
        let scheduler = watched.map_err(|error| BuildError(Why::Thread(error)))?;
        let pool = pool.expect("the scheduler has asked for its executor");
        Ok(LocalRuntime::new(scheduler, pool))
    }
}

impl fmt::Debug for LocalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBuilder")
            .field("hooks", &self.hooks.is_some())
            .field("on_unhandled_panic", &self.on_unhandled_panic.is_some())
            .field("on_stall", &self.on_stall.is_some())
            .field("blocking", &self.blocking)
            .field("timer_resolution", &self.timer_resolution)
            .field("timer_fd", &self.timer_fd)
            .field("deterministic", &self.seed)
            .field("watch_stalls", &self.watch_stalls)
            .field("report_stall_after", &self.report_stall_after)
            .finish()
    }
}
