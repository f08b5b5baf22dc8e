//! What the command line says.

use mainspring::http::{Bounds, Server, ServerBuilder};
use mainspring::{Builder, Handle, Runtime};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

const USAGE: &str = "\
A small HTTP server on mainspring.

  --addr HOST:PORT       where to listen; port 0 asks for a free one (127.0.0.1:8080)
  --workers N            threads that serve, each with a listening socket (the CPUs it may use)
  --admin HOST:PORT      where /performance, /task-monitor, /system-info and the thread counts are
                         served too, beside all bounds
  --grace SECONDS        how long connections may take to end after Ctrl-C or TERM (10)
  --help                 this text

Bounds, with their defaults:
  --connections N        connections; further ones wait in the kernel (25000)
  --in-flight N          requests that handlers work on; further ones wait (1024)
  --waiting N            requests that wait; further ones get 503 at once (1024)
  --waiting-time SECONDS how long they wait, then 503 (10)
  --requests N           requests on one connection (no bound)
  --read-ahead N         answers of one connection that its client may leave unread (16)
  --max-head BYTES       a request's head, then 431 (32768)
  --max-headers N        field lines of a request, then 431 (100)
  --max-target BYTES     a request's target, then 414 (8192)
  --max-body BYTES       a request's body, then 413 (2097152)
  --header-time SECONDS  a request's head, from accept or its first byte, then 408 (10)
  --keep-alive SECONDS   an idle connection after an answer (5)
  --body-time SECONDS    a request's body, beside what its rate earns, then 408 (30)
  --body-rate BYTES      so much of a body earns it a further second (256)
  --write-time SECONDS   a client that takes nothing of its answer (30)
  --blocking-threads N   threads for handlers that block (64)
  --blocking-queue N     handlers that wait for such a thread; further ones get 503 (1024)
  --blocking-niceness N  what is added to the nice value of these threads, 0 to 19 (10)

Seconds may have a fraction. Ctrl-C or TERM answers what has begun and ends; a second one ends at
once.
";

/// The settings.
pub(crate) struct Options {
    pub(crate) server: ServerBuilder,
    pub(crate) runtime: Builder,
    /// For the threads of the runtime's pool.
    pub(crate) niceness: u8,
    pub(crate) grace: Duration,
    pub(crate) admin: Option<String>,
}

/// What is to be done.
pub(crate) enum Command {
    Serve(Box<Options>),
    Help(String),
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut given = given.into_iter();
    let mut options = Options {
        server: Server::builder(),
        runtime: Runtime::builder(),
        niceness: 10,
        grace: Duration::from_secs(10),
        admin: None,
    };
    while let Some(name) = given.next() {
        if name == "--help" || name == "-h" {
            return Ok(Command::Help(format!("{USAGE}\n{}", crate::app::ROUTES)));
        }
        let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
        let server = options.server;
        options.server = match name.as_str() {
            "--addr" => server.addr(value()?),
            "--connections" => server.max_connections(number(&name, &value()?)?),
            "--in-flight" => server.max_in_flight(number(&name, &value()?)?),
            "--waiting" => server.max_waiting(number(&name, &value()?)?),
            "--waiting-time" => server.waiting_time(seconds(&name, &value()?)?),
            "--requests" => server.max_requests(number(&name, &value()?)?),
            "--read-ahead" => server.read_ahead(number(&name, &value()?)?),
            "--max-head" => server.max_head(number(&name, &value()?)?),
            "--max-headers" => server.max_headers(number(&name, &value()?)?),
            "--max-target" => server.max_target(number(&name, &value()?)?),
            "--body-rate" => server.body_rate(number(&name, &value()?)?),
            "--max-body" => server.max_body(number(&name, &value()?)?),
            "--header-time" => server.header_time(seconds(&name, &value()?)?),
            "--keep-alive" => server.keep_alive(seconds(&name, &value()?)?),
            "--body-time" => server.body_time(seconds(&name, &value()?)?),
            "--write-time" => server.write_time(seconds(&name, &value()?)?),
            "--blocking-threads" => {
                options.runtime = options.runtime.blocking_threads(number(&name, &value()?)?);
                server
            }
            "--blocking-queue" => {
                options.runtime = options.runtime.blocking_queue(number(&name, &value()?)?);
                server
            }
            "--workers" => {
                options.runtime = options.runtime.worker_threads(number(&name, &value()?)?);
                server
            }
            "--admin" => {
                options.admin = Some(value()?);
                server
            }
            "--blocking-niceness" => {
                options.niceness = number(&name, &value()?)?;
                server
            }
            "--grace" => {
                options.grace = seconds(&name, &value()?)?;
                server
            }
            other => return Err(format!("`{other}` is not an option")),
        };
    }
    Ok(Command::Serve(Box::new(options)))
}

fn number<T: FromStr<Err: Display>>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{name} {value}: {error}"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let seconds: f64 = number(name, value)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{name} {value}: {error}"))
}

/// What there is and the bounds that hold, in one line.
pub(crate) fn describe(runtime: &Handle, bounds: &Bounds, niceness: u8) -> String {
    let blocking = runtime.blocking();
    let requests = match bounds.max_requests {
        u64::MAX => "any number of".to_owned(),
        requests => requests.to_string(),
    };
    format!(
        "{} workers, {} connections of {requests} requests, {} requests in flight, {} waiting for {:?}, {} read \
         ahead; heads of {} bytes, {} fields, targets of {} bytes, bodies of {} bytes; head {:?}, \
         keep-alive {:?}, body {:?} and {} bytes/s, write {:?}; {} blocking threads, {} queued, \
         niceness +{}",
        runtime.workers(),
        bounds.max_connections,
        bounds.max_in_flight,
        bounds.max_waiting,
        bounds.waiting_time,
        bounds.read_ahead,
        bounds.max_head,
        bounds.max_headers,
        bounds.max_target,
        bounds.max_body,
        bounds.header_time,
        bounds.keep_alive,
        bounds.body_time,
        bounds.body_rate,
        bounds.write_time,
        blocking.limit(),
        blocking.queue_limit(),
        niceness,
    )
}
