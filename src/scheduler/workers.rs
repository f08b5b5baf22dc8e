//! The workers of a runtime, as its owner has them: how they begin, and how they end.
//!
//! # The end
//!
//! All homes are closed: no new task gets in, and each of the living is asked to end, which queues it
//! if it waits. Then the workers are told, and each ends when nothing is left that it can reach: a
//! task that is run now is dropped. What lies in the queue of a worker that is stuck in a poll is
//! stolen from it as ever, so that only the task in that poll, and those that stay on that worker,
//! are left. When all workers have ended, or the caller's patience is at an end, what was queued
//! meanwhile is dropped, and the drivers end the waits of those who are no tasks: by a thread that is made
//! for it, as a drop may block, too. A worker that was stuck does the rest by itself when its poll returns.

use super::ends::{Ends, Helping, PATIENCE, Working};
use super::reports::Reports;
use super::root;
use super::sentry::{Sentry, Stalls};
use super::shard::Shard;
use super::shards::{Homes, Shards};
use super::staff::{Staff, over};
use super::worker::{self, Start};
use crate::context::{self, Calls, Current, DefaultExecutor, Outside, Runs};
use crate::driver::{Clock, Driver, Instant, KernelTimers};
use crate::hooks::HookSet;
use crate::offload::signals;
use crate::primitives::{NewThread, Parker, others_can_run, thread, unique_id};
use crate::task::{Spawn, TaskDump};
use crate::util::WakeList;
use std::fmt;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long what is left of tasks may take to drop, after the time for all else is over.
const MOMENT: Duration = Duration::from_millis(100);

/// What is decided about workers before they begin.
pub(crate) struct Settings {
    /// At least one.
    pub(crate) workers: usize,
    pub(crate) timer_resolution: Duration,
    pub(crate) kernel_timers: KernelTimers,
    /// The number of each comes after it.
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) hooks: HookSet,
    pub(crate) stalls: Stalls,
}

/// Why there are no workers.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The system gave no descriptors for a driver.
    Descriptors(io::Error),
    /// The system gave no thread.
    Thread(io::Error),
}

/// The workers of one runtime.
pub(crate) struct Workers {
    pub(super) homes: Arc<Homes>,
    ends: Arc<Ends>,
    outside: Outside,
    executor: Arc<dyn DefaultExecutor>,
}

impl Workers {
    /// Starts the workers; `executor` makes that of their work that blocks.
    pub(crate) fn start(
        settings: Settings,
        executor: impl FnOnce(Outside) -> Arc<dyn DefaultExecutor>,
    ) -> Result<Self, StartError> {
        let runtime = unique_id();
        // Here, and not as the workers begin: it opens files, whose numbers others may count on.
        let _known = others_can_run();
        let count = settings.workers;
        let threads: Vec<_> = (0..count).map(|_| NewThread::new()).collect();
        let keys: Vec<_> = threads.iter().map(NewThread::key).collect();
        let mut shards = Vec::with_capacity(count);
        for key in &keys {
            let driver = Driver::for_thread(
                *key,
                runtime,
                Clock::real(),
                settings.timer_resolution,
                settings.kernel_timers,
            );
            let driver = Arc::new(driver.map_err(StartError::Descriptors)?);
            shards.push(Shard::new(*key, driver));
        }
        let shards = Arc::new(Shards::new(runtime, shards, settings.stalls.seats()));
        // What crossbeam sets up once for the process it sets up here, and not as the workers begin: in a
        // child that is forked meanwhile it would stay half done for good, and wait for that.
        let _nothing = shards.each()[0].stealer.steal();
        let homes = Arc::new(Homes::new(&shards, &keys, &settings.hooks));
        let spawn: Arc<dyn Spawn> = homes.clone();
        let driver = Arc::clone(&shards.each()[0].driver);
        let outside = Outside { driver, spawn, calls: Arc::<Calls>::default() };
        let executor = executor(outside.clone());
        let ends = Arc::<Ends>::default();
        let workers = Self { homes, ends, outside, executor };
        let begun = workers.begin_all(threads, &settings);
        let begun = begun.and_then(|()| {
            let sentry = workers.begin_sentry(&settings);
            sentry.map_err(|error| {
                workers.close();
                (count, error)
            })
        });
        match begun {
            Ok(()) => Ok(workers),
            Err((first_without, error)) => {
                workers.shut_down(Clock::real().now() + PATIENCE);
                workers.homes.retire_from(first_without);
                Err(StartError::Thread(error))
            }
        }
    }

