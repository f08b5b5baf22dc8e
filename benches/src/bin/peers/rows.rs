//! The rows of the tables that compare.

use crate::metrics::Metric;
use crate::workload::Workload;

/// A figure of a workload that is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) workload: Workload,
    pub(crate) metric: Metric,
    pub(crate) unit: Unit,
    /// Whether a runtime that polls inside the call that spawns does something else here.
    pub(crate) spawns: bool,
    /// A variant of ours that is meant here.
    pub(crate) variant: Option<&'static str>,
}

/// In what a figure is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Bytes,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
        }
    }

    /// The figure without the unit.
    pub(crate) fn show(self, value: f64) -> String {
        let value = match self {
            Self::Nanoseconds | Self::Bytes => value,
            Self::Microseconds => value / 1e3,
            Self::Milliseconds => value / 1e6,
        };
        match value {
            ..10.0 => format!("{value:.2}"),
            ..100.0 => format!("{value:.1}"),
            _ => format!("{value:.0}"),
        }
    }
}

const fn cpu(title: &'static str, workload: Workload) -> Row {
    Row {
        title,
        workload,
        metric: Metric::CpuNs,
        unit: Unit::Nanoseconds,
        spawns: false,
        variant: None,
    }
}

impl Row {
    pub(crate) const ALL: [Self; 28] = [
        cpu("spawn + join, one at a time", Workload::SpawnJoin).spawns(),
        cpu("spawn 100,000, then join all", Workload::SpawnAll).spawns(),
        cpu("chained spawn, depth 1000", Workload::SpawnChain).spawns(),
        cpu("yield, lone task", Workload::YieldLone),
        cpu("yield, 1000 tasks × 1000", Workload::YieldMany),
        cpu("ping-pong over mpsc", Workload::PingPong),
        cpu("request–reply over oneshot", Workload::Oneshot),
        cpu("Mutex, uncontended", Workload::Mutex),
        cpu("Mutex, 1000 tasks, yield while held", Workload::MutexMany),
        cpu("Semaphore, uncontended", Workload::Semaphore),
        cpu("Semaphore, 1000 tasks, yield with a permit", Workload::SemaphoreMany),
        cpu("bounded mpsc 1→1, per message", Workload::Mpsc1),
        cpu("bounded mpsc 4→1, per message", Workload::Mpsc4),
        cpu("arm + cancel a sleep", Workload::SleepCancel),
        cpu("100,000 sleeps fired, per timer", Workload::SleepFire),
        cpu("the same at 50 µs", Workload::SleepFire).variant("mainspring_50us"),
        cpu("100,000 sleeps fired, lateness p99", Workload::SleepFire).latency(Metric::P99Ns),
        cpu("the same at 50 µs", Workload::SleepFire)
            .latency(Metric::P99Ns)
            .variant("mainspring_50us"),
        cpu("bytes per pending boxed sleep", Workload::SleepBytes).bytes(),
        cpu("bytes per idle task", Workload::TaskBytes).bytes().spawns(),
        cpu("wake of the parked runtime, lowest p50", Workload::Wake).latency(Metric::P50Ns),
        cpu("spawn_blocking, one at a time", Workload::Blocking).latency(Metric::WallNs),
        cpu("spawn_blocking, 10,000 queued, per job", Workload::BlockingQueued),
        cpu("TCP echo, 64 connections × 64 B", Workload::Echo64).micros(),
        cpu("TCP echo, 512 × 64 B", Workload::Echo512).micros(),
        cpu("TCP echo, 8 × 64 KB", Workload::Echo64K).micros(),
        cpu("p99 at 512 connections", Workload::Echo512).latency(Metric::P99Ns).millis(),
        cpu("p99 at 64 connections", Workload::Echo64).latency(Metric::P99Ns).millis(),
    ];

    const fn spawns(mut self) -> Self {
        self.spawns = true;
        self
    }

    const fn variant(mut self, name: &'static str) -> Self {
        self.variant = Some(name);
        self
    }

    const fn micros(mut self) -> Self {
        self.unit = Unit::Microseconds;
        self
    }

    const fn millis(mut self) -> Self {
        self.unit = Unit::Milliseconds;
        self
    }

    const fn latency(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self.micros()
    }

    const fn bytes(mut self) -> Self {
        self.metric = Metric::Bytes;
        self.unit = Unit::Bytes;
        self
    }
}
