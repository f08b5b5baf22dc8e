//! Each server afresh, in turns.

use crate::client::{self, Times};
use crate::{Failure, READY};
use mainspring_benches::process::Pinned;
use mainspring_benches::report::{Spread, table};

pub(crate) struct Options {
    pub(crate) servers: Vec<&'static str>,
    pub(crate) rounds: usize,
}

pub(crate) fn measure(options: &Options) -> Result<(), Failure> {
    let Options { servers, rounds } = options;
    let mut times: Vec<Vec<Times>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..*rounds {
        // Each round begins with another one, so that none always follows the same neighbour.
        for turn in 0..servers.len() {
            let at = (round + turn) % servers.len();
            let measured =
                measure_once(servers[at]).map_err(|error| format!("{}: {error}", servers[at]))?;
            eprintln!("round {}, {}: {measured:.2?}", round + 1, servers[at]);
            times[at].push(measured);
        }
    }
    let rows: Vec<_> = servers
        .iter()
        .zip(&times)
        .map(|(server, times)| {
            let told =
                |which: fn(&Times) -> f64| told(&times.iter().map(which).collect::<Vec<_>>());
            vec![server.to_string(), told(|times| times.others), told(|times| times.blockers)]
        })
        .collect();
    let head = ["server", "100 that await 1 s, 20 at once: s", "16 that block for 1 s, at once: s"];
    println!("{}", table(&head, &rows));
    Ok(())
}

/// One server, started afresh, and loaded once.
fn measure_once(server: &str) -> Result<Times, Failure> {
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let command = [&own, "serve", server].map(str::to_string);
    let (_server, address) = Pinned::start(&[0, 1], &command, READY)?;
    client::load(&address)
}

fn told(seconds: &[f64]) -> String {
    Spread::of(seconds).map_or("–".into(), |Spread { median, min, max }| {
        format!("{median:.2} ({min:.2}–{max:.2})")
    })
}
