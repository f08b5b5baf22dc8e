//! How a runtime is put together.

use super::local::LocalRuntime;
use crate::driver::{Clock, Driver};
use crate::hooks::{HookSet, Hooks};
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
}

impl LocalBuilder {
    /// Tells `hooks` of the life of tasks and of the thread; by default nobody is told.
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// Makes the runtime, for the present thread.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors left: a runtime needs two or three.
    pub fn build(self) -> Result<LocalRuntime, BuildError> {
        let driver = Driver::new(unique_id(), Clock::real(), TIMER_RESOLUTION)
            .map_err(|source| BuildError { source })?;
        Ok(LocalRuntime::new(Local::new(driver, HookSet::new(self.hooks))))
    }
}

impl fmt::Debug for LocalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBuilder").field("hooks", &self.hooks.is_some()).finish()
    }
}

/// Why a runtime could not be made.
#[derive(Debug)]
pub struct BuildError {
    source: io::Error,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the system gave no descriptors for the event loop ({}): close some, or raise the limit",
            self.source
        )
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
