//! `TaskScope`: whatever happens, its children have ended when it has, and no failure is lost.
#![cfg(not(loom))]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::FutureExt;
use mainspring::group::{ChildError, Failure, JoinSet, Scope, ScopeError, TaskScope, join_all};
use mainspring::hooks::{Hooks, TaskInfo};
use mainspring::sync::CancelToken;
use mainspring::time::{Instant, sleep, timeout};
use mainspring::{Handle, LocalRuntime, block_on, sim, spawn, spawn_local, yield_now};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;
use watchdog::within;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs under a few seeds, in virtual time.
fn check<F: Future<Output = ()>>(test: impl Fn() -> F + Send + 'static) {
    within(move || sim::check(0..50, test));
}

/// The names of those that were dropped, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

struct Leaves(Log, &'static str);

impl Log {
    fn guard(&self, name: &'static str) -> Leaves {
        Leaves(self.clone(), name)
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }

    /// Waits for ever; its end is noted.
    fn waits<T>(&self, name: &'static str) -> impl Future<Output = T> + use<T> {
        let guard = self.guard(name);
        async move {
            let _guard = guard;
            pending().await
        }
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.0.borrow_mut().push(self.1);
    }
}

type Outcome<T, E = &'static str> = Result<T, ScopeError<E>>;

#[track_caller]
fn cause<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Outcome<T, E>) -> Failure<E> {
    outcome.unwrap_err().into_cause()
}

// --- the ways in which it ends

#[test]
fn it_waits_for_children_that_nobody_awaits() {
    check(|| async {
        let (start, log) = (Instant::now(), Log::default());
        let outcome: Outcome<_> = TaskScope::new()
            .run(async |scope| {
                let guard = log.guard("child");
                drop(scope.spawn_local(async move {
                    let _guard = guard;
                    sleep(ms(20)).await;
                    Ok(())
                }));
                log.0.borrow_mut().push("body");
                Ok(5)
            })
            .await;
        assert_eq!(outcome.unwrap(), 5);
        assert_eq!((log.take(), start.elapsed()), (vec!["body", "child"], ms(20)));
    });
}

#[test]
fn handles_give_values_and_the_body_may_borrow() {
    check(|| async {
        let local = String::from("borrowed");
        let outcome: Outcome<_> = TaskScope::new()
            .run(async |scope| {
                let six = scope.spawn(async { Ok(6) });
                let seven = scope.spawn_local(async { Ok(Rc::new(7)) });
                assert!(six.id().is_some() && !six.is_finished());
                let product = six.await.unwrap() * *seven.await.unwrap();
                Ok((product, local.as_str()))
            })
            .await;
        assert_eq!(outcome.unwrap(), (42, "borrowed"));
    });
}

#[test]
fn the_first_error_cancels_the_others_and_the_body() {
    check(|| async {
        let (start, log) = (Instant::now(), Log::default());
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope: Scope<_>| {
                let body = log.guard("body");
                scope.spawn_local::<_, ()>(log.waits("first"));
                scope.spawn_local::<_, ()>(async {
                    sleep(ms(10)).await;
                    Err("no such host")
                });
                scope.spawn_local::<_, ()>(log.waits("third"));
                let _body = body;
                pending().await
            })
            .await;
        let error = outcome.unwrap_err();
        assert!(matches!(error.cause(), Failure::Child("no such host")));
        assert!(error.others().is_empty());
        assert_eq!(error.to_string(), "a child of a scope failed: no such host");
        let mut left = log.take();
        left.sort_unstable();
        assert_eq!((left, start.elapsed()), (vec!["body", "first", "third"], ms(10)));
    });
}

#[test]
fn a_sibling_takes_no_step_after_the_failure() {
    check(|| async {
        let failed = Rc::new(Cell::new(false));
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                for _ in 0..3 {
                    let failed = Rc::clone(&failed);
                    scope.spawn_local::<_, ()>(async move {
                        loop {
                            yield_now().await;
                            assert!(!failed.get());
                        }
                    });
                }
                let failed = Rc::clone(&failed);
                scope.spawn_local::<_, ()>(async move {
                    sleep(ms(0)).await;
                    yield_now().await;
                    failed.set(true);
                    Err("over")
                });
                Ok(())
            })
            .await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error.into_parts(), (Failure::Child("over"), others) if others.is_empty())
        );
    });
}

