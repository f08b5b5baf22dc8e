//! What hooks are told, in which order, and what they may do.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use futures::channel::mpsc;
use mainspring::hooks::{Finish, Hooks, PollOutcome, TaskId, TaskInfo, TaskKind};
use mainspring::{Handle, LocalRuntime, spawn, spawn_local, yield_now};
use std::collections::HashMap;
use std::future::pending;
use std::panic::panic_any;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use watchdog::within;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Spawn(TaskId),
    PollStart(TaskId),
    PollEnd(TaskId, PollOutcome),
    Wake(TaskId),
    Finish(TaskId, Finish),
    Park(usize),
    Unpark(usize),
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// What concerns one task.
    fn of(&self, id: TaskId) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| match *event {
            Event::Spawn(task)
            | Event::PollStart(task)
            | Event::PollEnd(task, _)
            | Event::Wake(task)
            | Event::Finish(task, _) => task == id,
            Event::Park(_) | Event::Unpark(_) => false,
        });
        events
    }
}

impl Hooks for Recorder {
    fn on_spawn(&self, task: &TaskInfo) {
        self.note(Event::Spawn(task.id));
    }
    fn on_poll_start(&self, task: &TaskInfo) {
        self.note(Event::PollStart(task.id));
    }
    fn on_poll_end(&self, task: &TaskInfo, outcome: PollOutcome) {
        self.note(Event::PollEnd(task.id, outcome));
    }
    fn on_wake(&self, task: &TaskInfo) {
        self.note(Event::Wake(task.id));
    }
    fn on_finish(&self, task: &TaskInfo, how: Finish) {
        self.note(Event::Finish(task.id, how));
    }
    fn on_park(&self, worker: usize) {
        self.note(Event::Park(worker));
    }
    fn on_unpark(&self, worker: usize) {
        self.note(Event::Unpark(worker));
    }
}

fn recorded() -> (Arc<Recorder>, LocalRuntime) {
    let recorder = Arc::new(Recorder::default());
    let rt = LocalRuntime::builder().hooks(recorder.clone()).build().unwrap();
    (recorder, rt)
}

#[test]
fn the_life_of_a_task_is_told_in_order() {
    within(|| {
        let (recorder, rt) = recorded();
        let id = rt.block_on(async {
            let (tx, rx) = futures::channel::oneshot::channel();
            let task = spawn(async move {
                yield_now().await;
                rx.await.unwrap();
            });
            let id = task.id();
            for _ in 0..3 {
                yield_now().await;
            }
            tx.send(()).unwrap();
            task.await.unwrap();
            id
        });
        assert_eq!(
            recorder.of(id),
            [
                Event::Spawn(id),
                Event::PollStart(id),
                Event::PollEnd(id, PollOutcome::Yielded),
                Event::PollStart(id),
                Event::PollEnd(id, PollOutcome::Pending),
                Event::Wake(id),
                Event::PollStart(id),
                Event::Finish(id, Finish::Finished),
                Event::PollEnd(id, PollOutcome::Done),
            ]
        );
    });
}

#[test]
fn aborts_panics_and_the_end_of_the_runtime_are_told() {
    within(|| {
        let (recorder, rt) = recorded();
        let aborted = rt.spawn_local(pending::<()>());
        let panicked = rt.spawn_local(async { panic!("told to hooks") });
        let left = rt.spawn_local(pending::<()>());
        let ids = [aborted.id(), panicked.id(), left.id()];
        rt.block_on(yield_now());
        aborted.abort();
        rt.block_on(async {
            aborted.await.unwrap_err();
            panicked.await.unwrap_err();
        });
        let handle = rt.handle();
        drop(rt);
        for (id, how) in
            ids.into_iter().zip([Finish::Cancelled, Finish::Panicked, Finish::Cancelled])
        {
            let events = recorder.of(id);
            assert_eq!(events[0], Event::Spawn(id));
            let finishes = events.iter().filter(|event| matches!(event, Event::Finish(..)));
            assert_eq!(finishes.collect::<Vec<_>>(), [&Event::Finish(id, how)]);
        }

        // One that never got in is told of neither at its start nor at its end.
        let late = handle.spawn(async {});
        assert_eq!(recorder.of(late.id()), []);
    });
}

