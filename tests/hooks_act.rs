//! Hooks that spawn, wake and abort, in every event: nothing is lost, and nothing is run twice.
#![cfg(not(loom))]
// No model runs these tests.
#![allow(clippy::disallowed_types)]

#[path = "common/each_hook.rs"]
mod each_hook;
#[path = "common/watchdog.rs"]
mod watchdog;

use each_hook::{EachHook, Event, OF_ONE_THREAD};
use mainspring::hooks::{Hooks, TaskId, TaskInfo};
use mainspring::task::AbortHandle;
use mainspring::{
    Budget, Handle, JoinHandle, LocalBuilder, LocalRuntime, Runtime, spawn, spawn_blocking, time,
    yield_now,
};
use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use watchdog::within;

/// How often a hook acts: each time gives rise to further events.
const TIMES: usize = 200;

thread_local! {
    /// Whether a hook is acting on this thread, so that it does not answer to itself.
    static ACTING: Cell<bool> = const { Cell::new(false) };
}

/// What the hooks act on.
#[derive(Default)]
struct Targets {
    acted: AtomicUsize,
    /// Set until the runtime has ended; see [`look_back`].
    handle: Mutex<Option<Handle>>,
    spawned: Arc<Tally>,
    sleeper: Arc<Sleeper>,
    victims: Mutex<Vec<AbortHandle>>,
    /// Tasks that are aborted in an event of their own.
    doomed: Mutex<HashMap<TaskId, AbortHandle>>,
}

/// Tasks that were made, and that have ended.
#[derive(Default)]
struct Tally {
    made: AtomicUsize,
    ended: AtomicUsize,
}

struct Tallied(Arc<Tally>);

impl Tallied {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.made.fetch_add(1, Ordering::SeqCst);
        Self(tally.clone())
    }
}

impl Drop for Tallied {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task that is polled each time that it is woken.
#[derive(Default)]
struct Sleeper {
    waker: Mutex<Option<Waker>>,
    /// Set before each wake, and taken by a poll that comes after it.
    woken: AtomicBool,
    polls_after_wakes: AtomicUsize,
}

impl Sleeper {
    fn wake(&self) {
        // In this order, since the first poll does it the other way round.
        self.woken.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Sleeps(Arc<Sleeper>);

impl Future for Sleeps {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        if self.0.woken.swap(false, Ordering::SeqCst) {
            self.0.polls_after_wakes.fetch_add(1, Ordering::SeqCst);
        }
        Poll::Pending
    }
}

impl Targets {
    fn act(&self, task: Option<&TaskInfo>) {
        if self.acted.fetch_add(1, Ordering::SeqCst) >= TIMES {
            return;
        }
        let handle = self.handle.lock().unwrap().clone();
        let tallied = Tallied::new(&self.spawned);
        if let Some(handle) = handle {
            drop(handle.spawn(async move {
                let _tallied = tallied;
                yield_now().await;
            }));
        }
        self.sleeper.wake();
        let victim = self.victims.lock().unwrap().pop();
        victim.inspect(AbortHandle::abort);
        let own = task.and_then(|task| self.doomed.lock().unwrap().remove(&task.id));
        own.inspect(AbortHandle::abort);
    }
}

/// Hooks that act in one event, once the targets have the handle.
fn acting(event: Event) -> (Arc<Targets>, Arc<impl Hooks>) {
    let targets = Arc::new(Targets::default());
    let acts = targets.clone();
    let hooks = EachHook(move |now, task: Option<&TaskInfo>| {
        if now == event && !ACTING.replace(true) {
            acts.act(task);
            ACTING.set(false);
        }
    });
    (targets, Arc::new(hooks))
}

/// A runtime of one thread whose hooks do that.
fn local(event: Event, builder: LocalBuilder) -> (Arc<Targets>, LocalRuntime) {
    let (targets, hooks) = acting(event);
    let rt = builder.hooks(hooks).build().unwrap();
    *targets.handle.lock().unwrap() = Some(rt.handle());
    (targets, rt)
}

/// Tasks of all kinds, and what may become of those that a hook may abort.
async fn live(targets: &Targets) {
    drop(spawn(Sleeps(targets.sleeper.clone())));
    let victims: Vec<JoinHandle<()>> = (0..20).map(|_| spawn(pending())).collect();
    *targets.victims.lock().unwrap() = victims.iter().map(JoinHandle::abort_handle).collect();
    let doomed: Vec<JoinHandle<u32>> = (0..20)
        .map(|n| {
            spawn(async move {
                for _ in 0..n % 4 {
                    yield_now().await;
                }
                assert!(n % 5 != 0, "so that it panics");
                n
            })
        })
        .collect();
    *targets.doomed.lock().unwrap() =
        doomed.iter().map(|task| (task.id(), task.abort_handle())).collect();
    for (n, task) in doomed.into_iter().enumerate() {
        if n % 2 == 0 {
            match task.await {
                Ok(output) => assert_eq!(output as usize, n),
                Err(error) => assert!(error.is_panic() == (n % 5 == 0) || error.is_cancelled()),
            }
        }
    }
    let other = thread::spawn({
        let handle = Handle::current();
        move || (0..20).map(|n| handle.spawn(async move { n })).collect::<Vec<_>>()
    });
    time::sleep(Duration::from_millis(2)).await;
    for (n, task) in other.join().unwrap().into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), n);
    }
    for n in 0..5 {
        assert_eq!(spawn_blocking(move || n).await.unwrap(), n);
        drop(spawn_blocking(|| panic!("nobody waits")));
    }
    for task in &victims {
        task.abort();
    }
    for task in victims {
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until all that the hooks have woken was polled.
async fn settle(targets: &Targets) {
    while targets.acted.load(Ordering::SeqCst) == 0 || targets.sleeper.woken.load(Ordering::SeqCst)
    {
        yield_now().await;
    }
    assert!(targets.sleeper.polls_after_wakes.load(Ordering::SeqCst) > 0);
}

/// What became of what the hooks did, after the runtime's end.
fn look_back(event: Event, targets: &Targets) {
    // What keeps a task keeps the hooks of its runtime, and they keep the targets.
    *targets.handle.lock().unwrap() = None;
    *targets.sleeper.waker.lock().unwrap() = None;
    targets.victims.lock().unwrap().clear();
    targets.doomed.lock().unwrap().clear();
    let tally = &targets.spawned;
    let counts = [&tally.made, &tally.ended].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts[0], counts[1], "{event:?}");
    assert_eq!(Arc::strong_count(tally), 1, "{event:?}");
}

