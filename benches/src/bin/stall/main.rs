//! What happens beside tasks that block, under mainspring and under other runtimes.
//!
//! The experiments of `examples/stall.rs`; see benches/README.md. The program starts a process for each
//! measurement: itself, as `stall child EXPERIMENT RUNTIME …`. The parent gathers what the children print.

#![allow(clippy::disallowed_types, reason = "loom does not run the benchmarks")]

mod beside;
mod crowd;
mod experiment;
mod measure;
mod options;
mod runtime;
mod runtimes;
mod sample;
mod table;
mod victims;

use options::Command;
use std::process::ExitCode;
use std::time::Duration;

/// Why the program could not do what it was asked for.
type Failure = Box<dyn std::error::Error>;

/// How many threads run tasks.
const WORKERS: usize = 4;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn main() -> ExitCode {
    let done = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            println!("{}", options::help());
            Ok(())
        }
        Ok(Command::Measure(options)) => measure::measure(&options),
        Ok(Command::Child(child)) => measure::child(&child),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stall: {error}");
            ExitCode::FAILURE
        }
    }
}
