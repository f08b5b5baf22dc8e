//! mainspring beside other runtimes: what tasks, channels, locks, timers and sockets cost them.
//!
//! The program starts a process for each measurement, so that no runtime disturbs another: itself,
//! as `peers child WORKLOAD RUNTIME`. The parent compares what the children print.

#![allow(clippy::disallowed_types, reason = "loom does not run the benchmarks")]

mod adapters;
mod child;
mod clock;
mod entry;
mod facilities;
mod load;
mod measure;
mod metrics;
mod options;
mod plan;
mod results;
mod rows;
mod runtime;
mod tables;
mod workload;
mod workloads;

use options::Command;
use std::process::ExitCode;

/// Why the program could not do what it was asked for.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            println!("{}", options::help());
            Ok(())
        }
        Ok(Command::Measure(options)) => measure::measure(&options),
        Ok(Command::Child(child)) => child::run(child),
        Ok(Command::Load(load)) => load::run(&load),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
