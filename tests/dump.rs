//! What live tasks tell of themselves, to any thread, while they go on.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/pool.rs"]
mod pool;
#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::hooks::{TaskId, TaskKind};
use mainspring::sync::oneshot;
use mainspring::task::Builder;
use mainspring::time::{Instant, sleep};
use mainspring::{
    Budget, Handle, LocalRuntime, TaskDump, TaskState, spawn, spawn_local, yield_now,
};
use pool::until;
use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use watchdog::within;

#[track_caller]
fn the_one(tasks: &[TaskDump], id: TaskId) -> &TaskDump {
    let mut found = tasks.iter().filter(|task| task.info.id == id);
    let task = found.next().expect("it is in");
    assert!(found.next().is_none(), "it is in once");
    task
}

#[test]
fn a_task_sees_itself_running_and_others_idle_and_queued() {
    let rt = LocalRuntime::builder().build().unwrap();
    rt.block_on(async {
        let idle = spawn_local(pending::<()>());
        yield_now().await;
        let (asks, line) = (Builder::new().name("asks").data(7_u8), line!() + 1);
        let asks = asks.spawn(async move {
            let queued = spawn(async {});
            (mainspring::task::id(), queued, Handle::current().dump_tasks())
        });
        let (id, queued, tasks) = asks.await.unwrap();
        assert_eq!(tasks.len(), 3);
        let (idle, asks, queued) =
            (the_one(&tasks, idle.id()), the_one(&tasks, id), the_one(&tasks, queued.id()));
        assert_eq!((asks.state, asks.polls, asks.worker), (TaskState::Running, 1, Some(0)));
        assert_eq!((asks.info.name(), asks.info.kind), (Some("asks"), TaskKind::Send));
        assert_eq!(asks.info.data::<u8>(), Some(&7));
        assert_eq!((asks.info.location.file(), asks.info.location.line()), (file!(), line));
        assert_eq!((idle.state, idle.polls, idle.info.name()), (TaskState::Idle, 1, None));
        assert_eq!(idle.info.kind, TaskKind::Local);
        assert_eq!((queued.state, queued.polls), (TaskState::Queued, 0));
        assert_eq!(queued.info.data::<u8>(), Some(&7), "inherited");
    });
}

#[test]
fn tasks_that_have_ended_are_out() {
    let rt = LocalRuntime::builder().build().unwrap();
    let handle = rt.handle();
    let done = rt.spawn_local(async {});
    let task = rt.spawn_local(pending::<()>());
    rt.turn(Budget::new()).unwrap();
    assert_eq!(handle.dump_tasks().len(), 1, "whoever has a handle");
    task.abort();
    assert_eq!(the_one(&handle.dump_tasks(), task.id()).state, TaskState::Queued, "to be dropped");
    rt.turn(Budget::new()).unwrap();
    assert!(handle.dump_tasks().is_empty());
    let left = rt.spawn_local(pending::<()>());
    drop(rt);
    assert!(handle.dump_tasks().is_empty(), "the runtime has ended");
    assert!(done.is_finished() && left.is_finished());
    drop(handle.spawn(async {}));
    assert!(handle.dump_tasks().is_empty(), "never admitted");
}

