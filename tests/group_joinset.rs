//! `JoinSet`: outcomes in the order of their ends, none lost, and what becomes of those left behind.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Flavour, on_every_flavour};
use futures::{FutureExt, StreamExt, stream::FusedStream};
use mainspring::group::JoinSet;
use mainspring::time::{Instant, sleep, timeout};
use mainspring::{LocalRuntime, sim, spawn, spawn_local, task, yield_now};
use one_thread::block_on;
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn after(ms: u64) -> u64 {
    sleep(Duration::from_millis(ms)).await;
    ms
}

/// Counts the guards that are alive.
#[derive(Clone, Default)]
struct Alive(Rc<Cell<u32>>);

struct Guard(Alive);

impl Alive {
    fn guard(&self) -> Guard {
        self.0.set(self.0.get() + 1);
        Guard(self.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

#[test]
fn outcomes_come_in_the_order_of_the_ends() {
    within(|| {
        sim::check(0..50, || async {
            let mut set: JoinSet<u64> = [30, 10, 20].map(after).into_iter().collect();
            assert_eq!((set.len(), set.is_empty()), (3, false));
            assert!(set.try_join_next().is_none(), "none has ended");
            let mut ended = Vec::new();
            while let Some(outcome) = set.join_next().await {
                ended.push(outcome.unwrap());
            }
            assert_eq!(ended, [10, 20, 30]);
            assert!(set.is_empty() && set.join_next().await.is_none());
            // Also if all have ended before the first look.
            set.extend([3, 1, 2].map(after));
            sleep(ms(10)).await;
            let ended: Vec<_> =
                std::iter::from_fn(|| set.try_join_next()).map(Result::unwrap).collect();
            assert_eq!(ended, [1, 2, 3]);
        });
    });
}

fn ids_tell_whose_the_outcome_is(on: Flavour) {
    on.block_on(async {
        let mut set = JoinSet::new();
        let one = set.spawn(async { 1 }).id();
        let two = set.spawn(async { panic!("two") }).id();
        let three = set.spawn(pending::<u8>());
        three.abort();
        let mut seen = Vec::new();
        while let Some(outcome) = set.join_next_with_id().await {
            seen.push(match outcome {
                Ok((id, output)) => (id, Some(output)),
                Err(error) => {
                    assert_eq!(error.is_panic(), error.id() == two);
                    (error.id(), None)
                }
            });
        }
        seen.sort_by_key(|(id, _)| id.to_string());
        let mut expected = [(one, Some(1)), (two, None), (three.id(), None)];
        expected.sort_by_key(|(id, _)| id.to_string());
        assert_eq!(seen, expected);
        assert!(set.try_join_next_with_id().is_none());
    });
}

#[test]
fn a_wait_that_is_given_up_loses_no_outcome() {
    within(|| {
        sim::check(0..200, || async {
            let mut set: JoinSet<u64> = (0..20).map(after).collect();
            let mut ended = Vec::new();
            while !set.is_empty() {
                if let Ok(Some(outcome)) = timeout(ms(1), set.join_next()).await {
                    ended.push(outcome.unwrap());
                }
            }
            assert_eq!(ended, (0..20).collect::<Vec<_>>());
        });
    });
}

#[test]
fn dropping_the_set_aborts_and_shutdown_waits() {
    block_on(async {
        let alive = Alive::default();
        let mut set = JoinSet::new();
        for _ in 0..3 {
            let guard = alive.guard();
            set.spawn_local(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        yield_now().await;
        drop(set);
        yield_now().await;
        assert_eq!(alive.0.get(), 0);

        let mut set = JoinSet::new();
        for _ in 0..3 {
            let guard = alive.guard();
            set.spawn_local(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        set.spawn_local(async { panic!("its outcome is dropped") });
        set.shutdown().await;
        assert_eq!((alive.0.get(), set.len()), (0, 0));
    });
}

#[test]
fn abort_all_leaves_the_outcomes() {
    block_on(async {
        let mut set: JoinSet<()> = (0..3).map(|_| pending()).collect();
        set.spawn(async {});
        yield_now().await;
        set.abort_all();
        let (mut done, mut cancelled) = (0, 0);
        while let Some(outcome) = set.join_next().await {
            match outcome {
                Ok(()) => done += 1,
                Err(error) => cancelled += u32::from(error.is_cancelled()),
            }
        }
        assert_eq!((done, cancelled), (1, 3));
    });
}

#[test]
fn detached_tasks_go_on() {
    block_on(async {
        let ran = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        for _ in 0..3 {
            let ran = Rc::clone(&ran);
            set.spawn_local(async move {
                yield_now().await;
                ran.set(ran.get() + 1);
            });
        }
        set.detach_all();
        assert!(set.is_empty() && set.join_next().await.is_none());
        drop(set);
        while ran.get() < 3 {
            yield_now().await;
        }
    });
}

#[test]
fn detaching_drops_only_closures_without_a_place() {
    within(|| {
        let runtime =
            LocalRuntime::builder().blocking_threads(1).blocking_queue(1).build().unwrap();
        runtime.block_on(async {
            let (begun, begins) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            let (ran, runs) = mpsc::channel();
            let mut set = JoinSet::new();
            set.spawn_blocking(move || {
                begun.send(()).unwrap();
                gate.recv().unwrap();
            });
            // The first runs, the second has a place, the third waits for one.
            begins.recv().unwrap();
            for n in [2, 3] {
                let ran = ran.clone();
                set.spawn_blocking(move || ran.send(n).unwrap());
            }
            drop(ran);
            set.detach_all();
            go.send(()).unwrap();
            assert_eq!(runs.iter().collect::<Vec<_>>(), [2]);
        });
    });
}

#[test]
fn join_all_gives_outputs_and_passes_panics_on() {
    block_on(async {
        let set: JoinSet<u64> = [3, 1, 2].map(after).into_iter().collect();
        assert_eq!(set.join_all().await, [1, 2, 3]);

        let alive = Alive::default();
        let guard = alive.guard();
        let mut set = JoinSet::new();
        set.spawn_local(async { panic!("the third") });
        set.spawn_local(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let payload = AssertUnwindSafe(set.join_all()).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the third"));
        yield_now().await;
        assert_eq!(alive.0.get(), 0, "the others are aborted");

        let mut set = JoinSet::new();
        set.spawn(pending::<()>()).abort();
        let payload = AssertUnwindSafe(set.join_all()).catch_unwind().await.unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains("was cancelled"), "{message}");
    });
}

#[test]
fn it_is_a_stream_that_can_be_gone_on_with() {
    block_on(async {
        let mut set: JoinSet<u64> = [2, 1].map(after).into_iter().collect();
        assert!(!set.is_terminated());
        assert_eq!(futures::Stream::size_hint(&set), (2, Some(2)));
        let ended: Vec<_> = set.by_ref().map(Result::unwrap).collect().await;
        assert_eq!(ended, [1, 2]);
        assert!(set.is_terminated());
        set.spawn(after(0));
        assert_eq!(set.select_next_some().await.unwrap(), 0);
    });
}

fn tasks_made_elsewhere_are_taken_in(on: Flavour) {
    on.block_on(async {
        let mut set = JoinSet::new();
        let over = spawn(async { "over".to_string() });
        while !over.is_finished() {
            yield_now().await;
        }
        set.insert(over);
        let named =
            task::Builder::new().name("x").spawn(async { task::name().unwrap().to_string() });
        set.insert(named);
        set.insert(task::Builder::new().spawn_blocking(|| "blocking".to_string()));
        let first = set.try_join_next().unwrap().unwrap();
        assert_eq!(first, "over", "it had ended when it came");
        let mut rest = set.join_all().await;
        rest.sort();
        assert_eq!(rest, ["blocking", "x"]);
    });
}

fn a_key_that_is_used_again_gives_no_false_outcome(on: Flavour) {
    on.block_on(async {
        let mut set = JoinSet::new();
        for _ in 0..100 {
            set.spawn(async { 1 });
            yield_now().await;
            set.detach_all();
            set.spawn(pending());
            assert!(set.try_join_next().is_none());
            set.detach_all();
        }
    });
}

/// A poll looks at what has ended, not at everybody.
fn a_hundred_thousand_tasks(on: Flavour) {
    within(move || {
        const COUNT: u64 = 100_000;
        on.block_on(async {
            let mut set = JoinSet::new();
            for n in 0..COUNT {
                set.spawn(async move {
                    yield_now().await;
                    n
                });
            }
            let mut sum = 0;
            let mut count = 0;
            while let Some(outcome) = set.join_next().await {
                sum += outcome.unwrap();
                count += 1;
            }
            assert_eq!((count, sum), (COUNT, COUNT * (COUNT - 1) / 2));
        });
    });
}

#[test]
fn outcomes_that_are_there_count_in_the_budget() {
    block_on(async {
        let mut set: JoinSet<u64> = (0..1000).map(|n| async move { n }).collect();
        sleep(ms(5)).await;
        let turns = Rc::new(Cell::new(0_u32));
        let neighbour = spawn_local({
            let turns = Rc::clone(&turns);
            async move {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now().await;
                }
            }
        });
        spawn_local(async move { while set.join_next().await.is_some() {} }).await.unwrap();
        assert!(turns.get() >= 1000 / u32::from(mainspring::coop::BUDGET), "{}", turns.get());
        neighbour.abort();
    });
}

fn polls_elsewhere_move_the_waker_and_a_set_that_is_gone_keeps_none(on: Flavour) {
    on.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        struct Flag;
        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {}
        }
        let flag = Arc::new(Flag);
        let waker = Waker::from(Arc::clone(&flag));
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&flag), 2);
        assert!(set.poll_join_next(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(Arc::strong_count(&flag), 1);
        let waker = Waker::from(Arc::clone(&flag));
        assert!(set.poll_join_next_with_id(&mut Context::from_waker(&waker)).is_pending());
        drop((waker, set));
        assert_eq!(Arc::strong_count(&flag), 1);
    });
}

#[test]
fn outside_a_runtime_it_says_what_to_do() {
    let mut set = JoinSet::new();
    let refused = catch_unwind(AssertUnwindSafe(|| set.spawn(async {}))).unwrap_err();
    assert!(refused.downcast_ref::<String>().unwrap().contains("inside block_on"));
    assert!(catch_unwind(AssertUnwindSafe(|| set.spawn_local(async {}))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| set.spawn_blocking(|| ()))).is_err());
    assert!(set.is_empty());
    // Those of a runtime that has ended are told so.
    let handle = LocalRuntime::builder().build().unwrap().handle();
    set.insert(handle.spawn(async {}));
    let error = set.try_join_next().unwrap().unwrap_err();
    assert!(error.is_cancelled());
    let mut none = pin!(set.join_next());
    let polled = none.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(None)));
}

