//! What a request or an idle connection costs small HTTP servers, side by side.
//!
//! See benches/README.md for what is measured and how.

#[cfg(feature = "peer-actix")]
mod actix_server;
mod answers;
#[cfg(feature = "peer-axum")]
mod axum_server;
mod client;
mod floor;
mod hyper_server;
mod idle;
mod load;
mod mainspring_server;
#[cfg(feature = "peer-may")]
mod may_server;
mod measure;
#[cfg(feature = "peer-ntex")]
mod ntex_server;
mod options;
mod results;
mod workload;

use mainspring_benches::process::raise_descriptor_limit;
use options::{Command, Served};
use std::error::Error;
use std::process::ExitCode;

type Failure = Box<dyn Error>;

/// What every server prints once it accepts, with its address.
const READY: &str = "listening on http://";

/// All servers of this build, by name.
const SERVERS: &[&str] = &[
    "floor",
    "hyper",
    #[cfg(feature = "peer-axum")]
    "axum",
    #[cfg(feature = "peer-actix")]
    "actix-web",
    "mainspring",
    #[cfg(feature = "peer-may")]
    "may_minihttp",
    #[cfg(feature = "peer-ntex")]
    "ntex",
    #[cfg(feature = "peer-ntex")]
    "ntex-bare",
];
/// The one that the others are compared with.
const REFERENCE: &str = "hyper";

fn main() -> ExitCode {
    let descriptors = raise_descriptor_limit();
    let result = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Measure(options)) => measure::measure(&options, descriptors),
        Ok(Command::Serve(served)) => serve(&served),
        Ok(Command::Help) => {
            println!("{}", options::help());
            Ok(())
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(served: &Served) -> Result<(), Failure> {
    let Served { server, port, keep_alive } = served;
    // Some listen by themselves.
    match server.as_str() {
        "mainspring" => return mainspring_server::serve(*port, *keep_alive),
        #[cfg(feature = "peer-may")]
        "may_minihttp" => return may_server::serve(*port),
        name if !SERVERS.contains(&name) => {
            return Err(format!("there is no server '{name}' (see --help)").into());
        }
        _ => {}
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", *port))?;
    listener.set_nonblocking(true)?;
    println!("{READY}{}", listener.local_addr()?);
    match server.as_str() {
        "hyper" => Ok(hyper_server::serve(listener)?),
        #[cfg(feature = "peer-axum")]
        "axum" => Ok(axum_server::serve(listener)?),
        #[cfg(feature = "peer-actix")]
        "actix-web" => Ok(actix_server::serve(listener, *keep_alive)?),
        #[cfg(feature = "peer-ntex")]
        "ntex" => Ok(ntex_server::serve_router(listener, *keep_alive)?),
        #[cfg(feature = "peer-ntex")]
        "ntex-bare" => Ok(ntex_server::serve_bare(listener, *keep_alive)?),
        _ => Ok(floor::serve(&listener)?),
    }
}
