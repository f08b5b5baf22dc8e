//! How a runtime with several workers is put together.

use super::builder::TIMER_RESOLUTION;
use super::error::{BuildError, MOST_WORKERS, Why, check_resolution, check_stack, check_stalls};
use super::multi::Runtime;
use crate::context::DefaultExecutor;
use crate::driver::KernelTimers;
use crate::hooks::{HookSet, Hooks, OnStall, OnUnhandledPanic, Stall, TaskInfo};
use crate::offload::{self, ThreadPool};
use crate::scheduler::sentry::Stalls;
use crate::scheduler::workers::{Settings, StartError, Workers};
use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

/// The settings of a [`Runtime`]; made by [`Runtime::builder`].
///
/// # Examples
///
/// ```
/// let rt = mainspring::Runtime::builder().worker_threads(2).thread_name("mine").build()?;
/// let name = rt.block_on(async {
///     mainspring::spawn(async { std::thread::current().name().map(String::from) }).await
/// })?;
/// assert!(name.unwrap().starts_with("mine-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct Builder {
    workers: Option<usize>,
    thread_name: String,
    stack_size: Option<usize>,
    hooks: Option<Arc<dyn Hooks>>,
    on_unhandled_panic: Option<OnUnhandledPanic>,
    on_stall: Option<OnStall>,
    blocking: offload::Builder,
    timer_resolution: Duration,
    stalls: Stalls,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: None,
            thread_name: "mainspring-worker".into(),
            stack_size: None,
            hooks: None,
            on_unhandled_panic: None,
            on_stall: None,
            blocking: offload::Builder::default(),
            timer_resolution: TIMER_RESOLUTION,
            stalls: Stalls::default(),
        }
    }
}

impl Builder {
    /// How many threads run tasks: from 1 to 1,024, by default as many as the process may use CPUs.
    ///
    /// By default that is what [`std::thread::available_parallelism`] says, which heeds the affinity
    /// of the calling thread and the quota of its control group; or 1 where nothing is known.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// What the workers' threads are called, with the number of each after it; by default
    /// `mainspring-worker`.
    ///
    /// Without zero bytes. Systems cut names off; Linux keeps 15 bytes. The thread of
    /// [`sentry`](Self::sentry) has the beginning of the name, and `-sentry`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// The stack of each worker's thread, in bytes, from 64 KiB; by default what std gives to threads
    /// (2 MiB).
    ///
    /// The system may give more. Where it gives none of that size, building is an error.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// The step in which timers are kept, from 50 µs to 1 s; by default 1 ms.
    ///
    /// See [`LocalBuilder::timer_resolution`](crate::LocalBuilder::timer_resolution). Each worker has
    /// timers of its own.
    pub fn timer_resolution(mut self, resolution: Duration) -> Self {
        self.timer_resolution = resolution;
        self
    }