#[test]
fn polls_do_not_overlap_and_park_pairs_with_unpark() {
    within(|| {
        let (recorder, rt) = recorded();
        let handle = rt.handle();
        let (tx, mut rx) = mpsc::unbounded::<()>();
        let spawner = thread::spawn(move || {
            for _ in 0..50 {
                let tx = tx.clone();
                drop(handle.spawn(async move {
                    yield_now().await;
                    tx.unbounded_send(()).unwrap();
                }));
                thread::sleep(Duration::from_micros(300));
            }
        });
        rt.block_on(async {
            use futures::StreamExt;
            let sleeping = spawn_local(mainspring::time::sleep(Duration::from_millis(3)));
            while rx.next().await.is_some() {}
            sleeping.await.unwrap();
        });
        spawner.join().unwrap();
        let (mut polling, mut parked, mut parks) = (None, false, 0);
        let mut finished = HashMap::new();
        for event in recorder.events() {
            match event {
                Event::PollStart(id) => {
                    assert!(!parked, "a poll while the thread sleeps");
                    assert_eq!(polling.replace(id), None, "a poll inside a poll");
                }
                Event::PollEnd(id, outcome) => {
                    assert_eq!(polling.take(), Some(id));
                    assert_eq!(outcome == PollOutcome::Done, finished.contains_key(&id));
                }
                Event::Finish(id, how) => {
                    assert_eq!(finished.insert(id, how), None, "a second end");
                }
                Event::Park(worker) => {
                    assert_eq!(worker, 0);
                    assert!(!std::mem::replace(&mut parked, true), "parked twice");
                    assert_eq!(polling, None, "asleep inside a poll");
                    parks += 1;
                }
                Event::Unpark(worker) => {
                    assert_eq!(worker, 0);
                    assert!(std::mem::replace(&mut parked, false), "unparked without park");
                }
                Event::Spawn(_) | Event::Wake(_) => {}
            }
        }
        assert!(!parked && polling.is_none());
        assert!(parks > 0, "it slept at least for the timer");
        assert_eq!(finished.len(), 51);
    });
}

#[test]
fn the_kind_and_the_place_of_a_spawn_are_told() {
    #[derive(Default)]
    struct Infos(Mutex<Vec<TaskInfo>>);
    impl Hooks for Infos {
        fn on_spawn(&self, task: &TaskInfo) {
            self.0.lock().unwrap().push(task.clone());
        }
    }
    within(|| {
        let infos = Arc::new(Infos::default());
        let rt = LocalRuntime::builder().hooks(infos.clone()).build().unwrap();
        let mut lines = Vec::new();
        rt.block_on(async {
            lines.push(line!() + 1);
            drop(spawn(async {}));
            lines.push(line!() + 1);
            drop(spawn_local(async {}));
            lines.push(line!() + 1);
            drop(Handle::current().spawn(async {}));
        });
        lines.push(line!() + 1);
        drop(rt.spawn_local(async {}));
        let infos = infos.0.lock().unwrap();
        let kinds: Vec<_> = infos.iter().map(|info| info.kind).collect();
        assert_eq!(kinds, [TaskKind::Send, TaskKind::Local, TaskKind::Send, TaskKind::Local]);
        assert_eq!(infos.iter().map(|info| info.location.line()).collect::<Vec<_>>(), lines);
        assert!(infos.iter().all(|info| info.location.file() == file!()));
    });
}

#[test]
fn a_hook_may_spawn_and_wake_also_while_the_thread_goes_to_sleep() {
    #[derive(Default)]
    struct SpawnOnPark {
        handle: Mutex<Option<Handle>>,
        tell: Mutex<Option<mpsc::UnboundedSender<()>>>,
    }
    impl Hooks for SpawnOnPark {
        fn on_park(&self, _: usize) {
            let tell = self.tell.lock().unwrap().take();
            // Taken, since hooks that keep a handle of their own runtime keep both for ever.
            let handle = self.handle.lock().unwrap().take();
            if let (Some(handle), Some(tell)) = (handle, tell) {
                drop(handle.spawn(async move { tell.unbounded_send(()).unwrap() }));
            }
        }
    }
    struct WakeOnPark(Mutex<Option<mpsc::UnboundedSender<()>>>);
    impl Hooks for WakeOnPark {
        fn on_park(&self, _: usize) {
            if let Some(tell) = self.0.lock().unwrap().take() {
                tell.unbounded_send(()).unwrap();
            }
        }
    }
    use futures::StreamExt;
    within(|| {
        let (tx, mut rx) = mpsc::unbounded();
        let hooks = Arc::new(SpawnOnPark::default());
        *hooks.tell.lock().unwrap() = Some(tx);
        let rt = LocalRuntime::builder().hooks(hooks.clone()).build().unwrap();
        *hooks.handle.lock().unwrap() = Some(rt.handle());
        assert_eq!(rt.block_on(rx.next()), Some(()));

        let (tx, mut rx) = mpsc::unbounded();
        let hooks = Arc::new(WakeOnPark(Mutex::new(Some(tx))));
        let rt = LocalRuntime::builder().hooks(hooks).build().unwrap();
        assert_eq!(rt.block_on(rx.next()), Some(()));
    });
}

#[test]
fn a_hook_that_panics_is_called_no_more() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the payload of a hook's panic");
        }
    }
    #[derive(Default)]
    struct Panics(Mutex<usize>);
    impl Hooks for Panics {
        fn on_poll_start(&self, _: &TaskInfo) {
            *self.0.lock().unwrap() += 1;
            panic_any(Payload);
        }
    }
    within(|| {
        let hooks = Arc::new(Panics::default());
        let rt = LocalRuntime::builder().hooks(hooks.clone()).build().unwrap();
        rt.block_on(async {
            for n in 0..3 {
                assert_eq!(spawn(async move { n }).await.unwrap(), n);
            }
        });
        assert!(hooks.0.is_poisoned() || *hooks.0.lock().unwrap() == 1);
    });
}
