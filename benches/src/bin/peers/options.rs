//! What the command line asks for.

use crate::Failure;
use crate::adapters;
use crate::entry::Entry;
use crate::load::Load;
use crate::plan::Plan;
use crate::workload::{Echo, Workload};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
What tasks, channels, locks, timers and sockets cost mainspring and other runtimes.

  peers [--only NAME,…] [--rounds N] [--quick] [--csv PATH]

  --only NAMES   workloads, runtimes, or both (all)
  --rounds N     how often each is measured (5)
  --quick        shorter measurements, for a first look
  --csv PATH     also write workload,runtime,metric,median,min,max

Needs Linux and two CPUs that nothing else uses: 0 for the runtimes of one thread, 1 for what loads
them, both for those of two threads.
";

pub(crate) fn help() -> String {
    let workloads = Workload::ALL.map(Workload::name).join(", ");
    let runtimes: Vec<&str> = adapters::ALL.iter().map(|entry| entry.name).collect();
    format!("{HELP}\nWorkloads: {workloads}.\nRuntimes of this build: {}.", runtimes.join(", "))
}

pub(crate) enum Command {
    Help,
    Measure(Options),
    Child(Child),
    Load(Load),
}

/// Measure in this process.
pub(crate) struct Child {
    pub(crate) workload: Workload,
    pub(crate) entry: &'static Entry,
    pub(crate) plan: Plan,
}

/// Measure in children, and compare.
pub(crate) struct Options {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) runtimes: Vec<&'static Entry>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) csv: Option<PathBuf>,
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, Failure> {
    let mut options = Options {
        workloads: Workload::ALL.into(),
        runtimes: adapters::ALL.iter().collect(),
        rounds: 5,
        quick: false,
        csv: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "child" => return child(&value()?, &value()?, words.next().as_deref()),
            "load" => return load([value()?, value()?, value()?, value()?]),
            "--only" => (options.workloads, options.runtimes) = only(&value()?)?,
            "--rounds" => options.rounds = number(&value()?)?.max(1),
            "--quick" => options.quick = true,
            "--csv" => options.csv = Some(value()?.into()),
            _ => return Err(format!("'{word}' is not understood (see --help)").into()),
        }
    }
    Ok(Command::Measure(options))
}

fn child(workload: &str, runtime: &str, plan: Option<&str>) -> Result<Command, Failure> {
    let workload = Workload::of_name(workload).ok_or(format!("no workload '{workload}'"))?;
    let entry = adapters::of_name(runtime).ok_or(format!("no runtime '{runtime}'"))?;
    let plan = match plan {
        None => Plan::DEFAULT,
        Some("--quick") => Plan::QUICK,
        Some(word) => return Err(format!("'{word}' is not understood").into()),
    };
    Ok(Command::Child(Child { workload, entry, plan }))
}

fn load([address, connections, message, millis]: [String; 4]) -> Result<Command, Failure> {
    let echo = Echo { connections: number(&connections)?, message: number(&message)? };
    let time = Duration::from_millis(millis.parse()?);
    Ok(Command::Load(Load { address: address.parse()?, echo, time }))
}

/// Where only workloads are named, all runtimes are meant, and the other way round. In the order of
/// the tables.
fn only(names: &str) -> Result<(Vec<Workload>, Vec<&'static Entry>), Failure> {
    let mut workloads = Vec::new();
    let mut runtimes = Vec::new();
    for name in names.split(',') {
        match (Workload::of_name(name), adapters::of_name(name)) {
            (Some(workload), _) => workloads.push(workload),
            (None, Some(_)) => runtimes.push(name),
            (None, None) => {
                let error = format!("--only {name}: no such workload or runtime (see --help)");
                return Err(error.into());
            }
        }
    }
    if workloads.is_empty() {
        workloads = Workload::ALL.into();
    }
    workloads.sort_unstable();
    let asked = |entry: &&Entry| runtimes.is_empty() || runtimes.contains(&entry.name);
    Ok((workloads, adapters::ALL.iter().filter(asked).collect()))
}

fn number(text: &str) -> Result<usize, Failure> {
    text.parse().map_err(|_| format!("'{text}' is not a whole number").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Failure> {
        parse(line.split_whitespace().map(str::to_string))
    }

    #[test]
    fn names_are_of_workloads_or_of_runtimes() {
        let Ok(Command::Measure(options)) = parsed("--only oneshot,tokio_ct,mutex --rounds 2")
        else {
            panic!("not understood");
        };
        assert_eq!(options.workloads, [Workload::Oneshot, Workload::Mutex]);
        assert_eq!(
            options.runtimes.iter().map(|entry| entry.name).collect::<Vec<_>>(),
            ["tokio_ct"]
        );
        let Ok(Command::Measure(options)) = parsed("--only mutex") else {
            panic!("not understood");
        };
        assert_eq!(options.runtimes.len(), adapters::ALL.len());
        assert!(parsed("--only mutexx").is_err());
        assert!(parsed("--rounds many").is_err());
    }

    #[test]
    fn a_child_knows_what_to_measure() {
        let Ok(Command::Child(child)) = parsed("child echo_64 tokio_ct --quick") else {
            panic!("not understood");
        };
        assert_eq!((child.workload, child.entry.name), (Workload::Echo64, "tokio_ct"));
        assert_eq!(child.plan.time, Plan::QUICK.time);
    }

    #[test]
    fn each_name_is_its_own() {
        let mut names: Vec<&str> = Workload::ALL.map(Workload::name).into();
        names.extend(adapters::ALL.iter().map(|entry| entry.name));
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
