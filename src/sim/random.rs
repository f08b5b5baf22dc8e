//! Numbers for the test itself.

use crate::context;
use crate::driver::Driver;
use crate::util::below;
use std::sync::Arc;

/// A number that is drawn from the seed of the run, each of the 2⁶⁴ with the same chance.
///
/// For what a test does at random: it is the same each time the seed is run.
///
/// # Panics
///
/// Outside a [deterministic](crate::LocalBuilder::deterministic) runtime, where there is no seed.
///
/// # Examples
///
/// ```
/// use mainspring::sim;
///
/// let draw = || async { [sim::random(), sim::random()] };
/// assert_eq!(sim::run(5, draw()).0, sim::run(5, draw()).0);
/// assert_ne!(sim::run(5, draw()).0, sim::run(6, draw()).0);
/// ```
#[track_caller]
pub fn random() -> u64 {
    driver("random").random()
}

/// A number below `bound` that is drawn from the seed of the run; see [`random`].
///
/// # Panics
///
/// As [`random`], and if `bound` is 0.
///
/// # Examples
///
/// ```
/// use mainspring::{sim, time::sleep};
/// use std::time::Duration;
///
/// sim::check(0..20, || async {
///     let patience = sim::random_below(1_000);
///     sleep(Duration::from_millis(patience)).await;
/// });
/// ```
#[track_caller]
pub fn random_below(bound: u64) -> u64 {
    assert!(bound > 0, "sim::random_below(0): no number is below 0");
    below(driver("random_below").random(), bound)
}

#[track_caller]
fn driver(function: &str) -> Arc<Driver> {
    let current = context::current().ok();
    let seeded = current.filter(|current| current.driver.clock().as_virtual().is_some());
    match seeded {
        Some(current) => Arc::clone(&current.driver),
        None => panic!(
            "sim::{function} was called where there is no seed: call it inside sim::check or \
             sim::run, or in a runtime built with deterministic(seed)"
        ),
    }
}
