//! Panics of tasks for which nobody waits: who is told of them, where, and when not.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/watchdog.rs"]
mod watchdog;

use mainspring::hooks::{Finish, Hooks, PollOutcome, TaskInfo};
use mainspring::{Handle, LocalBuilder, LocalRuntime, spawn, spawn_blocking, task, yield_now};
use std::any::Any;
use std::future::pending;
use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use watchdog::within;

/// What was told, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    #[track_caller]
    fn is(&self, expected: &[&str]) {
        assert_eq!(*self.0.lock().unwrap(), expected);
    }
}

impl Hooks for Log {
    fn on_finish(&self, _: &TaskInfo, how: Finish) {
        self.note(format!("{how:?}"));
    }
    fn on_poll_end(&self, _: &TaskInfo, outcome: PollOutcome) {
        self.note(format!("{outcome:?}"));
    }
    fn on_blocking_end(&self, _: &TaskInfo) {
        self.note("blocking end");
    }
    fn on_unhandled_panic(&self, task: &TaskInfo, payload: &(dyn Any + Send)) {
        self.note(format!("hook: {}", text(task, payload)));
    }
}

fn text(task: &TaskInfo, payload: &(dyn Any + Send)) -> String {
    let name = task.name().unwrap_or("-");
    let payload = payload.downcast_ref::<&str>().unwrap_or(&"something");
    format!("{:?} {name}: {payload}", task.kind)
}

/// A closure alone.
fn closure() -> (Log, LocalBuilder) {
    let log = Log::default();
    let told = log.clone();
    let builder = LocalRuntime::builder()
        .on_unhandled_panic(move |task, payload| told.note(text(task, payload)));
    (log, builder)
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(self.0);
    }
}

#[test]
fn hooks_are_told_after_the_end_of_the_task_and_the_closure_after_them() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.hooks(Arc::new(log.clone())).build().unwrap();
        rt.block_on(async {
            drop(task::Builder::new().name("lost").spawn(async { panic!("nobody waits") }));
            yield_now().await;
        });
        log.is(&["Panicked", "hook: Send lost: nobody waits", "Send lost: nobody waits", "Done"]);
    });
}

#[test]
fn who_asks_a_handle_is_the_only_one_to_be_told() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.build().unwrap();
        rt.block_on(async {
            assert!(spawn(async { panic!("joined") }).await.unwrap_err().is_panic());
            let error = spawn_blocking(|| panic!("joined too")).await.unwrap_err();
            assert!(error.is_panic());
        });
        log.is(&[]);
    });
}

#[test]
fn a_handle_that_is_dropped_unasked_tells_where_it_is_dropped() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.hooks(Arc::new(log.clone())).build().unwrap();
        let task = rt.handle().spawn(async { panic!("in the handle") });
        let later = rt.handle().spawn(async { panic!("after the end") });
        rt.block_on(yield_now());
        assert!(task.is_finished());
        log.is(&["Panicked", "Done", "Panicked", "Done"]);
        log.0.lock().unwrap().clear();
        thread::spawn(move || drop(task)).join().unwrap();
        log.is(&["hook: Send -: in the handle", "Send -: in the handle"]);
        log.0.lock().unwrap().clear();
        drop(rt);
        drop(later);
        log.is(&["hook: Send -: after the end", "Send -: after the end"]);
    });
}

#[test]
fn what_is_no_panic_of_a_task_is_not_told() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.build().unwrap();
        rt.block_on(async {
            drop(spawn(async { Bomb("the output") }));
            drop(spawn(async { 7 }));
            let cancelled = spawn(pending::<()>());
            let stop = cancelled.abort_handle();
            drop(cancelled);
            yield_now().await;
            stop.abort();
            yield_now().await;
        });
        drop(rt.spawn_local(pending::<()>()));
        drop(rt);
        log.is(&[]);
    });
}

#[test]
fn the_drop_of_a_cancelled_future_panics_and_an_abort_handle_is_no_listener() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.build().unwrap();
        let bomb = |text| async move {
            let _bomb = Bomb(text);
            pending::<()>().await;
        };
        rt.block_on(async {
            let task = spawn(bomb("aborted"));
            let stop = task.abort_handle();
            drop(task);
            yield_now().await;
            stop.abort();
            yield_now().await;
            assert!(stop.is_finished());
            log.is(&["Send -: aborted"]);
        });
        drop(rt.spawn_local(bomb("at the end")));
        rt.block_on(yield_now());
        drop(rt);
        log.is(&["Send -: aborted", "Local -: at the end"]);
    });
}

#[test]
fn closures_that_block_are_told_of_on_the_thread_of_the_pool() {
    within(|| {
        let (told, threads) = mpsc::channel();
        let log = Log::default();
        let rt = LocalRuntime::builder()
            .hooks(Arc::new(log.clone()))
            .on_unhandled_panic(move |_, _| told.send(thread::current().id()).unwrap())
            .build()
            .unwrap();
        rt.block_on(async {
            let (tell, own) = mpsc::channel();
            let (go, gone) = mpsc::channel();
            drop(spawn_blocking(move || {
                gone.recv().unwrap();
                tell.send(thread::current().id()).unwrap();
                panic!("in the pool");
            }));
            go.send(()).unwrap();
            assert_eq!(threads.recv().unwrap(), own.recv().unwrap());
        });
        drop(rt);
        log.is(&["Panicked", "hook: Blocking -: in the pool", "blocking end"]);
    });
}

