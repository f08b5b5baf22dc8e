//! A process that is forked while it makes its first runtime, in which the process learns what it needs to
//! know once.
#![cfg(all(unix, not(loom)))]

#[path = "common/forked.rs"]
mod forked;
#[path = "common/watchdog.rs"]
mod watchdog;

use forked::in_child;
use mainspring::{LocalRuntime, Runtime};
use std::time::{Duration, Instant};
use watchdog::within;

// The only test of this process, which makes no runtime itself: each child makes its first.
#[test]
fn what_the_workers_were_learning_is_learned_again() {
    within(|| {
        for round in 0..200 {
            in_child(|| {
                let rt = Runtime::builder().worker_threads(2).build().unwrap();
                // The workers begin meanwhile.
                let (since, pause) = (Instant::now(), Duration::from_micros(round % 50 * 4));
                while since.elapsed() < pause {}
                in_child(|| LocalRuntime::builder().build().unwrap().block_on(async { true }));
                drop(rt);
                true
            });
        }
    });
}
