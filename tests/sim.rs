//! Simulations: their traces, and the checks built on them.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::channel::oneshot;
use mainspring::net::{TcpListener, TcpStream};
use mainspring::sim::{self, Sim};
use mainspring::time::{self, interval, sleep};
use mainspring::{block_on, spawn, spawn_blocking, spawn_local, yield_now};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What `run` panics with.
fn message_of<R>(run: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).err().expect("it panics");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

// --- traces

/// Something of everything.
async fn scenario() -> u64 {
    let (tx, rx) = mainspring::sync::oneshot::channel();
    let permits = Arc::new(mainspring::sync::Semaphore::new(2));
    let tasks: Vec<_> = (0..10_u64)
        .map(|n| {
            let permits = Arc::clone(&permits);
            spawn(async move {
                let _permit = permits.acquire_owned().await.unwrap();
                sleep(ms(n % 3)).await;
                yield_now().await;
                spawn_blocking(move || n).await.unwrap()
            })
        })
        .collect();
    let ticking = spawn_local(async move {
        let mut ticks = interval(ms(2));
        for _ in 0..5 {
            ticks.tick().await;
        }
        tx.send(1).unwrap();
    });
    let aborted = spawn(pending::<()>());
    let mut sum = rx.await.unwrap();
    aborted.abort();
    for task in tasks {
        sum += task.await.unwrap();
    }
    ticking.await.unwrap();
    assert!(aborted.await.unwrap_err().is_cancelled());
    sum
}

#[test]
fn one_seed_gives_one_trace() {
    within(|| {
        let mut traces = BTreeSet::new();
        for seed in 0..100 {
            let (sum, first) = sim::run(seed, scenario());
            assert_eq!(sum, 46);
            // The numbers of its tasks are others, wherever it runs.
            let second = thread::spawn(move || sim::run(seed, scenario()).1).join().unwrap();
            assert_eq!(first, second);
            assert_eq!(first.to_string(), second.to_string());
            traces.insert(first.to_string());
        }
        assert!(traces.len() > 90, "only {} different traces", traces.len());
    });
}

#[test]
fn a_trace_says_what_happened() {
    let ((), trace) = sim::run(1, async {
        let task = spawn(async {
            sleep(ms(3)).await;
            spawn_blocking(|| ()).await.unwrap();
        });
        task.await.unwrap();
    });
    let text = trace.to_string();
    let lines: Vec<_> =
        text.lines().skip(1).map(|line| line.split(" at ").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "[0.000000 ms] task 1 is spawned",
            "[0.000000 ms] task 1 is polled",
            "[0.000000 ms] task 1 waits",
            "[3.000000 ms] task 1 is woken",
            "[3.000000 ms] task 1 is polled",
            "[3.000000 ms] task 2 is a closure, spawned",
            "[3.000000 ms] task 1 waits",
            "[3.000000 ms] task 2 runs, and may block",
            "[3.000000 ms] task 2 has finished",
            "[3.000000 ms] task 1 is woken",
            "[3.000000 ms] task 1 is polled",
            "[3.000000 ms] task 1 has finished",
        ]
    );
    assert!(text.contains("tests/sim.rs:"), "{text}");
    assert_eq!((trace.count(), trace.forgotten()), (12, 0));
    let ((), short) = Sim::new().events(2).run(1, async {
        spawn(yield_now()).await.unwrap();
    });
    assert_eq!(short.count() - short.forgotten(), 2);
}

/// Two clients that talk with a server over loopback.
async fn over_loopback() {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let mut served = Vec::new();
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            served.push(spawn(async move {
                let mut buffer = [0; 64];
                loop {
                    let count = stream.read(&mut buffer).await.unwrap();
                    if count == 0 {
                        return;
                    }
                    stream.write_all(&buffer[..count]).await.unwrap();
                }
            }));
        }
        for served in served {
            served.await.unwrap();
        }
    });
    let clients = [1, 2].map(|n| {
        spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            for round in 0..5 {
                let sent = [n, round];
                stream.write_all(&sent).await.unwrap();
                let mut back = [0; 2];
                let mut have = 0;
                while have < back.len() {
                    have += stream.read(&mut back[have..]).await.unwrap();
                }
                assert_eq!(back, sent);
            }
        })
    });
    for client in clients {
        client.await.unwrap();
    }
    server.await.unwrap();
}