#[test]
fn without_seeds_children_are_aborted_in_the_order_of_their_births() {
    block_on(async {
        let log = Log::default();
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                // These leave their places in the table to others, the last one first.
                for handle in [1, 2, 3].map(|_| scope.spawn_local(async { Ok(()) })) {
                    handle.await.unwrap();
                }
                yield_now().await;
                for name in ["1", "2", "3", "4", "5"] {
                    scope.spawn_local::<_, ()>(log.waits(name));
                }
                yield_now().await;
                Err("the body")
            })
            .await;
        assert!(matches!(cause(outcome), Failure::Body("the body")));
        assert_eq!(log.take(), ["1", "2", "3", "4", "5"]);
    });
}

#[test]
fn an_error_of_the_body_cancels_the_children() {
    check(|| async {
        let log = Log::default();
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                scope.spawn_local::<_, ()>(log.waits("child"));
                Err("the body")
            })
            .await;
        assert!(matches!(cause(outcome), Failure::Body("the body")));
        assert_eq!(log.take(), ["child"]);
    });
}

#[test]
fn a_panic_of_a_child_is_a_failure_with_its_payload() {
    check(|| async {
        let log = Log::default();
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                scope.spawn_local::<_, ()>(log.waits("child"));
                let panics = scope.spawn::<_, ()>(async { panic!("oh") });
                assert_eq!(panics.await, Err(ChildError::Panicked));
                pending().await
            })
            .await;
        let Failure::Panicked(error) = cause(outcome) else { panic!("another cause") };
        assert_eq!(error.into_panic().downcast_ref::<&str>(), Some(&"oh"));
        assert_eq!(log.take(), ["child"]);
    });
}

#[test]
fn a_panic_of_the_body_goes_on_when_the_children_have_ended() {
    check(|| async {
        for begun in [false, true] {
            let log = Log::default();
            let child = log.clone();
            let run = TaskScope::new().run(|scope: Scope<&str>| {
                scope.spawn_local::<_, ()>(child.waits("child"));
                assert!(begun, "before its future");
                async {
                    sleep(ms(1)).await;
                    panic!("in its future");
                    #[allow(unreachable_code)]
                    Ok(())
                }
            });
            let payload = AssertUnwindSafe(run).catch_unwind().await.unwrap_err();
            let message = if begun { "in its future" } else { "before its future" };
            assert_eq!(payload.downcast_ref::<&str>(), Some(&message));
            assert_eq!(log.take(), ["child"]);
        }
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn drops_that_panic_are_failures_and_never_end_the_process() {
    check(|| async {
        // A child that panics, and whose future panics again when it is dropped.
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                scope.spawn_local::<_, ()>(async {
                    let bomb = Bomb;
                    yield_now().await;
                    let _twice = std::mem::ManuallyDrop::new(bomb);
                    panic!("polled")
                });
                // One that panics as it is cancelled.
                scope.spawn_local::<_, ()>(async {
                    let _bomb = Bomb;
                    pending().await
                });
                yield_now().await;
                yield_now().await;
                pending().await
            })
            .await;
        let (cause, others) = outcome.unwrap_err().into_parts();
        assert!(matches!(cause, Failure::Panicked(_)));
        assert!(others.len() <= 1, "the second may not have begun");

        // A body that panics as it is dropped: the panic goes on, after the children have ended.
        let log = Log::default();
        let run = TaskScope::new().timeout(ms(1)).run(async |scope: Scope<&str>| {
            scope.spawn_local::<_, ()>(log.waits("child"));
            let _bomb = Bomb;
            pending::<Result<(), _>>().await
        });
        assert!(AssertUnwindSafe(run).catch_unwind().await.is_err());
        assert_eq!(log.take(), ["child"]);
    });
}

#[test]
fn a_poll_and_the_drop_after_it_may_both_panic() {
    struct Both;
    impl Future for Both {
        type Output = Result<(), &'static str>;
        fn poll(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Self::Output> {
            panic!("polled")
        }
    }
    impl Drop for Both {
        fn drop(&mut self) {
            panic!("dropped")
        }
    }
    block_on(async {
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                scope.spawn(Both);
                Ok(())
            })
            .await;
        let Failure::Panicked(error) = cause(outcome) else { panic!("another cause") };
        assert_eq!(error.into_panic().downcast_ref::<&str>(), Some(&"polled"));
        // The body, too.
        let run = TaskScope::new().run(|_: Scope<&str>| Both);
        let payload = AssertUnwindSafe(run).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"polled"));
    });
}

