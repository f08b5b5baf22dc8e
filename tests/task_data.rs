//! Names, user data and task-locals: who has them, who inherits them, and when they end.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]
// Futures and handles are handed about on purpose.
#![allow(clippy::async_yields_async)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

#[path = "common/one_thread.rs"]
mod one_thread;

use flavours::{Flavour, on_every_flavour};
use mainspring::hooks::{Finish, Hooks, TaskInfo};
use mainspring::task::{self, Builder, NotInScope};
use mainspring::{LocalRuntime, spawn, spawn_blocking, spawn_local, task_local, yield_now};
use one_thread::block_on;
use std::cell::RefCell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use watchdog::within;

struct Tenant(u32);

fn tenant() -> Option<u32> {
    task::data::<Tenant>().map(|tenant| tenant.0)
}

#[test]
fn a_task_knows_its_name_and_nobody_else_does() {
    within(|| {
        block_on(async {
            assert_eq!(task::name(), None);
            let named = Builder::new().name("a").spawn(async {
                let child = spawn(async { task::name() }).await.unwrap();
                yield_now().await;
                (task::name(), child)
            });
            assert_eq!(named.await.unwrap(), (Some("a".into()), None));
            let owned =
                Builder::new().name(format!("task {}", 7)).spawn_local(async { task::name() });
            assert_eq!(owned.await.unwrap().as_deref(), Some("task 7"));
            let blocking = Builder::new().name("b").spawn_blocking(task::name);
            assert_eq!(blocking.await.unwrap().as_deref(), Some("b"));
            assert_eq!(spawn(async { task::name() }).await.unwrap(), None);
        });
    });
}

#[test]
fn children_inherit_data_through_every_kind_of_spawn() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let handle = rt.handle();
        rt.block_on(async {
            let parent = Builder::new().data(Tenant(7)).spawn(async move {
                let mut seen = vec![tenant()];
                seen.push(spawn(async { tenant() }).await.unwrap());
                seen.push(spawn_local(async { tenant() }).await.unwrap());
                seen.push(handle.spawn(async { tenant() }).await.unwrap());
                seen.push(Builder::new().name("x").spawn(async { tenant() }).await.unwrap());
                seen.push(spawn(async { spawn(async { tenant() }).await.unwrap() }).await.unwrap());
                let nested = spawn_blocking(|| {
                    (tenant(), mainspring::Handle::current().spawn(async { tenant() }))
                });
                let (there, child) = nested.await.unwrap();
                seen.extend([there, child.await.unwrap()]);
                let own = Builder::new()
                    .data(Tenant(8))
                    .spawn(async { (tenant(), spawn(async { tenant() }).await.unwrap()) });
                assert_eq!(own.await.unwrap(), (Some(8), Some(8)));
                assert!(task::data::<u32>().is_none(), "data of another type");
                yield_now().await;
                seen.push(tenant());
                seen
            });
            assert_eq!(parent.await.unwrap(), vec![Some(7); 9]);
            assert_eq!(tenant(), None);
            assert_eq!(spawn(async { tenant() }).await.unwrap(), None);
        });
    });
}

fn data_are_shared_and_end_with_the_last_task_that_has_them(on: Flavour) {
    within(move || {
        let kept = Arc::new(());
        let rt = on.runtime();
        let child = rt.block_on(async {
            let parent =
                Builder::new().data(Arc::clone(&kept)).spawn(async { spawn(pending::<()>()) });
            parent.await.unwrap()
        });
        assert_eq!(Arc::strong_count(&kept), 2, "one value for both");
        child.abort();
        rt.block_on(async {
            let _ = child.await;
            // A worker that has told of the end has not let go of the task yet.
            while Arc::strong_count(&kept) > 1 {
                yield_now().await;
            }
        });
    });
}

fn a_panic_in_the_drop_of_data_hurts_nobody(on: Flavour) {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(task::name().is_none(), "its own task is gone");
            panic!("the drop of user data");
        }
    }
    within(move || {
        on.block_on(async {
            for n in 0..3 {
                let task = Builder::new().name("bomb").data(Bomb).spawn(async move { n });
                assert_eq!(task.await.unwrap(), n);
            }
            drop(Builder::new().name("bomb").data(Bomb).spawn(async {}));
            for _ in 0..3 {
                yield_now().await;
            }
        });
    });
}