/// Beyond the seed is only when the kernel hands over what was sent, which over loopback is at once.
/// (mio's `poll` back end tells of several descriptors in the order of a hash map.)
#[test]
#[cfg(not(mio_unsupported_force_poll_poll))]
fn a_trace_over_loopback_is_the_same_too() {
    within(|| {
        let trace = |seed| sim::run(seed, over_loopback()).1;
        let same = (0..50).filter(|&seed| trace(seed) == trace(seed)).count();
        assert!(same >= 45, "only {same} of 50");
    });
}

#[test]
fn sockets_work_under_every_seed() {
    within(|| sim::check(0..100, over_loopback));
}

// --- checks

/// Reads, lets others run, writes; the one so much later than the other that they seldom meet.
async fn lost_update() {
    let sum = Arc::new(Mutex::new(0));
    let add = |steps_before| {
        let sum = Arc::clone(&sum);
        spawn(async move {
            for _ in 0..steps_before {
                yield_now().await;
            }
            let before = *sum.lock().unwrap();
            yield_now().await;
            *sum.lock().unwrap() = before + 1;
        })
    };
    for task in [add(0), add(8)] {
        task.await.unwrap();
    }
    assert_eq!(*sum.lock().unwrap(), 2, "the sum");
}

/// Two look whether there is a session, and make one if there is none.
async fn check_then_act() {
    #[derive(Default)]
    struct Sessions {
        made: Cell<u32>,
        open: Cell<bool>,
    }
    async fn open(sessions: Rc<Sessions>, after: Duration) {
        sleep(after).await;
        if !sessions.open.get() {
            // Asks somebody else meanwhile, who answers within the millisecond.
            spawn_blocking(|| ()).await.unwrap();
            sessions.made.set(sessions.made.get() + 1);
            sessions.open.set(true);
        }
    }
    let sessions = Rc::new(Sessions::default());
    let tasks = [1, 1, 2].map(|n| spawn_local(open(Rc::clone(&sessions), ms(n))));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sessions.made.get(), 1, "sessions");
}

/// Two locks, taken in two orders.
async fn embrace() {
    let locks = [(); 2].map(|()| Arc::new(mainspring::sync::Semaphore::new(1)));
    let both = |first: usize| {
        let (first, second) = (Arc::clone(&locks[first]), Arc::clone(&locks[1 - first]));
        spawn(async move {
            let _first = first.acquire_owned().await.unwrap();
            yield_now().await;
            let _second = second.acquire_owned().await.unwrap();
        })
    };
    let tasks = [both(0), both(1)];
    for task in tasks {
        task.await.unwrap();
    }
}

/// The seed under which `test` fails first.
fn first_failure<F: Future<Output = ()>>(test: impl Fn() -> F) -> (u64, String) {
    let sim = Sim::new().patience(Duration::ZERO).events(10);
    (0..1000)
        .find_map(|seed| {
            let run = catch_unwind(AssertUnwindSafe(|| sim.run(seed, test())));
            let payload = run.err()?;
            Some((seed, payload.downcast_ref::<String>().expect("a text").clone()))
        })
        .expect("no seed below 1,000 fails")
}

fn replays<F: Future<Output = ()>>(test: impl Fn() -> F) -> String {
    let sim = Sim::new().patience(Duration::ZERO).events(10);
    let (seed, message) = first_failure(&test);
    for _ in 0..100 {
        assert_eq!(message_of(|| sim.run(seed, test())), message);
    }
    assert!(message.contains(&format!("MAINSPRING_SEED={seed} runs just this one")), "{message}");
    message
}

#[test]
fn a_check_before_an_act_is_found_and_replays() {
    within(|| {
        let message = replays(check_then_act);
        assert!(message.contains("sessions"), "{message}");
    });
}

#[test]
fn a_lost_update_is_found_and_replays() {
    within(|| {
        let (seed, _) = first_failure(lost_update);
        assert!(seed > 0, "so rare that the first run does not show it");
        let message = replays(lost_update);
        assert!(message.contains("the sum"), "{message}");
    });
}

/// In a process of its own, as the variable is everybody's.
#[test]
fn the_variable_names_the_one_seed_to_run() {
    if std::env::var_os("MAINSPRING_SEED").is_some() {
        sim::check(0..3, || async { assert!(order_of_two().await, "seen") });
        return;
    }
    let bad = (0..1000).find(|&seed| !sim::run(seed, order_of_two()).0).expect("one of 1,000");
    let good = (0..1000).find(|&seed| sim::run(seed, order_of_two()).0).expect("one of 1,000");
    for (seed, passes) in [(bad, false), (good, true)] {
        let test = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_variable_names_the_one_seed_to_run", "--nocapture"])
            .env("MAINSPRING_SEED", seed.to_string())
            .output()
            .unwrap();
        assert_eq!(test.status.success(), passes, "{test:?}");
        let told = String::from_utf8_lossy(&test.stderr);
        let replay = format!("MAINSPRING_SEED={seed} runs just this one");
        assert_eq!(told.contains(&replay), !passes, "{told}");
    }
}