#[test]
fn closures_that_fail_after_the_first_are_told_of_as_others() {
    within(|| {
        block_on(async {
            let (begun, begins) = mpsc::channel();
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |scope: Scope<_>| {
                    for name in ["one", "two"] {
                        let (begun, scope_too) = (begun.clone(), scope.clone());
                        scope.spawn_blocking::<_, ()>(move || {
                            begun.send(()).unwrap();
                            while !scope_too.is_cancelled() {
                                std::thread::yield_now();
                            }
                            match name {
                                "one" => Err(name),
                                _ => panic!("two"),
                            }
                        });
                    }
                    begins.recv().unwrap();
                    begins.recv().unwrap();
                    Err("the body")
                })
                .await;
            let error = outcome.unwrap_err();
            assert!(matches!(error.cause(), Failure::Body("the body")));
            assert_eq!(error.others().len(), 2, "a closure that runs is waited for");
            assert!(error.to_string().ends_with("(and 2 failures after that)"), "{error}");
            let panics = |failure: &&Failure<_>| matches!(failure, Failure::Panicked(_));
            assert_eq!(error.others().iter().filter(panics).count(), 1);
        });
    });
}

// --- cancelling

#[test]
fn cancel_ends_the_children_and_the_body() {
    check(|| async {
        let (start, log) = (Instant::now(), Log::default());
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope: Scope<_>| {
                scope.spawn_local::<_, ()>(log.waits("child"));
                let sibling = scope.clone();
                scope.spawn_local(async move {
                    sleep(ms(5)).await;
                    assert!(!sibling.is_cancelled());
                    sibling.cancel();
                    assert!(sibling.is_cancelled());
                    sibling.cancelled().await;
                    Ok(())
                });
                log.waits("body").await
            })
            .await;
        assert!(outcome.unwrap_err().is_cancelled());
        assert_eq!((log.take().len(), start.elapsed()), (2, ms(5)));
    });
}

#[test]
fn a_value_that_the_body_gives_as_it_cancels_counts() {
    check(|| async {
        let log = Log::default();
        let outcome: Outcome<_> = TaskScope::new()
            .run(async |scope| {
                scope.spawn_local::<_, ()>(log.waits("helper"));
                scope.cancel();
                Ok(5)
            })
            .await;
        assert_eq!((outcome.unwrap(), log.take()), (5, vec!["helper"]));
        // A child that says that it is enough, when the body has given its value.
        let outcome: Outcome<_> = TaskScope::new()
            .run(async |scope: Scope<_>| {
                scope.spawn_local::<_, ()>(log.waits("helper"));
                let sibling = scope.clone();
                scope.spawn(async move {
                    sleep(ms(1)).await;
                    sibling.cancel();
                    Ok(())
                });
                Ok(6)
            })
            .await;
        assert_eq!((outcome.unwrap(), log.take()), (6, vec!["helper"]));
        // But a failure is not covered up by it.
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                scope.spawn_local::<_, ()>(async {
                    let _bomb = Bomb;
                    pending().await
                });
                yield_now().await;
                sleep(ms(1)).await;
                scope.cancel();
                Ok(())
            })
            .await;
        assert!(matches!(cause(outcome), Failure::Panicked(_)));
    });
}

#[test]
fn a_deadline_cancels() {
    check(|| async {
        let start = Instant::now();
        let log = Log::default();
        let builder = TaskScope::new();
        for (scope, limit) in [
            (builder.clone().timeout(ms(10)), 10),
            (builder.clone().deadline(start + ms(30)), 30),
            (
                builder.clone().deadline(start + ms(500)).timeout(ms(20)).deadline(start + ms(90)),
                50,
            ),
            (builder.clone().timeout(ms(7)).timeout(ms(100)), 57),
        ] {
            let outcome: Outcome<()> = scope
                .run(async |scope| {
                    scope.spawn_local::<_, ()>(log.waits("child"));
                    log.waits("body").await
                })
                .await;
            let error = outcome.unwrap_err();
            assert!(error.is_deadline_elapsed() && !error.is_cancelled());
            assert_eq!((log.take().len(), start.elapsed()), (2, ms(limit)));
        }
        // The body has ended; a child has not.
        let outcome: Outcome<()> = TaskScope::new()
            .timeout(ms(5))
            .run(async |scope| {
                scope.spawn_local::<_, ()>(log.waits("child"));
                Ok(())
            })
            .await;
        assert!(outcome.unwrap_err().is_deadline_elapsed());
        assert_eq!(log.take(), ["child"]);
        // All have ended before it is looked at.
        let outcome: Outcome<_> = TaskScope::new().deadline(start).run(async |_| Ok(1)).await;
        assert_eq!(outcome.unwrap(), 1);
    });
}

