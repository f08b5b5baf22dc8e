//! Hooks that do the same in each event.

use mainspring::hooks::{Finish, Hooks, PollOutcome, TaskInfo};
use std::any::Any;

/// The methods of `Hooks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Spawn,
    PollStart,
    PollEnd,
    Wake,
    Finish,
    UnhandledPanic,
    BlockingStart,
    BlockingEnd,
    Park,
    Unpark,
    WorkerStart,
    WorkerStop,
    Steal,
}

/// Those that a runtime of one thread calls.
pub(crate) const OF_ONE_THREAD: [Event; 10] = [
    Event::Spawn,
    Event::PollStart,
    Event::PollEnd,
    Event::Wake,
    Event::Finish,
    Event::UnhandledPanic,
    Event::BlockingStart,
    Event::BlockingEnd,
    Event::Park,
    Event::Unpark,
];

/// Calls the closure with each event, and with the task if it is one of a task.
pub(crate) struct EachHook<F>(pub(crate) F);

impl<F: Fn(Event, Option<&TaskInfo>) + Send + Sync + 'static> Hooks for EachHook<F> {
    fn on_spawn(&self, task: &TaskInfo) {
        (self.0)(Event::Spawn, Some(task));
    }
    fn on_poll_start(&self, task: &TaskInfo) {
        (self.0)(Event::PollStart, Some(task));
    }
    fn on_poll_end(&self, task: &TaskInfo, _: PollOutcome) {
        (self.0)(Event::PollEnd, Some(task));
    }
    fn on_wake(&self, task: &TaskInfo) {
        (self.0)(Event::Wake, Some(task));
    }
    fn on_finish(&self, task: &TaskInfo, _: Finish) {
        (self.0)(Event::Finish, Some(task));
    }
    fn on_unhandled_panic(&self, task: &TaskInfo, _: &(dyn Any + Send)) {
        (self.0)(Event::UnhandledPanic, Some(task));
    }
    fn on_blocking_start(&self, task: &TaskInfo) {
        (self.0)(Event::BlockingStart, Some(task));
    }
    fn on_blocking_end(&self, task: &TaskInfo) {
        (self.0)(Event::BlockingEnd, Some(task));
    }
    fn on_park(&self, _: usize) {
        (self.0)(Event::Park, None);
    }
    fn on_unpark(&self, _: usize) {
        (self.0)(Event::Unpark, None);
    }
    fn on_worker_start(&self, _: usize) {
        (self.0)(Event::WorkerStart, None);
    }
    fn on_worker_stop(&self, _: usize) {
        (self.0)(Event::WorkerStop, None);
    }
    fn on_steal(&self, _: usize, _: usize, _: usize) {
        (self.0)(Event::Steal, None);
    }
}
