//! The parent, which starts children round by round, and what a child does.

use crate::Failure;
use crate::experiment::Experiment;
use crate::options::{Child, Options, Plan};
use crate::runtimes::Entry;
use crate::sample::Sample;
use crate::table::{Cell, table};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a child may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures all that is asked for and prints the table.
pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    let start = Instant::now();
    let mut rows = Vec::new();
    for experiment in Experiment::all() {
        let mut cells: Vec<Cell> = options.runtimes.iter().map(|_| Cell::default()).collect();
        let number_of = |round| round * experiment.processes(options.plan);
        for number in 0..number_of(options.rounds) {
            // Each begins with another one, so that none always follows the same neighbour.
            for step in 0..cells.len() {
                let at = (number as usize + step) % cells.len();
                let sample = sample(experiment, options.runtimes[at], options.plan, number)
                    .map_err(|error| {
                        let (runtime, experiment) = (options.runtimes[at].name, experiment.name());
                        format!("{experiment}, {runtime}: {error}")
                    })?;
                cells[at].add(sample);
            }
        }
        eprintln!("{:.0?}: {}", start.elapsed(), experiment.name());
        rows.push((experiment, cells));
    }
    println!("{}", table(options, &rows));
    Ok(())
}

/// Measures in this process, and prints.
pub(crate) fn child(child: &Child) -> Result<(), Failure> {
    let sample = (child.entry.measure)(child.experiment, child.plan, child.number)?;
    print!("{sample}");
    // Whatever the runtime still has to do.
    std::process::exit(0);
}

/// What a child measures.
fn sample(
    experiment: Experiment,
    entry: &Entry,
    plan: Plan,
    number: u64,
) -> Result<Sample, Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["child", &experiment.name(), entry.name, &number.to_string()])
        .args((plan == Plan::QUICK).then_some("--quick"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child.stdout.take().ok_or("no standard output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let text = receiver.recv_timeout(PATIENCE);
    if text.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let text = text.map_err(|_| "it hangs")??;
    if !status.success() {
        return Err(format!("it ended with {status}").into());
    }
    text.parse()
}
