//! What a child measured, and how it tells its parent.

use mainspring_benches::report::Spread;
use std::time::Duration;

use crate::clock::nanos;

/// A quantity that a workload yields. The smaller, the better, of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// CPU time of the whole process per operation, the smallest of the batches.
    CpuNs,
    /// Time per operation, the median of the batches.
    WallNs,
    /// Memory for each of many.
    Bytes,
    /// Latency that half stay below.
    P50Ns,
    /// Latency that 99 of 100 stay below.
    P99Ns,
    /// The longest latency.
    MaxNs,
}

impl Metric {
    const ALL: [Self; 6] =
        [Self::CpuNs, Self::WallNs, Self::Bytes, Self::P50Ns, Self::P99Ns, Self::MaxNs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CpuNs => "cpu_ns",
            Self::WallNs => "wall_ns",
            Self::Bytes => "bytes",
            Self::P50Ns => "p50_ns",
            Self::P99Ns => "p99_ns",
            Self::MaxNs => "max_ns",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

/// The values of one child.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metrics(Vec<(Metric, f64)>);

impl Metrics {
    pub(crate) fn with(mut self, metric: Metric, value: f64) -> Self {
        self.0.push((metric, value));
        self
    }

    /// Median, 99th percentile and maximum of some latencies.
    pub(crate) fn with_latencies(self, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            nanos(latencies[index.min(latencies.len() - 1)])
        };
        self.with(Metric::P50Ns, at(0.5)).with(Metric::P99Ns, at(0.99)).with(Metric::MaxNs, at(1.0))
    }

    /// Of batches of operations, each with its CPU and wall time per operation.
    pub(crate) fn of_batches(batches: &[(f64, f64)]) -> Self {
        let spread =
            |of: fn(&(f64, f64)) -> f64| Spread::of(&batches.iter().map(of).collect::<Vec<_>>());
        let mut metrics = Self::default();
        if let (Some(cpu), Some(wall)) = (spread(|batch| batch.0), spread(|batch| batch.1)) {
            metrics = metrics.with(Metric::CpuNs, cpu.min).with(Metric::WallNs, wall.median);
        }
        metrics
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        self.0.iter().copied()
    }

    /// A line per metric.
    pub(crate) fn print(&self) -> String {
        let lines = self.0.iter().map(|(metric, value)| format!("{} {value}\n", metric.name()));
        lines.collect()
    }

    /// What [`print`](Self::print) wrote; other lines are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let metric = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((Metric::of_name(name)?, value.parse().ok()?))
        };
        Self(text.lines().filter_map(metric).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_understood() {
        let metrics = Metrics::of_batches(&[(20.0, 25.5), (18.0, 24.0), (19.0, 26.0)]);
        assert_eq!(metrics.print(), "cpu_ns 18\nwall_ns 25.5\n");
        assert_eq!(Metrics::parse(&format!("noise\n{}", metrics.print())), metrics);
    }

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let latencies = (1..=200).rev().map(Duration::from_nanos).collect();
        let metrics = Metrics::default().with_latencies(latencies);
        let values: Vec<f64> = metrics.values().map(|(_, value)| value).collect();
        assert_eq!(values, [101.0, 199.0, 200.0]);
    }
}
