//! The cell under a scheduler of a few lines: outcomes, panics, drops, threads.
#![allow(clippy::disallowed_types)]

use super::*;
use crate::hooks::{Finish, HookSet, Hooks, TaskInfo, TaskKind};
use crate::primitives::{AtomicBool, AtomicUsize, Ordering::Relaxed, unique_id};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Queue(Mutex<VecDeque<Runnable>>, Mutex<Vec<Notice>>);

impl Schedule for Queue {
    fn schedule(&self, task: Runnable) {
        self.0.lock().unwrap().push_back(task);
    }

    fn notice(&self, notice: Notice) {
        self.1.lock().unwrap().push(notice);
    }
}

/// And whether its home was retired.
struct Rt(Arc<Home<Queue>>, AtomicBool);

impl Drop for Rt {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Spawn for Rt {
    fn place(&self) -> Placement {
        Placement::new(&self.0, TaskId::from_raw(unique_id()))
    }

    fn submit(&self, task: Runnable) {
        match task.admit(Birth::from_nanos(0)) {
            Ok(task) => self.0.schedule(task),
            Err(task) => drop(task),
        }
    }
}

impl Rt {
    fn retire(&self) {
        if !self.1.swap(true, Relaxed) {
            self.0.retire();
        }
    }

    fn new() -> Self {
        Self(Home::new_owned(Queue::default(), HookSet::default()), AtomicBool::new(false))
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn(self, future, Location::caller())
    }

    fn spawn_local<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        spawn_local(self, future, Location::caller())
    }

    fn step(&self) -> bool {
        let notices = std::mem::take(&mut *self.0.1.lock().unwrap());
        let woken: Vec<_> = notices.into_iter().filter_map(Notice::take).collect();
        self.0.0.lock().unwrap().extend(woken);
        let next = self.0.0.lock().unwrap().pop_front();
        match next.map(Runnable::run) {
            None => return false,
            Some(Ran::Again(task)) => self.0.schedule(task),
            Some(Ran::Waits | Ran::Done) => {}
        }
        true
    }

    fn run(&self) {
        while self.step() {}
    }
}

fn outcome<T>(handle: &mut JoinHandle<T>) -> Result<T, JoinError> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the task has not ended"),
    }
}

struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

struct Bomb;

impl Future for Bomb {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<u32> {
        Poll::Ready(5)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the future's drop");
    }
}

#[test]
fn the_output_arrives_and_the_cell_goes() {
    let rt = Rt::new();
    let mut handle = rt.spawn(async { String::from("out") });
    assert!(!handle.is_finished());
    assert_eq!(rt.0.live_tasks(), 1);
    rt.run();
    assert!(handle.is_finished());
    assert_eq!(rt.0.live_tasks(), 0);
    assert_eq!(outcome(&mut handle).unwrap(), "out");
    drop(handle);
    rt.retire();
    assert_eq!(Arc::strong_count(&rt.0), 1, "the cell is freed");
}

#[test]
#[should_panic(expected = "after it gave its outcome")]
fn polling_a_handle_again_panics() {
    let rt = Rt::new();
    let mut handle = rt.spawn(async {});
    rt.run();
    outcome(&mut handle).unwrap();
    let _ = outcome(&mut handle);
}

#[test]
fn panics_end_up_in_the_join_error_and_nowhere_else() {
    let rt = Rt::new();
    let mut polled = rt.spawn(async { panic!("in poll {}", 1) });
    let mut dropped = rt.spawn(async {
        let _bomb = PanicOnDrop;
        std::future::pending::<()>().await;
    });
    let mut finished = rt.spawn(Bomb);
    let mut others = rt.spawn(async { 1 });
    rt.run();
    dropped.abort();
    rt.run();
    let error = outcome(&mut polled).unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled());
    assert_eq!(error.to_string(), format!("task {} panicked: in poll 1", polled.id()));
    assert!(outcome(&mut dropped).unwrap_err().is_panic());
    assert_eq!(outcome(&mut finished).unwrap(), 5, "the output counts, not the drop");
    assert_eq!(outcome(&mut others).unwrap(), 1);
}

#[test]
fn an_output_that_nobody_wants_is_dropped_by_the_runner_whatever_it_does() {
    let rt = Rt::new();
    drop(rt.spawn(async { PanicOnDrop }));
    rt.run();
    assert_eq!(rt.0.live_tasks(), 0);
    rt.retire();
    assert_eq!(Arc::strong_count(&rt.0), 1);
}

