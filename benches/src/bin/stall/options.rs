//! What the command line asks for.

use crate::experiment::Experiment;
use crate::runtimes::{ALL, Entry};
use crate::{Failure, ms};
use std::time::Duration;

const HELP: &str = "\
What happens beside tasks that block, under mainspring and under other runtimes.

  stall [--only NAME,…] [--rounds N] [--quick]

  --only NAMES   runtimes (all)
  --rounds N     how often each is measured (3; 1 if quick)
  --quick        shorter measurements, for a first look

Needs Linux. tokio_eager is there in a build with RUSTFLAGS='--cfg tokio_unstable'.
";

pub(crate) fn help() -> String {
    let runtimes: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
    format!("{HELP}\nRuntimes of this build: {}.", runtimes.join(", "))
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, Failure> {
    let mut runtimes: Vec<&Entry> = ALL.iter().collect();
    let (mut rounds, mut plan) = (None, Plan::DEFAULT);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "child" => return child(&value()?, &value()?, &value()?, words.next().as_deref()),
            "--only" => {
                runtimes = value()?.split(',').map(of_name).collect::<Result<_, Failure>>()?;
            }
            "--rounds" => rounds = Some(number(&value()?)?.max(1)),
            "--quick" => plan = Plan::QUICK,
            _ => return Err(format!("'{word}' is not understood (see --help)").into()),
        }
    }
    let rounds = rounds.unwrap_or(if plan == Plan::QUICK { 1 } else { 3 });
    Ok(Command::Measure(Options { runtimes, rounds, plan }))
}

fn child(
    experiment: &str,
    runtime: &str,
    count: &str,
    plan: Option<&str>,
) -> Result<Command, Failure> {
    let plan = match plan {
        None => Plan::DEFAULT,
        Some("--quick") => Plan::QUICK,
        Some(word) => return Err(format!("'{word}' is not understood").into()),
    };
    let experiment =
        Experiment::of_name(experiment).ok_or(format!("no experiment '{experiment}'"))?;
    Ok(Command::Child(Child { experiment, entry: of_name(runtime)?, number: number(count)?, plan }))
}

fn of_name(name: &str) -> Result<&'static Entry, Failure> {
    let found = ALL.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| format!("no runtime '{name}' (see --help)").into())
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| format!("'{text}' is not a whole number").into())
}

pub(crate) enum Command {
    Help,
    Measure(Options),
    Child(Child),
}

/// Measure in children, and compare.
pub(crate) struct Options {
    pub(crate) runtimes: Vec<&'static Entry>,
    pub(crate) rounds: u64,
    pub(crate) plan: Plan,
}

/// Measure in this process.
pub(crate) struct Child {
    pub(crate) experiment: Experiment,
    pub(crate) entry: &'static Entry,
    pub(crate) number: u64,
    pub(crate) plan: Plan,
}

/// How much is done in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// For how long a heartbeat or an echo peer is observed.
    pub(crate) time: Duration,
    /// How many tasks are spawned before a block.
    pub(crate) victims: usize,
    /// How many runtimes meet their first block.
    pub(crate) firsts: u64,
}

impl Plan {
    pub(crate) const DEFAULT: Self = Self { time: ms(1000), victims: 8, firsts: 14 };
    pub(crate) const QUICK: Self = Self { time: ms(400), victims: 3, firsts: 5 };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, Failure> {
        parse(words.iter().map(ToString::to_string))
    }

    #[test]
    fn runtimes_are_measured_in_the_order_in_which_they_are_named() {
        let Ok(Command::Measure(options)) = parsed(&["--only", "smol,mainspring", "--quick"])
        else {
            panic!("not understood");
        };
        let names: Vec<&str> = options.runtimes.iter().map(|entry| entry.name).collect();
        assert_eq!((names, options.rounds), (vec!["smol", "mainspring"], 1));
        assert!(parsed(&["--only", "smoll"]).is_err() && parsed(&["--rounds", "many"]).is_err());
    }

    #[test]
    fn a_child_knows_what_to_measure() {
        let experiment = Experiment::all()[3];
        let words = ["child", &experiment.name(), "tokio", "7", "--quick"];
        let Ok(Command::Child(child)) = parsed(&words) else { panic!("not understood") };
        assert_eq!((child.experiment, child.entry.name, child.number), (experiment, "tokio", 7));
        assert_eq!(child.plan, Plan::QUICK);
    }
}
