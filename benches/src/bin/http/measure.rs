//! Each server afresh, in turns, under one workload after the other.

use super::load::Load;
use super::options::Options;
use super::results::{self, Measured, Results};
use super::workload::Workload;
use super::{Failure, READY, client, idle};
use mainspring_benches::process::Pinned;
use std::slice;

/// Longer than any measurement takes.
const KEEP_ALIVE_SECONDS: u64 = 3600;

pub(crate) fn measure(options: &Options, descriptors: u64) -> Result<(), Failure> {
    let mut all: Vec<Results> = Vec::new();
    let runs = options.workloads.iter().flat_map(|&workload| {
        let connections = match workload {
            Workload::Idle => slice::from_ref(&options.idle_connections),
            _ => &options.connections,
        };
        connections.iter().map(move |&connections| (workload, connections))
    });
    for (workload, connections) in runs {
        let mut results = Results::new(workload, connections, &options.servers);
        for round in 0..options.rounds {
            // Each round begins with another one, so that none always follows the same neighbour.
            for turn in 0..options.servers.len() {
                let at = (round + turn) % options.servers.len();
                let measured =
                    measure_once(options, workload, connections, options.servers[at], descriptors)
                        .map_err(|error| {
                            format!("{workload:?}, {}: {error}", options.servers[at])
                        })?;
                eprintln!("round {}: {}", round + 1, results.add(at, measured));
            }
        }
        println!("{}", results.table());
        all.push(results);
    }
    if let Some(path) = &options.csv {
        std::fs::write(path, results::csv(&all))?;
    }
    Ok(())
}

/// One server, started afresh, and measured once.
fn measure_once(
    options: &Options,
    workload: Workload,
    connections: usize,
    server: &str,
    descriptors: u64,
) -> Result<Measured, Failure> {
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let mut command = [&own, "serve", server, "--port", "0"].map(str::to_string).to_vec();
    if workload == Workload::Idle {
        command.extend(["--keep-alive".into(), KEEP_ALIVE_SECONDS.to_string()]);
    }
    let (server, address) = Pinned::start(&[options.server_core], &command, READY)?;
    let answer_bytes = client::check_answer(&address, workload.answer())?;
    if workload == Workload::Idle {
        let compared = idle::bytes_per_connection(
            server,
            &address,
            connections,
            descriptors,
            workload.answer(),
        )?;
        return Ok(Measured { compared, requests_per_second: None, answer_bytes });
    }
    let load = Load { core: options.load_core, connections, workload, address, answer_bytes };
    load.run(1)?;
    let before = server.cpu_time()?;
    let loaded = load.run(options.seconds)?;
    let used = server.cpu_time()? - before;
    Ok(Measured {
        compared: used.as_secs_f64() * 1e6 / loaded.requests,
        requests_per_second: Some(loaded.requests_per_second),
        answer_bytes,
    })
}
