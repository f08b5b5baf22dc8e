//! Owned homes: the owner runs its tasks without read-modify-writes while other threads wake, abort,
//! join and drop them.

use super::*;
use crate::hooks::{Extension, HookSet};
use crate::primitives::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, thread};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::num::NonZeroU64;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Waker};

use Ordering::Relaxed;

/// What an owner's scheduler has: a queue of its own, and an inbox that closes.
pub(super) struct Shard {
    own: ThreadBound<VecDeque<Runnable>>,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    tasks: Vec<Runnable>,
    notices: Vec<Notice>,
    closed: bool,
}

impl Schedule for Shard {
    fn schedule(&self, task: Runnable) {
        let Err(task) = self.own.with(task, |queue, task| queue.push_back(task)) else { return };
        self.inbox.lock().tasks.push(task);
    }

    fn notice(&self, notice: Notice) {
        let mut inbox = self.inbox.lock();
        if !inbox.closed {
            inbox.notices.push(notice);
            return;
        }
        drop(inbox);
        drop(notice);
    }
}

#[derive(Clone)]
pub(super) struct Rt(pub(super) StdArc<Home<Shard>>);

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
        let own = ThreadBound::new(VecDeque::new());
        let shard = Shard { own, inbox: Mutex::new(Inbox::default()) };
        Self(Home::new_owned(shard, HookSet::default()))
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn(self, future, Location::caller())
    }

    fn pop(&self) -> Option<Runnable> {
        self.0.own.with((), |queue, ()| queue.pop_front()).unwrap()
    }

    /// Runs what there is until nothing is, on the owner's thread.
    pub(super) fn run(&self) {
        loop {
            let (tasks, notices) = {
                let mut inbox = self.0.inbox.lock();
                (std::mem::take(&mut inbox.tasks), std::mem::take(&mut inbox.notices))
            };
            let woken = notices.into_iter().filter_map(Notice::take);
            tasks.into_iter().chain(woken).for_each(|task| self.0.schedule(task));
            let Some(task) = self.pop() else { return };
            if let Ran::Again(task) = task.run() {
                self.0.schedule(task);
            }
        }
    }

    /// What a scheduler does at its end.
    pub(super) fn shut_down(&self) {
        self.0.close();
        self.run();
        while self.0.live_tasks() > 0 {
            thread::yield_now();
            self.run();
        }
        let mut inbox = self.0.inbox.lock();
        inbox.closed = true;
        let left = std::mem::take(&mut inbox.notices);
        drop(inbox);
        drop(left);
        self.0.retire();
    }
}

/// Nothing of a runtime that has ended is left once its last reference goes.
pub(super) fn assert_freed(rt: Rt) {
    assert_eq!(StdArc::strong_count(&rt.0), 1, "a cell was leaked");
}

/// Counts its drops, all of which have to be on the owner's thread.
pub(super) struct Counted(Arc<AtomicUsize>, thread::ThreadId);

impl Counted {
    pub(super) fn new(drops: &Arc<AtomicUsize>) -> Self {
        Self(drops.clone(), thread::current().id())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.1);
        self.0.fetch_add(1, Relaxed);
    }
}

pub(super) struct Scene {
    pub(super) rt: Rt,
    pub(super) handle: JoinHandle<()>,
    pub(super) flag: Arc<AtomicBool>,
    pub(super) waker: Waker,
    pub(super) drops: Arc<AtomicUsize>,
}

