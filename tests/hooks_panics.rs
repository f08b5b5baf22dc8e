//! A panic in any hook is contained: the runtime goes on, nothing is lost, and one line says so.
//!
//! Each hook panics in a process of its own, whose standard error the test reads.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/each_hook.rs"]
mod each_hook;
#[path = "common/watchdog.rs"]
mod watchdog;

use each_hook::{EachHook, Event, OF_ONE_THREAD};
use futures::channel::oneshot;
use mainspring::hooks::Hooks;
use mainspring::{
    Handle, JoinHandle, LocalRuntime, Runtime, spawn, spawn_blocking, time, yield_now,
};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use watchdog::within;

/// Tells the process that a test starts which hook panics in it.
const INSIDE: &str = "MAINSPRING_TEST_HOOK";

const REPORT: &str = "mainspring: a hook panicked; this runtime calls its hooks no more";

/// Runs the test `name` once for each event, each time in a process with the event in `INSIDE`.
#[track_caller]
fn in_processes(name: &str, events: &[Event]) {
    for event in events {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, format!("{event:?}"))
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{event:?}: {text}");
        assert_eq!(text.lines().filter(|line| *line == REPORT).count(), 1, "{event:?}: {text}");
    }
}

/// The event of this process, if it is one that `in_processes` started.
fn inside(events: &[Event]) -> Option<Event> {
    let name = std::env::var(INSIDE).ok()?;
    events.iter().copied().find(|event| format!("{event:?}") == name)
}

/// Hooks that panic in one event, where `when` says so, and the count of these panics.
fn panics_in(event: Event, when: fn() -> bool) -> (Arc<impl Hooks>, Count) {
    /// Its drop panics, too.
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the payload of a hook");
        }
    }
    let panics = Count::default();
    let count = panics.clone();
    let hooks = EachHook(move |now, _: Option<&_>| {
        if now == event && when() {
            count.one_more();
            panic_any(Payload);
        }
    });
    (Arc::new(hooks), panics)
}

/// With one thread in the pool, so that it ends closures in their order.
fn runtime(hooks: Arc<impl Hooks>) -> LocalRuntime {
    LocalRuntime::builder().hooks(hooks).blocking_threads(1).build().unwrap()
}

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one_more(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Wakes a task and spawns another when it is dropped, be it that its own task unwinds.
struct Last {
    handle: Handle,
    wakes: Option<oneshot::Sender<()>>,
    ended: Count,
}

impl Last {
    fn new(handle: &Handle, ended: &Count) -> (Self, oneshot::Receiver<()>) {
        let (wakes, woken) = oneshot::channel();
        (Self { handle: handle.clone(), wakes: Some(wakes), ended: ended.clone() }, woken)
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        let ended = OnDrop(self.ended.clone());
        drop(self.handle.spawn(async move { drop(ended) }));
        // Nobody may wait any more.
        let _ = self.wakes.take().unwrap().send(());
    }
}

struct OnDrop(Count);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.one_more();
    }
}

/// What makes a runtime of one thread call all of its hooks.
async fn all_events() {
    let (handle, ended) = (Handle::current(), Count::default());
    // From the pool and from another thread, while this one sleeps.
    assert_eq!(spawn_blocking(|| 1).await.unwrap(), 1);
    assert!(spawn_blocking(|| panic!("told to its handle")).await.unwrap_err().is_panic());
    let (tell, told) = oneshot::channel();
    let other = thread::spawn({
        let handle = handle.clone();
        move || {
            thread::sleep(Duration::from_millis(3));
            tell.send(handle.spawn(async { 2 })).ok().unwrap();
        }
    });
    assert_eq!(told.await.unwrap().await.unwrap(), 2);
    other.join().unwrap();
    time::sleep(Duration::from_millis(2)).await;

    // Ends of all kinds.
    let yields = spawn(async {
        for _ in 0..3 {
            yield_now().await;
        }
        3
    });
    assert_eq!(yields.await.unwrap(), 3);
    let aborted = spawn(pending::<()>());
    yield_now().await;
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());

    // While a task unwinds, which somebody waits for, and nobody.
    for joined in [true, false] {
        let (last, woken) = Last::new(&handle, &ended);
        let waits = spawn(woken);
        yield_now().await;
        let unwinds = spawn(async move {
            let _last = last;
            panic!("it unwinds");
        });
        if joined {
            assert!(unwinds.await.unwrap_err().is_panic());
        } else {
            drop(unwinds);
        }
        assert_eq!(waits.await.unwrap(), Ok(()));
    }
    drop(spawn_blocking(|| panic!("nobody waits")));
    spawn_blocking(|| ()).await.unwrap();
    while ended.get() < 2 {
        yield_now().await;
    }
}

/// Leaves a runtime with tasks that wait, which wake, spawn and panic when they are dropped.
fn leave_some(rt: &LocalRuntime, ended: &Count) -> [JoinHandle<()>; 2] {
    let handle = rt.handle();
    let (last, woken) = Last::new(&handle, ended);
    let drops = handle.spawn(async move {
        let _last = last;
        pending::<()>().await;
    });
    let waits = handle.spawn(async { woken.await.unwrap() });
    let (last, _) = Last::new(&handle, ended);
    drop(rt.spawn_local(async move {
        let _bomb = Bomb;
        let _last = last;
        pending::<()>().await;
    }));
    rt.block_on(async {
        for _ in 0..3 {
            yield_now().await;
        }
    });
    [drops, waits]
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a task that is dropped");
    }
}

