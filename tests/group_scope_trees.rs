//! `TaskScope`: closures that block, scopes within scopes, many children, threads.
#![cfg(not(loom))]

#[path = "common/scopes.rs"]
mod scopes;
#[path = "common/watchdog.rs"]
mod watchdog;

use futures::FutureExt;
use mainspring::group::{ChildError, Failure, JoinSet, Scope, TaskScope, join_all};
use mainspring::hooks::{Hooks, TaskInfo};
use mainspring::time::{sleep, timeout};
use mainspring::{Handle, LocalRuntime, block_on, spawn, spawn_local, yield_now};
use scopes::{Log, Outcome, cause, check, ms};
use std::convert::Infallible;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
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
