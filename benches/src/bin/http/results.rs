//! What was measured, as a table and as CSV.

use super::REFERENCE;
use super::workload::Workload;
use mainspring_benches::report::{Spread, table};
use std::fmt::Write;

/// One measurement of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// In the unit of [`Workload::compared`].
    pub(crate) compared: f64,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) answer_bytes: usize,
}

/// All measurements under one workload.
#[derive(Debug)]
pub(crate) struct Results {
    workload: Workload,
    connections: usize,
    servers: Vec<Series>,
}

/// What was measured of one server, a value per round.
#[derive(Debug, Default)]
struct Series {
    name: &'static str,
    answer_bytes: usize,
    compared: Vec<f64>,
    requests_per_second: Vec<f64>,
}

impl Results {
    pub(crate) fn new(workload: Workload, connections: usize, servers: &[&'static str]) -> Self {
        let series = |&name: &&'static str| Series { name, ..Series::default() };
        Self { workload, connections, servers: servers.iter().map(series).collect() }
    }

    /// Keeps a measurement of the server of this index; returns it in words.
    pub(crate) fn add(&mut self, at: usize, measured: Measured) -> String {
        let series = &mut self.servers[at];
        series.compared.push(measured.compared);
        series.requests_per_second.extend(measured.requests_per_second);
        series.answer_bytes = measured.answer_bytes;
        let (name, compared) = (series.name, measured.compared);
        let mut words = format!("{name:<12} {compared:8.3} {}", self.workload.compared().0);
        if let Some(rate) = measured.requests_per_second {
            let _ = write!(words, " {rate:8.0}/s");
        }
        words
    }

    pub(crate) fn table(&self) -> String {
        let reference = self.servers.iter().find(|series| series.name == REFERENCE);
        let mut rows = Vec::new();
        for series in &self.servers {
            let Some(compared) = Spread::of(&series.compared) else { continue };
            let ratio = reference.and_then(|reference| Spread::of(&series.ratios_to(reference)));
            // Bytes are large, and their fractions say nothing.
            let digits = if self.workload == Workload::Idle { 0 } else { 3 };
            let mut row = vec![series.name.to_string()];
            row.extend(
                [compared.median, compared.min, compared.max]
                    .map(|value| format!("{value:.digits$}")),
            );
            row.extend([
                ratio.map_or("-".into(), |r| format!("{:.3}", r.median)),
                ratio.map_or("-".into(), |r| format!("{:.3}–{:.3}", r.min, r.max)),
                Spread::of(&series.requests_per_second)
                    .map_or("-".into(), |rate| format!("{:.0}", rate.median)),
                series.answer_bytes.to_string(),
            ]);
            rows.push(row);
        }
        let to_reference = format!("to {REFERENCE}");
        let compared = self.workload.compared().0;
        let head =
            ["server", compared, "min", "max", &to_reference, "spread", "requests/s", "bytes"];
        format!("{}\n\n{}", self.name(), table(&head, &rows))
    }

    fn name(&self) -> String {
        format!("{}-c{}", self.workload.name(), self.connections)
    }
}

impl Series {
    /// Each value in relation to the other's of the same round.
    fn ratios_to(&self, other: &Self) -> Vec<f64> {
        self.compared.iter().zip(&other.compared).map(|(own, other)| own / other).collect()
    }
}

pub(crate) fn csv(all: &[Results]) -> String {
    let mut text = String::from("workload,runtime,metric,median,min,max\n");
    for results in all {
        let workload = results.name();
        for series in &results.servers {
            let metrics = [
                (results.workload.compared().1, &series.compared),
                ("requests_per_second", &series.requests_per_second),
            ];
            for (metric, values) in metrics {
                if let Some(Spread { median, min, max }) = Spread::of(values) {
                    let name = series.name;
                    let _ =
                        writeln!(text, "{workload},{name},{metric},{median:.4},{min:.4},{max:.4}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(compared: f64, rate: Option<f64>) -> Measured {
        Measured { compared, requests_per_second: rate, answer_bytes: 130 }
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        let mut results = Results::new(Workload::Plain, 64, &["hyper", "mainspring"]);
        for (hyper, mainspring) in [(4.0, 2.0), (8.0, 6.0), (4.0, 4.0)] {
            results.add(0, measured(hyper, Some(1e5)));
            results.add(1, measured(mainspring, Some(2e5)));
        }
        let table = results.table();
        let line = table.lines().find(|line| line.starts_with("| mainspring")).unwrap();
        assert!(line.contains(" 0.750 | 0.500–1.000 |"), "{line}");
        let csv = csv(&[results]);
        assert!(csv.contains("\nplain-c64,hyper,cpu_us_per_request,4.0000,4.0000,8.0000\n"));
        assert!(csv.contains("\nplain-c64,mainspring,requests_per_second,200000.0000,"));
    }

    #[test]
    fn idle_connections_have_no_rate() {
        let mut results = Results::new(Workload::Idle, 100, &["floor"]);
        results.add(0, measured(64.0, None));
        assert!(results.table().contains("| floor  |                   64 |"));
        let csv = csv(&[results]);
        assert_eq!(csv.lines().count(), 2, "{csv}");
        assert!(
            csv.ends_with("idle-c100,floor,rss_bytes_per_connection,64.0000,64.0000,64.0000\n")
        );
    }
}
