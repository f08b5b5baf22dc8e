//! What the command line asks for.

use super::workload::Workload;
use super::{Failure, SERVERS};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
What a request, or an idle connection, costs small HTTP servers, each pinned to one core.

  http [--workload NAME,…] [--only NAME,…] [--rounds N] [--seconds N] [--connections N,…]
       [--idle-connections N] [--csv PATH] [--server-core N] [--load-core N]
  http serve NAME [--port N] [--keep-alive SECONDS]

  --workload NAMES        of plain, json, pipelined, idle (all)
  --only NAMES            of the servers below (all)
  --rounds N              how often each server is measured (5)
  --seconds N             how long each time, after one second of warm-up (3)
  --connections NUMBERS   connections of wrk, one table for each (64,256)
  --idle-connections N    connections of the workload idle (10000)
  --csv PATH              also write workload,runtime,metric,median,min,max
  --server-core N         where the server runs (0)
  --load-core N           where wrk runs (1)

Needs wrk and taskset. Servers of this build: ";

pub(crate) fn help() -> String {
    format!("{HELP}{}.", SERVERS.join(", "))
}

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Measure(Options),
    Serve(Served),
}

/// Be one of the servers, on 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) server: String,
    pub(crate) port: u16,
    /// How long a connection may be idle, where the server has a bound; else its default.
    pub(crate) keep_alive: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) servers: Vec<&'static str>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) connections: Vec<usize>,
    pub(crate) idle_connections: usize,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) server_core: usize,
    pub(crate) load_core: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workloads: Workload::ALL.into(),
            servers: SERVERS.into(),
            rounds: 5,
            seconds: 3,
            connections: vec![64, 256],
            idle_connections: 10_000,
            csv: None,
            server_core: 0,
            load_core: 1,
        }
    }
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, Failure> {
    let mut options = Options::default();
    let mut served = Served { server: String::new(), port: 0, keep_alive: None };
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(Command::Help);
        }
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        let number = |text: String| {
            text.parse::<u64>().map_err(|_| format!("{word} needs a whole number, not '{text}'"))
        };
        match word.as_str() {
            "serve" => served.server = value()?,
            "--port" => served.port = u16::try_from(number(value()?)?)?,
            "--keep-alive" => served.keep_alive = Some(Duration::from_secs(number(value()?)?)),
            "--workload" => options.workloads = workloads(&value()?)?,
            "--only" => options.servers = servers(&value()?)?,
            "--rounds" => options.rounds = usize::try_from(number(value()?)?)?.max(1),
            "--seconds" => options.seconds = number(value()?)?.max(1),
            "--connections" => options.connections = counts(&value()?)?,
            "--idle-connections" => {
                options.idle_connections = usize::try_from(number(value()?)?)?.max(1);
            }
            "--server-core" => options.server_core = usize::try_from(number(value()?)?)?,
            "--load-core" => options.load_core = usize::try_from(number(value()?)?)?,
            "--csv" => options.csv = Some(value()?.into()),
            _ => return Err(format!("'{word}' is not understood (see --help)").into()),
        }
    }
    Ok(if served.server.is_empty() { Command::Measure(options) } else { Command::Serve(served) })
}

fn workloads(names: &str) -> Result<Vec<Workload>, Failure> {
    let named = |name| {
        Workload::of_name(name)
            .ok_or_else(|| format!("--workload {name}: no such workload (see --help)").into())
    };
    names.split(',').map(named).collect()
}

fn counts(numbers: &str) -> Result<Vec<usize>, Failure> {
    let count = |number: &str| match number.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("--connections {number}: not a number of connections").into()),
    };
    numbers.split(',').map(count).collect()
}

/// In the order of [`SERVERS`], whatever that of the names.
fn servers(names: &str) -> Result<Vec<&'static str>, Failure> {
    let names: Vec<&str> = names.split(',').collect();
    if let Some(name) = names.iter().find(|name| !SERVERS.contains(name)) {
        return Err(format!("--only {name}: no such server in this build (see --help)").into());
    }
    Ok(SERVERS.iter().copied().filter(|server| names.contains(server)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Failure> {
        parse(line.split_whitespace().map(str::to_string))
    }

    #[test]
    fn names_are_checked() {
        let Ok(Command::Measure(options)) = parsed("--workload idle,json --only mainspring,floor")
        else {
            panic!("not understood");
        };
        assert_eq!(options.workloads, [Workload::Idle, Workload::Json]);
        assert_eq!(options.servers, ["floor", "mainspring"]);
        assert!(parsed("--workload plane").is_err());
        assert!(parsed("--only hyperr").is_err());
        assert!(parsed("--rounds many").is_err());
    }

    #[test]
    fn numbers_of_connections_are_a_list() {
        let Ok(Command::Measure(options)) = parsed("--connections 1,256") else {
            panic!("not understood");
        };
        assert_eq!(options.connections, [1, 256]);
        assert!(parsed("--connections 64,0").is_err());
        assert!(parsed("--connections 64,").is_err());
    }

    #[test]
    fn a_server_may_be_given_its_keep_alive() {
        let Ok(Command::Serve(served)) = parsed("serve hyper --port 0 --keep-alive 600") else {
            panic!("not understood");
        };
        assert_eq!(served.keep_alive, Some(Duration::from_secs(600)));
    }
}
