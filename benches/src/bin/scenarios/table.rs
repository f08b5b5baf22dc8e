//! The scenarios that have published figures.

use crate::Failure;
use crate::client::get;
use crate::load::{Outcome, closed};
use crate::server::Serve;
use mainspring::{block_on, spawn_local};
use mainspring_benches::report::table;
use std::process::Command;
use std::time::Duration;

/// Seconds of `wrk` per handler.
const WRK_SECONDS: u64 = 30;

/// `wrk -c1000` on handlers that wait, and on handlers that block.
pub(crate) fn wrk() -> Result<(), Failure> {
    // A place and a thread for each connection: what is measured is the server, not its bounds.
    let server = Serve::start(&["--blocking-threads", "1000", "--header-time", "60"])?;
    let mut rows = Vec::new();
    for (path, published, ideal) in [
        ("async_0", "1011, 362 timeouts", 10_000.0),
        ("async_1", "790", 1_000.0),
        ("sync_0", "330, 8981 timeouts; Flask 482", 10_000.0),
        ("sync_1", "38.55, 1120 timeouts; Flask 457", 1_000.0),
    ] {
        let url = format!("http://{}/{path}", server.address);
        let duration = format!("-d{WRK_SECONDS}s");
        let arguments = ["-t2", "-c1000", "--timeout", "10s", &duration, &url];
        let output = Command::new("wrk").args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
        let rate: f64 = rate.ok_or_else(|| format!("wrk says: {said}"))?.trim().parse()?;
        // wrk counts refusals in its rate, so they stand beside it.
        let told = said.lines().filter(|line| line.contains("errors") || line.contains("Non-2xx"));
        let errors: Vec<_> = told.map(str::trim).collect();
        rows.push(vec![
            format!("/{path}"),
            published.to_owned(),
            format!("{ideal:.0}"),
            format!("{rate:.0}"),
            format!("{:.3}", rate / ideal),
            if errors.is_empty() { "none".to_owned() } else { errors.join("; ") },
        ]);
    }
    let head = ["wrk -c1000, req/s", "published", "ideal", "ours", "ours / ideal", "errors"];
    println!("1000 threads in the pool; {WRK_SECONDS} s each.\n\n{}", table(&head, &rows));
    Ok(())
}

/// Four ways to wait, under a client like `ab`.
pub(crate) fn ab() -> Result<(), Failure> {
    let server = Serve::start(&[])?;
    let address = server.address;
    let mut rows = Vec::new();
    for (path, published) in [
        ("/test/async", "63.5 s"),
        ("/test/sync", "78.6 s"),
        ("/test/sync_async", "256.2 s"),
        ("/test/sync_async_fastapi", "78.9 s"),
    ] {
        let outcome = block_on(closed(address, 200, 50, |_| format!("{path}?ms=300")));
        rows.push(row(path, published, Duration::from_millis(1200), &outcome));
    }
    println!(
        "200 requests, 50 at once, 300 ms each; 64 threads in the pool. Published: 1000 of 3 s.\n"
    );
    println!("{}", table(&HEAD, &rows));
    Ok(())
}

/// 1000 requests, 20 at once.
pub(crate) fn at_once() -> Result<(), Failure> {
    let server = Serve::start(&[])?;
    let address = server.address;
    let mut rows = Vec::new();
    for (path, published, total, ideal) in [
        ("/async_0", "5.30 s of 1000", 1000, 5.0),
        ("/async_1", "51.88 s of 1000", 100, 5.0),
        ("/sync_0", "6.77 s of 1000", 1000, 5.0),
        ("/sync_1", "51.73 s of 1000", 100, 5.0),
    ] {
        let outcome = block_on(closed(address, total, 20, |n| format!("{path}/{n}")));
        let name = format!("{path}/{{index}} × {total}");
        rows.push(row(&name, published, Duration::from_secs_f64(ideal), &outcome));
    }
    println!("20 at once.\n\n{}", table(&HEAD, &rows));
    Ok(())
}

const HEAD: [&str; 6] = ["scenario", "published", "ideal", "ours", "ours / ideal", "answers"];

fn row(name: &str, published: &str, ideal: Duration, outcome: &Outcome) -> Vec<String> {
    vec![
        name.to_owned(),
        published.to_owned(),
        format!("{:.2} s", ideal.as_secs_f64()),
        format!("{:.3} s", outcome.wall.as_secs_f64()),
        format!("{:.3}", outcome.wall.as_secs_f64() / ideal.as_secs_f64()),
        told(outcome),
    ]
}

/// How many answers of each status came, and which errors.
pub(crate) fn told(outcome: &Outcome) -> String {
    let mut statuses: Vec<u16> = outcome.answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let statuses = statuses.iter().map(|&status| format!("{} × {status}", outcome.count(status)));
    let errors = outcome.errors.iter().map(|(error, count)| format!("{count} × {error}"));
    statuses.chain(errors).collect::<Vec<_>>().join(", ")
}

/// Free and active threads while 50 of 60 are at work.
pub(crate) fn threads() -> Result<(), Failure> {
    let server = Serve::start(&["--blocking-threads", "60"])?;
    let (address, mut least_free, mut most_active) = (server.address, usize::MAX, 0);
    block_on(async {
        let load = spawn_local(closed(address, 500, 50, |_| "/sync_0".to_owned()));
        while !load.is_finished() {
            let number =
                async |path| Ok::<usize, Failure>(get(address, path).await?.body.trim().parse()?);
            least_free = least_free.min(number("/get_available_threads").await?);
            most_active = most_active.max(number("/get_active_threads").await?);
        }
        println!("500 requests of 0.1 s, 50 at once: {}", told(&load.await?));
        Ok::<(), Failure>(())
    })?;
    let rows = [
        vec!["free, least".to_owned(), "≥ 10".to_owned(), least_free.to_string()],
        vec!["active, most".to_owned(), "≤ 51".to_owned(), most_active.to_string()],
    ];
    println!("\n{}", table(&["limit 60, 50 at once", "published", "ours"], &rows));
    Ok(())
}

/// CPU-bound work in the pool beside handlers that wait.
pub(crate) fn cpu() -> Result<(), Failure> {
    let server = Serve::start(&[])?;
    let address = server.address;
    let (hogs, others) = block_on(async {
        let hogs = spawn_local(closed(address, 16, 16, |n| format!("/sync_c/{n}?ms=1000")));
        let others = closed(address, 100, 20, |n| format!("/async_1/{n}")).await;
        Ok::<_, Failure>((hogs.await?, others))
    })?;
    let ideal = Duration::from_secs(5);
    let rows = [
        row("100 × /async_1, 20 at once", "13.81 s", ideal, &others),
        row("16 × /sync_c?ms=1000 on two cores", "19.12 s", Duration::from_secs(8), &hogs),
    ];
    println!("{}", table(&HEAD, &rows));
    Ok(())
}