/// The hooks' copy of what is known about a task may be the last that keeps its data.
#[test]
fn a_panic_in_the_drop_of_data_hurts_nobody_where_there_are_hooks() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the drop of user data");
        }
    }
    #[derive(Default)]
    struct Keep(Mutex<Vec<TaskInfo>>);
    impl Hooks for Keep {
        fn on_finish(&self, task: &TaskInfo, _: Finish) {
            if task.name() == Some("kept") {
                self.0.lock().unwrap().push(task.clone());
            }
        }
    }
    for seed in [None, Some(1)] {
        within(move || {
            let keep = Arc::new(Keep::default());
            let builder = LocalRuntime::builder().hooks(keep.clone()).blocking_threads(1);
            let builder =
                seed.into_iter().fold(builder, |builder, seed| builder.deterministic(seed));
            let rt = builder.build().unwrap();
            let bomb = || Builder::new().data(Bomb);
            rt.block_on(async {
                for n in 0..3 {
                    drop(bomb().spawn(async {}));
                    drop(bomb().spawn_local(async {}));
                    drop(bomb().spawn_blocking(|| ()));
                    bomb().name("kept").spawn(async {}).await.unwrap();
                    assert_eq!(bomb().spawn_blocking(move || n).await.unwrap(), n);
                    assert_eq!(spawn_blocking(move || n).await.unwrap(), n);
                }
                drop(bomb().spawn(pending::<()>()));
                drop(bomb().spawn_blocking(|| ()));
            });
            drop(rt);
            keep.0.lock().unwrap().clear();
        });
    }
}

#[test]
fn hooks_are_told_name_and_data_from_spawn_to_finish() {
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>, Mutex<Vec<TaskInfo>>);
    impl Log {
        fn note(&self, what: &str, task: &TaskInfo) {
            let tenant = task.data::<Tenant>().map(|tenant| tenant.0);
            let line = format!("{what} {} {tenant:?}", task.name().unwrap_or("-"));
            self.0.lock().unwrap().push(line);
        }
    }
    impl Hooks for Log {
        fn on_spawn(&self, task: &TaskInfo) {
            self.note("spawn", task);
            assert!(task.location.file().ends_with("task_data.rs"));
        }
        fn on_finish(&self, task: &TaskInfo, how: Finish) {
            self.note(&format!("{how:?}"), task);
            self.1.lock().unwrap().push(task.clone());
        }
    }
    within(|| {
        let log = Arc::new(Log::default());
        let rt = LocalRuntime::builder().hooks(log.clone()).build().unwrap();
        rt.block_on(async {
            let task = Builder::new().name("a").data(Tenant(7)).spawn(async {
                spawn(async {}).await.unwrap();
            });
            task.await.unwrap();
            spawn(async {}).await.unwrap();
        });
        drop(rt);
        let seen = log.0.lock().unwrap().join(", ");
        let expected = "spawn a Some(7), spawn - Some(7), Finished - Some(7), Finished a Some(7), \
                        spawn - None, Finished - None";
        assert_eq!(seen, expected);
        // What was copied out of a task outlives it.
        assert_eq!(log.1.lock().unwrap()[1].data::<Tenant>().unwrap().0, 7);
    });
}

task_local! {
    static ID: u64;
    static SHARED: Rc<RefCell<Vec<u64>>>;
}

fn id() -> Option<u64> {
    ID.try_with(|id| *id).ok()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn tasks_in_turns_see_each_their_own(on: Flavour) {
    within(move || {
        on.block_on(async {
            let tasks: Vec<_> = (0..10)
                .map(|n| {
                    spawn(ID.scope(n, async move {
                        for _ in 0..5 {
                            assert_eq!(id(), Some(n));
                            yield_now().await;
                        }
                        ID.scope(100 + n, async move {
                            yield_now().await;
                            assert_eq!(id(), Some(100 + n));
                        })
                        .await;
                        id()
                    }))
                })
                .collect();
            for (n, task) in (0..).zip(tasks) {
                assert_eq!(task.await.unwrap(), Some(n));
                assert_eq!(id(), None);
            }
        });
    });
}

fn a_child_does_not_see_the_scopes_of_its_parent(on: Flavour) {
    within(move || {
        let rt = on.runtime();
        // Also where the child is polled further down on the same stack.
        ID.sync_scope(1, || {
            rt.block_on(ID.scope(2, async {
                assert_eq!(id(), Some(2));
                assert_eq!(spawn(async { id() }).await.unwrap(), None);
                assert_eq!(spawn_blocking(id).await.unwrap(), None);
                assert_eq!(spawn(ID.scope(3, async { id() })).await.unwrap(), Some(3));
            }));
            assert_eq!(id(), Some(1));
        });
    });
}

#[test]
fn a_task_that_ends_inside_another_does_not_see_that_ones_scopes() {
    struct Probe(Arc<Mutex<Vec<Option<u64>>>>);
    impl Drop for Probe {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(id());
        }
    }
    within(|| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let probe = Probe(seen.clone());
        block_on(async move {
            let inner = LocalRuntime::builder().build().unwrap();
            drop(inner.spawn_local(async move {
                let _probe = probe;
                pending::<()>().await;
            }));
            let outer = spawn_local(ID.scope(5, async move {
                drop(inner);
                id()
            }));
            assert_eq!(outer.await.unwrap(), Some(5));
        });
        assert_eq!(*seen.lock().unwrap(), [None]);
    });
}

