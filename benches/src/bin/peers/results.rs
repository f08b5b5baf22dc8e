//! What the children measured, by workload, runtime and round.

use crate::entry::Entry;
use crate::measure::Outcome;
use crate::metrics::Metric;
use crate::workload::Workload;
use mainspring_benches::report::Spread;
use std::collections::BTreeMap;
use std::fmt::Write;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The values of a metric, by round.
    values: BTreeMap<(Workload, &'static str, Metric), BTreeMap<usize, f64>>,
    failures: BTreeMap<(Workload, &'static str), &'static str>,
}

impl Results {
    pub(crate) fn add(
        &mut self,
        round: usize,
        workload: Workload,
        entry: &Entry,
        outcome: Outcome,
    ) {
        match outcome {
            Outcome::Measured(metrics) => {
                for (metric, value) in metrics.values() {
                    let of_rounds = self.values.entry((workload, entry.name, metric)).or_default();
                    of_rounds.insert(round, value);
                }
            }
            Outcome::Unsupported => {}
            Outcome::Failed(how) => {
                eprintln!("{} under {}: {how}", workload.name(), entry.name);
                self.failures.insert((workload, entry.name), how);
            }
        }
    }

    /// Over the rounds.
    pub(crate) fn spread(
        &self,
        workload: Workload,
        name: &'static str,
        metric: Metric,
    ) -> Option<Spread> {
        let values = self.values.get(&(workload, name, metric))?;
        Spread::of(&values.values().copied().collect::<Vec<_>>())
    }

    /// The ratios of two runtimes within the rounds.
    pub(crate) fn paired(
        &self,
        workload: Workload,
        metric: Metric,
        name: &'static str,
        to: &'static str,
    ) -> Option<Spread> {
        let ours = self.values.get(&(workload, name, metric))?;
        let theirs = self.values.get(&(workload, to, metric))?;
        let ratios = ours.iter().filter_map(|(round, value)| Some(value / theirs.get(round)?));
        Spread::of(&ratios.collect::<Vec<_>>())
    }

    /// Whether a measurement of it ended badly, and how.
    pub(crate) fn failure(&self, workload: Workload, name: &'static str) -> Option<&'static str> {
        self.failures.get(&(workload, name)).copied()
    }

    /// The metrics that any runtime has for a workload.
    pub(crate) fn metrics(&self, workload: Workload) -> Vec<Metric> {
        let of_workload = self.values.keys().filter(|key| key.0 == workload).map(|key| key.2);
        let mut metrics: Vec<Metric> = of_workload.collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }

    pub(crate) fn csv(&self) -> String {
        let mut text = String::from("workload,runtime,metric,median,min,max\n");
        for ((workload, name, metric), values) in &self.values {
            let values: Vec<f64> = values.values().copied().collect();
            if let Some(Spread { median, min, max }) = Spread::of(&values) {
                let (workload, metric) = (workload.name(), metric.name());
                let _ = writeln!(text, "{workload},{name},{metric},{median:.3},{min:.3},{max:.3}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters;
    use crate::metrics::Metrics;

    #[test]
    fn ratios_are_of_the_same_round() {
        let entry = |name| adapters::of_name(name).unwrap();
        let mut results = Results::default();
        let mut add = |round, name, value| {
            let metrics = Metrics::default().with(Metric::CpuNs, value);
            results.add(round, Workload::Mutex, entry(name), Outcome::Measured(metrics));
        };
        add(0, "mainspring_local", 10.0);
        add(0, "tokio_ct", 20.0);
        add(1, "mainspring_local", 30.0);
        add(2, "mainspring_local", 30.0);
        add(2, "tokio_ct", 30.0);
        let paired =
            results.paired(Workload::Mutex, Metric::CpuNs, "mainspring_local", "tokio_ct").unwrap();
        assert_eq!(paired, Spread { median: 0.75, min: 0.5, max: 1.0 });
        assert!(results.csv().contains("\nmutex,mainspring_local,cpu_ns,30.000,10.000,30.000\n"));
    }
}
