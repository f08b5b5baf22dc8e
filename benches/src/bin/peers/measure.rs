//! The parent: starts the children, round by round.

use crate::Failure;
use crate::child::UNSUPPORTED;
use crate::entry::Entry;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::results::Results;
use crate::tables;
use crate::workload::Workload;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a child may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a child.
pub(crate) enum Outcome {
    Measured(Metrics),
    /// The runtime has not what the workload needs.
    Unsupported,
    /// It crashed, or was ended because it hung.
    Failed(&'static str),
}

/// Measures all that is asked for and prints tables.
pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    let start = Instant::now();
    let mut results = Results::default();
    for round in 0..options.rounds {
        for &workload in &options.workloads {
            for step in 0..options.runtimes.len() {
                let entry = options.runtimes[(round + step) % options.runtimes.len()];
                if !entry.takes(workload) {
                    continue;
                }
                let outcome = outcome(workload, entry, options.quick)?;
                results.add(round, workload, entry, outcome);
            }
        }
        eprintln!("round {} of {}: {:.0?}", round + 1, options.rounds, start.elapsed());
    }
    println!("{}", tables::all(&results, options));
    if let Some(path) = &options.csv {
        std::fs::write(path, results.csv())?;
    }
    Ok(())
}

fn outcome(workload: Workload, entry: &Entry, quick: bool) -> io::Result<Outcome> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["child", workload.name(), entry.name])
        .args(quick.then_some("--quick"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let Ok(text) = receiver.recv_timeout(PATIENCE) else {
        child.kill()?;
        child.wait()?;
        return Ok(Outcome::Failed("hangs"));
    };
    let status = child.wait()?;
    let text = text?;
    Ok(match status.success() {
        true if text.trim() == UNSUPPORTED => Outcome::Unsupported,
        true => Outcome::Measured(Metrics::parse(&text)),
        false => Outcome::Failed("fails"),
    })
}