    /// Tells `hooks` of the life of tasks and of the workers; by default nobody is told.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// Calls `f` when a task panicked and nobody will learn of it, because its
    /// [`JoinHandle`](crate::JoinHandle) was dropped, before the task ended or unasked after that; by
    /// default nothing is called.
    ///
    /// All that is said of
    /// [`LocalBuilder::on_unhandled_panic`](crate::LocalBuilder::on_unhandled_panic) is true here, and
    /// several threads may call `f` at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let rt = mainspring::Runtime::builder()
    ///     .worker_threads(2)
    ///     .on_unhandled_panic(move |task, _payload| tell.send(task.location.line()).unwrap())
    ///     .build()?;
    /// drop(rt.spawn(async { panic!("nobody waits") }));
    /// println!("the task of line {} panicked", told.recv()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_unhandled_panic(
        mut self,
        f: impl Fn(&TaskInfo, &(dyn Any + Send)) + Send + Sync + 'static,
    ) -> Self {
        self.on_unhandled_panic = Some(Arc::new(f));
        self
    }

    /// Calls `f` when a thread has been in the middle of one poll for longer than
    /// [`report_stall_after`](Self::report_stall_after), once for each such poll; by default nothing is
    /// called.
    ///
    /// As [`Hooks::on_stall`](crate::hooks::Hooks::on_stall), but that events which nobody else listens to
    /// cost nothing. If `f` panics that is reported once, and it is called no more.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let rt = mainspring::Runtime::builder()
    ///     .worker_threads(2)
    ///     .on_stall(move |stall| tell.send(stall.to_string()).unwrap())
    ///     .build()?;
    /// let task = rt.spawn(async move { told.recv().unwrap() }); // never do that
    /// // "worker 0 is blocked in a poll of task 1026 spawned at src/main.rs:8:15 for 50 ms"
    /// println!("{}", rt.block_on(task)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_stall(mut self, f: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.on_stall = Some(Arc::new(f));
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
    /// default 0. Only on Linux: see
    /// [`LocalBuilder::blocking_niceness`](crate::LocalBuilder::blocking_niceness).
    pub fn blocking_niceness(mut self, added: u8) -> Self {
        self.blocking = self.blocking.niceness(added);
        self
    }

    /// Whether a thread of the runtime's own watches for workers that are stuck in a poll; by default it
    /// does.
    ///
    /// A worker is stuck when one poll, drop or hook does not return: it waits for a lock, reads a file,
    /// sleeps, or computes. Where the *sentry* sees that,
    ///
    /// 1. a worker that has nothing to do takes over what lies behind it: queued tasks, and those whose
    ///    sockets and timers belong to the stuck worker; again and again, once a millisecond;
    /// 2. if nobody is free for [`stall_after`](Self::stall_after), a thread is started that stands in for
    ///    it, up to [`max_rescuers`](Self::max_rescuers), until the poll returns;
    /// 3. after [`report_stall_after`](Self::report_stall_after) it is told: to
    ///    [`Hooks::on_stall`](crate::hooks::Hooks::on_stall), and as a warning of the `tracing` crate where
    ///    that feature is on.
    ///
    /// What stays behind is the task in that poll, and what cannot leave its thread: tasks of
    /// [`spawn_pinned`](crate::spawn_pinned) on that worker. Nor is the future of a
    /// [`block_on`](crate::Runtime::block_on) polled by others than its caller.
    ///
    /// It costs one thread, which looks every 5 ms at one word of each worker; and every millisecond for
    /// 10 s after it has last seen one stuck. While all workers sleep it sleeps, too. Time in which a thread
    /// was ready to run but had no processor is not held against it, so that a busy machine is no stall
    /// (known on Linux only).
    ///
    /// Without it, a task that blocks stops what is queued behind it, and the sockets and timers of its
    /// worker, for as long as it blocks.
    ///
    /// # Examples
    ///
    /// Two workers, and two tasks that block both:
    ///
    /// ```
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let rt = mainspring::Runtime::builder().worker_threads(2).build()?;
    /// let ends: Vec<_> = (0..2)
    ///     .map(|_| {
    ///         let (end, blocked) = mpsc::channel::<()>();
    ///         drop(rt.spawn(async move { blocked.recv().unwrap_err() })); // never do that
    ///         end
    ///     })
    ///     .collect();
    /// rt.block_on(async {
    ///     let beside = mainspring::spawn(mainspring::time::sleep(Duration::from_millis(1)));
    ///     beside.await
    /// })?;
    /// drop(ends);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sentry(mut self, watches: bool) -> Self {
        self.stalls.sentry = watches;
        self
    }

    /// After how long in one poll somebody stands in for a worker, if nobody is parked who could relieve it:
    /// from 2 ms to 1 h, by default 10 ms.
    ///
    /// The sentry knows of a poll from its first look at it on, so it may be up to 5 ms more; and where the
    /// machine has more to do than processors, up to sixteen times as long. A shorter time means that polls
    /// that are but long cost a thread that is started, or woken, for each: 20 to 100 µs.
    pub fn stall_after(mut self, time: Duration) -> Self {
        self.stalls.rescue_after = time;
        self
    }

    /// After how long in one poll that is told, once for each such poll: from 2 ms to 1 h, by default
    /// 50 ms.
    ///
    /// To tell costs a look through the list of tasks for the name, by a thread of its own.
    pub fn report_stall_after(mut self, time: Duration) -> Self {
        self.stalls.report_after = time;
        self
    }

    /// How many threads may stand in for workers at a time: from 0 to 64, by default 64.
    ///
    /// Each costs a thread while it is needed, and 1.5 KB all the time. One that is not needed any more
    /// stays for 10 s. If all are stuck themselves, tasks wait until one of them, or a worker, is free. With
    /// 0, stuck workers are only relieved and reported.
    pub fn max_rescuers(mut self, threads: usize) -> Self {
        self.stalls.rescuers = threads;
        self
    }

    /// How long a thread stays that stood in for a worker and is not needed any more; by default 10 s.
    pub fn rescuer_keep_alive(mut self, time: Duration) -> Self {
        self.stalls.keep_alive = time;
        self
    }

    /// Makes the runtime, and starts its workers.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left, of which each worker needs three on Linux (four with timers
    /// finer than 1 ms) and two to four elsewhere, or no threads. If a setting is out of its bounds, or
    /// asks for what the system does not have.
    pub fn build(self) -> Result<Runtime, BuildError> {
        let blocking = self.blocking.check().map_err(|bad| BuildError(Why::Setting(bad)))?;
        offload::check_name(&self.thread_name).map_err(|bad| BuildError(Why::Setting(bad)))?;
        check_stack(self.stack_size)?;
        let workers = self.workers.unwrap_or_else(|| {
            available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_WORKERS)
        });
        if !(1..=MOST_WORKERS).contains(&workers) {
            return Err(BuildError(Why::Workers(workers)));
        }
        let timer_resolution = check_resolution(self.timer_resolution)?;
        check_stalls(&self.stalls)?;
        let kernel_timers = match timer_resolution < TIMER_RESOLUTION {
            true => KernelTimers::Always,
            false => KernelTimers::Unused,
        };
        let hooks = HookSet::new(self.hooks, self.on_unhandled_panic).on_stall(self.on_stall);
        let settings = Settings {
            workers,
            timer_resolution,
            kernel_timers,
            thread_name: self.thread_name,
            stack_size: self.stack_size,
            hooks: hooks.clone(),
            stalls: self.stalls,
        };
        let mut pool = None;
        let workers = Workers::start(settings, |outside| {
            let pool = pool.insert(ThreadPool::of_runtime(blocking, hooks, outside));
            Arc::new(pool.handle().clone()) as Arc<dyn DefaultExecutor>
        });
        let workers = workers.map_err(|error| {
            BuildError(match error {
                StartError::Descriptors(error) => Why::Descriptors(error),
                StartError::Thread(error) => Why::Thread(error),
            })
        })?;
        let pool = pool.expect("the workers have asked for their executor");
        Ok(Runtime::new(workers, pool))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("worker_threads", &self.workers)
            .field("thread_name", &self.thread_name)
            .field("stack_size", &self.stack_size)
            .field("hooks", &self.hooks.is_some())
            .field("on_unhandled_panic", &self.on_unhandled_panic.is_some())
            .field("on_stall", &self.on_stall.is_some())
            .field("blocking", &self.blocking)
            .field("timer_resolution", &self.timer_resolution)
            .field("stalls", &self.stalls)
            .finish()
    }
}