#[test]
fn a_token_cancels_and_is_not_cancelled() {
    check(|| async {
        let log = Log::default();
        let token = CancelToken::new();
        let stop = token.clone();
        let task = spawn(async move {
            sleep(ms(3)).await;
            stop.cancel();
        });
        let mut inner = None;
        let outcome: Outcome<()> = TaskScope::new()
            .cancelled_by(&token)
            .run(async |scope| {
                inner = Some(scope.token());
                assert!(!scope.token().is_cancelled());
                scope.token().cancel();
                assert!(!scope.is_cancelled(), "that is its own affair");
                scope.spawn_local::<_, ()>(log.waits("child"));
                log.waits("body").await
            })
            .await;
        assert!(outcome.unwrap_err().is_cancelled());
        assert_eq!(log.take().len(), 2);
        assert!(inner.unwrap().is_cancelled());
        task.await.unwrap();

        let token = CancelToken::new();
        let outcome: Outcome<()> =
            TaskScope::new().cancelled_by(&token).run(async |_| Err("the body")).await;
        assert!(matches!(cause(outcome), Failure::Body(_)));
        assert!(!token.is_cancelled());
        // One that was cancelled before.
        token.cancel();
        let outcome: Outcome<()> = TaskScope::new()
            .cancelled_by(&token)
            .run(async |scope| {
                assert_eq!(scope.spawn(async { Ok(()) }).await, Err(ChildError::Cancelled));
                pending().await
            })
            .await;
        assert!(outcome.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_scope_that_ends_takes_nothing_in() {
    check(|| async {
        let log = Log::default();
        let mut kept = None;
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope: Scope<_>| {
                kept = Some(scope.clone());
                scope.cancel();
                let late = scope.spawn_local::<_, ()>(log.waits("late"));
                assert_eq!(log.take(), ["late"], "dropped at once");
                assert!(late.is_finished() && late.id().is_none());
                late.abort();
                assert_eq!(late.await, Err(ChildError::Cancelled));
                Ok(())
            })
            .await;
        outcome.unwrap();
        let scope = kept.unwrap();
        assert_eq!(scope.spawn(async { Ok(()) }).await, Err(ChildError::Cancelled));
        assert_eq!(scope.spawn_blocking(|| Ok(())).await, Err(ChildError::Cancelled));
        assert!(scope.is_cancelled());
        scope.cancel();
    });
    // Nor does it panic where no runtime runs.
    let mut kept = None;
    block_on(TaskScope::new().run(async |scope: Scope<Infallible>| {
        kept = Some(scope.clone());
        Ok(())
    }))
    .unwrap();
    let scope = kept.unwrap();
    assert!(!scope.is_cancelled(), "it ended by itself");
    assert!(scope.spawn(async { Ok(()) }).is_finished());
    assert!(scope.spawn_local(async { Ok(()) }).is_finished());
    assert!(scope.spawn_blocking(|| Ok(())).is_finished());
}

#[test]
fn one_child_is_aborted_by_its_handle() {
    check(|| async {
        let log = Log::default();
        let outcome: Outcome<_> = TaskScope::new()
            .run(async |scope| {
                let one = scope.spawn_local::<_, ()>(log.waits("one"));
                one.abort();
                assert_eq!(one.await, Err(ChildError::Cancelled));
                assert_eq!(log.take(), ["one"]);
                Ok(scope.spawn(async { Ok(3) }).await.unwrap())
            })
            .await;
        assert_eq!(outcome.unwrap(), 3, "which is no failure");
    });
}

#[test]
fn children_spawn_siblings() {
    check(|| async {
        let count = Rc::new(Cell::new(0));
        fn grow(scope: &Scope<&'static str>, depth: u32, count: &Rc<Cell<u32>>) {
            count.set(count.get() + 1);
            if depth == 0 {
                return;
            }
            for _ in 0..2 {
                let (scope_too, count) = (scope.clone(), Rc::clone(count));
                scope.spawn_local(async move {
                    sleep(ms(u64::from(depth))).await;
                    grow(&scope_too, depth - 1, &count);
                    Ok(())
                });
            }
        }
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                grow(&scope, 5, &count);
                Ok(())
            })
            .await;
        outcome.unwrap();
        assert_eq!(count.get(), 63);
    });
}

// --- closures that block

#[test]
fn a_closure_that_runs_is_waited_for_and_one_that_does_not_is_dropped() {
    within(|| {
        let runtime =
            LocalRuntime::builder().blocking_threads(1).blocking_queue(1).build().unwrap();
        runtime.block_on(async {
            let (begun, begins) = mpsc::channel();
            let (ended, ends) = mpsc::channel();
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |scope: Scope<_>| {
                    // One runs, one has a place, one waits for a place.
                    for n in 0..3 {
                        let (begun, ended) = (begun.clone(), ended.clone());
                        let scope_too = scope.clone();
                        drop(scope.spawn_blocking(move || {
                            begun.send(n).unwrap();
                            while !scope_too.is_cancelled() {
                                std::thread::yield_now();
                            }
                            std::thread::sleep(ms(5));
                            ended.send(n).unwrap();
                            Ok(())
                        }));
                    }
                    assert_eq!(begins.recv(), Ok(0));
                    Err("enough")
                })
                .await;
            assert!(matches!(cause(outcome), Failure::Body("enough")));
            drop((begun, ended));
            assert_eq!(ends.iter().collect::<Vec<_>>(), [0], "it had ended");
            assert_eq!(begins.iter().count(), 0, "the others never begin");
        });
    });
}

