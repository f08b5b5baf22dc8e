//! More than the server can do, and its end.

use crate::Failure;
use crate::client::{Kept, get};
use crate::load::{self, Outcome, open};
use crate::server::Serve;
use crate::table::told;
use mainspring::time::sleep;
use mainspring::{block_on, spawn_local};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// 10,000 connections on handlers that take 800 s.
pub(crate) fn crowd() -> Result<(), Failure> {
    let server = Serve::start(&["--header-time", "120"])?;
    let (address, admin) = (server.address, server.admin);
    let before = server.resident()?;
    block_on(async {
        let (within, until) = (Duration::from_secs(10), Duration::from_secs(25));
        let path = "/test/sync?ms=800000";
        let crowd = spawn_local(load::crowd(address, 10_000, within, until, path));
        for second in [5, 10, 15, 22] {
            sleep(Duration::from_secs(if second == 22 { 7 } else { 5 })).await;
            // The most is there before they are refused, not at the end.
            let more = server.resident()?.saturating_sub(before) / 1024;
            let told = get(admin, "/performance").await?;
            println!("after {second:>2} s: resident {more} KiB more; {}", told.body.trim());
        }
        let outcome = crowd.await?;
        let refused: Vec<_> = outcome.with_status(503).collect();
        let retry = refused.iter().filter_map(|answer| answer.retry_after);
        println!("answers: {}", told(&outcome));
        println!(
            "503: Retry-After from {:?} to {:?} s; half within {:?}, 99 of 100 within {:?}",
            retry.clone().min().unwrap_or(0),
            retry.max().unwrap_or(0),
            outcome.percentile(503, 50),
            outcome.percentile(503, 99),
        );
        Ok::<(), Failure>(())
    })
}

/// Four times what the server can do.
pub(crate) fn overload() -> Result<(), Failure> {
    // 100 at a time of 50 ms each: 2,000 a second.
    const CAPACITY: u32 = 2_000;
    const PATH: &str = "/test/async?ms=50";
    let server = Serve::start(&["--in-flight", "100", "--waiting", "100", "--waiting-time", "1"])?;
    let address = server.address;
    println!("100 in flight, 100 waiting; handlers of 50 ms: {CAPACITY} requests/s at most.\n");
    for (factor, seconds) in [(1, 5), (4, 10), (4, 10)] {
        let time = Duration::from_secs(seconds);
        let outcome = block_on(open(address, CAPACITY * factor, time, PATH));
        let goodput = outcome.count(200) as f64 / outcome.wall.as_secs_f64();
        println!(
            "{factor} × capacity for {seconds} s: {goodput:.0} good/s ({:.1} % of capacity); \
             accepted p50 {:?}, p99 {:?}; refused p99 {:?}; {}; resident {} KiB",
            goodput * 100.0 / f64::from(CAPACITY),
            outcome.percentile(200, 50),
            outcome.percentile(200, 99),
            outcome.percentile(503, 99),
            told(&outcome),
            server.resident()? / 1024,
        );
    }
    Ok(())
}

/// TERM under the load of `wrk` and of clients that look at each answer.
pub(crate) fn term() -> Result<(), Failure> {
    for path in ["/", "/async_0"] {
        let mut server = Serve::start(&[])?;
        let address = server.address;
        let url = format!("http://{address}{path}");
        let mut wrk = Command::new("wrk")
            .args(["-t1", "-c64", "-d4s", &url])
            .stdout(Stdio::null())
            .spawn()?;
        let (outcome, ended) = block_on(async {
            let outcome = Rc::new(RefCell::new(Outcome::default()));
            let clients: Vec<_> = (0..32)
                .map(|_| spawn_local(until_gone(address, path, Rc::clone(&outcome))))
                .collect();
            sleep(Duration::from_secs(2)).await;
            server.terminate()?;
            let told = Instant::now();
            for client in clients {
                client.await?;
            }
            let status = server.wait()?;
            println!("{path}: exit status {status}, {:?} after TERM", told.elapsed());
            Ok::<_, Failure>((outcome.take(), status))
        })?;
        wrk.wait()?;
        // A request that was sent and not answered is a failure, whatever the server says of itself.
        let ok = ended.success() && outcome.errors.is_empty() && !outcome.answers.is_empty();
        println!("{path}: {}; {}", told(&outcome), if ok { "ok" } else { "FAILED" });
    }
    Ok(())
}

/// Asks over kept connections until nobody listens any more. What matters is in `outcome`: each
/// answer, and each request that was sent and got none.
async fn until_gone(address: SocketAddr, path: &str, outcome: Rc<RefCell<Outcome>>) {
    while let Ok(mut connection) = Kept::connect(address).await {
        while !connection.closes() {
            match connection.get(path).await {
                Ok(answer) => outcome.borrow_mut().answers.push(answer),
                Err(error) => {
                    let kind = error.kind().to_string();
                    *outcome.borrow_mut().errors.entry(kind).or_default() += 1;
                    break;
                }
            }
        }
    }
}