    /// Starts all threads; or says which is the first that the system does not give, and why.
    ///
    /// None does anything before all are there: what it left for one that never begins would stay. If
    /// one is not, they find that the runtime ends.
    fn begin_all(
        &self,
        threads: Vec<NewThread>,
        settings: &Settings,
    ) -> Result<(), (usize, io::Error)> {
        // Each waits for this lock first.
        let mut held = self.ends.hold();
        for (index, thread) in threads.into_iter().enumerate() {
            if let Err(error) = self.begin(index, thread, settings) {
                self.homes.close();
                self.homes.shards.close();
                return Err((index, error));
            }
            held.expect();
        }
        Ok(())
    }

    fn begin(&self, index: usize, thread: NewThread, settings: &Settings) -> io::Result<()> {
        let Outside { driver, .. } = &self.outside;
        let start = Start {
            thread,
            shards: Arc::clone(&self.homes.shards),
            index,
            home: Arc::clone(&self.homes.of_shards[index]),
            pinned: Arc::clone(&self.homes.pinned[index]),
            outside: self.outside.clone(),
            executor: Arc::clone(&self.executor),
            hooks: settings.hooks.clone(),
            seed: driver.random(),
        };
        let name = format!("{}-{index}", settings.thread_name);
        let mut builder = thread::Builder::new().name(name);
        if let Some(size) = settings.stack_size {
            builder = builder.stack_size(size);
        }
        let (ends, homes) = (Arc::clone(&self.ends), Arc::clone(&self.homes));
        // The new thread inherits the mask: signals are the host's.
        let _blocked = signals::block();
        let _detached = builder.spawn(move || {
            let _working = Working::expected(ends, homes);
            worker::work(start);
        })?;
        Ok(())
    }

    /// Starts the thread that watches the others, if there is to be one.
    fn begin_sentry(&self, settings: &Settings) -> io::Result<()> {
        if !settings.stalls.sentry {
            return Ok(());
        }
        let hooks = settings.hooks.clone();
        let reports = short_name(&settings.thread_name, "reports");
        let staff = Staff {
            homes: Arc::clone(&self.homes),
            ends: Arc::clone(&self.ends),
            outside: self.outside.clone(),
            executor: Arc::clone(&self.executor),
            hooks: hooks.clone(),
            thread_name: settings.thread_name.clone(),
            stack_size: settings.stack_size,
            keep_alive: settings.stalls.keep_alive,
            reports: Reports::new(self.outside.spawn.clone(), hooks, reports),
        };
        let sentry = Sentry::new(Arc::clone(&self.homes.shards), settings.stalls.clone(), staff);
        let helping = Helping::begin(&self.ends).ok_or_else(over)?;
        let builder = thread::Builder::new().name(short_name(&settings.thread_name, "sentry"));
        let _blocked = signals::block();
        let _detached = builder.spawn(move || {
            let _helping = helping;
            sentry.watch();
        })?;
        Ok(())
    }

    /// What code outside finds of the runtime.
    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Whether the present thread is one of the workers.
    pub(crate) fn are_here(&self) -> bool {
        context::worker_of(self.outside.driver.runtime()).is_some()
    }

    /// How many tasks have been spawned and have not ended.
    pub(crate) fn live_tasks(&self) -> usize {
        self.homes.live_tasks()
    }

    /// Polls `root` on the present thread, while the workers run the tasks, until it is ready.
    pub(crate) fn block_on<F: Future>(&self, root: F) -> F::Output {
        let Outside { driver, spawn, calls } = self.outside.clone();
        let executor = Arc::clone(&self.executor);
        let current = Current { driver, spawn, executor, calls, runs: Runs::Nothing };
        let _entered = context::enter(Rc::new(current));
        root::run(root, &self.homes.shards)
    }

    /// Asks all tasks and the workers to end, unless they are in the parent of this process.
    pub(crate) fn close(&self) {
        if self.outside.driver.check_process().is_ok() {
            self.homes.close();
            self.homes.shards.close();
        }
    }