#[test]
fn closures_that_wait_for_a_place_run_though_their_handles_are_dropped() {
    within(|| {
        let runtime =
            LocalRuntime::builder().blocking_threads(1).blocking_queue(1).build().unwrap();
        runtime.block_on(async {
            let (ran, runs) = mpsc::channel();
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |scope| {
                    for n in 0..20 {
                        let ran = ran.clone();
                        drop(scope.spawn_blocking(move || {
                            ran.send(n).unwrap();
                            Ok(())
                        }));
                    }
                    Ok(())
                })
                .await;
            outcome.unwrap();
            drop(ran);
            assert_eq!(runs.iter().count(), 20);
        });
    });
}

// --- dropping it, and nesting

#[test]
fn dropping_it_aborts_the_children() {
    check(|| async {
        let log = Log::default();
        let mut kept = None;
        let never = TaskScope::new().run(async |scope: Scope<&str>| {
            kept = Some(scope.clone());
            scope.spawn_local::<_, ()>(log.waits("child"));
            log.waits::<Result<(), _>>("body").await
        });
        assert!(timeout(ms(1), never).await.is_err());
        assert!(kept.unwrap().is_cancelled());
        // Nobody waits for them, but they end.
        sleep(ms(1)).await;
        assert_eq!(log.take(), ["body", "child"]);
        // One that was never polled has nothing.
        drop(TaskScope::new().run(async |_: Scope<&str>| Ok(())));
    });
}

#[test]
fn cancelling_the_outer_scope_ends_the_inner_ones_and_waits() {
    check(|| async {
        let log = Log::default();
        let outcome: Outcome<()> = TaskScope::new()
            .timeout(ms(5))
            .run(async |outer| {
                for by_body in [true, false] {
                    let log = log.clone();
                    outer.spawn_local::<_, ()>(async move {
                        let inner = TaskScope::new().run(async |scope: Scope<&str>| {
                            let deeper = log.clone();
                            scope.spawn_local::<_, ()>(async move {
                                let deepest = deeper.clone();
                                TaskScope::new()
                                    .run(async |scope: Scope<&str>| {
                                        scope.spawn_local::<_, ()>(deepest.waits("deepest"));
                                        deepest.waits::<Result<(), _>>("its body").await
                                    })
                                    .await
                                    .map_err(|_| "never")
                            });
                            match by_body {
                                true => log.waits("body").await,
                                false => Ok(()),
                            }
                        });
                        inner.await.map_err(|_| "never")
                    });
                }
                // The body of the outer one has an inner one too.
                let inner = TaskScope::new().run(async |scope: Scope<&str>| {
                    scope.spawn_local::<_, ()>(log.waits("child of the body's"));
                    Ok(())
                });
                inner.await.map_err(|_| "never")
            })
            .await;
        assert!(outcome.unwrap_err().is_deadline_elapsed());
        let mut left = log.take();
        left.sort_unstable();
        let expected =
            ["body", "child of the body's", "deepest", "deepest", "its body", "its body"];
        assert_eq!(left, expected, "all have ended");
    });
}

