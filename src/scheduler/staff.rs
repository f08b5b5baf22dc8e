//! What the sentry of a runtime has others do: threads that stand in for workers, and the one that tells
//! of stalls.

use super::ends::{Ends, Helping, Working};
use super::reports::{Guard, Reports};
use super::rescuer::{self, Start};
use super::rescuers::Duty;
use super::sentry::{self, Report};
use super::shards::Homes;
use crate::context::{DefaultExecutor, Outside};
use crate::hooks::HookSet;
use crate::primitives::{NewThread, thread};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// See the module's documentation.
pub(super) struct Staff {
    pub(super) homes: Arc<Homes>,
    pub(super) ends: Arc<Ends>,
    pub(super) outside: Outside,
    pub(super) executor: Arc<dyn DefaultExecutor>,
    pub(super) hooks: HookSet,
    pub(super) thread_name: String,
    pub(super) stack_size: Option<usize>,
    pub(super) keep_alive: Duration,
    pub(super) reports: Reports,
}

impl sentry::Staff for Staff {
    fn start(&mut self, index: usize, duty: Duty) -> io::Result<()> {
        let shards = Arc::clone(&self.homes.shards);
        let number = shards.each().len() + index;
        let working = Working::beside(&self.ends, &self.homes).ok_or_else(over)?;
        let start = Start {
            thread: NewThread::new(),
            shards,
            index,
            outside: self.outside.clone(),
            executor: Arc::clone(&self.executor),
            hooks: self.hooks.clone(),
            seed: self.outside.driver.random(),
            keep_alive: self.keep_alive,
        };
        let mut builder = thread::Builder::new().name(format!("{}-{number}", self.thread_name));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        // It has all signals blocked, as the sentry has.
        let _detached = builder.spawn(move || {
            let _working = working;
            rescuer::rescue(start, duty);
        })?;
        Ok(())
    }

    fn report(&mut self, report: Report) {
        let guard = || Some(Box::new(Helping::begin(&self.ends)?) as Guard);
        self.reports.tell(report, guard);
    }
}

/// What a thread is not started for.
pub(super) fn over() -> io::Error {
    io::Error::other("the runtime has ended")
}
