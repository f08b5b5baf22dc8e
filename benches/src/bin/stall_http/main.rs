//! What HTTP servers do for others while handlers block.
//!
//! See benches/README.md. Each server is a process of its own: this program, as `stall_http serve NAME`.

#![allow(clippy::disallowed_types, reason = "loom does not run the benchmarks")]

#[cfg(feature = "peer-actix")]
mod actix_server;
mod answer;
#[cfg(feature = "peer-axum")]
mod axum_server;
mod client;
mod hyper_server;
mod mainspring_server;
mod measure;
#[cfg(feature = "peer-ntex")]
mod ntex_server;

use measure::Options;
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

/// What every server prints once it accepts, with its address.
const READY: &str = "listening on http://";

/// How many threads of a server run handlers.
const WORKERS: usize = 2;

/// All servers of this build, by name.
const SERVERS: &[&str] = &[
    "mainspring",
    "hyper",
    #[cfg(tokio_unstable)]
    "hyper_eager",
    #[cfg(feature = "peer-axum")]
    "axum",
    #[cfg(feature = "peer-actix")]
    "actix-web",
    #[cfg(feature = "peer-ntex")]
    "ntex",
];

const HELP: &str = "\
What HTTP servers do for others while handlers block.

  stall_http [--only NAME,…] [--rounds N] [--quick]

  --only NAMES   servers (all)
  --rounds N     how often each is measured (3; 1 if quick)
  --quick        a round only, for a first look

Needs Linux and taskset. Servers of this build: ";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stall_http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let (mut servers, mut rounds) = (SERVERS.to_vec(), 3);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => {
                println!("{HELP}{}.", SERVERS.join(", "));
                return Ok(());
            }
            "serve" => return serve(known(&value()?)?),
            "--only" => servers = value()?.split(',').map(known).collect::<Result<_, _>>()?,
            "--rounds" => rounds = value()?.parse::<usize>()?.max(1),
            "--quick" => rounds = 1,
            _ => return Err(format!("'{word}' is not understood (see --help)").into()),
        }
    }
    measure::measure(&Options { servers, rounds })
}

fn known(name: &str) -> Result<&'static str, Failure> {
    let found = SERVERS.iter().find(|known| **known == name);
    Ok(found.ok_or_else(|| format!("there is no server '{name}' (see --help)"))?)
}

fn serve(server: &str) -> Result<(), Failure> {
    match server {
        "mainspring" => mainspring_server::serve(),
        "hyper" => Ok(hyper_server::serve(listener()?, &mut tokio_workers())?),
        #[cfg(tokio_unstable)]
        "hyper_eager" => {
            Ok(hyper_server::serve(listener()?, tokio_workers().enable_eager_driver_handoff())?)
        }
        #[cfg(feature = "peer-axum")]
        "axum" => Ok(axum_server::serve(listener()?, &mut tokio_workers())?),
        #[cfg(feature = "peer-actix")]
        "actix-web" => Ok(actix_server::serve(listener()?)?),
        #[cfg(feature = "peer-ntex")]
        "ntex" => Ok(ntex_server::serve(listener()?)?),
        _ => Err(format!("there is no server '{server}'").into()),
    }
}

fn listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{READY}{}", listener.local_addr()?);
    Ok(listener)
}

fn tokio_workers() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_all();
    builder
}
