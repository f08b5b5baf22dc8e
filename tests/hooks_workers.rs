//! What hooks are told of workers, and of the tasks that move between them.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/each_hook.rs"]
mod each_hook;
#[path = "common/watchdog.rs"]
mod watchdog;

use each_hook::{EachHook, Event, OF_ONE_THREAD};
use mainspring::hooks::{Hooks, TaskInfo};
use mainspring::{LocalRuntime, Runtime, spawn, yield_now};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;
use watchdog::within;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Start(usize),
    Stop(usize),
    Steal { worker: usize, from: usize, tasks: usize },
    Park(usize),
    Unpark(usize),
    PollStart,
}

/// What was told, and on which thread.
#[derive(Default)]
struct Recorder(Mutex<Vec<(ThreadId, Told)>>);

impl Recorder {
    fn note(&self, told: Told) {
        self.0.lock().unwrap().push((thread::current().id(), told));
    }

    fn events(&self) -> Vec<(ThreadId, Told)> {
        self.0.lock().unwrap().clone()
    }
}

impl Hooks for Recorder {
    fn on_worker_start(&self, worker: usize) {
        assert!(mainspring::Handle::try_current().is_ok(), "it may spawn");
        self.note(Told::Start(worker));
    }
    fn on_worker_stop(&self, worker: usize) {
        self.note(Told::Stop(worker));
    }
    fn on_steal(&self, worker: usize, from: usize, tasks: usize) {
        self.note(Told::Steal { worker, from, tasks });
    }
    fn on_park(&self, worker: usize) {
        self.note(Told::Park(worker));
    }
    fn on_unpark(&self, worker: usize) {
        self.note(Told::Unpark(worker));
    }
    fn on_poll_start(&self, _: &TaskInfo) {
        self.note(Told::PollStart);
    }
}

#[test]
fn a_worker_tells_of_its_start_first_and_of_its_stop_last() {
    within(|| {
        for workers in [1, 3] {
            let recorder = Arc::new(Recorder::default());
            let builder = Runtime::builder().worker_threads(workers).hooks(recorder.clone());
            let rt = builder.build().unwrap();
            rt.block_on(async {
                let tasks: Vec<_> = (0..100).map(|_| spawn(yield_now())).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            let left = rt.shutdown_timeout(Duration::from_secs(30));
            assert_eq!((left.tasks.len(), left.threads), (0, 0));
            let events = recorder.events();
            for worker in 0..workers {
                let start = events.iter().find(|(_, told)| *told == Told::Start(worker));
                let thread = start.expect("each worker starts").0;
                let own = events.iter().filter(|(on, _)| *on == thread);
                let own: Vec<Told> = own.map(|(_, told)| *told).collect();
                assert_eq!(own.first(), Some(&Told::Start(worker)));
                assert_eq!(own.last(), Some(&Told::Stop(worker)));
                let of_life = |told: &&Told| matches!(told, Told::Start(_) | Told::Stop(_));
                assert_eq!(own.iter().filter(of_life).count(), 2, "a thread has one life");
                // On its own thread, in turns.
                let mut asleep = false;
                for told in own {
                    match told {
                        Told::Park(number) | Told::Unpark(number) => {
                            assert_eq!(number, worker);
                            asleep = !asleep;
                            assert_eq!(asleep, told == Told::Park(worker));
                        }
                        _ => assert!(!asleep, "{told:?} by one that sleeps"),
                    }
                }
            }
        }
    });
}

#[test]
fn a_thief_tells_from_whom_it_took_how_many() {
    within(|| {
        let recorder = Arc::new(Recorder::default());
        let rt = Runtime::builder().worker_threads(2).hooks(recorder.clone()).build().unwrap();
        rt.block_on(async {
            // The worker blocks, so that only the other can run what is in its queue.
            let blocked = spawn(async {
                let (tell, told) = mpsc::channel();
                let tasks: Vec<_> = (0..20)
                    .map(|_| {
                        let tell = tell.clone();
                        spawn(async move { tell.send(thread::current().id()).unwrap() })
                    })
                    .collect();
                let thief = told.recv().unwrap();
                assert_ne!(thief, thread::current().id());
                for task in tasks {
                    task.await.unwrap();
                }
                thief
            });
            let thief = blocked.await.unwrap();
            let events = recorder.events();
            let number = events.iter().find_map(|(thread, told)| match told {
                Told::Start(worker) if *thread == thief => Some(*worker),
                _ => None,
            });
            let steals = events.iter().filter(|(thread, _)| *thread == thief);
            let steals: Vec<Told> = steals
                .map(|(_, told)| *told)
                .filter(|told| matches!(told, Told::Steal { .. }))
                .collect();
            assert!(!steals.is_empty(), "{events:?}");
            for steal in steals {
                let Told::Steal { worker, from, tasks } = steal else { unreachable!() };
                assert_eq!((Some(worker), from), (number, 1 - worker));
                assert!((1..=21).contains(&tasks), "{tasks}");
            }
        });
    });
}

#[test]
fn a_runtime_without_workers_tells_of_none() {
    within(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let note = told.clone();
        let hooks = EachHook(move |event: Event, _: Option<&TaskInfo>| {
            note.lock().unwrap().push(event);
        });
        let rt = LocalRuntime::builder().hooks(Arc::new(hooks)).build().unwrap();
        rt.block_on(async {
            spawn(yield_now()).await.unwrap();
            mainspring::spawn_blocking(|| ()).await.unwrap();
        });
        drop(rt);
        let told = told.lock().unwrap();
        assert!(!told.is_empty());
        assert!(told.iter().all(|event| OF_ONE_THREAD.contains(event)), "{told:?}");
    });
}

#[test]
fn a_panic_on_a_worker_is_told_there() {
    within(|| {
        let (tell, told) = mpsc::channel();
        let rt = Runtime::builder()
            .worker_threads(2)
            .on_unhandled_panic(move |task, payload| {
                let text = payload.downcast_ref::<&str>().copied();
                tell.send((task.id, text, thread::current().id())).unwrap();
            })
            .build()
            .unwrap();
        let (tell, ran) = mpsc::channel();
        let (go, gone) = futures::channel::oneshot::channel();
        let task = rt.spawn(async move {
            gone.await.unwrap();
            tell.send(thread::current().id()).unwrap();
            panic!("nobody waits");
        });
        let id = task.id();
        drop(task);
        go.send(()).unwrap();
        let (told, thread) = (told.recv().unwrap(), ran.recv().unwrap());
        assert_eq!(told, (id, Some("nobody waits"), thread));
    });
}