#[test]
fn a_handle_drops_the_outcome_it_did_not_take() {
    let rt = Rt::new();
    let value = Arc::new(());
    let inner = value.clone();
    let handle = rt.spawn(async move { inner });
    rt.run();
    assert_eq!(Arc::strong_count(&value), 2);
    drop(handle);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn abort_before_the_first_poll_never_polls() {
    let rt = Rt::new();
    let mut handle = rt.spawn(async { unreachable!("aborted") });
    handle.abort();
    handle.abort();
    rt.run();
    assert!(outcome(&mut handle).unwrap_err().is_cancelled());
}

#[test]
fn abort_during_the_last_poll_is_too_late_and_during_another_is_not() {
    let rt = Rt::new();
    let slot = Arc::new(Mutex::new(None::<AbortHandle>));
    let inner = slot.clone();
    let mut ends = rt.spawn(async move {
        inner.lock().unwrap().take().unwrap().abort();
        7
    });
    *slot.lock().unwrap() = Some(ends.abort_handle());
    rt.run();
    assert_eq!(outcome(&mut ends).unwrap(), 7);

    let inner = slot.clone();
    let mut waits = rt.spawn(async move {
        inner.lock().unwrap().take().unwrap().abort();
        std::future::pending::<()>().await;
    });
    *slot.lock().unwrap() = Some(waits.abort_handle());
    rt.run();
    assert!(outcome(&mut waits).unwrap_err().is_cancelled());
}

#[test]
fn a_local_future_is_dropped_on_its_own_thread_though_aborted_from_another() {
    struct OnThread(std::thread::ThreadId, Arc<AtomicUsize>, #[allow(dead_code)] Rc<()>);
    impl Drop for OnThread {
        fn drop(&mut self) {
            assert_eq!(std::thread::current().id(), self.0);
            self.1.fetch_add(1, Relaxed);
        }
    }
    let rt = Rt::new();
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = OnThread(std::thread::current().id(), drops.clone(), Rc::new(()));
    let handle = rt.spawn_local(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    rt.run();
    let abort = handle.abort_handle();
    std::thread::spawn(move || abort.abort()).join().unwrap();
    assert_eq!(drops.load(Relaxed), 0, "not on the thread that aborted");
    rt.run();
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_local_task_cannot_be_made_or_run_elsewhere() {
    // The task is leaked in the end, as it must be, and with it its home. From here the leak checker
    // can still reach them.
    static LEAKED: std::sync::OnceLock<Arc<Home<Queue>>> = std::sync::OnceLock::new();
    let rt = Rt::new();
    assert!(LEAKED.set(rt.0.clone()).is_ok());
    let handle = rt.spawn_local(async { Rc::new(1) });
    std::thread::scope(|scope| {
        let home = &rt.0;
        let made = scope.spawn(move || {
            let rt = Rt(home.clone(), AtomicBool::new(true));
            drop(rt.spawn_local(async {}));
        });
        assert!(made.join().is_err());
        let ran = scope.spawn(move || {
            let task = home.0.lock().unwrap().pop_front().unwrap();
            task.run()
        });
        assert!(ran.join().is_err());
    });
    assert!(!handle.is_finished());
    // Nor is one dropped elsewhere, of which the owner knows, though its future is `Send`.
    let handle = rt.spawn(async {});
    let task = rt.0.0.lock().unwrap().pop_front().unwrap();
    std::thread::spawn(move || drop(task)).join().unwrap();
    assert!(!handle.is_finished());
}

#[test]
fn a_closed_home_cancels_what_it_has_and_what_comes() {
    let rt = Rt::new();
    let mut early = rt.spawn(std::future::pending::<()>());
    rt.run();
    rt.0.close();
    rt.run();
    let mut late = rt.spawn(std::future::pending::<()>());
    assert!(outcome(&mut early).unwrap_err().is_cancelled());
    assert!(outcome(&mut late).unwrap_err().is_cancelled());
}

#[test]
fn more_than_a_million_wakers_of_one_task() {
    let rt = Rt::new();
    let keep = Rc::new(RefCell::new(Vec::new()));
    let inner = keep.clone();
    let handle = rt.spawn_local(std::future::poll_fn(move |cx| {
        inner.borrow_mut().extend((0..1_200_000).map(|_| cx.waker().clone()));
        Poll::<()>::Pending
    }));
    rt.run();
    handle.abort();
    rt.run();
    drop(handle);
    rt.retire();
    assert_eq!(Arc::strong_count(&rt.0), 2, "the wakers keep the cell");
    for waker in keep.take() {
        waker.wake();
    }
    assert_eq!(Arc::strong_count(&rt.0), 1);
}

/// A task that waits, and a waker of it.
fn waiting(rt: &Rt) -> (JoinHandle<()>, Waker) {
    let slot = Arc::new(Mutex::new(None));
    let left = slot.clone();
    let handle = rt.spawn(std::future::poll_fn(move |cx| {
        left.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
        Poll::Pending
    }));
    rt.run();
    let waker = slot.lock().unwrap().take().unwrap();
    (handle, waker)
}

/// Each of the two counts goes further than its bits do, were it not for the other.
#[test]
fn references_that_are_made_on_one_thread_and_given_up_on_another_for_ever() {
    const LOT: usize = 1 << 17;
    const LOTS: usize = (1 << 22) / LOT;
    for made_here in [true, false] {
        let rt = Rt::new();
        let (mut handle, waker) = waiting(&rt);
        let lot = || vec![waker.clone(); LOT];
        for _ in 0..LOTS {
            std::thread::scope(|scope| {
                if made_here {
                    let lot = lot();
                    scope.spawn(move || drop(lot));
                } else {
                    drop(scope.spawn(lot).join().unwrap());
                }
            });
        }
        // The last are there still when the task ends, and are given up there and here.
        let (here, there) = std::thread::scope(|scope| (lot(), scope.spawn(lot).join().unwrap()));
        handle.abort();
        rt.run();
        assert!(outcome(&mut handle).unwrap_err().is_cancelled());
        drop((handle, waker));
        rt.retire();
        std::thread::spawn(move || drop(here)).join().unwrap();
        assert_eq!(Arc::strong_count(&rt.0), 2, "the wakers keep the cell");
        drop(there);
        assert_eq!(Arc::strong_count(&rt.0), 1);
    }
}

#[test]
fn more_wakers_than_the_owner_counts_are_given_up_elsewhere() {
    let rt = Rt::new();
    let (handle, waker) = waiting(&rt);
    let wakers = vec![waker; 1_200_000];
    std::thread::scope(|scope| {
        scope.spawn(move || wakers.into_iter().for_each(Waker::wake));
    });
    rt.run();
    handle.abort();
    rt.run();
    drop(handle);
    rt.retire();
    assert_eq!(Arc::strong_count(&rt.0), 1);
}

#[test]
fn hooks_hear_of_a_task_in_order() {
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);
    impl Hooks for Log {
        fn on_spawn(&self, task: &TaskInfo) {
            self.0.lock().unwrap().push(format!("spawn {:?}", task.kind));
            assert!(task.location.file().ends_with("tests.rs"));
        }
        fn on_wake(&self, _task: &TaskInfo) {
            self.0.lock().unwrap().push("wake".into());
        }
        fn on_finish(&self, _task: &TaskInfo, how: Finish) {
            self.0.lock().unwrap().push(format!("finish {how:?}"));
        }
    }
    let log = Arc::new(Log::default());
    let rt = Rt(
        Home::new_owned(Queue::default(), HookSet::new(Some(log.clone()), None)),
        AtomicBool::new(false),
    );
    let handle = rt.spawn(std::future::pending::<()>());
    rt.run();
    handle.abort();
    handle.abort();
    rt.run();
    drop(rt.spawn_local(async { assert_eq!(TaskKind::Local, TaskKind::Local) }));
    rt.run();
    let seen = log.0.lock().unwrap().join(", ");
    assert_eq!(seen, "spawn Send, wake, finish Cancelled, spawn Local, finish Finished");
}

#[test]
fn a_hook_that_panics_is_not_called_again_and_hurts_nobody() {
    struct Broken(AtomicUsize);
    impl Hooks for Broken {
        fn on_spawn(&self, _task: &TaskInfo) {
            self.0.fetch_add(1, Relaxed);
            panic!("hook");
        }
    }
    let broken = Arc::new(Broken(AtomicUsize::new(0)));
    let rt = Rt(
        Home::new_owned(Queue::default(), HookSet::new(Some(broken.clone()), None)),
        AtomicBool::new(false),
    );
    let mut first = rt.spawn(async { 1 });
    let mut second = rt.spawn(async { 2 });
    rt.run();
    assert_eq!((outcome(&mut first).unwrap(), outcome(&mut second).unwrap()), (1, 2));
    assert_eq!(broken.0.load(Relaxed), 1);
}

#[test]
fn the_current_task_is_known_during_its_poll_only() {
    let rt = Rt::new();
    let mut handle = rt.spawn(async { id() });
    rt.run();
    assert_eq!(outcome(&mut handle).unwrap(), handle.id());
    assert_eq!(try_id(), None);
}

/// A waker of a user's whose clone or drop panics leaves the handle as it was: with no waker.
#[test]
fn a_waker_that_panics_leaves_no_waker_with_the_task() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{RawWaker, RawWakerVTable};
    static BRITTLE: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("clone"), |_| {}, |_| {}, |_| {});

    struct Counted(AtomicUsize);
    impl std::task::Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let rt = Rt::new();
    let mut handle = rt.spawn(async {});
    let counted = Arc::new(Counted(AtomicUsize::new(0)));
    let first = Waker::from(counted.clone());
    let poll = |handle: &mut JoinHandle<()>, waker: &Waker| {
        Pin::new(handle).poll(&mut Context::from_waker(waker)).is_pending()
    };
    assert!(poll(&mut handle, &first));
    // SAFETY: none of the functions looks at the pointer.
    let brittle = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &BRITTLE)) };
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut handle, &brittle))).is_err());
    drop(first);
    assert_eq!(Arc::strong_count(&counted), 1, "the first is gone");
    drop(handle);
    rt.run();
    rt.retire();
    assert_eq!((counted.0.load(Relaxed), Arc::strong_count(&rt.0)), (0, 1));
}
