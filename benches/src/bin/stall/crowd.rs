//! Twice as many tasks as workers that block for a second, all at once.

use crate::beside::{Blockers, heartbeat};
use crate::runtime::Runtime;
use crate::sample::Sample;
use crate::{Failure, WORKERS, ms};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

/// How often the threads are counted.
const STEP: Duration = ms(5);

pub(crate) fn crowd<R: Runtime>() -> Result<Sample, Failure> {
    let rt = R::start();
    thread::sleep(ms(20));
    let begun = Instant::now();
    let blockers: Vec<_> =
        (0..2 * WORKERS).map(|_| rt.run(async { thread::sleep(ms(1000)) })).collect();
    let beats = rt.run(heartbeat::<R>(Instant::now(), ms(900), Blockers::new(0, ms(0))));
    let mut threads = threads_beside_this()?;
    for blocker in blockers {
        while let Err(RecvTimeoutError::Timeout) = blocker.recv_timeout(STEP) {
            threads = threads.max(threads_beside_this()?);
        }
    }
    let over = begun.elapsed();
    Ok(Sample { late: beats.recv()?, over: Some(over), threads: Some(threads) })
}

/// How many threads the process has, without the one that measures.
fn threads_beside_this() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    Ok(count.ok_or("no number of threads")?.trim().parse::<u64>()? - 1)
}