#[test]
fn any_hook_may_panic_at_any_time() {
    let Some(event) = inside(&OF_ONE_THREAD) else {
        return in_processes("any_hook_may_panic_at_any_time", &OF_ONE_THREAD);
    };
    within(move || {
        let (hooks, panics) = panics_in(event, || true);
        let rt = runtime(hooks);
        rt.block_on(all_events());
        rt.block_on(all_events());
        // On this thread, that of the pool and another: each may have been inside already.
        assert!((1..=3).contains(&panics.get()), "{event:?} {}", panics.get());
        assert_eq!(rt.live_tasks(), 0);
        let ended = Count::default();
        let left = leave_some(&rt, &ended);
        drop(rt);
        assert!(left.iter().all(JoinHandle::is_finished));
        assert_eq!(ended.get(), 2);
    });
}

/// A worker blocks until one of the tasks in its queue has run, which another must have stolen.
async fn steal() {
    let blocked = spawn(async {
        let (tell, told) = std::sync::mpsc::channel();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let tell = tell.clone();
                spawn(async move { tell.send(()).unwrap() })
            })
            .collect();
        told.recv().unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(told.try_iter().count(), 49);
    });
    blocked.await.unwrap();
}

#[test]
fn any_hook_of_a_runtime_of_workers_may_panic() {
    let events: Vec<Event> = OF_ONE_THREAD
        .into_iter()
        .chain([Event::WorkerStart, Event::WorkerStop, Event::Steal])
        .collect();
    let Some(event) = inside(&events) else {
        return in_processes("any_hook_of_a_runtime_of_workers_may_panic", &events);
    };
    within(move || {
        let (hooks, panics) = panics_in(event, || true);
        let rt = Runtime::builder().worker_threads(3).hooks(hooks).build().unwrap();
        for _ in 0..3 {
            rt.block_on(all_events());
            rt.block_on(steal());
        }
        let ended = Count::default();
        let (last, woken) = Last::new(&rt.handle(), &ended);
        let drops = rt.spawn(async move {
            let _last = last;
            pending::<()>().await;
        });
        let waits = rt.spawn(async { woken.await.unwrap_or(()) });
        let left = rt.shutdown_timeout(Duration::from_secs(30));
        assert_eq!((left.tasks.len(), left.threads), (0, 0));
        assert!(drops.is_finished() && waits.is_finished());
        assert_eq!(ended.get(), 1);
        // Each thread may have been inside already when the first panicked.
        assert!(panics.get() > 0, "{event:?} never came");
    });
}

const AT_THE_END: [Event; 4] = [Event::Spawn, Event::Wake, Event::Finish, Event::UnhandledPanic];

/// A hook that answers to what a runtime does in its end.
#[test]
fn hooks_may_panic_while_the_runtime_ends() {
    // What is spawned then is told of neither at its start nor at its end.
    let events = &AT_THE_END[1..];
    let Some(event) = inside(events) else {
        return in_processes("hooks_may_panic_while_the_runtime_ends", events);
    };
    static ENDING: AtomicUsize = AtomicUsize::new(0);
    within(move || {
        let (hooks, panics) = panics_in(event, || ENDING.load(Ordering::SeqCst) == 1);
        let rt = runtime(hooks);
        rt.block_on(all_events());
        let ended = Count::default();
        let left = leave_some(&rt, &ended);
        ENDING.store(1, Ordering::SeqCst);
        drop(rt);
        assert_eq!(panics.get(), 1);
        assert!(left.iter().all(JoinHandle::is_finished));
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn hooks_may_panic_while_a_task_or_the_thread_unwinds() {
    let Some(event) = inside(&AT_THE_END) else {
        return in_processes("hooks_may_panic_while_a_task_or_the_thread_unwinds", &AT_THE_END);
    };
    within(move || {
        let (hooks, panics) = panics_in(event, thread::panicking);
        let ended = Count::default();
        let mut left = Vec::new();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let rt = runtime(hooks);
            // Spawning and waking while a task unwinds.
            rt.block_on(all_events());
            left.extend(leave_some(&rt, &ended));
            // The rest while the runtime is dropped by a thread that does.
            rt.block_on(async { panic!("the root") });
        }));
        assert!(unwound.is_err());
        assert_eq!(panics.get(), 1);
        assert!(left.iter().all(JoinHandle::is_finished));
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn hooks_may_panic_where_a_host_drives() {
    let events = [Event::Park, Event::Unpark, Event::PollStart, Event::Finish];
    let Some(event) = inside(&events) else {
        return in_processes("hooks_may_panic_where_a_host_drives", &events);
    };
    within(move || {
        let (hooks, panics) = panics_in(event, || true);
        let rt = runtime(hooks);
        for n in 0..3 {
            let task = rt.spawn_local(async move { n });
            while !task.is_finished() {
                rt.turn(mainspring::Budget::new()).unwrap();
            }
            assert_eq!(rt.block_on(task).unwrap(), n);
        }
        assert_eq!(panics.get(), 1);
    });
}
