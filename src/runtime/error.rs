//! What may be wrong about a runtime that is to be built.

use crate::offload::BadSetting;
use crate::scheduler::sentry::{MOST_RESCUERS, Stalls};
use std::fmt;
use std::io;
use std::time::Duration;

const FINEST: Duration = Duration::from_micros(50);
const COARSEST: Duration = Duration::from_secs(1);

/// More workers than this are taken for a mistake.
pub(super) const MOST_WORKERS: usize = 1024;

/// Less does not hold what a worker itself needs, in a build without optimisations and with a panic.
const SMALLEST_STACK: usize = 64 << 10;

/// Why a runtime could not be made; the message says what to change.
#[derive(Debug)]
pub struct BuildError(pub(super) Why);

#[derive(Debug)]
pub(super) enum Why {
    Descriptors(io::Error),
    Thread(io::Error),
    Workers(usize),
    Stack(usize),
    Resolution(Duration),
    /// The name of the setting, and what was given.
    StallTime(&'static str, Duration),
    Rescuers(usize),
    Setting(BadSetting),
}

/// A step of timers that is within its bounds.
pub(super) fn check_resolution(resolution: Duration) -> Result<Duration, BuildError> {
    match (FINEST..=COARSEST).contains(&resolution) {
        true => Ok(resolution),
        false => Err(BuildError(Why::Resolution(resolution))),
    }
}

/// Below this, polls that are but long would be taken for stalls.
const SHORTEST_STALL: Duration = Duration::from_millis(2);
const LONGEST_STALL: Duration = Duration::from_secs(3600);

/// Whether what is decided about stalls is within its bounds.
pub(super) fn check_stalls(stalls: &Stalls) -> Result<(), BuildError> {
    check_stall_time("stall_after", stalls.rescue_after)?;
    check_stall_time("report_stall_after", stalls.report_after)?;
    match stalls.rescuers {
        0..=MOST_RESCUERS => Ok(()),
        more => Err(BuildError(Why::Rescuers(more))),
    }
}

/// The same for one of its times.
pub(super) fn check_stall_time(name: &'static str, time: Duration) -> Result<(), BuildError> {
    match (SHORTEST_STALL..=LONGEST_STALL).contains(&time) {
        true => Ok(()),
        false => Err(BuildError(Why::StallTime(name, time))),
    }
}

/// Whether a worker has room on such a stack.
pub(super) fn check_stack(bytes: Option<usize>) -> Result<(), BuildError> {
    match bytes {
        Some(bytes) if bytes < SMALLEST_STACK => Err(BuildError(Why::Stack(bytes))),
        _ => Ok(()),
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Descriptors(error) if error.kind() == io::ErrorKind::Unsupported => write!(
                f,
                "timers finer than 1 ms, or seen by a host's descriptor, need a timerfd: {error}"
            ),
            Why::Descriptors(error) => write!(
                f,
                "the system gave no descriptors for the event loop ({error}): close some, or raise \
                 the limit"
            ),
            Why::Thread(error) => write!(
                f,
                "the system gave no thread for a worker or a sentry ({error}): ask for fewer workers or \
                 smaller stacks, or raise what it allows (memory, ulimit -u, pids.max)"
            ),
            Why::Workers(given) => {
                write!(f, "worker_threads is {given}, but must be from 1 to {MOST_WORKERS}")
            }
            Why::Stack(given) => write!(
                f,
                "stack_size is {given} bytes, but must be {SMALLEST_STACK} (64 KiB) at least"
            ),
            Why::Resolution(given) => write!(
                f,
                "timer_resolution is {given:?}, but must be from {FINEST:?} to {COARSEST:?}"
            ),
            Why::StallTime(name, given) => write!(
                f,
                "{name} is {given:?}, but must be from {SHORTEST_STALL:?} to {LONGEST_STALL:?}"
            ),
            Why::Rescuers(given) => {
                write!(f, "max_rescuers is {given}, but must be {MOST_RESCUERS} at most")
            }
            Why::Setting(bad) => write!(f, "a setting of the builder is wrong: {bad}"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Why::Descriptors(error) | Why::Thread(error) => Some(error),
            Why::Setting(bad) => Some(bad),
            Why::Workers(_)
            | Why::Stack(_)
            | Why::Resolution(_)
            | Why::StallTime(..)
            | Why::Rescuers(_) => None,
        }
    }
}
