//! Who tells of stalls: a thread of its own, as hooks and logs may be slow, and the sentry must not be.

use super::seat::Beside;
use super::sentry::Report;
use crate::hooks::{HookSet, Stall, Within};
use crate::primitives::thread;
use crate::task::Spawn;
use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// So many reports wait to be told; those that come then are not.
const WAITING: usize = 64;

/// What the thread is kept in mind by, until it ends.
pub(super) type Guard = Box<dyn Any + Send>;

/// See the module's documentation.
pub(super) struct Reports {
    tasks: Arc<dyn Spawn>,
    hooks: HookSet,
    thread_name: String,
    to_thread: Option<SyncSender<Report>>,
}

impl Reports {
    pub(super) fn new(tasks: Arc<dyn Spawn>, hooks: HookSet, thread_name: String) -> Self {
        Self { tasks, hooks, thread_name, to_thread: None }
    }

    /// Tells of a stall, if anybody listens; the thread that does begins with the first.
    pub(super) fn tell(&mut self, report: Report, guard: impl FnOnce() -> Option<Guard>) {
        if !self.hooks.hear_stalls() && !cfg!(feature = "tracing") {
            return;
        }
        if self.to_thread.is_none() {
            self.to_thread = guard().and_then(|guard| self.start(guard).ok());
        }
        if let Some(to_thread) = &self.to_thread
            && let Err(TrySendError::Disconnected(_)) = to_thread.try_send(report)
        {
            self.to_thread = None;
        }
    }

    fn start(&self, guard: Guard) -> io::Result<SyncSender<Report>> {
        let (to_thread, reports) = sync_channel(WAITING);
        let (tasks, hooks) = (Arc::clone(&self.tasks), self.hooks.clone());
        let builder = thread::Builder::new().name(self.thread_name.clone());
        let _detached = builder.spawn(move || {
            let _guard = guard;
            tell_all(&reports, &*tasks, &hooks);
        })?;
        Ok(to_thread)
    }
}

fn tell_all(reports: &Receiver<Report>, tasks: &dyn Spawn, hooks: &HookSet) {
    while let Ok(report) = reports.recv() {
        let stall = stall(&report, tasks);
        #[cfg(feature = "tracing")]
        super::trace::warn(&stall);
        hooks.tell_stall(&stall);
    }
}

/// Looks up what the sentry does not know.
fn stall(report: &Report, tasks: &dyn Spawn) -> Stall {
    let Report { seat, within, elapsed, kind } = *report;
    let (found, within) = match within.begun() {
        Ok(task) => (tasks.find(&|id| task.is_of(id)), Within::Poll),
        Err(Beside::Hook) => (None, Within::Hook),
        Err(Beside::Wakers) => (None, Within::Wakers),
        Err(Beside::Root) => (None, Within::Root),
    };
    let (task, doing) = found.map_or((None, None), |found| (Some(found.info), found.doing));
    // It does not wait for itself.
    let pinned_tasks = tasks.staying(seat, task.as_ref().map(|task| task.kind));
    let doing = doing.and_then(|doing| doing.tell());
    Stall { task, within, doing, worker: seat, elapsed, kind, pinned_tasks }
}
