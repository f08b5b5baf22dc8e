//! What a scheduler is tested with, whose tasks have no work that blocks.

use crate::context::DefaultExecutor;
use crate::task::{Busy, Executor, Job};

/// An executor without a place.
pub(super) struct NoExecutor;

impl Executor for NoExecutor {
    fn execute(&self, job: Job) -> Result<(), Busy<Job>> {
        Err(Busy(job))
    }
}

impl DefaultExecutor for NoExecutor {}