    /// Ends all tasks and the workers, and waits for that until `deadline`; what has not ended then.
    pub(crate) fn shut_down(&self, deadline: Instant) -> Rest {
        if self.outside.driver.check_process().is_err() {
            // The workers are in the parent, and so are the tasks that they have.
            return Rest::default();
        }
        self.close();
        // Who is a worker itself would wait for its own end.
        let here = self.are_here();
        let threads = if here { 0 } else { self.ends.wait(deadline) };
        if !here {
            self.end_rest(deadline);
        }
        let mut tasks = Vec::new();
        self.homes.dump(&mut tasks);
        Rest { tasks, threads }
    }

    /// Drops what is left of tasks, and ends the drivers: by a thread of its own, as what is dropped may
    /// block, as it may have blocked the workers. It is waited for until `deadline`, or for a moment.
    fn end_rest(&self, deadline: Instant) {
        let now = Clock::real().now();
        if self.homes.listed_tasks() == 0 {
            return self.homes.end(deadline);
        }
        let (homes, parker) = (Arc::clone(&self.homes), Arc::new(Parker::new()));
        let ended = Arc::clone(&parker);
        let ends = move || {
            homes.end(deadline);
            ended.unpark();
        };
        let _blocked = signals::block();
        match thread::Builder::new().name("mainspring-end".into()).spawn(ends) {
            Ok(_detached) => {
                let limit = deadline.saturating_duration_since(now).max(MOMENT);
                parker.park_timeout(limit);
            }
            Err(_) => self.homes.end(deadline),
        }
    }
}

/// A thread's name that ends in what it does, and of which Linux cuts nothing off: it keeps 15 bytes.
fn short_name(name: &str, does: &str) -> String {
    let end = name.floor_char_boundary(14 - does.len());
    format!("{}-{does}", &name[..end])
}

/// What has not ended with the runtime.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    pub(crate) tasks: Vec<TaskDump>,
    pub(crate) threads: usize,
}

impl Homes {
    /// Retires the homes of the workers from this one on, none of which has begun.
    pub(super) fn retire_from(&self, first: usize) {
        self.of_shards[first..].iter().for_each(|home| home.retire_for_maker());
        self.pinned[first..].iter().for_each(|home| home.retire_for_maker());
    }

    /// Drops what is queued, until all tasks have ended or `deadline` has come, and ends the drivers.
    pub(super) fn end(&self, deadline: Instant) {
        self.shards.end();
        let clock = Clock::real();
        // Another thread may have spawned or woken the rest, and is on its way to the injector.
        while self.listed_tasks() > 0 && clock.now() < deadline {
            thread::yield_now();
            self.shards.drop_queued();
        }
        let mut wakes = WakeList::new();
        for shard in self.shards.each() {
            shard.driver.shut_down(&mut wakes);
        }
        wakes.wake_all();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // The owner has waited before, as long as it wanted.
        self.shut_down(Clock::real().now());
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("shards", &self.homes.shards).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::no_executor::NoExecutor;
    use super::*;
    use crate::task::{JoinHandle, spawn};
    use std::panic::Location;

    /// A worker that has run tasks of another takes them out of its list before it sleeps.
    #[test]
    fn nothing_that_has_ended_stays_in_a_list_while_all_sleep() {
        let settings = Settings {
            workers: 2,
            timer_resolution: Duration::from_millis(1),
            kernel_timers: KernelTimers::Unused,
            thread_name: String::from("graves"),
            stack_size: None,
            hooks: HookSet::default(),
            stalls: Stalls::default(),
        };
        let workers = Workers::start(settings, |_| Arc::new(NoExecutor)).unwrap();
        // Some of these numbers leave a rest, whenever the worker has seen to them before.
        for tasks in 100..105 {
            let homes = Arc::clone(&workers.homes);
            let stays_until_they_ended = async move {
                let spawned = (0..tasks).map(|_| spawn(&*homes, async {}, Location::caller()));
                let mut spawned: Vec<_> = spawned.collect();
                // Which is in the slot, where only the worker itself looks.
                drop(spawned.pop());
                while !spawned.iter().all(JoinHandle::is_finished) {
                    std::thread::yield_now();
                }
            };
            let task = spawn(&*workers.homes, stays_until_they_ended, Location::caller());
            task.wait(Duration::MAX).ok().unwrap().unwrap();
            let begun = std::time::Instant::now();
            while workers.homes.listed_tasks() > 0 {
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "they lie in their graves still"
                );
                std::thread::yield_now();
            }
        }
    }
}