#[test]
fn closures_that_never_started_are_told_of_where_they_are_dropped() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.blocking_threads(1).build().unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (enter, entered) = mpsc::channel();
        drop(rt.handle().spawn_blocking(move || {
            enter.send(()).unwrap();
            held.recv().unwrap_err();
        }));
        entered.recv().unwrap();
        let capture = Bomb("never started");
        drop(rt.handle().spawn_blocking(move || drop(capture)));
        assert_eq!(rt.shutdown_timeout(Duration::from_millis(1)).blocking, 1);
        log.is(&["Blocking -: never started"]);
        drop(release);
    });
}

#[test]
fn a_deterministic_runtime_tells_of_its_closures_too() {
    within(|| {
        let (log, builder) = closure();
        let rt = builder.deterministic(1).build().unwrap();
        rt.block_on(async {
            drop(spawn_blocking(|| panic!("inline")));
            spawn_blocking(|| ()).await.unwrap();
            mainspring::time::sleep(Duration::from_secs(1)).await;
        });
        log.is(&["Blocking -: inline"]);
    });
}

#[test]
fn the_payload_is_lent_and_dropped_afterwards_whatever_it_does() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::SeqCst);
            panic!("the drop of a payload");
        }
    }
    within(|| {
        let seen = Arc::new(Mutex::new(None));
        let told = seen.clone();
        let rt = LocalRuntime::builder()
            .on_unhandled_panic(move |_, payload| {
                *told.lock().unwrap() =
                    Some((payload.is::<Payload>(), DROPS.load(Ordering::SeqCst)));
            })
            .build()
            .unwrap();
        rt.block_on(async {
            drop(spawn(async { panic_any(Payload) }));
            yield_now().await;
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        });
        assert_eq!(*seen.lock().unwrap(), Some((true, 0)), "it was there still");
        assert_eq!((DROPS.load(Ordering::SeqCst), rt.live_tasks()), (1, 0));
    });
}

#[test]
fn hooks_and_closure_are_switched_off_each_by_itself() {
    #[derive(Default)]
    struct Broken(AtomicUsize);
    impl Hooks for Broken {
        fn on_unhandled_panic(&self, _: &TaskInfo, _: &(dyn Any + Send)) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a hook");
        }
    }
    let lose = |rt: &LocalRuntime| {
        rt.block_on(async {
            for _ in 0..3 {
                drop(spawn(async { panic!("lost") }));
                yield_now().await;
            }
        });
    };
    within(move || {
        let (log, builder) = closure();
        let broken = Arc::new(Broken::default());
        lose(&builder.hooks(broken.clone()).build().unwrap());
        assert_eq!(broken.0.load(Ordering::SeqCst), 1);
        log.is(&["Send -: lost"; 3]);

        let (log, calls) = (Log::default(), Arc::new(AtomicUsize::new(0)));
        let count = calls.clone();
        let rt =
            LocalRuntime::builder().hooks(Arc::new(log.clone())).on_unhandled_panic(move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
                panic!("the closure");
            });
        lose(&rt.build().unwrap());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        log.is(&["Panicked", "hook: Send -: lost", "Done"].repeat(3));
    });
}

#[test]
fn the_closure_may_spawn_abort_and_end_a_root() {
    use futures::StreamExt;
    use futures::channel::mpsc;
    within(|| {
        let (tell, mut told) = mpsc::unbounded();
        let victim = Arc::new(Mutex::new(None));
        let stop = victim.clone();
        let rt = LocalRuntime::builder()
            .on_unhandled_panic(move |lost, _| {
                assert_eq!(task::try_id(), Some(lost.id), "still that task's turn");
                let stop: task::AbortHandle = stop.lock().unwrap().take().unwrap();
                stop.abort();
                let (tell, id) = (tell.clone(), lost.id);
                drop(Handle::current().spawn(async move { tell.unbounded_send(id).unwrap() }));
            })
            .build()
            .unwrap();
        rt.block_on(async {
            let aborted = spawn(pending::<()>());
            *victim.lock().unwrap() = Some(aborted.abort_handle());
            let lost = spawn(async { panic!("lost") });
            let id = lost.id();
            drop(lost);
            assert!(aborted.await.unwrap_err().is_cancelled());
            assert_eq!(told.next().await, Some(id));
        });
    });
}

#[test]
fn a_clone_of_the_builder_has_the_closure_too() {
    within(|| {
        let (log, builder) = closure();
        for rt in [builder.clone().build().unwrap(), builder.build().unwrap()] {
            drop(rt.spawn_local(async { panic!("lost") }));
            rt.block_on(yield_now());
        }
        log.is(&["Local -: lost"; 2]);
    });
}
