//! `TaskScope`: many children, many threads, and what surrounds a scope.
#![cfg(not(loom))]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/scopes.rs"]
mod scopes;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Flavour, on_every_flavour};
use mainspring::group::{ChildError, Failure, JoinSet, Scope, TaskScope, join_all};
use mainspring::hooks::{Hooks, TaskInfo};
use mainspring::time::{sleep, timeout};
use mainspring::{Handle, LocalRuntime, spawn, spawn_local, yield_now};
use one_thread::block_on;
use scopes::{Log, Outcome, cause, check, ms};
use std::convert::Infallible;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use watchdog::within;

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

fn a_scope_that_lives_long_keeps_nothing_of_children_that_ended(on: Flavour) {
    // Seen by what a child's task holds on to: the data that hang on it.
    on.block_on(async {
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

fn threads_spawn_and_cancel_at_the_same_time(on: Flavour) {
    within(move || {
        for round in 0..200_u64 {
            on.block_on(async {
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

fn a_scope_can_be_a_task_of_any_thread(on: Flavour) {
    fn sent<F: Future + Send>(future: F) -> F {
        future
    }
    on.block_on(async {
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

fn a_runtime_that_ends_takes_its_scopes_along(on: Flavour) {
    within(move || {
        let alive = std::sync::Arc::new(());
        let runtime = on.runtime();
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

fn errors_say_what_happened_and_why(on: Flavour) {
    use std::error::Error;
    use std::io;
    on.block_on(async {
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

fn a_body_that_spends_the_whole_budget_has_a_deadline_too(on: Flavour) {
    within(move || {
        on.block_on(async {
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

fn a_handle_of_a_scope_that_was_given_up_keeps_nothing_of_it(on: Flavour) {
    within(move || {
        on.block_on(async {
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

/// The waker is somebody else's: what it panics with must not keep a scope from being given up.
#[test]
fn a_waker_that_panics_does_not_keep_a_scope_from_its_end() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the waker that panics");
        }
    }
    check(|| async {
        let log = Log::default();
        let mut run = Box::pin(TaskScope::new().run(async |scope: Scope<()>| {
            scope.spawn_local::<_, ()>(log.waits("child"));
            pending::<Result<(), ()>>().await
        }));
        let waker = Waker::from(Arc::new(Panics));
        assert!(run.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(run))).is_ok());
        yield_now().await;
        while log.0.borrow().is_empty() {
            yield_now().await;
        }
        assert_eq!(log.take(), ["child"]);
    });
}

on_every_flavour! {
    a_scope_that_lives_long_keeps_nothing_of_children_that_ended,
    threads_spawn_and_cancel_at_the_same_time,
    a_scope_can_be_a_task_of_any_thread,
    a_runtime_that_ends_takes_its_scopes_along,
    errors_say_what_happened_and_why,
    a_body_that_spends_the_whole_budget_has_a_deadline_too,
    a_handle_of_a_scope_that_was_given_up_keeps_nothing_of_it,
}
