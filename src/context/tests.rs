//! Entries, left in every order.

use super::*;
use crate::driver::{Clock, KernelTimers};
use crate::task::{Busy, Job, Placement};
use std::time::Duration;

struct Nothing;

impl Spawn for Nothing {
    fn place(&self) -> Placement {
        unreachable!("nothing is spawned here")
    }

    fn submit(&self, _task: Runnable) {}
}

impl Executor for Nothing {
    fn execute(&self, job: Job) -> Result<(), Busy<Job>> {
        Err(Busy(job))
    }
}

impl DefaultExecutor for Nothing {}

fn outside() -> Outside {
    let driver =
        Driver::new(unique_id(), Clock::real(), Duration::from_millis(1), KernelTimers::Unused)
            .unwrap();
    Outside { driver: Arc::new(driver), spawn: Arc::new(Nothing), calls: Arc::default() }
}

fn visit(outside: &Outside) -> EnterGuard {
    outside.visit(Arc::new(Nothing))
}

fn here() -> Option<NonZeroU64> {
    current().ok().map(|current| current.runtime())
}

#[test]
fn the_last_entry_that_is_left_over_counts() {
    let all = [outside(), outside(), outside()];
    let number = |index: usize| all[index].driver.runtime();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut guards: Vec<_> = all.iter().map(|outside| Some(visit(outside))).collect();
        for left in order {
            let last = guards.iter().rposition(Option::is_some).unwrap();
            assert_eq!(here(), Some(number(last)), "{order:?}");
            guards[left] = None;
        }
        assert_eq!(here(), None, "{order:?}");
    }
}

#[test]
fn a_guard_that_outlives_what_it_was_entered_in_hurts_nobody() {
    let (runs, visited) = (outside(), outside());
    let running = enter(Rc::new(runs.current(Arc::new(Nothing))));
    let guard = visit(&visited);
    assert_eq!((here(), occupied()), (Some(visited.driver.runtime()), Occupied::ByRuntime));
    drop(running);
    assert_eq!((here(), occupied()), (Some(visited.driver.runtime()), Occupied::No));
    drop(guard);
    assert_eq!(here(), None);
}

#[test]
fn an_entry_keeps_its_runtime_no_longer_than_its_guard() {
    let outside = outside();
    let guard = visit(&outside);
    let again = visit(&outside);
    assert_eq!(Arc::strong_count(&outside.driver), 2, "the second shares the first");
    drop(guard);
    assert_eq!(here(), Some(outside.driver.runtime()));
    drop(again);
    assert_eq!(Arc::strong_count(&outside.driver), 1);
}
