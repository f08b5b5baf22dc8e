//! The routes that tell of the server itself: numbers, threads, the process.

use crate::app::{Counting, internal};
use mainspring::http::{Error, Json, Request, ServerHandle, ServerMetrics};
use mainspring::{Handle, TaskDump, TaskState, WorkerMetrics};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What is told of the process beside what it does.
pub(crate) struct Process {
    pub(crate) server: OnceLock<ServerHandle>,
    /// How many descriptors it may have; nothing where there is no limit.
    pub(crate) descriptors: Option<u64>,
    pub(crate) start: Instant,
}

impl Process {
    fn server(&self) -> Result<&ServerHandle, Error> {
        self.server.get().ok_or_else(|| internal("the server is not known yet"))
    }
}

pub(crate) fn routes(routes: Counting, process: &Arc<Process>) -> Counting {
    let [numbers, info] = [process.clone(), process.clone()];
    routes
        .get("/performance", move |_req: Request| {
            let metrics = numbers.server().map(ServerHandle::metrics);
            async { Ok::<_, Error>(Json(performance(&metrics?))) }
        })
        .get("/task-monitor", |_req: Request| async { Json(TaskMonitor::read(&Handle::current())) })
        .get("/system-info", move |_req: Request| {
            let info = info.server().map(|server| SystemInfo::read(&info, server));
            async { Ok::<_, Error>(Json(info?)) }
        })
        .get("/get_available_threads", |_req: Request| async {
            let blocking = Handle::current().blocking();
            (blocking.limit().saturating_sub(blocking.in_use())).to_string()
        })
        .get("/get_active_threads", |_req: Request| async {
            Handle::current().blocking().in_use().to_string()
        })
}

/// What is there, and how often each bound was met.
fn performance(metrics: &ServerMetrics) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("listeners", metrics.listeners as u64),
        ("connections", metrics.connections as u64),
        ("in_flight", metrics.in_flight as u64),
        ("waiting", metrics.waiting as u64),
        ("afterwork", metrics.afterwork as u64),
        ("served", metrics.served),
        ("accept_pauses", metrics.accept_pauses),
        ("accept_rests", metrics.accept_rests),
        ("waited", metrics.waited),
        ("refused", metrics.refused),
        ("refused_at_once", metrics.refused_at_once),
        ("refused_after_wait", metrics.refused_after_wait),
        ("rejected_malformed", metrics.rejected_malformed),
        ("rejected_target", metrics.rejected_target),
        ("rejected_head", metrics.rejected_head),
        ("rejected_body", metrics.rejected_body),
        ("timed_out", metrics.timed_out),
        ("timed_out_head", metrics.timed_out_head),
        ("timed_out_body", metrics.timed_out_body),
        ("timed_out_write", metrics.timed_out_write),
        ("timed_out_idle", metrics.timed_out_idle),
        ("max_requests_reached", metrics.max_requests_reached),
        ("read_ahead_pauses", metrics.read_ahead_pauses),
        ("cut_off", metrics.cut_off),
        ("afterwork_cut_off", metrics.afterwork_cut_off),
    ])
}

/// What `/task-monitor` answers: what the tasks do, and what each worker has done.
#[derive(Serialize)]
struct TaskMonitor {
    idle: usize,
    queued: usize,
    running: usize,
    tasks: Vec<Task>,
    /// How many more there are than are shown.
    not_shown: usize,
    workers: Vec<Worker>,
}

#[derive(Serialize)]
struct Task {
    id: u64,
    name: Option<String>,
    location: String,
    kind: String,
    state: &'static str,
    polls: u32,
    age_ms: u64,
    worker: Option<usize>,
}

#[derive(Serialize)]
struct Worker {
    polls: u64,
    steals: u64,
    parks: u64,
    busy_ms: u64,
    lifo_hits: u64,
    queued: usize,
}

impl TaskMonitor {
    /// A server with all its connections has as many tasks: an answer is not to be of any size.
    const MOST: usize = 1_000;

    fn read(runtime: &Handle) -> Self {
        let mut dump = runtime.dump_tasks();
        let count = |state| dump.iter().filter(|task| task.state == state).count();
        let [idle, queued, running] =
            [TaskState::Idle, TaskState::Queued, TaskState::Running].map(count);
        // The oldest first: they are the likeliest to be of interest.
        dump.sort_by_key(|task| Reverse(task.age));
        let not_shown = dump.len().saturating_sub(Self::MOST);
        let tasks = dump.iter().take(Self::MOST).map(Task::of).collect();
        let workers = runtime.metrics().workers.iter().map(Worker::of).collect();
        Self { idle, queued, running, tasks, not_shown, workers }
    }
}

impl Task {
    fn of(task: &TaskDump) -> Self {
        Self {
            id: task.info.id.as_u64(),
            name: task.info.name().map(String::from),
            location: task.info.location.to_string(),
            kind: format!("{:?}", task.info.kind).to_lowercase(),
            state: match task.state {
                TaskState::Idle => "idle",
                TaskState::Queued => "queued",
                TaskState::Running => "running",
                _ => "unknown",
            },
            polls: task.polls,
            age_ms: u64::try_from(task.age.as_millis()).unwrap_or(u64::MAX),
            worker: task.worker,
        }
    }
}

impl Worker {
    fn of(worker: &WorkerMetrics) -> Self {
        Self {
            polls: worker.polls,
            steals: worker.steals,
            parks: worker.parks,
            busy_ms: u64::try_from(worker.busy.as_millis()).unwrap_or(u64::MAX),
            lifo_hits: worker.lifo_hits,
            queued: worker.queued,
        }
    }
}

/// What `/system-info` answers.
#[derive(Serialize)]
struct SystemInfo {
    version: &'static str,
    pid: u32,
    uptime_ms: u128,
    workers: usize,
    /// Those that the process may use.
    cpus: Option<usize>,
    connections: usize,
    /// Connections that came, by listening socket.
    accepted: Vec<u64>,
    blocking: Blocking,
    rss_bytes: Option<u64>,
    descriptor_limit: Option<u64>,
}

/// The pool for work that blocks.
#[derive(Serialize)]
struct Blocking {
    limit: usize,
    in_use: usize,
    queued: usize,
    queue_limit: usize,
}

impl SystemInfo {
    fn read(process: &Process, server: &ServerHandle) -> Self {
        let runtime = Handle::current();
        let blocking = runtime.blocking();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_ms: process.start.elapsed().as_millis(),
            workers: runtime.workers(),
            cpus: std::thread::available_parallelism().ok().map(usize::from),
            connections: server.connections(),
            accepted: server.accepted(),
            blocking: Blocking {
                limit: blocking.limit(),
                in_use: blocking.in_use(),
                queued: blocking.queued(),
                queue_limit: blocking.queue_limit(),
            },
            rss_bytes: resident_bytes(),
            descriptor_limit: process.descriptors,
        }
    }
}

/// Memory of the process that is not swapped out, where the system tells it (`proc(5)`).
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