/// A task that was polled once and waits for a flag, which is set without any ordering; its waker is
/// in our hands.
pub(super) fn waiting_task() -> Scene {
    let rt = Rt::new();
    let flag = Arc::new(AtomicBool::new(false));
    let slot = Arc::new(Mutex::new(None));
    let drops = Arc::new(AtomicUsize::new(0));
    let (seen, left, counted) = (flag.clone(), slot.clone(), Counted::new(&drops));
    let handle = rt.spawn(async move {
        let _counted = counted;
        poll_fn(|cx| {
            if seen.load(Relaxed) {
                return Poll::Ready(());
            }
            left.lock().get_or_insert_with(|| cx.waker().clone());
            Poll::Pending
        })
        .await;
    });
    rt.run();
    let waker = slot.lock().take().unwrap();
    Scene { rt, handle, flag, waker, drops }
}

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// A wake from elsewhere against the owner, which wakes and polls the task meanwhile: the news is
/// seen, and the task ends once.
fn news_from_elsewhere(by_value: bool) {
    loom::model(move || {
        let scene = waiting_task();
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
        scene.waker.wake();
        scene.rt.run();
        other.join().unwrap();
        scene.rt.run();
        assert!(scene.handle.is_finished(), "the wake was lost");
        assert_eq!(scene.drops.load(Relaxed), 1);
        drop(scene.handle);
        scene.rt.shut_down();
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_owned_news_from_elsewhere() {
    news_from_elsewhere(false);
}

#[test]
fn loom_owned_news_from_elsewhere_by_a_last_wake() {
    news_from_elsewhere(true);
}

/// Each of two others has news of its own. Whether the second finds a notice before it or gives one
/// itself, both are seen.
#[test]
fn loom_owned_two_others_wake_at_once() {
    loom::model(|| {
        let rt = Rt::new();
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let slot = Arc::new(Mutex::new(None));
        let (seen, left) = (flags.clone(), slot.clone());
        let handle = rt.spawn(poll_fn(move |cx| {
            if seen.iter().all(|flag| flag.load(Relaxed)) {
                return Poll::Ready(());
            }
            left.lock().get_or_insert_with(|| cx.waker().clone());
            Poll::Pending
        }));
        rt.run();
        let waker = slot.lock().take().unwrap();
        let others = [0, 1].map(|at| {
            let (flags, waker) = (flags.clone(), waker.clone());
            thread::spawn(move || {
                flags[at].store(true, Relaxed);
                waker.wake();
            })
        });
        drop(waker);
        rt.run();
        for other in others {
            other.join().unwrap();
        }
        rt.run();
        assert!(handle.is_finished(), "a wake was lost");
        drop((handle, slot));
        rt.shut_down();
        assert_freed(rt);
    });
}

/// References made by the owner and given up elsewhere, and the other way round, against the end of
/// the task: the cell is freed once, after the last.
#[test]
fn loom_owned_references_against_the_end() {
    loom::model(|| {
        let scene = waiting_task();
        let other = {
            let (waker, more) = (scene.waker.clone(), scene.waker.clone());
            thread::spawn(move || {
                let kept = waker.clone();
                drop(waker);
                drop(more);
                kept
            })
        };
        scene.flag.store(true, Relaxed);
        scene.waker.wake();
        scene.rt.run();
        assert!(scene.handle.is_finished());
        drop(scene.handle);
        scene.rt.shut_down();
        let kept = other.join().unwrap();
        assert_eq!(StdArc::strong_count(&scene.rt.0), 2, "it keeps the cell");
        drop(kept);
        assert_freed(scene.rt);
    });
}

/// Whoever frees a cell does so after all that was done under any reference; here it finds what is
/// dropped with the cell.
fn whoever_frees_comes_last(joins: bool) {
    struct Last(Arc<[AtomicBool; 2]>, Arc<AtomicUsize>);
    impl Drop for Last {
        fn drop(&mut self) {
            let seen = self.0.iter().filter(|flag| flag.load(Relaxed)).count();
            self.1.store(seen, Relaxed);
        }
    }
    loom::model(move || {
        let rt = Rt::new();
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let seen = Arc::new(AtomicUsize::new(9));
        let last = Last(flags.clone(), seen.clone());
        let origin = Origin::extended(Extension {
            location: Location::caller(),
            name: None,
            data: Some(StdArc::new(last)),
        });
        let slot = StdArc::new(std::sync::Mutex::new(None));
        let left = slot.clone();
        let mut handle = spawn(
            &rt,
            poll_fn(move |cx| {
                // The second poll gives up what the first has left.
                let mut left = left.lock().unwrap();
                if left.take().is_some() {
                    return Poll::Ready(());
                }
                *left = Some(cx.waker().clone());
                Poll::Pending
            }),
            origin,
        );
        rt.run();
        assert!(!joins || poll(&mut handle, Waker::noop()).is_pending());
        let waker = slot.lock().unwrap().clone().unwrap();
        let other = {
            let (flags, waker) = (flags.clone(), waker.clone());
            thread::spawn(move || {
                let waker = joins.then_some(waker);
                flags[0].store(true, Relaxed);
                drop(handle);
                drop(waker);
            })
        };
        flags[1].store(true, Relaxed);
        waker.wake();
        rt.run();
        other.join().unwrap();
        rt.run();
        assert_eq!(seen.load(Relaxed), 2);
        rt.shut_down();
        assert_freed(rt);
    });
}

#[test]
fn loom_owned_whoever_frees_comes_last() {
    whoever_frees_comes_last(true);
}

#[test]
fn loom_owned_whoever_frees_comes_last_though_it_is_a_handle() {
    whoever_frees_comes_last(false);
}

#[test]
fn loom_owned_handle_dropped_elsewhere_while_the_task_completes() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let Scene { rt, mut handle, flag, waker, drops } = waiting_task();
        assert!(poll(&mut handle, Waker::noop()).is_pending());
        let other = thread::spawn(move || drop(handle));
        flag.store(true, Relaxed);
        waker.wake();
        rt.run();
        other.join().unwrap();
        assert_eq!(drops.load(Relaxed), 1);
        rt.shut_down();
        assert_freed(rt);
    });
}

