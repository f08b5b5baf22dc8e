//! `TaskScope`: closures that block, and scopes within scopes.
#![cfg(not(loom))]

#[path = "common/scopes.rs"]
mod scopes;
#[path = "common/watchdog.rs"]
mod watchdog;

use futures::FutureExt;
use mainspring::group::{Failure, Scope, TaskScope};
use mainspring::time::{sleep, timeout};
use mainspring::{Handle, LocalRuntime, block_on, spawn_local, yield_now};
use scopes::{Log, Outcome, cause, check, ms};
use std::future::pending;
use std::sync::mpsc;
use watchdog::within;

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
fn an_inner_scope_that_leaves_its_outer_one_is_waited_for_by_the_next() {
    within(|| {
        block_on(async {
            let (begun, begins) = mpsc::channel();
            let ended = std::sync::Arc::new(());
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |_outermost| {
                    let outer: Outcome<_> = TaskScope::new()
                        .run(async |_outer| {
                            let ended = ended.clone();
                            let mut inner =
                                Box::pin(TaskScope::new().run(async move |scope: Scope<&str>| {
                                    scope.spawn_blocking(move || {
                                        begun.send(()).unwrap();
                                        std::thread::sleep(ms(10));
                                        drop(ended);
                                        Ok(())
                                    });
                                    begins.recv().unwrap();
                                    pending::<Result<(), _>>().await
                                }));
                            assert!((&mut inner).now_or_never().is_none());
                            Ok(inner)
                        })
                        .await;
                    drop(outer.unwrap());
                    Ok(())
                })
                .await;
            outcome.unwrap();
            assert_eq!(std::sync::Arc::strong_count(&ended), 1, "the closure has returned");
        });
    });
}

#[test]
fn an_inner_scope_that_a_closure_gives_up_is_waited_for_too() {
    within(|| {
        let ended = std::sync::Arc::new(());
        let runtime = LocalRuntime::builder().build().unwrap();
        runtime.block_on(async {
            let (ended, handle) = (ended.clone(), Handle::current());
            let outcome: Outcome<()> = TaskScope::new()
                .run(async |outer| {
                    outer.spawn_blocking(move || {
                        let _entered = handle.enter();
                        futures::executor::block_on(async move {
                            let (begun, begins) = mpsc::channel();
                            let inner = TaskScope::new().run(async |scope: Scope<&str>| {
                                scope.spawn_blocking(move || {
                                    begun.send(()).unwrap();
                                    std::thread::sleep(ms(10));
                                    drop(ended);
                                    Ok(())
                                });
                                begins.recv().unwrap();
                                pending::<Result<(), _>>().await
                            });
                            assert!(inner.now_or_never().is_none());
                        });
                        Ok(())
                    });
                    Ok(())
                })
                .await;
            outcome.unwrap();
        });
        assert_eq!(std::sync::Arc::strong_count(&ended), 1, "the inner closure has returned");
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
