//! The rows of the tables that compare.

use crate::metrics::Metric;
use crate::workload::Workload;
use mainspring_benches::report::Spread;

/// A figure of a workload that is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) workload: Workload,
    pub(crate) metric: Metric,
    pub(crate) unit: Unit,
    /// Whether a runtime that polls inside the call that spawns does something else here.
    pub(crate) spawns: bool,
    /// Whether its wall time is a row of its own where there are several threads, whose CPU times add up.
    pub(crate) wall: bool,
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
        wall: false,
        variant: None,
    }
}

/// Of a workload in batches, which tell wall time, too.
const fn both(title: &'static str, workload: Workload) -> Row {
    Row { wall: true, ..cpu(title, workload) }
}

impl Row {
    pub(crate) const ALL: [Self; 30] = [
        both("spawn + join, one at a time", Workload::SpawnJoin).spawns(),
        both("spawn 100,000, then join all", Workload::SpawnAll).spawns(),
        both("chained spawn, depth 1000", Workload::SpawnChain).spawns(),
        both("yield, lone task", Workload::YieldLone),
        both("yield, 1000 tasks × 1000", Workload::YieldMany),
        both("ping-pong over mpsc", Workload::PingPong),
        both("request–reply over oneshot", Workload::Oneshot),
        both("Mutex, uncontended", Workload::Mutex),
        both("Mutex, 1000 tasks, yield while held", Workload::MutexMany),
        both("Semaphore, uncontended", Workload::Semaphore),
        both("Semaphore, 1000 tasks, yield with a permit", Workload::SemaphoreMany),
        both("bounded mpsc 1→1, per message", Workload::Mpsc1),
        both("bounded mpsc 4→1, per message", Workload::Mpsc4),
        both("arm + cancel a sleep", Workload::SleepCancel),
        cpu("100,000 sleeps fired, per timer", Workload::SleepFire),
        cpu("the same at 50 µs", Workload::SleepFire).variant("mainspring_50us"),
        cpu("100,000 sleeps fired, lateness p99", Workload::SleepFire).latency(Metric::P99Ns),
        cpu("the same at 50 µs", Workload::SleepFire)
            .latency(Metric::P99Ns)
            .variant("mainspring_50us"),
        cpu("bytes per pending boxed sleep", Workload::SleepBytes).bytes(),
        cpu("bytes per idle task", Workload::TaskBytes).bytes().spawns(),
        cpu("wake of the parked runtime, lowest p50", Workload::Wake).latency(Metric::P50Ns),
        cpu("block_on, which spawns and joins", Workload::RootJoin).latency(Metric::WallNs),
        cpu("the same", Workload::RootJoin).micros(),
        cpu("spawn_blocking, one at a time", Workload::Blocking).latency(Metric::WallNs),
        cpu("spawn_blocking, 10,000 queued, per job", Workload::BlockingQueued),
        cpu("TCP echo, 64 connections × 64 B", Workload::Echo64).micros(),
        cpu("TCP echo, 512 × 64 B", Workload::Echo512).micros(),
        cpu("TCP echo, 8 × 64 KB", Workload::Echo64K).micros(),
        cpu("p99 at 512 connections", Workload::Echo512).latency(Metric::P99Ns).millis(),
        cpu("p99 at 64 connections", Workload::Echo64).latency(Metric::P99Ns).millis(),
    ];

    /// The rows of the runtimes with so many threads.
    pub(crate) fn of_class(threads: usize) -> Vec<Self> {
        let several = threads > 1;
        // The variants are of one thread.
        let rows = Self::ALL.into_iter().filter(|row| !several || row.variant.is_none());
        let with_wall = |row: Self| {
            let wall = (several && row.wall).then_some(Self { metric: Metric::WallNs, ..row });
            wall.into_iter().chain([row])
        };
        rows.flat_map(with_wall).collect()
    }

    /// In what the figure is shown, and which time it is where there are two.
    pub(crate) fn unit_name(&self) -> String {
        let wall = if self.metric == Metric::WallNs { " wall" } else { "" };
        format!("{}{wall}", self.unit.name())
    }

    /// The figure that is compared, of those of the rounds: wall time is the median, as what others do
    /// on the machine may also make it shorter; of the others, the smallest.
    pub(crate) fn figure(&self, rounds: Spread) -> f64 {
        if self.metric == Metric::WallNs { rounds.median } else { rounds.min }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn of_workload(threads: usize, workload: Workload) -> Vec<String> {
        let rows = Row::of_class(threads).into_iter().filter(|row| row.workload == workload);
        rows.map(|row| row.unit_name()).collect()
    }

    #[test]
    fn wall_time_is_a_row_where_several_threads_add_up() {
        assert_eq!(of_workload(1, Workload::SpawnJoin), ["ns"]);
        assert_eq!(of_workload(2, Workload::SpawnJoin), ["ns wall", "ns"]);
        assert_eq!(of_workload(2, Workload::RootJoin), ["µs wall", "µs"]);
        assert_eq!(of_workload(2, Workload::Echo512), ["µs", "ms"]);
    }

    #[test]
    fn variants_are_of_one_thread() {
        assert_eq!(of_workload(1, Workload::SleepFire).len(), 4);
        assert_eq!(of_workload(2, Workload::SleepFire).len(), 2);
    }

    #[test]
    fn the_middle_of_wall_times_is_compared_and_the_smallest_of_others() {
        let rounds = Spread { median: 3.0, min: 2.0, max: 9.0 };
        assert_eq!(both("", Workload::Mutex).figure(rounds), 2.0);
        assert_eq!(cpu("", Workload::Blocking).latency(Metric::WallNs).figure(rounds), 3.0);
    }
}
