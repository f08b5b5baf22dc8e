//! How a runtime is put together.

use super::local::LocalRuntime;
use crate::context::DefaultExecutor;
use crate::driver::{Clock, Driver};
use crate::hooks::{HookSet, Hooks};
use crate::offload::{self, BadSetting, ThreadPool};
use crate::primitives::unique_id;
use crate::scheduler::local::Local;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// One step of the timer wheel.
const TIMER_RESOLUTION: Duration = Duration::from_millis(1);

/// The settings of a [`LocalRuntime`]; made by [`LocalRuntime::builder`].
///
/// # Examples
///
/// ```
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// assert_eq!(rt.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), mainspring::BuildError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until build() is called"]
pub struct LocalBuilder {
    hooks: Option<Arc<dyn Hooks>>,
    blocking: offload::Builder,
}

impl LocalBuilder {
    /// Tells `hooks` of the life of tasks and of the thread; by default nobody is told.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = Some(hooks);
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

    /// Makes the runtime, for the present thread. It starts no other thread.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left: a runtime needs two or three. If a setting is out of
    /// its bounds.
    pub fn build(self) -> Result<LocalRuntime, BuildError> {
        let blocking = self.blocking.check().map_err(|bad| BuildError(Why::Setting(bad)))?;
        let driver = Driver::new(unique_id(), Clock::real(), TIMER_RESOLUTION)
            .map_err(|error| BuildError(Why::Descriptors(error)))?;
        let hooks = HookSet::new(self.hooks);
        let mut pool = None;
        let scheduler = Local::new(driver, hooks.clone(), |outside| {
            let pool = pool.insert(ThreadPool::of_runtime(blocking, hooks, outside));
            Arc::new(pool.handle().clone()) as Arc<dyn DefaultExecutor>
        });
        let pool = pool.expect("the scheduler has asked for its executor");
        Ok(LocalRuntime::new(scheduler, pool))
    }
}

impl fmt::Debug for LocalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBuilder")
            .field("hooks", &self.hooks.is_some())
            .field("blocking", &self.blocking)
            .finish()
    }
}

/// Why a runtime could not be made; the message says what to change.
#[derive(Debug)]
pub struct BuildError(Why);

#[derive(Debug)]
enum Why {
    Descriptors(io::Error),
    Setting(BadSetting),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Descriptors(error) => write!(
                f,
                "the system gave no descriptors for the event loop ({error}): close some, or raise \
                 the limit"
            ),
            Why::Setting(bad) => write!(f, "a setting of the builder is wrong: {bad}"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Why::Descriptors(error) => Some(error),
            Why::Setting(bad) => Some(bad),
        }
    }
}