#[test]
fn an_inner_scope_that_is_given_up_is_waited_for_at_the_end_of_the_outer_one() {
    within(|| {
        block_on(async {
            let (begun, begins) = mpsc::channel();
            let ended = std::sync::Arc::new(());
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |_outer| {
                    let inner = TaskScope::new().run(async |scope: Scope<&str>| {
                        let (scope_too, ended) = (scope.clone(), ended.clone());
                        scope.spawn_blocking(move || {
                            begun.send(()).unwrap();
                            while !scope_too.is_cancelled() {
                                std::thread::yield_now();
                            }
                            std::thread::sleep(ms(10));
                            drop(ended);
                            Ok(())
                        });
                        begins.recv().unwrap();
                        pending::<Result<(), _>>().await
                    });
                    assert!(timeout(ms(1), inner).await.is_err());
                    Ok(())
                })
                .await;
            outcome.unwrap();
            assert_eq!(std::sync::Arc::strong_count(&ended), 1, "the closure has returned");
        });
    });
}

#[test]
fn a_scope_in_a_task_of_its_own_does_not_belong_to_the_one_around_the_spawn() {
    check(|| async {
        let log = Log::default();
        let outer: Outcome<()> = TaskScope::new()
            .run(async |_| {
                let log = log.clone();
                let apart = spawn_local(async move {
                    let inner = TaskScope::new().run(async |scope: Scope<&str>| {
                        scope.spawn_local::<_, ()>(log.waits("apart"));
                        Ok(())
                    });
                    inner.await.map_err(|_| ())
                });
                yield_now().await;
                drop(apart);
                Ok(())
            })
            .await;
        outer.unwrap();
        assert_eq!(log.take(), <[&str; 0]>::default());
    });
}

#[test]
fn errors_of_inner_scopes_can_be_passed_on() {
    check(|| async {
        let outcome: Outcome<(), String> = TaskScope::new()
            .run(async |outer| {
                outer.spawn(async {
                    let inner = TaskScope::new().run(async |scope| {
                        scope.spawn::<_, ()>(async { Err("innermost") });
                        Ok(())
                    });
                    inner.await.map_err(|error| error.to_string())
                });
                Ok(())
            })
            .await;
        let Failure::Child(text) = cause(outcome) else { panic!("another cause") };
        assert_eq!(text, "a child of a scope failed: innermost");
    });
}

// --- many

#[test]
fn a_hundred_thousand_children() {
    within(|| {
        const COUNT: u64 = 100_000;
        block_on(async {
            let outcome: Outcome<_> = TaskScope::new()
                .run(async |scope| {
                    let handles: Vec<_> = (0..COUNT)
                        .map(|n| {
                            scope.spawn(async move {
                                yield_now().await;
                                Ok(n)
                            })
                        })
                        .collect();
                    Ok(join_all(handles).await.into_iter().map(Result::unwrap).sum::<u64>())
                })
                .await;
            assert_eq!(outcome.unwrap(), COUNT * (COUNT - 1) / 2);

            let alive = Rc::new(());
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |scope| {
                    for _ in 0..COUNT {
                        let alive = Rc::clone(&alive);
                        scope.spawn_local::<_, ()>(async move {
                            let _alive = alive;
                            pending().await
                        });
                    }
                    sleep(ms(1)).await;
                    Err("enough")
                })
                .await;
            assert!(matches!(cause(outcome), Failure::Body("enough")));
            assert_eq!(Rc::strong_count(&alive), 1);
        });
    });
}

#[test]
fn a_scope_that_lives_long_keeps_nothing_of_children_that_ended() {
    // Seen by what a child's task holds on to: the data that hang on it.
    block_on(async {
        let data = std::sync::Arc::new(());
        let outcome: Outcome<()> = TaskScope::new()
            .run(async |scope| {
                for _ in 0..100 {
                    let held = data.clone();
                    scope.spawn(async move { Ok(held) }).await.unwrap();
                    scope.spawn(async { Ok(()) });
                    yield_now().await;
                }
                assert_eq!(std::sync::Arc::strong_count(&data), 1);
                Ok(())
            })
            .await;
        outcome.unwrap();
    });
}

/// Holds up the thread `outside` while it spawns.
struct Slow(std::sync::mpsc::SyncSender<()>);

