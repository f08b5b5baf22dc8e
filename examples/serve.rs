//! The server of the scenarios: handlers that wait, handlers that block, and a few that do neither.
//!
//! ```text
//! cargo run --release --example serve -- --addr 127.0.0.1:8080
//! ```

#![allow(clippy::disallowed_types)]

use mainspring::http::{Drained, Error, Json, Request, Router, Server};
use mainspring::time::sleep;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const HELP: &str = "\
A small HTTP server on mainspring.

  --addr HOST:PORT    where to listen; port 0 asks for a free one (default 127.0.0.1:8080)
  --help              this text

GET  /                    a short text
POST /echo                the body, sent back
GET  /seen                how many requests reached a handler before this one
GET  /async_0, /async_1   waits 0.1 s, 1 s
GET  /mix_s_0/{index}     blocks its thread for 0.1 s
GET  /mix_s_1/{index}     blocks its thread for 1 s
GET  /mix_c/{index}?ms=   uses that much CPU time, at most 60000

Ctrl-C or TERM: answers what has begun, for at most 10 s, and ends; a second one ends at once.
";

/// How long connections may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// The most CPU time that one request may ask for.
const MAX_SPIN_MS: u64 = 60_000;

fn main() -> ExitCode {
    let addr = match arguments(std::env::args().skip(1)) {
        Ok(Some(addr)) => addr,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("serve: {problem}; see --help");
            return ExitCode::from(2);
        }
    };
    match serve(&addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Option<String>, String> {
    let mut addr = "127.0.0.1:8080".to_owned();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--addr" => addr = given.next().ok_or("--addr needs HOST:PORT")?,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("`{other}` is not an option")),
        }
    }
    Ok(Some(addr))
}

fn serve(addr: &str) -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = raise_descriptor_limit();
    let server = Server::builder().addr(addr).build(app())?;
    let handle = server.handle();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for (count, _signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(130);
            }
            handle.shutdown(GRACE);
        }
    })?;
    tell(format_args!("listening on http://{}", server.local_addr()));
    tell(format_args!("limits: {descriptors} descriptors, 25000 connections"));
    let runtime = mainspring::LocalRuntime::builder().build()?;
    let drained = runtime.block_on(server.run())?;
    let Drained { served, cut_off, .. } = drained;
    tell(format_args!("served {served} requests, cut off {cut_off} connections"));
    Ok(())
}

/// Prints a line, if anybody still reads: `serve | head -1` must not end the server.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What handlers that only wait or block answer.
#[derive(Serialize)]
struct Answer {
    endpoint: &'static str,
    index: Option<u64>,
}

#[derive(Deserialize)]
struct Spin {
    ms: u64,
}

fn app() -> Router {
    let seen = Arc::new(AtomicU64::new(0));
    let count = {
        let seen = seen.clone();
        move || seen.fetch_add(1, Relaxed)
    };
    let waits = |endpoint: &'static str, time: Duration| {
        let count = count.clone();
        move |_req: Request| {
            count();
            async move {
                sleep(time).await;
                Json(Answer { endpoint, index: None })
            }
        }
    };
    // What a handler must not do, done on purpose: it blocks the thread that serves all others.
    let blocks = |endpoint: &'static str, time: Duration| {
        let count = count.clone();
        move |req: Request| {
            count();
            async move {
                let index = Some(req.param("index")?);
                std::thread::sleep(time);
                Ok::<_, Error>(Json(Answer { endpoint, index }))
            }
        }
    };
    let root = count.clone();
    let echo = count.clone();
    let spins = count.clone();
    Router::new()
        .get("/", move |_req: Request| {
            root();
            async { "Hello from mainspring.\n" }
        })
        .post("/echo", move |mut req: Request| {
            echo();
            async move { req.bytes().await }
        })
        .get("/seen", move |_req: Request| {
            let before = seen.fetch_add(1, Relaxed);
            async move { before.to_string() }
        })
        .get("/async_0", waits("async_0", Duration::from_millis(100)))
        .get("/async_1", waits("async_1", Duration::from_secs(1)))
        .get("/mix_s_0/{index}", blocks("mix_s_0", Duration::from_millis(100)))
        .get("/mix_s_1/{index}", blocks("mix_s_1", Duration::from_secs(1)))
        .get("/mix_c/{index}", move |req: Request| {
            spins();
            async move {
                let index = Some(req.param("index")?);
                let Spin { ms } = req.query()?;
                if ms > MAX_SPIN_MS {
                    let status = http::StatusCode::BAD_REQUEST;
                    return Err(Error::new(status, format!("ms must be at most {MAX_SPIN_MS}")));
                }
                spin(Duration::from_millis(ms));
                Ok(Json(Answer { endpoint: "mix_c", index }))
            }
        })
}

/// Uses `time` of the CPU, however long that takes.
fn spin(time: Duration) {
    let used = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    };
    let start = used();
    while used().saturating_sub(start) < time {
        std::hint::spin_loop();
    }
}

/// Allows as many descriptors as the system does, and tells how many that is.
fn raise_descriptor_limit() -> String {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.map_or_else(|| "unlimited".to_owned(), |count| count.to_string())
}
