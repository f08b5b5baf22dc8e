//! The tables: ours beside the best peer, for each class; then all runtimes, for each workload.

use crate::adapters;
use crate::entry::{Entry, Role};
use crate::metrics::Metric;
use crate::options::Options;
use crate::results::Results;
use crate::rows::{Row, Unit};
use crate::workload::Workload;
use mainspring_benches::report::{Spread, table};

/// All that were measured.
pub(crate) fn all(results: &Results, options: &Options) -> String {
    let mut text = String::new();
    for (threads, title) in [(1, "One thread"), (2, "Two threads")] {
        if let Some(table) = compared(results, options, threads) {
            text += &format!("\n## {title}\n\n{table}");
        }
    }
    text += "\n## All runtimes: median (smallest–largest) over the rounds\n";
    for &workload in &options.workloads {
        text += &format!("\n`{}`\n\n{}", workload.name(), detailed(results, options, workload));
    }
    text
}

/// Ours beside the best of the peers that have as many threads; `None` if none of them was measured.
///
/// What is compared: [`Row::figure`], and the median of the ratios within the rounds.
fn compared(results: &Results, options: &Options, threads: usize) -> Option<String> {
    let class = || options.runtimes.iter().copied().filter(move |entry| entry.threads == threads);
    let ours = class().find(|entry| entry.role == Role::Ours);
    let named: Vec<&Entry> = class().filter(|entry| NAMED.contains(&entry.name)).collect();
    let head: Vec<&str> = ["workload", "unit", "floor", "ours"]
        .into_iter()
        .chain(["best peer", "its", "ratio", "paired ratio", "spread", "", "eager"])
        .chain(named.iter().map(|entry| entry.name))
        .collect();
    let mut rows = Vec::new();
    for row in Row::of_class(threads) {
        if !options.workloads.contains(&row.workload) {
            continue;
        }
        let figure = |entry: &Entry| {
            Some(row.figure(results.spread(row.workload, entry.name, row.metric)?))
        };
        let show = |value: Option<f64>| value.map_or("–".into(), |value| row.unit.show(value));
        let ours = match row.variant {
            None => ours,
            Some(name) => adapters::of_name(name),
        };
        let our_figure = ours.and_then(figure);
        let best = |eager: bool| {
            class()
                .filter(|entry| entry.role == Role::Peer && (entry.eager && row.spawns) == eager)
                .filter_map(|entry| Some((entry, figure(entry)?)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
        };
        if our_figure.is_none() && best(false).is_none() {
            continue;
        }
        let floor = options.runtimes.iter().find(|entry| entry.role == Role::Floor);
        let mut cells = vec![row.title.to_string(), row.unit_name()];
        cells.extend([show(floor.and_then(|floor| figure(floor))), show(our_figure)]);
        match best(false) {
            None => cells.extend(["–"; 6].map(String::from)),
            Some((best, value)) => {
                cells.extend([best.name.into(), show(Some(value))]);
                let paired = ours.and_then(|ours| {
                    results.paired(row.workload, row.metric, ours.name, best.name)
                });
                let (median, spread) = paired.map_or(("–".into(), "–".into()), shown_ratio);
                let ratio = our_figure.map(|ours| ours / value);
                cells.push(ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")));
                cells.extend([median, spread, ratio.map_or("", flag).into()]);
            }
        }
        let eager =
            best(true).map(|(entry, value)| format!("{} {}", entry.name, show(Some(value))));
        cells.push(eager.unwrap_or_default());
        cells.extend(named.iter().map(|entry| show(figure(entry))));
        rows.push(cells);
    }
    (!rows.is_empty()).then(|| table(&head, &rows))
}

/// The peers whose figures are shown even where they are not the best.
const NAMED: [&str; 4] = ["tokio_ct", "smol_1", "tokio_mt2", "smol_2"];

fn flag(ratio: f64) -> &'static str {
    if ratio > 1.0 { "behind" } else { "" }
}

fn shown_ratio(ratios: Spread) -> (String, String) {
    (format!("{:.2}", ratios.median), format!("{:.2}–{:.2}", ratios.min, ratios.max))
}

/// All that was measured under a workload.
fn detailed(results: &Results, options: &Options, workload: Workload) -> String {
    let metrics = results.metrics(workload);
    let titles = metrics.iter().map(|metric| match metric {
        Metric::CpuNs => "CPU ns",
        Metric::WallNs => "wall ns",
        Metric::Bytes => "bytes",
        Metric::P50Ns => "p50 µs",
        Metric::P99Ns => "p99 µs",
        Metric::MaxNs => "max µs",
    });
    let head: Vec<&str> = std::iter::once("runtime").chain(titles).collect();
    let mut rows = Vec::new();
    for entry in &options.runtimes {
        let cell = |metric: &Metric| match results.spread(workload, entry.name, *metric) {
            Some(spread) => shown_spread(*metric, spread),
            None => results.failure(workload, entry.name).unwrap_or("–").into(),
        };
        let cells: Vec<String> = metrics.iter().map(cell).collect();
        if cells.iter().any(|cell| cell != "–") {
            let eager = if entry.eager { " (eager)" } else { "" };
            let name = format!("{}{eager}", entry.name);
            rows.push(std::iter::once(name).chain(cells).collect());
        }
    }
    table(&head, &rows)
}

fn shown_spread(metric: Metric, spread: Spread) -> String {
    let unit = match metric {
        Metric::CpuNs | Metric::WallNs => Unit::Nanoseconds,
        Metric::Bytes => Unit::Bytes,
        Metric::P50Ns | Metric::P99Ns | Metric::MaxNs => Unit::Microseconds,
    };
    let [median, min, max] = [spread.median, spread.min, spread.max].map(|value| unit.show(value));
    format!("{median} ({min}–{max})")
}