impl Hooks for Slow {
    fn on_spawn(&self, _: &TaskInfo) {
        if std::thread::current().name() == Some("outside") {
            // Once when it comes here, and once more when it may go on.
            self.0.send(()).unwrap();
            self.0.send(()).unwrap();
        }
    }
}

#[test]
fn a_child_that_is_being_spawned_counts() {
    within(|| {
        let (sender, slow) = mpsc::sync_channel(0);
        let runtime =
            LocalRuntime::builder().hooks(std::sync::Arc::new(Slow(sender))).build().unwrap();
        let handle = runtime.handle();
        runtime.block_on(async {
            let mut kept = None;
            let ran = std::sync::Arc::new(());
            let run = TaskScope::new().run(async |scope: Scope<&str>| {
                kept = Some(scope.clone());
                let (handle, child) = (handle.clone(), ran.clone());
                let spawner = move || {
                    let _entered = handle.enter();
                    drop(scope.spawn(async move {
                        yield_now().await;
                        drop(child);
                        Ok(())
                    }));
                };
                let thread = std::thread::Builder::new().name("outside".into());
                let thread = thread.spawn(spawner).unwrap();
                slow.recv().unwrap();
                Ok(thread)
            });
            let mut run = std::pin::pin!(run);
            // The body has ended, and no child is there yet.
            assert!(timeout(ms(5), run.as_mut()).await.is_err());
            slow.recv().unwrap();
            let thread = run.await.unwrap();
            assert_eq!(std::sync::Arc::strong_count(&ran), 1);
            thread.join().unwrap();
        });
    });
}

#[test]
fn it_ends_beside_one_that_spends_the_whole_budget() {
    check(|| async {
        let task = spawn_local(async {
            let mut greedy = std::pin::pin!(async {
                loop {
                    mainspring::coop::consume_budget().await;
                }
            });
            let mut run = std::pin::pin!(TaskScope::new().timeout(ms(9)).run(async |scope| {
                for _ in 0..300 {
                    scope.spawn(async { Ok::<_, &str>(()) });
                }
                Ok(())
            }));
            std::future::poll_fn(|cx| {
                let _: std::task::Poll<()> = greedy.as_mut().poll(cx);
                run.as_mut().poll(cx)
            })
            .await
        });
        task.await.unwrap().unwrap();
    });
}

#[test]
fn threads_spawn_and_cancel_at_the_same_time() {
    within(|| {
        for round in 0..200_u64 {
            block_on(async {
                let alive = std::sync::Arc::new(());
                let runtime = Handle::current();
                let outcome: Outcome<()> = TaskScope::new()
                    .run(async |scope: Scope<_>| {
                        for thread in 0..3 {
                            let (scope_too, runtime) = (scope.clone(), runtime.clone());
                            let alive = alive.clone();
                            scope.spawn_blocking(move || {
                                let _entered = runtime.enter();
                                for n in 0..20 {
                                    let alive = alive.clone();
                                    drop(scope_too.spawn(async move {
                                        yield_now().await;
                                        drop(alive);
                                        Ok(n)
                                    }));
                                    if thread == 0 && n == round % 20 {
                                        scope_too.cancel();
                                    }
                                }
                                Ok(())
                            });
                        }
                        Ok(())
                    })
                    .await;
                outcome.unwrap();
                assert_eq!(std::sync::Arc::strong_count(&alive), 1);
            });
        }
    });
}

#[test]
fn a_scope_can_be_a_task_of_any_thread() {
    fn sent<F: Future + Send>(future: F) -> F {
        future
    }
    block_on(async {
        let run = sent(TaskScope::new().timeout(ms(1000)).run(async |scope: Scope<String>| {
            let value = scope.spawn(async { Ok(1) });
            Ok(value.await.unwrap())
        }));
        assert_eq!(spawn(run).await.unwrap().unwrap(), 1);
        let mut set = JoinSet::new();
        for n in 0..3 {
            set.spawn(TaskScope::new().run(async move |scope: Scope<Infallible>| {
                Ok(scope.spawn(async move { Ok(n) }).await.unwrap())
            }));
        }
        let mut values: Vec<_> = set.join_all().await.into_iter().map(Result::unwrap).collect();
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2]);
    });
}

