//! What the command line asks for.

use super::Failure;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Server CPU per request of small HTTP servers, each pinned to one core.

  http [--rounds N] [--seconds N] [--only NAME,…] [--csv PATH]
       [--server-core N] [--load-core N]
  http serve NAME --port N

  --rounds N          how often each server is measured (7)
  --seconds N         how long each time, after one second of warm-up (4)
  --only NAMES        of floor, hyper, mainspring
  --csv PATH          also write workload,runtime,metric,median,min,max
  --server-core N     where the server runs (0)
  --load-core N       where wrk runs (1)

Needs wrk and taskset.";

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Measure(Options),
    /// Be one of the servers, on 127.0.0.1.
    Serve {
        server: String,
        port: u16,
    },
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) csv: Option<PathBuf>,
    pub(crate) server_core: usize,
    pub(crate) load_core: usize,
    only: Option<Vec<String>>,
}

impl Options {
    /// The servers to be measured: the name of each, and the command that starts it.
    pub(crate) fn servers(&self) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let own = std::env::current_exe()?.to_string_lossy().into_owned();
        let command = |name| [&own, "serve", name, "--port", "0"].map(str::to_string).to_vec();
        let mut servers: Vec<(String, Vec<String>)> =
            ["floor", "hyper", "mainspring"].map(|name| (name.into(), command(name))).into();
        let Some(only) = &self.only else { return Ok(servers) };
        for name in only {
            if !servers.iter().any(|(known, _)| known == name) {
                return Err(format!("--only {name}: no such server (see --help)").into());
            }
        }
        servers.retain(|(name, _)| only.contains(name));
        Ok(servers)
    }
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, Failure> {
    let mut options =
        Options { rounds: 7, seconds: 4, csv: None, server_core: 0, load_core: 1, only: None };
    let mut server = None;
    let mut port = 0;
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(Command::Help);
        }
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        let number = |text: String| {
            text.parse::<u64>().map_err(|_| format!("{word} needs a whole number, not '{text}'"))
        };
        match word.as_str() {
            "serve" => server = Some(value()?),
            "--port" => port = u16::try_from(number(value()?)?)?,
            "--rounds" => options.rounds = usize::try_from(number(value()?)?)?.max(1),
            "--seconds" => options.seconds = number(value()?)?.max(1),
            "--server-core" => options.server_core = usize::try_from(number(value()?)?)?,
            "--load-core" => options.load_core = usize::try_from(number(value()?)?)?,
            "--csv" => options.csv = Some(value()?.into()),
            "--only" => options.only = Some(value()?.split(',').map(str::to_string).collect()),
            _ => return Err(format!("'{word}' is not understood (see --help)").into()),
        }
    }
    Ok(match server {
        Some(server) => Command::Serve { server, port },
        None => Command::Measure(options),
    })
}
