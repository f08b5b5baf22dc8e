//! What a runtime counts, as plain data.

use std::time::Duration;

/// What a runtime has done and holds, as [`Handle::metrics`](crate::Handle::metrics) found it.
///
/// The runtime goes on while it is read, so that the figures need not be of one and the same moment.
///
/// # Examples
///
/// ```
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// rt.block_on(async {
///     let handle = mainspring::Handle::current();
///     let task = mainspring::spawn(mainspring::time::sleep(std::time::Duration::from_secs(60)));
///     mainspring::yield_now().await;
///     let metrics = handle.metrics();
///     assert_eq!((metrics.workers[0].polls, metrics.alive_tasks, metrics.timers), (1, 1, 1));
/// #     task.abort();
/// });
/// # Ok::<(), mainspring::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// One for each worker, in their order. What is done by threads that stand in for them is not in it.
    pub workers: Vec<WorkerMetrics>,
    /// Tasks, and wakes of tasks, that came from other threads and that no worker has taken up yet. What
    /// was left for one worker of several, as a task that stays there, is among those that are `queued`
    /// there.
    pub injector: usize,
    /// Tasks that were spawned and have not ended; without closures, which `blocking` counts.
    pub alive_tasks: usize,
    /// Timers that are armed.
    pub timers: usize,
    /// Descriptors that are watched, which are those that somebody has had to wait for.
    pub registrations: usize,
    /// Polls that lasted for longer than
    /// [`report_stall_after`](crate::Builder::report_stall_after), and other things that a thread did not
    /// return from for as long.
    pub stalls: u64,
    /// How often a thread took over tasks or events from behind one that was stuck.
    pub reliefs: u64,
    /// How often a thread began to stand in for a worker that was stuck.
    pub rescues: u64,
    /// Threads beside the workers that stand in for one, or wait to be needed again.
    pub rescuers: usize,
    /// Of these, those that have not come to the end of a single poll since they began to stand in: what
    /// they took up blocks, too.
    pub rescuers_without_a_poll: usize,
    /// The pool for work that blocks.
    pub blocking: BlockingMetrics,
}

/// What one worker has done since it began, and holds.
///
/// In [virtual time](crate::time#virtual-time) nothing that runs takes any time, so that it is never busy.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Polls of tasks; each end of one that was aborted counts as one, too. Those of the future of
    /// `block_on` do not count.
    pub polls: u64,
    /// Tasks that it took out of the queues of other workers.
    pub steals: u64,
    /// How often it went to sleep because there was nothing to do, counted before the sleep. The sleeps of a
    /// host that drives a [`LocalRuntime`](crate::LocalRuntime) by turns are not among them.
    pub parks: u64,
    /// The time in which it did not sleep: in which it ran tasks, and looked for what there is to run.
    ///
    /// It is measured whenever the loop reads the clock: before a sleep, after a long poll, and after some
    /// short ones, which take about 250 µs together.
    pub busy: Duration,
    /// Tasks that it ran right after the one that woke them, ahead of its queue.
    pub lifo_hits: u64,
    /// How many wait in its queue for their turn: tasks, and the future of a `block_on`. Of a
    /// [`Runtime`](crate::Runtime), tasks that stay on the worker do not count once it has taken them up.
    /// Of a
    /// [`LocalRuntime`](crate::LocalRuntime) that runs, other threads than its own are told how many that
    /// were when its loop last looked at the clock.
    pub queued: usize,
}

/// What a pool for work that blocks holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BlockingMetrics {
    /// How many closures may run at a time.
    pub limit: usize,
    /// Threads that there are, at work, asleep or on the way.
    pub threads: usize,
    /// Closures that are running. One that has just finished may still count.
    pub busy: usize,
    /// Closures in the queue, that have not started. Those that wait for a place in it do not count.
    pub queued: usize,
}