/// Whether the first of two tasks that are ready runs first.
async fn order_of_two() -> bool {
    let first = Rc::new(Cell::new(0));
    let tasks = [1, 2].map(|n| {
        let first = Rc::clone(&first);
        spawn_local(async move {
            if first.get() == 0 {
                first.set(n);
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    first.get() == 1
}

#[test]
fn a_deadlock_is_found_and_replays() {
    within(|| {
        let message = replays(embrace);
        assert!(
            message.contains("nothing can run and no timer is armed: deadlock of 2 live tasks"),
            "{message}"
        );
    });
}

#[test]
fn what_is_right_passes_under_every_seed() {
    within(|| {
        sim::check(0..1000, || async {
            assert_eq!(scenario().await, 46);
        });
    });
}

#[test]
fn a_check_panics_with_the_seed() {
    let tried = Cell::new(0);
    let message = message_of(|| {
        // It would pass if it were run once more.
        Sim::new().shorten(0).check([5, 6, 7], || {
            tried.set(tried.get() + 1);
            let fails = tried.get() == 2;
            async move { assert!(!fails, "the second") }
        })
    });
    assert_eq!(tried.get(), 2, "it stops at the first that fails");
    assert!(message.starts_with("the second\n"), "{message}");
    assert!(message.ends_with("MAINSPRING_SEED=6 runs just this one"), "{message}");
}

#[test]
fn a_paused_clock_is_named_in_a_deadlock() {
    let message = message_of(|| {
        Sim::new().patience(ms(1)).run(1, async {
            time::pause();
            sleep(ms(1)).await;
        })
    });
    assert!(message.contains("nothing can run and the clock is paused"), "{message}");
}

#[test]
fn a_run_without_end_is_noticed() {
    within(|| {
        let endless = || async {
            loop {
                yield_now().await;
            }
        };
        let sim = Sim::new().polls(10_000);
        for run in [message_of(|| sim.run(1, endless())), {
            message_of(|| sim.run(1, async { spawn(endless()).await.unwrap() }))
        }] {
            assert!(run.contains("10000 polls at one moment"), "{run}");
        }
        // As many are nothing unusual where time goes on.
        sim.run(1, async {
            for _ in 0..20_000 {
                sleep(ms(1)).await;
            }
        });
    });
}

#[test]
fn a_thread_is_waited_for_with_patience() {
    within(|| {
        let sim = Sim::new().patience(Duration::from_secs(30));
        sim.check(0..3, || async {
            let (tx, rx) = oneshot::channel();
            let thread = thread::spawn(move || {
                thread::sleep(ms(20));
                tx.send(3).unwrap();
            });
            assert_eq!(rx.await.unwrap(), 3);
            thread.join().unwrap();
        });
    });
}

#[test]
fn a_simulation_within_a_runtime_is_refused() {
    let message = message_of(|| block_on(async { sim::check(0..1, || async {}) }));
    assert!(message.contains("call it from a plain thread"), "{message}");
}

#[test]
fn a_panic_with_something_else_than_a_text_is_passed_on() {
    let run = || sim::run(1, async { std::panic::panic_any(7_u8) });
    let payload = catch_unwind(run).expect_err("it panics");
    assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
}

// --- random numbers

#[test]
fn random_numbers_follow_from_the_seed_alone() {
    let draw = || async {
        let first: Vec<_> = (0..4).map(|_| sim::random_below(1000)).collect();
        // A closure of this runtime draws from the same source.
        let later = spawn_blocking(|| sim::random_below(1000)).await.unwrap();
        (first, later, order_of_two().await)
    };
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let (numbers, _) = sim::run(seed, draw());
        assert!(numbers.0.iter().all(|&number| number < 1000));
        assert_eq!(sim::run(seed, draw()).0, numbers);
        seen.insert(numbers.0);
    }
    assert_eq!(seen.len(), 50);
}

#[test]
fn random_numbers_need_a_seed() {
    let outside = message_of(|| sim::random());
    assert!(outside.contains("where there is no seed"), "{outside}");
    let real = message_of(|| block_on(async { sim::random_below(3) }));
    assert!(real.contains("where there is no seed"), "{real}");
    let none = message_of(|| sim::run(1, async { sim::random_below(0) }));
    assert!(none.contains("no number is below 0"), "{none}");
}
