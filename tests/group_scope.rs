//! `TaskScope`: the ways in which it ends, and that no failure is lost.
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
use futures::FutureExt;
use mainspring::group::{ChildError, Failure, Scope, TaskScope};
use mainspring::sync::CancelToken;
use mainspring::time::{Instant, sleep};
use mainspring::{spawn, yield_now};
use one_thread::block_on;
use scopes::{Log, Outcome, cause, check, ms};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::mpsc;
use watchdog::within;

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

fn a_poll_and_the_drop_after_it_may_both_panic(on: Flavour) {
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
    on.block_on(async {
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

fn closures_that_fail_after_the_first_are_told_of_as_others(on: Flavour) {
    within(move || {
        on.block_on(async {
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
        // Also if the body does not look at what became of its child.
        let outcome: Outcome<()> = TaskScope::new()
            .cancelled_by(&token)
            .run(async |scope| {
                drop(scope.spawn::<_, ()>(async { unreachable!() }));
                assert!(scope.is_cancelled());
                Ok(())
            })
            .await;
        assert!(outcome.unwrap_err().is_cancelled(), "it did not do what it was to do");
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

on_every_flavour! {
    a_poll_and_the_drop_after_it_may_both_panic,
    closures_that_fail_after_the_first_are_told_of_as_others,
}
