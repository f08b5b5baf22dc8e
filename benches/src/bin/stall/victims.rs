//! How late a task runs that was spawned by one which blocks then.
//!
//! Where a runtime has a slot for what is to run next, it lies there.

use crate::runtime::Runtime;
use crate::sample::Sample;
use crate::{Failure, ms};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

pub(crate) fn victims<R: Runtime>(busy: usize, rounds: usize) -> Result<Sample, Failure> {
    let rt = R::start();
    let mut late = Vec::new();
    for _ in 0..rounds {
        let others: Vec<_> = (0..busy)
            .map(|_| {
                let blocked = rt.run(async { thread::sleep(ms(300)) });
                // So that each is on a worker of its own.
                thread::sleep(ms(5));
                blocked
            })
            .collect();
        thread::sleep(ms(20));
        let (ran, victim) = channel();
        let blocked = rt.run(async move {
            let spawned = Instant::now();
            R::spawn(async move {
                let _ = ran.send(spawned.elapsed());
            });
            thread::sleep(ms(100));
        });
        late.push(victim.recv()?);
        for blocked in others.into_iter().chain([blocked]) {
            blocked.recv()?;
        }
    }
    Ok(Sample { late, ..Sample::default() })
}
