//! Server CPU per request, beside hyper on tokio's current-thread runtime and a bare epoll loop.
//!
//! See benches/README.md for what is measured and how.

mod floor;
mod hyper_server;
mod load;
mod mainspring_server;
mod options;

use load::Load;
use mainspring_benches::process::Pinned;
use mainspring_benches::report::{Spread, table};
use options::{Command, Options};
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

type Failure = Box<dyn Error>;

/// What every server answers to `GET /`, beside the status, length and date.
const BODY: &str = "Hello, World!";
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";
/// What every server prints once it accepts, with its address.
const READY: &str = "listening on http://";

/// The one workload so far: short answers over 64 kept connections.
const WORKLOAD: &str = "plain-c64";
const CONNECTIONS: usize = 64;

fn main() -> ExitCode {
    let result = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Measure(options)) => measure(&options),
        Ok(Command::Serve { server, port }) => serve(&server, port),
        Ok(Command::Help) => {
            println!("{}", options::HELP);
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

fn serve(server: &str, port: u16) -> Result<(), Failure> {
    if server == "mainspring" {
        return mainspring_server::serve(port);
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    println!("{READY}{}", listener.local_addr()?);
    match server {
        "floor" => Ok(floor::serve(&listener)?),
        "hyper" => Ok(hyper_server::serve(listener)?),
        other => Err(format!("there is no server '{other}' (see --help)").into()),
    }
}

/// What was measured of one server, a value per round.
#[derive(Debug, Default)]
struct Series {
    name: String,
    answer_bytes: usize,
    micros_per_request: Vec<f64>,
    requests_per_second: Vec<f64>,
}

fn measure(options: &Options) -> Result<(), Failure> {
    let commands = options.servers()?;
    let mut all: Vec<Series> = commands
        .iter()
        .map(|(name, _)| Series { name: name.clone(), ..Series::default() })
        .collect();
    for round in 0..options.rounds {
        // Each round begins with another one, so that none always follows the same neighbour.
        for turn in 0..commands.len() {
            let at = (round + turn) % commands.len();
            let (name, command) = &commands[at];
            let (micros, per_second, bytes) =
                measure_once(options, command).map_err(|error| format!("{name}: {error}"))?;
            eprintln!("round {}: {name:<10} {micros:6.3} µs/request {per_second:8.0}/s", round + 1);
            all[at].micros_per_request.push(micros);
            all[at].requests_per_second.push(per_second);
            all[at].answer_bytes = bytes;
        }
    }
    println!("{}", report(&all));
    if let Some(path) = &options.csv {
        std::fs::write(path, csv(&all))?;
    }
    Ok(())
}

/// One server, started afresh, warmed up, and under load for a while.
fn measure_once(options: &Options, command: &[String]) -> Result<(f64, f64, usize), Failure> {
    let (server, address) = Pinned::start(options.server_core, command, READY)?;
    let bytes = load::check_answer(&address)?;
    let load = Load { core: options.load_core, connections: CONNECTIONS, address };
    load.run(1)?;
    let before = server.cpu_time()?;
    let loaded = load.run(options.seconds)?;
    let used = server.cpu_time()? - before;
    let micros = used.as_secs_f64() * 1e6 / loaded.requests;
    Ok((micros, loaded.requests_per_second, bytes))
}

fn report(all: &[Series]) -> String {
    let reference = all.iter().find(|series| series.name == "hyper");
    let mut rows = Vec::new();
    for series in all {
        let (Some(cpu), Some(rate)) =
            (Spread::of(&series.micros_per_request), Spread::of(&series.requests_per_second))
        else {
            continue;
        };
        let ratio = reference.and_then(|reference| Spread::of(&ratios(series, reference)));
        rows.push(vec![
            series.name.clone(),
            format!("{:.2}", cpu.median),
            format!("{:.2}", cpu.min),
            format!("{:.2}", cpu.max),
            format!("{:.0}", rate.median),
            ratio.map_or("-".into(), |r| format!("{:.3}", r.median)),
            ratio.map_or("-".into(), |r| format!("{:.3}–{:.3}", r.min, r.max)),
            series.answer_bytes.to_string(),
        ]);
    }
    let head =
        ["server", "CPU µs/request", "min", "max", "requests/s", "to hyper", "spread", "bytes"];
    format!("{WORKLOAD}\n\n{}", table(&head, &rows))
}

/// CPU per request in relation to the reference in the same round.
fn ratios(series: &Series, reference: &Series) -> Vec<f64> {
    let pairs = series.micros_per_request.iter().zip(&reference.micros_per_request);
    pairs.map(|(own, other)| own / other).collect()
}

fn csv(all: &[Series]) -> String {
    let mut text = String::from("workload,runtime,metric,median,min,max\n");
    for series in all {
        let metrics = [
            ("cpu_us_per_request", &series.micros_per_request),
            ("requests_per_second", &series.requests_per_second),
        ];
        for (metric, values) in metrics {
            if let Some(Spread { median, min, max }) = Spread::of(values) {
                let name = &series.name;
                let _ = writeln!(text, "{WORKLOAD},{name},{metric},{median:.4},{min:.4},{max:.4}");
            }
        }
    }
    text
}
