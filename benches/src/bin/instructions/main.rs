//! One operation, many times, and nothing else: to be run under an instruction counter.
//!
//! `instructions RUNTIME CASE COUNT` does it; without arguments the cases are listed, as the script
//! `benches/instructions` reads them. It runs each with two counts: the difference is the operations
//! alone. What could differ from run to run is held still: there is one thread, and the clock counts
//! its own readings (see [`clock`]).
//!
//! The cases are one text, compiled once for each runtime: what it calls `rt` is a module with the
//! same names in it for each.

mod clock;
mod ours;
mod tokio_ct;

use std::process::ExitCode;

/// Something whose cost is counted.
struct Case {
    name: &'static str,
    meaning: &'static str,
    /// So often, by default: a second's work under valgrind, or less.
    count: usize,
    /// Does it so often.
    run: fn(usize),
}

const RUNTIMES: [(&str, &[&[Case]]); 2] = [("mainspring", ours::CASES), ("tokio", tokio_ct::CASES)];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => list(),
        [runtime, case, count] => {
            let (Some(case), Ok(count)) = (find(runtime, case), count.parse()) else {
                eprintln!("instructions: there is no {words:?}; without arguments it lists all");
                return ExitCode::FAILURE;
            };
            (case.run)(count);
        }
        _ => {
            eprintln!("usage: instructions [RUNTIME CASE COUNT]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn find(runtime: &str, case: &str) -> Option<&'static Case> {
    let (_, cases) = RUNTIMES.iter().find(|(name, _)| *name == runtime)?;
    cases.iter().copied().flatten().find(|found| found.name == case)
}

/// A line per case, its fields set apart by tabs: name, count, runtimes, meaning.
fn list() {
    for Case { name, meaning, count, .. } in ours::CASES.iter().copied().flatten() {
        let has = |runtime: &&str| find(runtime, name).is_some();
        let runtimes: Vec<&str> =
            RUNTIMES.map(|(runtime, _)| runtime).into_iter().filter(has).collect();
        println!("{name}\t{count}\t{}\t{meaning}", runtimes.join(","));
    }
}