#[test]
fn values_that_are_not_send_live_in_local_tasks() {
    within(|| {
        let list = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            let tasks: Vec<_> = (0..3)
                .map(|n| {
                    let inner = async move {
                        yield_now().await;
                        SHARED.with(|list| list.borrow_mut().push(n));
                    };
                    spawn_local(SHARED.scope(Rc::clone(&list), inner))
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(*list.borrow(), [0, 1, 2]);
        assert_eq!(Rc::strong_count(&list), 1);
    });
}

#[test]
fn the_value_is_there_while_the_future_is_dropped() {
    struct Probe(Rc<RefCell<Vec<Option<u64>>>>);
    impl Drop for Probe {
        fn drop(&mut self) {
            self.0.borrow_mut().push(id());
        }
    }
    let seen = Rc::new(RefCell::new(Vec::new()));
    let scoped = |n: u64, ends: bool| {
        let probe = Probe(seen.clone());
        Box::pin(ID.scope(n, async move {
            let _probe = probe;
            if !ends {
                pending::<()>().await;
            }
        }))
    };
    drop(scoped(1, false));
    let mut polled = scoped(2, false);
    assert!(poll(polled.as_mut()).is_pending());
    drop(polled);
    let mut ready = scoped(3, true);
    assert!(poll(ready.as_mut()).is_ready());
    assert_eq!(seen.borrow().len(), 3, "dropped as soon as it was ready");
    // Within another scope its own counts.
    ID.sync_scope(9, || drop(scoped(4, false)));
    drop(ready);
    assert_eq!(*seen.borrow(), [Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(id(), None);
}

fn a_future_that_moves_between_tasks_and_threads_takes_its_value_along(on: Flavour) {
    within(move || {
        let mut scoped = Box::pin(ID.scope(7, async {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.push((id(), task::try_id()));
                let mut first = true;
                std::future::poll_fn(|_| match std::mem::take(&mut first) {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                })
                .await;
            }
            seen
        }));
        let mut scoped = on.block_on(async move {
            let polled = spawn(async move {
                assert!(poll(scoped.as_mut()).is_pending());
                scoped
            });
            polled.await.unwrap()
        });
        let mut scoped = thread::spawn(move || {
            // In a scope of its own, and with another one around.
            ID.sync_scope(1, || assert!(poll(scoped.as_mut()).is_pending()));
            scoped
        })
        .join()
        .unwrap();
        assert!(poll(scoped.as_mut()).is_pending());
        let Poll::Ready(seen) = poll(scoped.as_mut()) else { panic!("it is ready") };
        assert!(seen.iter().all(|(id, _)| *id == Some(7)));
        assert!(seen[0].1.is_some() && seen[1].1.is_none());
    });
}

#[test]
fn panics_leave_the_scope_and_the_future_is_still_dropped_in_it() {
    struct PanicsWith(u64);
    impl Drop for PanicsWith {
        fn drop(&mut self) {
            assert_eq!(id(), Some(self.0));
            if !thread::panicking() {
                panic!("in the drop");
            }
        }
    }
    let mut polled = Box::pin(ID.scope(1, async {
        let _guard = PanicsWith(1);
        panic!("in the poll");
    }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(polled.as_mut()))).is_err());
    assert_eq!(id(), None);
    drop(polled);
    assert_eq!(id(), None);

    let guard = PanicsWith(2);
    let dropped = ID.scope(2, async move {
        let _guard = guard;
    });
    assert!(catch_unwind(AssertUnwindSafe(|| drop(dropped))).is_err());
    assert_eq!(id(), None);

    // The drop of a future that has just ended.
    struct Ends(#[allow(dead_code)] PanicsWith);
    impl Future for Ends {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let mut ends = Box::pin(ID.scope(3, Ends(PanicsWith(3))));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(ends.as_mut()))).is_err());
    drop(ends);
    assert_eq!(id(), None);
}

#[test]
fn a_missing_scope_is_said_with_its_remedy() {
    assert_eq!(ID.try_with(|_| ()), Err(NotInScope));
    let payload = catch_unwind(|| ID.get()).unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.contains("u64") && text.contains("sync_scope()"), "{text}");
}

fn a_thousand_scopes_nest(on: Flavour) {
    fn nest(depth: u64) -> Pin<Box<dyn Future<Output = u64>>> {
        Box::pin(ID.scope(depth, async move {
            let below = if depth == 1_000 { 0 } else { nest(depth + 1).await };
            yield_now().await;
            assert_eq!(ID.get(), depth);
            below + 1
        }))
    }
    within(move || assert_eq!(on.block_on(nest(1)), 1_000));
}

on_every_flavour! {
    data_are_shared_and_end_with_the_last_task_that_has_them,
    a_panic_in_the_drop_of_data_hurts_nobody,
    tasks_in_turns_see_each_their_own,
    a_child_does_not_see_the_scopes_of_its_parent,
    a_future_that_moves_between_tasks_and_threads_takes_its_value_along,
    a_thousand_scopes_nest,
}