#[test]
fn hooks_act_in_every_event() {
    within(|| {
        for event in OF_ONE_THREAD {
            let (targets, rt) = local(event, LocalRuntime::builder());
            rt.block_on(live(&targets));
            rt.block_on(settle(&targets));
            drop(rt);
            look_back(event, &targets);
        }
    });
}

#[test]
fn hooks_act_on_several_workers() {
    within(|| {
        for event in OF_ONE_THREAD.into_iter().cycle().take(50) {
            let (targets, hooks) = acting(event);
            let rt = Runtime::builder().worker_threads(3).hooks(hooks).build().unwrap();
            *targets.handle.lock().unwrap() = Some(rt.handle());
            rt.block_on(live(&targets));
            rt.block_on(settle(&targets));
            let left = rt.shutdown_timeout(Duration::from_secs(30));
            assert_eq!((left.tasks.len(), left.threads, left.blocking), (0, 0, 0));
            look_back(event, &targets);
        }
    });
}

#[test]
fn hooks_act_where_a_host_drives() {
    within(|| {
        for event in OF_ONE_THREAD {
            let (targets, rt) = local(event, LocalRuntime::builder());
            let task = rt.spawn_local({
                let targets = targets.clone();
                async move { live(&targets).await }
            });
            while !task.is_finished() {
                rt.turn(Budget::new()).unwrap();
            }
            rt.block_on(task).unwrap();
            rt.block_on(settle(&targets));
            drop(rt);
            look_back(event, &targets);
        }
    });
}

#[test]
fn hooks_act_in_a_deterministic_runtime() {
    within(|| {
        for seed in 0..10 {
            for event in OF_ONE_THREAD {
                let (targets, rt) = local(event, LocalRuntime::builder().deterministic(seed));
                rt.block_on(live(&targets));
                rt.block_on(settle(&targets));
                drop(rt);
                look_back(event, &targets);
            }
        }
    });
}
