//! The table.

use crate::experiment::Experiment;
use crate::options::Options;
use crate::sample::Sample;
use mainspring_benches::report::{self, Spread};
use std::time::Duration;

/// What all children have measured of an experiment under a runtime.
#[derive(Default)]
pub(crate) struct Cell {
    late: Vec<Duration>,
    over: Vec<f64>,
    threads: Option<u64>,
}

impl Cell {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.late.extend(sample.late);
        self.over.extend(sample.over.map(|over| over.as_secs_f64()));
        self.threads = self.threads.max(sample.threads);
    }

    /// Median, 99th percentile and worst, in ms.
    fn lateness(&self) -> String {
        let mut late = self.late.clone();
        late.sort_unstable();
        let at = |share: usize| {
            let count = (late.len() * share).div_ceil(100);
            late.get(count.saturating_sub(1)).copied().unwrap_or_default()
        };
        [50, 99, 100].map(|share| millis(at(share))).join(" / ")
    }

    /// Median, and the worst.
    fn all_over(&self) -> String {
        Spread::of(&self.over).map_or("–".into(), |Spread { median, max, .. }| {
            format!("{median:.2}, worst {max:.2}")
        })
    }
}

pub(crate) fn table(options: &Options, rows: &[(Experiment, Vec<Cell>)]) -> String {
    let names = options.runtimes.iter().map(|entry| entry.name);
    let head: Vec<&str> = ["lateness in ms: p50 / p99 / worst"].into_iter().chain(names).collect();
    let mut lines = Vec::new();
    for (experiment, cells) in rows {
        let mut line = |name: String, told: fn(&Cell) -> String| {
            lines.push([name].into_iter().chain(cells.iter().map(told)).collect());
        };
        let name = experiment.name();
        if *experiment != Experiment::Crowd {
            line(name, Cell::lateness);
            continue;
        }
        line(format!("{name}: heartbeat"), Cell::lateness);
        line(format!("{name}: all over after, s"), Cell::all_over);
        line(format!("{name}: threads at most"), |cell| {
            cell.threads.map_or("–".into(), |count| count.to_string())
        });
    }
    report::table(&head, &lines)
}

/// With a tenth where that says something.
fn millis(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 99.95 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ms;

    #[test]
    fn as_many_as_it_says_were_no_later_than_a_percentile() {
        let mut cell = Cell::default();
        cell.add(Sample { late: (1..=200).rev().map(ms).collect(), ..Sample::default() });
        assert_eq!(cell.lateness(), "100 / 198 / 200");
        cell.late.truncate(1);
        assert_eq!(cell.lateness(), "200 / 200 / 200");
    }

    #[test]
    fn the_most_threads_of_all_rounds_count() {
        let mut cell = Cell::default();
        for (over, threads) in [(1000, 4), (3000, 9), (2000, 5)] {
            let (over, threads) = (Some(ms(over)), Some(threads));
            cell.add(Sample { over, threads, ..Sample::default() });
        }
        assert_eq!((cell.all_over().as_str(), cell.threads), ("2.00, worst 3.00", Some(9)));
    }
}