#[test]
fn outside_a_runtime_it_says_what_to_do_and_does_not_hang() {
    within(|| {
        // The children of a scope that some other executor runs.
        let outcome: Outcome<()> =
            futures::executor::block_on(TaskScope::new().run(async |scope: Scope<_>| {
                let spawned = catch_unwind(AssertUnwindSafe(|| scope.spawn(async { Ok(()) })));
                let payload = spawned.unwrap_err();
                let message = payload.downcast_ref::<String>().unwrap();
                assert!(message.contains("Scope::spawn was called where no runtime runs"));
                assert!(
                    catch_unwind(AssertUnwindSafe(|| scope.spawn_blocking(|| Ok(())))).is_err()
                );
                assert!(
                    catch_unwind(AssertUnwindSafe(|| scope.spawn_local(async { Ok(()) }))).is_err()
                );
                Ok(())
            }));
        outcome.unwrap();
        // With children in a runtime that ends before them.
        let runtime = LocalRuntime::builder().build().unwrap();
        let handle = runtime.handle();
        let outcome: Outcome<()> =
            futures::executor::block_on(TaskScope::new().run(async |scope: Scope<_>| {
                let child = {
                    let _entered = handle.enter();
                    scope.spawn::<_, ()>(pending())
                };
                drop(runtime);
                assert_eq!(child.await, Err(ChildError::Cancelled));
                pending().await
            }));
        assert!(matches!(cause(outcome), Failure::Lost(_)));
    });
}

#[test]
fn a_runtime_that_ends_takes_its_scopes_along() {
    within(|| {
        let alive = std::sync::Arc::new(());
        let runtime = LocalRuntime::builder().build().unwrap();
        let deepest = alive.clone();
        runtime.block_on(async {
            let tree = TaskScope::new().run(async move |outer: Scope<&str>| {
                let child = deepest.clone();
                outer.spawn(async move {
                    let inner = TaskScope::new().run(async move |scope: Scope<&str>| {
                        scope.spawn::<_, ()>(async move {
                            let _child = child;
                            pending().await
                        });
                        pending::<Result<(), _>>().await
                    });
                    inner.await.map_err(|_| "never")
                });
                let _deepest = deepest;
                pending::<Result<(), _>>().await
            });
            drop(spawn(tree));
            sleep(ms(1)).await;
        });
        assert!(std::sync::Arc::strong_count(&alive) > 1);
        drop(runtime);
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    });
}

#[test]
fn errors_say_what_happened_and_why() {
    use std::error::Error;
    use std::io;
    block_on(async {
        let outcome: Outcome<(), io::Error> = TaskScope::new()
            .run(async |_| Err(io::Error::other("no".parse::<u8>().unwrap_err())))
            .await;
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), "the body of a scope failed: invalid digit found in string");
        assert!(error.source().is_none_or(|source| source.is::<std::num::ParseIntError>()));
        assert!(
            matches!(error.cause(), Failure::Body(error) if error.kind() == io::ErrorKind::Other)
        );
        let outcome: Outcome<(), io::Error> = TaskScope::new()
            .run(async |scope| {
                scope.spawn::<_, ()>(async { panic!("oh") });
                Ok(())
            })
            .await;
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with("a child of a scope: task ") && text.ends_with("panicked: oh"));
    });
}

#[test]
fn a_body_that_spends_the_whole_budget_has_a_deadline_too() {
    within(|| {
        block_on(async {
            let run = TaskScope::new().timeout(ms(3)).run(async |_: Scope<&str>| {
                loop {
                    mainspring::coop::consume_budget().await;
                }
                #[allow(unreachable_code)]
                Ok(())
            });
            let outcome: Outcome<()> = spawn(run).await.unwrap();
            assert!(outcome.unwrap_err().is_deadline_elapsed());
        });
    });
}

#[test]
fn a_handle_of_a_scope_that_was_given_up_keeps_nothing_of_it() {
    within(|| {
        block_on(async {
            let (go, gate) = mpsc::channel::<()>();
            let (begun, begins) = mpsc::channel();
            let held = std::sync::Arc::new(());
            let mut kept = None;
            let run = TaskScope::new().run(async |scope: Scope<_>| {
                kept = Some(scope.clone());
                let error = held.clone();
                scope.spawn_blocking::<_, ()>(move || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                    Err(error)
                });
                begins.recv().unwrap();
                pending::<Result<(), _>>().await
            });
            assert!(timeout(ms(1), run).await.is_err());
            go.send(()).unwrap();
            while std::sync::Arc::strong_count(&held) > 1 {
                sleep(ms(1)).await;
            }
            assert!(kept.unwrap().is_cancelled());
        });
    });
}
