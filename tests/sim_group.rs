//! Groups under many orders of events: sets of tasks, and trees of scopes, in which things are late,
//! given up and aborted.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;
#[path = "common/watchdog.rs"]
mod watchdog;

use chaos::{meddle, wander};
use mainspring::group::{
    Backoff, Failure, JoinSet, Scope, ScopeError, TaskScope, join_all, retry, try_join_all,
};
use mainspring::hooks::Hooks;
use mainspring::sim::{Sim, random_below};
use mainspring::sync::CancelToken;
use mainspring::task::TaskId;
use mainspring::time::{Instant, sleep};
use mainspring::{LocalRuntime, spawn_local, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use watchdog::within;

const SEEDS: u64 = 1500;

fn check<F: Future<Output = ()>>(test: impl Fn() -> F + Send + 'static) {
    within(move || Sim::new().patience(Duration::ZERO).events(200).check(0..SEEDS, test));
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A number that goes up while a guard lives.
#[derive(Clone, Default)]
struct Alive(Rc<Cell<u32>>);

struct Guard(Alive);

impl Alive {
    fn guard(&self) -> Guard {
        self.0.set(self.0.get() + 1);
        Guard(self.clone())
    }

    fn count(&self) -> u32 {
        self.0.get()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

/// Each task of a set has exactly one outcome, whatever becomes of the waits for it; they come in the
/// order of the ends, and nothing is left when the set is empty.
#[test]
fn a_set_gives_each_outcome_once_and_in_order() {
    check(|| async {
        let alive = Alive::default();
        let ends = Rc::new(RefCell::new(Vec::new()));
        let mut set = JoinSet::new();
        let mut spawned = BTreeMap::new();
        let mut taken: Vec<(u64, bool)> = Vec::new();
        let mut ids: Vec<(TaskId, u64)> = Vec::new();
        let count = 4 + random_below(8);
        let name = |ids: &[(TaskId, u64)], id| ids.iter().find(|(of, _)| *of == id).unwrap().1;
        loop {
            let number = spawned.len() as u64;
            match random_below(6) {
                0..=2 if number < count => {
                    let (guard, ends) = (alive.guard(), Rc::clone(&ends));
                    let stop = set.spawn_local(async move {
                        let _guard = guard;
                        wander().await;
                        ends.borrow_mut().push(number);
                        match random_below(6) {
                            0 => resume_unwind(Box::new(number)),
                            _ => number,
                        }
                    });
                    ids.push((stop.id(), number));
                    spawned.insert(number, stop);
                }
                3 => {
                    if let Some(stop) = spawned.get(&random_below(count)) {
                        stop.abort();
                    }
                }
                4 if random_below(20) == 0 => set.abort_all(),
                _ => {
                    let outcome = match random_below(3) {
                        0 => Some(set.try_join_next_with_id()),
                        _ => meddle(set.join_next_with_id()).await,
                    };
                    match outcome {
                        Some(Some(Ok((id, output)))) => {
                            assert_eq!(name(&ids, id), output);
                            taken.push((output, true));
                        }
                        Some(Some(Err(error))) => {
                            taken.push((name(&ids, error.id()), error.is_panic()));
                        }
                        Some(None) if number == count && set.is_empty() => break,
                        Some(None) | None => {}
                    }
                }
            }
        }
        assert_eq!(alive.count(), 0);
        let mut numbers: Vec<_> = taken.iter().map(|(number, _)| *number).collect();
        // Of those that came to their last line, and were not aborted there.
        let ended: Vec<_> =
            taken.iter().filter(|(_, ran)| *ran).map(|(number, _)| *number).collect();
        assert_eq!(ended, *ends.borrow(), "in the order of the ends");
        numbers.sort_unstable();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "each once");
    });
}

#[test]
fn a_set_that_is_dropped_or_shut_down_leaves_nothing() {
    check(|| async {
        let alive = Alive::default();
        let mut set = JoinSet::new();
        for _ in 0..random_below(10) {
            let guard = alive.guard();
            set.spawn_local(async move {
                let _guard = guard;
                loop {
                    wander().await;
                    yield_now().await;
                    if random_below(4) == 0 {
                        break;
                    }
                }
            });
        }
        wander().await;
        if random_below(2) == 0 {
            // Given up now and then, and asked for again.
            while meddle(set.shutdown()).await.is_none() {}
            assert_eq!((alive.count(), set.len()), (0, 0));
        } else {
            drop(set);
            while alive.count() > 0 {
                yield_now().await;
            }
        }
    });
}

type Run = Pin<Box<dyn Future<Output = Result<(), ScopeError<u64>>>>>;

/// What is known of a scope from outside.
#[derive(Clone, Default)]
struct Watch {
    /// Bodies and children of the scope, and of all those inside, whoever they were given up by.
    alive: Alive,
    /// Children of this scope that gave an error or panicked.
    failed: Rc<Cell<usize>>,
    around: Option<Rc<Watch>>,
}

impl Watch {
    fn inside(&self) -> Self {
        Self { around: Some(Rc::new(self.clone())), ..Self::default() }
    }

    /// One guard for each scope around.
    fn guards(&self) -> Vec<Guard> {
        let mut guards = vec![self.alive.guard()];
        if let Some(around) = &self.around {
            guards.extend(around.guards());
        }
        guards
    }
}

/// A scope with children of all kinds, down to some depth.
fn tree(depth: u32, watch: Watch) -> Run {
    Box::pin(async move {
        let mut scope = TaskScope::new();
        if random_below(4) == 0 {
            scope = scope.timeout(ms(random_below(6)));
        }
        let token = CancelToken::new();
        if random_below(4) == 0 {
            scope = scope.cancelled_by(&token);
            drop(spawn_local(async move {
                sleep(ms(random_below(6))).await;
                token.cancel();
            }));
        }
        let outcome = {
            let watch = watch.clone();
            scope.run(async move |scope: Scope<u64>| {
                let _guards = watch.guards();
                for _ in 0..random_below(4) {
                    child(&scope, depth, &watch);
                    wander().await;
                }
                match random_below(8) {
                    0 => {
                        scope.cancel();
                        Ok(())
                    }
                    1 => Err(0),
                    _ => Ok(()),
                }
            })
        };
        let outcome = outcome.await;
        assert_eq!(watch.alive.count(), 0, "somebody lives on");
        let failed = match &outcome {
            Ok(()) => 0,
            Err(error) => {
                let all = error.others().iter().chain([error.cause()]);
                let of_child =
                    |failure: &&_| matches!(failure, Failure::Child(_) | Failure::Panicked(_));
                all.filter(of_child).count()
            }
        };
        assert_eq!(failed, watch.failed.get(), "each failure is told of: {outcome:?}");
        outcome
    })
}

fn child(scope: &Scope<u64>, depth: u32, watch: &Watch) {
    let guards = watch.guards();
    let (watch, scope_too) = (watch.clone(), scope.clone());
    let mut handle = scope.spawn_local(async move {
        let _guards = guards;
        wander().await;
        match random_below(10) {
            0 => {
                watch.failed.set(watch.failed.get() + 1);
                return Err(1);
            }
            1 => {
                watch.failed.set(watch.failed.get() + 1);
                resume_unwind(Box::new(2))
            }
            2 => scope_too.cancel(),
            3 => child(&scope_too, depth, &watch),
            4..=7 if depth > 0 => {
                let inner = tree(depth - 1, watch.inside());
                // It may be given up, and then its children are this scope's to wait for.
                if let Some(Err(_)) = meddle(inner).await {
                    watch.failed.set(watch.failed.get() + 1);
                    return Err(3);
                }
            }
            8 => drop(scope_too.spawn_blocking(|| Ok(()))),
            _ => {}
        }
        wander().await;
        Ok(4)
    });
    match random_below(6) {
        0 => handle.abort(),
        1 => {
            scope.spawn_local(async move {
                // Loses nothing if it is given up.
                let given_up = meddle(&mut handle).await.is_none();
                if given_up {
                    let _ = handle.await;
                }
                Ok(())
            });
        }
        _ => {}
    }
}

/// Whatever happens in a tree of scopes, nothing of a scope is left when its `run` returns, and each
/// failure of a child is in its result.
#[test]
fn nothing_outlives_its_scope() {
    check(|| async {
        let watch = Watch::default();
        let run = tree(3, watch.clone());
        if meddle(run).await.is_none() {
            // Nobody waits for what is left, but it ends, and soon.
            let start = Instant::now();
            while watch.alive.count() > 0 {
                yield_now().await;
            }
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    });
}

/// The same in tasks that are aborted from outside.
async fn aborted_trees() {
    let watches: Vec<_> = (0..3).map(|_| Watch::default()).collect();
    let tasks = watches.iter().map(|watch| spawn_local(tree(2, watch.clone()))).collect();
    for outcome in chaos::finish(tasks, true).await {
        drop(outcome);
    }
    while watches.iter().any(|watch| watch.alive.count() > 0) {
        yield_now().await;
    }
}

#[test]
fn scopes_in_tasks_that_are_aborted_leave_nothing() {
    check(aborted_trees);
}

/// Nor do scopes keep each other in memory: who is left there has a task, which keeps its runtime, and
/// that its hooks.
#[test]
fn scopes_that_are_given_up_do_not_keep_each_other() {
    struct Nothing;
    impl Hooks for Nothing {}

    within(|| {
        for seed in 0..SEEDS {
            let hooks = Arc::new(Nothing);
            let builder = LocalRuntime::builder().deterministic(seed).hooks(hooks.clone());
            let runtime = builder.build().unwrap();
            runtime.block_on(aborted_trees());
            drop(runtime);
            assert_eq!(Arc::strong_count(&hooks), 1, "under the seed {seed} somebody is left");
        }
    });
}

/// Futures that are awaited together give what each gives alone.
#[test]
fn all_outputs_or_the_first_error() {
    check(|| async {
        let alive = Alive::default();
        let start = Instant::now();
        let steps: Vec<_> = (0..random_below(12)).map(|n| (n, random_below(5))).collect();
        let fails = random_below(2) == 0;
        let work = |&(n, at): &(u64, u64)| {
            let guard = alive.guard();
            async move {
                let _guard = guard;
                sleep(ms(at)).await;
                wander_in_place().await;
                if fails && at == 3 { Err(n) } else { Ok(n) }
            }
        };
        if random_below(2) == 0 {
            let Some(outputs) = meddle(join_all(steps.iter().map(work))).await else {
                return assert_eq!(alive.count(), 0);
            };
            assert!(
                outputs.iter().map(|output| output.unwrap_or_else(|n| n)).eq(0..steps.len() as u64)
            );
        } else if let Some(result) = meddle(try_join_all(steps.iter().map(work))).await {
            let failing = |&&(_, at): &&(u64, u64)| fails && at == 3;
            match result {
                Ok(values) => assert!(values.into_iter().eq(0..steps.len() as u64)),
                Err(n) => assert!(failing(&&steps[n as usize])),
            }
            let last = steps.iter().map(|(_, at)| *at).max().unwrap_or(0);
            let expected = if steps.iter().any(|step| failing(&step)) { 3 } else { last };
            assert_eq!(start.elapsed(), ms(expected));
        }
        assert_eq!(alive.count(), 0);
    });
}

/// A few yields, in no time.
async fn wander_in_place() {
    for _ in 0..random_below(4) {
        yield_now().await;
    }
}

#[test]
fn what_is_tried_again_is_never_tried_twice_at_a_time() {
    check(|| async {
        let alive = Alive::default();
        let tries = Cell::new(0);
        let backoff = Backoff::exponential(ms(1)).jitter().max_tries(4).max_delay(ms(5));
        let result = retry(backoff, async || {
            assert_eq!(alive.count(), 0);
            let _guard = alive.guard();
            tries.set(tries.get() + 1);
            wander().await;
            if random_below(3) == 0 { Ok(tries.get()) } else { Err(tries.get()) }
        });
        match meddle(result).await {
            Some(Ok(n)) => assert_eq!(n, tries.get()),
            Some(Err(n)) => assert_eq!(n, 4),
            None => {}
        }
        assert!(alive.count() == 0 && tries.get() <= 4);
    });
}