#[test]
fn loom_owned_join_elsewhere() {
    loom::model(|| {
        let Scene { rt, handle, flag, waker, .. } = waiting_task();
        let other = thread::spawn(move || loom::future::block_on(handle).unwrap());
        flag.store(true, Relaxed);
        waker.wake();
        rt.run();
        other.join().unwrap();
        rt.shut_down();
        assert_freed(rt);
    });
}

#[test]
fn loom_owned_abort_elsewhere_against_a_wake() {
    loom::model(|| {
        let mut scene = waiting_task();
        let abort = scene.handle.abort_handle();
        let other = thread::spawn(move || abort.abort());
        scene.waker.wake();
        scene.rt.run();
        other.join().unwrap();
        scene.rt.run();
        let Poll::Ready(Err(error)) = poll(&mut scene.handle, Waker::noop()) else {
            panic!("the abort was lost");
        };
        assert!(error.is_cancelled());
        assert_eq!(scene.drops.load(Relaxed), 1, "dropped once, and here");
        drop(scene.handle);
        scene.rt.shut_down();
        assert_freed(scene.rt);
    });
}

#[test]
fn loom_owned_waker_outlives_the_runtime() {
    loom::model(|| {
        let Scene { rt, handle, waker, drops, .. } = waiting_task();
        drop(handle);
        let other = thread::spawn(move || {
            let another = waker.clone();
            waker.wake();
            another.wake_by_ref();
        });
        rt.shut_down();
        assert_eq!(drops.load(Relaxed), 1, "here, whoever wakes it");
        other.join().unwrap();
        assert_freed(rt);
    });
}

#[test]
fn loom_owned_spawn_elsewhere_against_shutdown() {
    loom::model(|| {
        let rt = Rt::new();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || drop(rt.spawn(pending::<()>())))
        };
        rt.shut_down();
        other.join().unwrap();
        assert_eq!(rt.0.live_tasks(), 0);
        assert_freed(rt);
    });
}

/// As above, where the runtime's end may be the end of the home, and the spawn has the last word.
#[test]
fn loom_owned_the_last_cell_frees_the_home() {
    loom::model(|| {
        let rt = Rt::new();
        let watch = StdArc::downgrade(&rt.0);
        let other = {
            let rt = rt.clone();
            thread::spawn(move || drop(rt.spawn(async {})))
        };
        rt.shut_down();
        drop(rt);
        other.join().unwrap();
        assert_eq!(watch.strong_count(), 0);
    });
}

