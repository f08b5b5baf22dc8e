//! What a check tells of a failure: the shortest schedule that fails.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::FutureExt;
use mainspring::sim::{self, Sim};
use mainspring::sync::Semaphore;
use mainspring::time::sleep;
use mainspring::{spawn, yield_now};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Three tasks that add one to a counter and take it away again, with others in between; what each of
/// them finds there at its end.
async fn racing_counter(lock: Option<Arc<Semaphore>>) -> Vec<i32> {
    let counter = Arc::new(Mutex::new(0));
    let found = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (counter, found, lock) = (counter.clone(), found.clone(), lock.clone());
            spawn(async move {
                let _held = match lock {
                    Some(lock) => Some(lock.acquire_owned().await.unwrap()),
                    None => None,
                };
                *counter.lock().unwrap() += 1;
                yield_now().await;
                *counter.lock().unwrap() -= 1;
                yield_now().await;
                let left = *counter.lock().unwrap();
                found.lock().unwrap().push(left);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    found.lock().unwrap().clone()
}

async fn the_counter_is_back_at_zero() {
    assert_eq!(racing_counter(None).await, [0, 0, 0], "what the three found");
}

fn message_of(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it fails");
    *payload.downcast::<String>().expect("a text")
}

/// The schedule that the message of a failed check says to be the shortest: seed, and the rest.
fn shortest(message: &str) -> (u64, &str) {
    let line = message.lines().last().unwrap();
    let shortest = line.split("MAINSPRING_SEED=").nth(1).unwrap().split(' ').next().unwrap();
    let (seed, schedule) = shortest.split_once('/').expect("it has a schedule");
    (seed.parse().unwrap(), schedule)
}

#[test]
fn a_lock_mends_the_racing_counter() {
    let seen: BTreeSet<_> = (0..300).map(|seed| sim::run(seed, racing_counter(None)).0).collect();
    assert!(seen.contains(&vec![2, 0, 0]), "{seen:?}");
    assert!(seen.contains(&vec![0, 0, 0]), "the order in which nobody notices: {seen:?}");
    sim::check(0..300, || async {
        let lock = Arc::new(Semaphore::new(1));
        assert_eq!(racing_counter(Some(lock)).await, [0, 0, 0], "what the three found");
    });
}

#[test]
fn the_racing_counter_is_found_out_by_one_choice() {
    let message = message_of(|| sim::check(0..300, the_counter_is_back_at_zero));
    assert!(message.contains("what the three found"), "{message}");
    let (seed, schedule) = shortest(&message);
    assert_eq!(schedule.split(',').count(), 1, "{schedule} is more than one choice");
    assert!(message.ends_with(&format!("MAINSPRING_SEED={seed} runs just this one")), "{message}");
}

/// In a process of its own, for the variable and for what is printed.
#[test]
fn the_shortest_schedule_is_printed_and_replays() {
    const NAME: &str = "the_shortest_schedule_is_printed_and_replays";
    const INNER: &str = "MAINSPRING_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        sim::check(0..300, the_counter_is_back_at_zero);
        return;
    }
    let run = |seed: Option<String>| {
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", NAME, "--nocapture"]).env(INNER, "1").env("RUST_BACKTRACE", "0");
        match seed {
            Some(seed) => test.env("MAINSPRING_SEED", seed),
            None => test.env_remove("MAINSPRING_SEED"),
        };
        let done = test.output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    /// The lines of the trace that was printed last.
    fn trace(told: &str) -> Vec<&str> {
        let (_, after) = told.rsplit_once("its last events:\n").expect("it prints a trace");
        after.lines().take_while(|line| !line.is_empty()).collect()
    }

    let (passed, told) = run(None);
    assert!(!passed);
    assert!(told.contains("makes 1 choice other than first come, first served"), "{told}");
    let (told_first, at) = told.rsplit_once("MAINSPRING_SEED=").unwrap();
    let (_, schedule) = told_first.rsplit_once("MAINSPRING_SEED=").unwrap();
    let schedule = schedule.split(' ').next().unwrap();
    let (again_passed, again) = run(Some(schedule.to_owned()));
    assert!(!again_passed, "{schedule} was to fail: {again}");
    assert_eq!(trace(&again), trace(&told), "the same events");
    // Each of the three is spawned, polled three times, yields twice, and finishes.
    assert_eq!(trace(&told).len(), 1 + 3 * 7, "{told}");
    // Without that one choice it passes.
    let seed = at.split(' ').next().unwrap();
    assert!(run(Some(format!("{seed}/"))).0);
}

/// A test that fails if the tasks of some pairs run in the wrong order, among others that do not matter.
async fn wrong_orders(pairs: usize) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..2 * pairs + 10)
        .map(|n| {
            let order = order.clone();
            spawn(async move { order.lock().unwrap().push(n) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    let place = |task| order.iter().position(|&ran| ran == task);
    assert!((0..pairs).any(|n| place(2 * n) < place(2 * n + 1)), "all pairs are turned round");
}

#[test]
fn each_choice_that_is_left_is_needed() {
    for pairs in [1, 2] {
        let message = message_of(|| sim::check(0..1000, || wrong_orders(pairs)));
        let (_, schedule) = shortest(&message);
        assert_eq!(schedule.split(',').count(), pairs, "{schedule}");
    }
}

#[test]
fn what_the_seed_does_not_decide_is_not_shortened() {
    let runs = Cell::new(0);
    let message = message_of(|| {
        sim::check([5], || {
            runs.set(runs.get() + 1);
            let fails = runs.get() == 1;
            async move { assert!(!fails, "only once") }
        });
    });
    assert_eq!(runs.get(), 2, "it is tried once more, and passes");
    assert!(
        message.ends_with("with the seed 5: MAINSPRING_SEED=5 runs just this one"),
        "{message}"
    );
}

#[test]
fn the_runs_are_bounded() {
    fn counted<F: Future<Output = ()>>(sim: &Sim, test: impl Fn() -> F) -> u32 {
        let runs = Cell::new(0);
        message_of(|| {
            sim.check(0..1000, || {
                runs.set(runs.get() + 1);
                test()
            });
        });
        runs.get()
    }
    let never = counted(&Sim::new().shorten(0), || wrong_orders(2));
    assert!(counted(&Sim::new().shorten(5), || wrong_orders(2)) <= never + 1 + 5);
}

/// Under the shorter schedules the test would wait for ever, in virtual time.
#[test]
fn a_shorter_schedule_that_never_ends_is_broken_off() {
    watchdog::within(|| {
        let failed = Cell::new(false);
        let message = message_of(|| {
            Sim::new().shorten(5).check(0..1000, || async {
                let runs = wrong_orders(2);
                if let Err(payload) = AssertUnwindSafe(runs).catch_unwind().await {
                    failed.set(true);
                    resume_unwind(payload);
                }
                while failed.get() {
                    sleep(Duration::from_secs(1)).await;
                }
            });
        });
        let (_, schedule) = shortest(&message);
        assert!(schedule.split(',').count() >= 2, "{schedule}");
    });
}

#[test]
fn a_schedule_that_stays_long_is_not_told() {
    let message = message_of(|| {
        Sim::new().shorten(3).check(0..10, || async {
            let mut unusual = 0;
            for _ in 0..1000 {
                unusual += u32::from(racing_counter(None).await != [0, 0, 0]);
            }
            assert!(unusual < 100, "the counter races");
        });
    });
    assert!(
        message.ends_with("with the seed 0: MAINSPRING_SEED=0 runs just this one"),
        "{message}"
    );
}
