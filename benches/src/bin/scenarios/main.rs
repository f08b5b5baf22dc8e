//! The scenarios of the users that the project has in mind: published, ideal, and ours.
//!
//! See benches/README.md. Each scenario is a load on `examples/serve` in a process of its own; the
//! figures are what a client saw, and what the server tells of itself.

mod client;
mod faults;
mod load;
mod server;
mod table;

use mainspring_benches::process::raise_descriptor_limit;
use std::error::Error;
use std::process::ExitCode;

type Failure = Box<dyn Error>;

const HELP: &str = "\
scenarios: loads examples/serve as the users do whom the project has in mind

  scenarios [NAME …]     the named scenarios, or all:

  wrk        four handlers under wrk -c1000, two minutes
  ab         four ways to wait, 200 requests, 50 at once
  at-once    1000 requests, 20 at once, at a tenth of the times
  threads    free and active threads, limit 60, 50 at once
  crowd      10,000 connections on handlers that take 800 s
  cpu        16 CPU-bound jobs in the pool beside 100 awaiting handlers
  overload   four times what the server can do
  term       TERM under load

Build first: cargo build --release --example serve && cargo build --release -p mainspring-benches";

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.iter().any(|name| name.starts_with('-')) {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scenarios: {error}");
            ExitCode::FAILURE
        }
    }
}

type Scenario = fn() -> Result<(), Failure>;

fn run(wanted: &[String]) -> Result<(), Failure> {
    let all: [(&str, Scenario); 8] = [
        ("wrk", table::wrk),
        ("ab", table::ab),
        ("at-once", table::at_once),
        ("threads", table::threads),
        ("crowd", faults::crowd),
        ("cpu", table::cpu),
        ("overload", faults::overload),
        ("term", faults::term),
    ];
    if let Some(name) = wanted.iter().find(|name| all.iter().all(|(known, _)| known != name)) {
        return Err(format!("there is no scenario '{name}'; see --help").into());
    }
    raise_descriptor_limit();
    for (name, scenario) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("\n## {name}\n");
            scenario()?;
        }
    }
    Ok(())
}
