//! Every order of wake, poll, abort, join and drop, as far as two preemptions reach.

use super::*;
use crate::hooks::HookSet;
use crate::primitives::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, thread};
use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU64;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use Ordering::{Acquire, Relaxed, Release};

/// A scheduler that any thread may run.
pub(super) struct Queue(Mutex<VecDeque<Runnable>>);

impl Schedule for Queue {
    fn schedule(&self, task: Runnable) {
        self.0.lock().push_back(task);
    }
}

#[derive(Clone)]
pub(super) struct Rt(pub(super) StdArc<Home<Queue>>);

impl Spawn for Rt {
    fn place(&self) -> Placement {
        Placement::new(&self.0, TaskId::from_raw(NonZeroU64::MIN))
    }

    fn submit(&self, task: Runnable) {
        match task.admit(Birth::from_nanos(0)) {
            Ok(task) => self.0.schedule(task),
            Err(task) => drop(task),
        }
    }
}

impl Rt {
    pub(super) fn new() -> Self {
        let queue = Queue(Mutex::new(VecDeque::new()));
        Self(Home::new_shared(queue, HookSet::default()))
    }

    pub(super) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn(self, future, Location::caller())
    }

    /// Runs what is queued until nothing is.
    pub(super) fn run(&self) {
        loop {
            let next = self.0.0.lock().pop_front();
            match next.map(Runnable::run) {
                None => return,
                Some(Ran::Again(task)) => self.0.schedule(task),
                Some(Ran::Waits | Ran::Done) => {}
            }
        }
    }

    /// What a runtime does at its end.
    fn shut_down(&self) {
        self.0.close();
        self.run();
        // A thread that has claimed a task but not queued it yet is waited for: only here may a
        // `!Send` future be dropped.
        while self.0.live_tasks() > 0 {
            thread::yield_now();
            self.run();
        }
    }
}

