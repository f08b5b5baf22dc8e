//! The hooks that write a trace.

use super::trace::{Event, Trace, What};
use crate::context;
use crate::driver::VirtualTime;
use crate::hooks::{Finish, Hooks, PollOutcome, TaskId, TaskInfo};
use crate::primitives::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// Writes down what the hooks are told of.
pub(super) struct Recorder(Mutex<Record>);

struct Record {
    trace: Trace,
    /// The numbers of the tasks that live.
    numbers: HashMap<TaskId, u64>,
    last_number: u64,
    /// The moment of the last event.
    now: Duration,
}

impl Recorder {
    pub(super) fn new(events: usize) -> Self {
        let trace = Trace::new(events);
        let record = Record { trace, numbers: HashMap::new(), last_number: 0, now: Duration::ZERO };
        Self(Mutex::new(record))
    }

    pub(super) fn trace(&self) -> Trace {
        self.0.lock().trace.clone()
    }

    fn record(&self, task: &TaskInfo, what: What) {
        // Another thread, which has no such clock, is taken to act at the moment of the last event.
        let now = context::current()
            .ok()
            .and_then(|current| current.driver.clock().as_virtual().map(VirtualTime::since_start));
        let mut record = self.0.lock();
        let record = &mut *record;
        record.now = now.unwrap_or(record.now);
        let number = *record.numbers.entry(task.id).or_insert_with(|| {
            record.last_number += 1;
            record.last_number
        });
        if matches!(what, What::Ended(_)) {
            record.numbers.remove(&task.id);
        }
        record.trace.push(Event { at: record.now, task: number, what });
    }
}

impl Hooks for Recorder {
    fn on_spawn(&self, task: &TaskInfo) {
        self.record(task, What::Spawned(task.kind, task.location));
    }

    fn on_poll_start(&self, task: &TaskInfo) {
        self.record(task, What::Polled);
    }

    fn on_poll_end(&self, task: &TaskInfo, outcome: PollOutcome) {
        match outcome {
            PollOutcome::Pending => self.record(task, What::Waits),
            PollOutcome::Yielded => self.record(task, What::Yields),
            // Its end was told already, and its number is forgotten.
            PollOutcome::Done => {}
        }
    }

    fn on_wake(&self, task: &TaskInfo) {
        self.record(task, What::Woken);
    }

    fn on_finish(&self, task: &TaskInfo, how: Finish) {
        self.record(task, What::Ended(how));
    }

    fn on_blocking_start(&self, task: &TaskInfo) {
        self.record(task, What::Blocks);
    }
}