fn poll_functions_can_use_it(on: Flavour) {
    on.block_on(async {
        let mut set: JoinSet<u64> = [1].map(after).into_iter().collect();
        let start = Instant::now();
        let outcome = poll_fn(|cx| set.poll_join_next(cx)).await;
        assert_eq!(outcome.unwrap().unwrap(), 1);
        assert!(start.elapsed() >= ms(1));
    });
}

/// Outcomes that come from other threads while waits are given up: each once.
#[test]
fn each_outcome_once_from_many_threads() {
    within(|| {
        const COUNT: usize = 4000;
        let runtime = LocalRuntime::builder().blocking_threads(4).build().unwrap();
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let mut seen = vec![0_u8; COUNT];
            let mut spawned = 0;
            while spawned < COUNT || !set.is_empty() {
                while spawned < COUNT && set.len() < 200 {
                    let n = spawned;
                    set.spawn_blocking(move || n);
                    spawned += 1;
                }
                // Polled once, and dropped.
                let next = match set.join_next().now_or_never() {
                    Some(next) => next,
                    None => set.join_next().await,
                };
                if let Some(outcome) = next {
                    seen[outcome.unwrap()] += 1;
                }
            }
            assert!(seen.iter().all(|times| *times == 1));
        });
    });
}

on_every_flavour! {
    ids_tell_whose_the_outcome_is,
    tasks_made_elsewhere_are_taken_in,
    a_key_that_is_used_again_gives_no_false_outcome,
    a_hundred_thousand_tasks,
    polls_elsewhere_move_the_waker_and_a_set_that_is_gone_keeps_none,
    poll_functions_can_use_it,
}