/// Who aborts has news too: the drop of the future sees what was done before, however the owner
/// learns of it.
#[test]
fn loom_owned_news_of_an_abort() {
    struct Sees(Arc<AtomicBool>);
    impl Drop for Sees {
        fn drop(&mut self) {
            assert!(self.0.load(Relaxed), "aborted, but not told why");
        }
    }
    loom::model(|| {
        let rt = Rt::new();
        let why = Arc::new(AtomicBool::new(false));
        let sees = Sees(why.clone());
        let mut handle = rt.spawn(async move {
            let _sees = sees;
            pending::<()>().await;
        });
        let abort = handle.abort_handle();
        let other = thread::spawn(move || {
            why.store(true, Relaxed);
            abort.abort();
        });
        rt.run();
        other.join().unwrap();
        rt.run();
        let Poll::Ready(Err(error)) = poll(&mut handle, Waker::noop()) else {
            panic!("the abort was lost");
        };
        assert!(error.is_cancelled(), "{error}");
        drop(handle);
        rt.shut_down();
        assert_freed(rt);
    });
}

/// The owner and a visitor take tasks into the list, and out of it, at once.
#[test]
fn loom_owned_spawns_here_and_elsewhere() {
    loom::model(|| {
        let rt = Rt::new();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || rt.spawn(async { 1 }))
        };
        let mut here = rt.spawn(async { 2 });
        rt.run();
        assert!(matches!(poll(&mut here, Waker::noop()), Poll::Ready(Ok(2))));
        let mut there = other.join().unwrap();
        rt.run();
        assert!(matches!(poll(&mut there, Waker::noop()), Poll::Ready(Ok(1))));
        drop((here, there));
        assert_eq!(rt.0.live_tasks(), 0);
        rt.shut_down();
        assert_freed(rt);
    });
}

/// Two visitors and the owner want the list.
#[test]
fn loom_owned_two_others_spawn_at_once() {
    loom::model(|| {
        let rt = Rt::new();
        let others = [(); 2].map(|()| {
            let rt = rt.clone();
            thread::spawn(move || drop(rt.spawn(async {})))
        });
        assert!(rt.0.live_tasks() <= 2);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(rt.0.live_tasks(), 2);
        rt.shut_down();
        assert_freed(rt);
    });
}

/// A task whose handle ends on the thread that spawned it, before the owner knows of the task or
/// while it runs it.
#[test]
fn loom_owned_spawned_and_aborted_elsewhere() {
    loom::model(|| {
        let rt = Rt::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let other = {
            let (rt, counted) = (rt.clone(), Counted::new(&drops));
            thread::spawn(move || {
                let mut handle = rt.spawn(async move {
                    let _counted = counted;
                    pending::<()>().await;
                });
                let _ = poll(&mut handle, Waker::noop());
                handle.abort();
            })
        };
        rt.run();
        other.join().unwrap();
        rt.run();
        assert_eq!((drops.load(Relaxed), rt.0.live_tasks()), (1, 0));
        rt.shut_down();
        assert_freed(rt);
    });
}

/// A wake of the root from elsewhere, against its turn and its end.
#[test]
fn loom_owned_root_is_woken_elsewhere() {
    loom::model(|| {
        let rt = Rt::new();
        let root = Root::new(&rt.0, TaskId::from_raw(NonZeroU64::MIN));
        let flag = Arc::new(AtomicBool::new(false));
        let mut other = None;
        let mut task = root.claim();
        loop {
            let (polled, again) = root.poll(task.take().unwrap(), |cx| {
                other.get_or_insert_with(|| {
                    let (flag, waker) = (flag.clone(), cx.waker().clone());
                    thread::spawn(move || {
                        flag.store(true, Relaxed);
                        waker.wake_by_ref();
                        waker.wake();
                    })
                });
                if flag.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
            });
            if polled.is_ready() {
                again.into_iter().for_each(|task| root.forget(task));
                break;
            }
            task = again;
            while task.is_none() {
                thread::yield_now();
                let notices = std::mem::take(&mut rt.0.inbox.lock().notices);
                task = notices.into_iter().find_map(Notice::take);
            }
        }
        rt.0.retire();
        let watch = StdArc::downgrade(&rt.0);
        rt.0.inbox.lock().closed = true;
        let left = std::mem::take(&mut rt.0.inbox.lock().notices);
        drop((left, root, rt));
        other.unwrap().join().unwrap();
        assert_eq!(watch.strong_count(), 0, "the root's cell was leaked");
    });
}