/// Counts its drops.
pub(super) struct Counted(pub(super) Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Waits for a flag that is set without any ordering: only the wake makes it visible.
struct WaitFor {
    flag: Arc<AtomicBool>,
    waker: Arc<Mutex<Option<Waker>>>,
    counted: Option<Counted>,
}

impl Future for WaitFor {
    type Output = Counted;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Counted> {
        if self.flag.load(Relaxed) {
            return Poll::Ready(self.counted.take().unwrap());
        }
        let mut waker = self.waker.lock();
        if waker.is_none() {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

pub(super) struct Scene {
    pub(super) rt: Rt,
    pub(super) handle: Option<JoinHandle<Counted>>,
    pub(super) flag: Arc<AtomicBool>,
    pub(super) waker: Waker,
    pub(super) drops: Arc<AtomicUsize>,
}

/// A task that was polled once and waits; its waker is in our hands.
pub(super) fn waiting_task() -> Scene {
    let rt = Rt::new();
    let flag = Arc::new(AtomicBool::new(false));
    let slot = Arc::new(Mutex::new(None));
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Some(Counted(drops.clone()));
    let handle = rt.spawn(WaitFor { flag: flag.clone(), waker: slot.clone(), counted });
    rt.run();
    let waker = slot.lock().take().unwrap();
    Scene { rt, handle: Some(handle), flag, waker, drops }
}

/// Nothing of the runtime is left once its last reference goes.
pub(super) fn assert_freed(rt: Rt) {
    assert_eq!(StdArc::strong_count(&rt.0), 1, "a cell was leaked");
}

/// Remembers whether it was woken.
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: StdArc<Self>) {
        self.0.store(true, Release);
    }
}

fn told() -> (StdArc<Told>, Waker) {
    let told = StdArc::new(Told(AtomicBool::new(false)));
    (told.clone(), Waker::from(told))
}

pub(super) fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn loom_a_wake_during_a_poll_is_not_lost() {
    loom::model(|| {
        let mut scene = waiting_task();
        // Another wake puts the task in the queue, so that it is polled while the news comes.
        scene.waker.wake_by_ref();
        let (flag, waker) = (scene.flag.clone(), scene.waker);
        let waking = thread::spawn(move || {
            flag.store(true, Relaxed);
            waker.wake();
        });
        scene.rt.run();
        waking.join().unwrap();
        scene.rt.run();
        let handle = scene.handle.take().unwrap();
        assert!(handle.is_finished(), "the wake was lost");
        drop(handle);
        assert_eq!(scene.drops.load(Relaxed), 1);
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_two_wakers_and_two_threads_that_run() {
    loom::model(|| {
        let mut scene = waiting_task();
        drop(scene.handle.take());
        let (flag, by_value, rt) = (scene.flag.clone(), scene.waker.clone(), scene.rt.clone());
        let waking = thread::spawn(move || {
            flag.store(true, Relaxed);
            by_value.wake();
            rt.run();
        });
        scene.waker.wake_by_ref();
        scene.rt.run();
        waking.join().unwrap();
        scene.rt.run();
        assert_eq!(scene.drops.load(Relaxed), 1, "the task did not end exactly once");
        drop(scene.waker);
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_abort_against_wake_and_poll() {
    loom::model(|| {
        let mut scene = waiting_task();
        let mut handle = scene.handle.take().unwrap();
        let (flag, waker) = (scene.flag.clone(), scene.waker);
        let waking = thread::spawn(move || {
            flag.store(true, Relaxed);
            waker.wake();
        });
        let (abort, rt) = (handle.abort_handle(), scene.rt.clone());
        let aborting = thread::spawn(move || {
            abort.abort();
            rt.run();
        });
        waking.join().unwrap();
        scene.rt.run();
        aborting.join().unwrap();
        scene.rt.run();
        let Poll::Ready(outcome) = poll(&mut handle, Waker::noop()) else {
            panic!("neither finished nor cancelled");
        };
        match outcome {
            Ok(counted) => drop(counted),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!(scene.drops.load(Relaxed), 1);
        drop(handle);
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_handle_dropped_while_the_task_completes() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let mut scene = waiting_task();
        let mut handle = scene.handle.take().unwrap();
        let (_, waker) = told();
        assert!(poll(&mut handle, &waker).is_pending());
        scene.flag.store(true, Relaxed);
        scene.waker.wake();
        let rt = scene.rt.clone();
        let running = thread::spawn(move || rt.run());
        drop(handle);
        running.join().unwrap();
        assert_eq!(scene.drops.load(Relaxed), 1, "the output was not dropped exactly once");
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_joiner_is_woken_whichever_waker_it_left_last() {
    loom::model(|| {
        let mut scene = waiting_task();
        let mut handle = scene.handle.take().unwrap();
        assert!(poll(&mut handle, &told().1).is_pending());
        scene.flag.store(true, Relaxed);
        scene.waker.wake();
        let rt = scene.rt.clone();
        let running = thread::spawn(move || rt.run());
        let (told, waker) = told();
        match poll(&mut handle, &waker) {
            Poll::Ready(outcome) => drop(outcome.unwrap()),
            Poll::Pending => {
                running.join().unwrap();
                assert!(told.0.load(Acquire), "the join waker was lost");
                assert!(poll(&mut handle, &waker).is_ready());
            }
        }
        assert_eq!(scene.drops.load(Relaxed), 1);
        drop(handle);
        scene.rt.run();
    });
}

#[test]
fn loom_waker_and_handle_outlive_the_runtime() {
    loom::model(|| {
        let mut scene = waiting_task();
        let mut handle = scene.handle.take().unwrap();
        let waker = scene.waker;
        let using = thread::spawn(move || {
            let another = waker.clone();
            waker.wake_by_ref();
            drop(waker);
            another.wake();
        });
        scene.rt.shut_down();
        // As its inbox would be after the end: what comes in is dropped.
        using.join().unwrap();
        scene.rt.run();
        match poll(&mut handle, Waker::noop()) {
            Poll::Ready(Err(error)) => assert!(error.is_cancelled()),
            other => panic!("{other:?}", other = other.is_pending()),
        }
        assert_eq!(scene.drops.load(Relaxed), 1);
        drop(handle);
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_spawn_against_shutdown() {
    loom::model(|| {
        let rt = Rt::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let (other, counted) = (rt.clone(), Counted(drops.clone()));
        let spawning = thread::spawn(move || {
            drop(other.spawn(async move {
                let _counted = counted;
                std::future::pending::<()>().await;
            }));
        });
        rt.0.close();
        rt.run();
        spawning.join().unwrap();
        // A task that got in before the close may have been queued after the run.
        rt.run();
        assert_eq!(rt.0.live_tasks(), 0);
        assert_eq!(drops.load(Relaxed), 1, "the future was not dropped exactly once");
        assert_freed(rt);
    });
}

/// A queued task is woken again, by a waker that stays or ends: the poll that comes sees what that
/// wake tells of, or another poll follows.
fn news_of_a_wake_while_queued(by_value: bool) {
    loom::model(move || {
        let scene = waiting_task();
        scene.waker.wake_by_ref();
        let other = {
            let (flag, waker) = (scene.flag.clone(), scene.waker.clone());
            thread::spawn(move || {
                flag.store(true, Relaxed);
                if by_value {
                    waker.wake();
                } else {
                    waker.wake_by_ref();
                }
            })
        };
        scene.rt.run();
        other.join().unwrap();
        scene.rt.run();
        let handle = scene.handle.unwrap();
        assert!(handle.is_finished(), "the news stayed behind");
        drop((handle, scene.waker));
        assert_eq!(scene.drops.load(Relaxed), 1);
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_news_of_a_wake_while_queued() {
    news_of_a_wake_while_queued(false);
}

#[test]
fn loom_news_of_a_last_wake_while_queued() {
    news_of_a_wake_while_queued(true);
}

#[test]
fn loom_completion_against_wait() {
    loom::model(|| {
        let mut scene = waiting_task();
        let handle = scene.handle.take().unwrap();
        let (rt, flag, waker) = (scene.rt.clone(), scene.flag.clone(), scene.waker);
        let runs = thread::spawn(move || {
            flag.store(true, Relaxed);
            waker.wake();
            rt.run();
        });
        let outcome = handle.wait(Duration::MAX).expect("nothing else ends the wait");
        assert_eq!(scene.drops.load(Relaxed), 0, "the outcome is ours");
        drop(outcome.unwrap());
        runs.join().unwrap();
        assert_eq!(scene.drops.load(Relaxed), 1);
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_completion_against_the_timeout_of_a_wait() {
    loom::model(|| {
        let mut scene = waiting_task();
        let handle = scene.handle.take().unwrap();
        let (rt, flag, waker) = (scene.rt.clone(), scene.flag.clone(), scene.waker);
        let runs = thread::spawn(move || {
            flag.store(true, Relaxed);
            waker.wake();
            rt.run();
        });
        let outcome = match handle.wait(Duration::ZERO) {
            Ok(outcome) => outcome,
            // As good as before, with nothing of the first wait left in it.
            Err(handle) => handle.wait(Duration::MAX).expect("nothing else ends the wait"),
        };
        drop(outcome.unwrap());
        runs.join().unwrap();
        assert_eq!(scene.drops.load(Relaxed), 1);
        assert_freed(scene.rt);
    });
}