#[test]
fn another_thread_sees_the_tasks_of_a_loop_that_sleeps() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let (handle, waits) = (rt.handle(), rt.spawn_local(pending::<()>()).id());
        let (end, ended) = oneshot::channel::<()>();
        let other = thread::spawn(move || {
            until(|| handle.metrics().workers[0].parks > 0);
            let tasks = handle.dump_tasks();
            assert_eq!(tasks.len(), 1);
            let task = the_one(&tasks, waits);
            assert_eq!((task.state, task.polls), (TaskState::Idle, 1));
            end.send(()).unwrap();
        });
        rt.block_on(ended).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn another_thread_sees_the_tasks_of_a_loop_that_is_stuck_in_a_poll() {
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let handle = rt.handle();
        let (release, closure) = pool::held();
        let (enter, entered) = mpsc::channel();
        let stuck = rt.spawn_local(async move {
            enter.send(()).unwrap();
            closure();
        });
        let (stuck_id, behind) = (stuck.id(), rt.spawn_local(async {}).id());
        let other = thread::spawn(move || {
            entered.recv().unwrap();
            let idle = handle.spawn(async {}).id();
            thread::sleep(Duration::from_millis(20));
            let tasks = handle.dump_tasks();
            assert_eq!(the_one(&tasks, stuck_id).state, TaskState::Running);
            assert!(the_one(&tasks, stuck_id).age >= Duration::from_millis(20));
            for queued in [behind, idle] {
                assert_eq!(the_one(&tasks, queued).state, TaskState::Queued);
            }
            drop(release);
        });
        rt.block_on(stuck).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn one_that_another_thread_has_woken_is_queued_before_its_loop_knows() {
    let rt = LocalRuntime::builder().build().unwrap();
    let (wake, woken) = oneshot::channel::<()>();
    let task = rt.spawn_local(async { woken.await.unwrap() });
    rt.turn(Budget::new()).unwrap();
    assert_eq!(the_one(&rt.handle().dump_tasks(), task.id()).state, TaskState::Idle);
    thread::spawn(move || wake.send(()).unwrap()).join().unwrap();
    assert_eq!(the_one(&rt.handle().dump_tasks(), task.id()).state, TaskState::Queued);
}

#[test]
fn polls_and_ages_are_exact_in_virtual_time() {
    let rt = LocalRuntime::builder().deterministic(1).build().unwrap();
    let handle = rt.handle();
    rt.block_on(async {
        let task = spawn(async {
            for _ in 0..4 {
                sleep(Duration::from_secs(60)).await;
            }
            pending::<()>().await;
        });
        sleep(Duration::from_millis(150_500)).await;
        let late = spawn(pending::<()>());
        let closure = mainspring::spawn_blocking(|| ());
        sleep(Duration::from_millis(2)).await;
        closure.await.unwrap();
        let tasks = handle.dump_tasks();
        let (task, late) = (the_one(&tasks, task.id()), the_one(&tasks, late.id()));
        assert_eq!((task.polls, task.age), (3, Duration::from_millis(150_502)));
        assert_eq!((late.polls, late.age), (1, Duration::from_millis(2)));
        assert_eq!(tasks.len(), 2);
    });
}

/// Each task is born by the clock of its own runtime, whoever spawns it.
#[test]
fn runtimes_with_different_clocks_do_not_mix_them_up() {
    let real = LocalRuntime::builder().build().unwrap();
    let unreal = LocalRuntime::builder().deterministic(1).build().unwrap();
    let zero = |handle: &Handle| handle.dump_tasks().iter().all(|task| task.age == Duration::ZERO);
    let handles = (real.handle(), unreal.handle());
    real.block_on(async {
        drop(handles.1.spawn(pending::<()>()));
        assert!(zero(&handles.1));
        unreal.turn(Budget::new()).unwrap();
    });
    let old = Duration::from_secs(3600);
    let start = std::time::Instant::now();
    unreal.block_on(async {
        sleep(old).await;
        assert_eq!(handles.1.dump_tasks()[0].age, old);
        drop(handles.0.spawn(pending::<()>()));
        assert!(handles.0.dump_tasks()[0].age <= start.elapsed() + Duration::from_millis(1));
    });
}

#[test]
fn ages_grow_from_the_spawn_on() {
    let rt = LocalRuntime::builder().build().unwrap();
    let handle = rt.handle();
    let nap = Duration::from_millis(15);
    let before = rt.spawn_local(pending::<()>()).id();
    rt.block_on(async { sleep(nap).await });
    let other = handle.clone();
    let elsewhere = thread::spawn(move || other.spawn(pending::<()>()).id()).join().unwrap();
    rt.block_on(async {
        let inside = spawn(pending::<()>()).id();
        sleep(nap).await;
        let tasks = handle.dump_tasks();
        assert!(the_one(&tasks, before).age >= 2 * nap);
        assert!(the_one(&tasks, elsewhere).age >= nap);
        assert!(the_one(&tasks, inside).age >= nap);
    });
}

#[test]
fn closures_are_in() {
    within(|| {
        let rt = pool::runtime(1, 1);
        let handle = rt.handle();
        let release = pool::occupy(&handle);
        let line = line!() + 1;
        let queued = handle.spawn_blocking(|| ());
        let waits = handle.spawn_blocking(|| ());
        assert_eq!(pool::counts(&handle.blocking()), (1, 1, 1), "one waits for a place");
        let tasks = handle.dump_tasks();
        assert_eq!(tasks.len(), 3);
        let of = |task: &TaskDump| (task.state, task.polls, task.worker, task.info.kind);
        let (queued_task, waits_task) = (the_one(&tasks, queued.id()), the_one(&tasks, waits.id()));
        assert_eq!(of(queued_task), (TaskState::Queued, 0, None, TaskKind::Blocking));
        assert_eq!(queued_task.info.location.line(), line);
        assert_eq!(of(waits_task), (TaskState::Idle, 1, None, TaskKind::Blocking), "for a place");
        let running = tasks.iter().find(|task| task.state == TaskState::Running).unwrap();
        assert_eq!(of(running), (TaskState::Running, 1, None, TaskKind::Blocking));
        drop(release);
        rt.block_on(async {
            queued.await.unwrap();
            waits.await.unwrap();
        });
        until(|| handle.dump_tasks().is_empty());
    });
}

/// In a deterministic runtime they run on its own thread.
#[test]
fn closures_without_threads_are_in_too() {
    let rt = LocalRuntime::builder().deterministic(3).build().unwrap();
    let handle = rt.handle();
    rt.block_on(async {
        let inside = handle.clone();
        let closure = mainspring::spawn_blocking(move || inside.dump_tasks());
        let (id, queued) = (closure.id(), handle.dump_tasks());
        assert_eq!(the_one(&queued, id).state, TaskState::Queued);
        let running = closure.await.unwrap();
        assert_eq!(
            (the_one(&running, id).state, the_one(&running, id).polls),
            (TaskState::Running, 1)
        );
        assert_eq!(the_one(&running, id).info.kind, TaskKind::Blocking);
    });
}

/// The dump may be the last that keeps the user's data, which may ask for a dump when they go.
#[test]
fn user_data_are_dropped_under_no_lock() {
    struct Asks(Handle, Arc<AtomicUsize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.1.fetch_add(1 + self.0.dump_tasks().len(), Ordering::Relaxed);
        }
    }
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let handle = rt.handle();
        let dropped = Arc::new(AtomicUsize::new(0));
        let data = Asks(handle.clone(), dropped.clone());
        let entered = handle.enter();
        let task = Builder::new().data(data).spawn(pending::<()>());
        drop(entered);
        rt.turn(Budget::new()).unwrap();
        let tasks = handle.dump_tasks();
        task.abort();
        drop(task);
        rt.turn(Budget::new()).unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 0, "the dump keeps them");
        thread::spawn(move || drop(tasks)).join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn thousands_come_and_go_while_another_thread_dumps() {
    const ROUNDS: usize = 100;
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    within(|| {
        let rt = LocalRuntime::builder().build().unwrap();
        let (over, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let most = Arc::new(Mutex::new(0));
        let other = {
            let (handle, over, most) = (rt.handle(), over.clone(), most.clone());
            let start = Instant::now();
            thread::spawn(move || {
                while !over.load(Ordering::Acquire) {
                    let tasks = handle.dump_tasks();
                    let ids: HashSet<_> = tasks.iter().map(|task| task.info.id).collect();
                    assert_eq!(ids.len(), tasks.len(), "each once");
                    let elapsed = start.elapsed() + Duration::from_millis(1);
                    for task in &tasks {
                        assert!(task.polls <= 3 && task.age <= elapsed, "{task:?}");
                        assert_eq!(task.info.name(), Some("one of many"));
                    }
                    let mut most = most.lock().unwrap();
                    *most = tasks.len().max(*most);
                }
            })
        };
        let rounds = rt.block_on(async {
            until(|| Arc::strong_count(&over) == 2);
            // All of them may be over before the other thread has had its turn: then there are more.
            let mut rounds = 0;
            while rounds < ROUNDS || (*most.lock().unwrap() == 0 && !other.is_finished()) {
                rounds += 1;
                let tasks: Vec<_> = (0..100)
                    .map(|at| {
                        let data = Counts(dropped.clone());
                        Builder::new().name("one of many").data(data).spawn(async move {
                            for _ in 0..at % 3 {
                                yield_now().await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            }
            rounds
        });
        over.store(true, Ordering::Release);
        other.join().unwrap();
        assert!(rt.handle().dump_tasks().is_empty());
        drop(rt);
        assert_eq!(dropped.load(Ordering::Relaxed), rounds * 100, "nothing is kept");
        assert!(*most.lock().unwrap() <= 100);
    });
}

#[test]
fn the_tasks_of_several_workers_are_told_with_theirs() {
    within(|| {
        let rt = mainspring::Runtime::builder().worker_threads(2).build().unwrap();
        let entered = rt.enter();
        let stays = mainspring::spawn_pinned(1, std::future::pending::<()>).unwrap();
        let outside = mainspring::spawn(std::future::pending::<()>());
        drop(entered);
        let (tell, told) = std::sync::mpsc::channel();
        let handle = rt.handle();
        let (go, gone) = std::sync::mpsc::channel();
        let inside = rt.spawn(async move {
            let child = spawn(std::future::pending::<()>());
            let all = handle.dump_tasks();
            tell.send((all, child.id())).unwrap();
            gone.recv().unwrap();
            child.abort();
        });
        let (all, child) = told.recv().unwrap();
        let of = |id| all.iter().find(|task| task.info.id == id).unwrap().clone();
        assert_eq!((of(stays.id()).info.kind, of(stays.id()).worker), (TaskKind::Pinned, Some(1)));
        assert_eq!((of(outside.id()).info.kind, of(outside.id()).worker), (TaskKind::Send, None));
        assert_eq!((of(inside.id()).state, of(inside.id()).polls), (TaskState::Running, 1));
        assert!(of(child).worker.is_some());
        assert_eq!(all.len(), 4);
        // From another thread, while the worker is in the middle of a poll.
        let again = rt.handle().dump_tasks();
        let running = again.iter().filter(|task| task.state == TaskState::Running);
        assert_eq!(running.map(|task| task.info.id).collect::<Vec<_>>(), [inside.id()]);
        go.send(()).unwrap();
        assert!(inside.wait_blocking(Duration::MAX).unwrap().is_ok());
    });
}
