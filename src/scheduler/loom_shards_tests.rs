//! Models of several workers: each scenario of this folder's README in which a wake could be lost.
//!
//! The workers are real, from their thread's first step to their last, and so are the drivers that they
//! sleep in, down to the kernel's wait. So a lost wake is a sleep without end, which loom reports as a
//! deadlock. Where a model needs a worker that is stuck in a poll, its main thread is that worker: it
//! pushes as one, and takes nothing until the others have done their part.

use super::idle::Left;
use super::no_executor::NoExecutor;
use super::seat::Surplus;
use super::shard::Shard;
use super::shards::{Homes, Shards};
use super::worker::{self, Start};
use crate::context::{self, Calls, Outside};
use crate::driver::{Clock, Driver, KernelTimers, Turn};
use crate::hooks::HookSet;
use crate::primitives::{
    Arc, AtomicU32, Mutex, NewThread, Ordering, Parker, Steal, full_fence, thread, unique_id,
};
use crate::sync::oneshot;
use crate::task::{JoinHandle, Ran, Spawn, spawn, spawn_on, spawn_pinned};
use crate::util::WakeList;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::sync::Arc as StdArc;
use std::task::{Poll, Waker};
use std::time::Duration;

use Ordering::Relaxed;

/// So many may stand in for workers, in models where somebody does.
pub(super) const RESCUERS: usize = 2;

/// A runtime whose workers begin when a model says so.
pub(super) struct Scene {
    pub(super) homes: StdArc<Homes>,
    outside: Outside,
    threads: Vec<Option<NewThread>>,
    /// The worker that the model's main thread is.
    stuck: Option<usize>,
}

impl Scene {
    pub(super) fn new(workers: usize) -> Self {
        let runtime = unique_id();
        let threads: Vec<_> = (0..workers).map(|_| NewThread::new()).collect();
        let keys: Vec<_> = threads.iter().map(NewThread::key).collect();
        let each = keys.iter().map(|key| {
            let tick = Duration::from_millis(1);
            let driver =
                Driver::for_thread(*key, runtime, Clock::real(), tick, KernelTimers::Unused);
            Shard::new(*key, StdArc::new(driver.unwrap()))
        });
        let shards = StdArc::new(Shards::new(runtime, each, RESCUERS));
        let homes = StdArc::new(Homes::new(&shards, &keys, &HookSet::default()));
        let spawn: StdArc<dyn Spawn> = homes.clone();
        let driver = StdArc::clone(&shards.each()[0].driver);
        let outside = Outside { driver, spawn, calls: StdArc::<Calls>::default() };
        Self { homes, outside, threads: threads.into_iter().map(Some).collect(), stuck: None }
    }

    /// Starts a worker, which ends after [`close`](Shards::close).
    pub(super) fn work(&mut self, index: usize) -> thread::JoinHandle<()> {
        let start = self.start(index);
        thread::spawn(move || worker::work(start))
    }

    /// What a worker gets along.
    pub(super) fn start(&mut self, index: usize) -> Start {
        Start {
            thread: self.threads[index].take().unwrap(),
            shards: StdArc::clone(&self.homes.shards),
            index,
            home: StdArc::clone(&self.homes.of_shards[index]),
            pinned: StdArc::clone(&self.homes.pinned[index]),
            outside: self.outside.clone(),
            executor: StdArc::new(NoExecutor),
            hooks: HookSet::default(),
            seed: 7,
        }
    }

    pub(super) fn outside(&self) -> Outside {
        self.outside.clone()
    }

    /// Makes the present thread a worker that is in the middle of a poll.
    pub(super) fn be_stuck_worker(&mut self, index: usize) {
        self.threads[index].take().unwrap().begin();
        context::work_for(self.outside.driver.runtime(), index);
        self.stuck = Some(index);
    }

    /// A worker's thread, for a model that is the worker itself.
    pub(super) fn thread(&mut self, index: usize) -> NewThread {
        self.threads[index].take().unwrap()
    }

    pub(super) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn(&*self.homes, future, Location::caller())
    }

    pub(super) fn shards(&self) -> StdArc<Shards> {
        StdArc::clone(&self.homes.shards)
    }

    /// What the stuck worker does when its poll has returned.
    pub(super) fn run_queued(&self) {
        let shard = &self.homes.shards.each()[self.stuck.unwrap()];
        while let Some(task) = shard.pop() {
            if let Ran::Again(task) = task.run() {
                let _ = shard.push_back(task);
            }
        }
    }

    /// As [`end`](Self::end), which other models are about: in this one, it takes one course.
    pub(super) fn end_somehow(self, workers: impl IntoIterator<Item = thread::JoinHandle<()>>) {
        loom::skip_branch();
        self.end(workers);
    }

    /// Ends the workers, of which nothing is left in any count.
    pub(super) fn end(self, workers: impl IntoIterator<Item = thread::JoinHandle<()>>) {
        self.end_before(workers, []);
    }

    /// The same, with other threads that may go on after the end.
    pub(super) fn end_before(
        self,
        workers: impl IntoIterator<Item = thread::JoinHandle<()>>,
        others: impl IntoIterator<Item = thread::JoinHandle<()>>,
    ) {
        self.homes.close();
        self.homes.shards.close();
        for worker in workers {
            worker.join().unwrap();
        }
        if let Some(stuck) = self.stuck {
            // What it would do at its end.
            self.homes.of_shards[stuck].retire();
            self.homes.pinned[stuck].retire();
        }
        self.homes.shards.end();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!((self.homes.live_tasks(), self.homes.listed_tasks()), (0, 0));
        assert!(self.homes.shards.idle.is_clear(), "somebody was counted twice, or left behind");
    }
}

/// Waits for a task from outside, without a poll.
pub(super) fn join<T>(handle: JoinHandle<T>) -> T {
    handle.wait(Duration::MAX).unwrap_or_else(|_| unreachable!("no limit")).unwrap()
}

/// A model that begins to branch with `loom::explore`.
pub(super) fn model_of_the_rest(f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.expect_explicit_explore = true;
    model.check(f);
}

/// The same with one preemption.
pub(super) fn model_of_the_rest_with_one_preemption(f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    (model.preemption_bound, model.expect_explicit_explore) = (Some(1), true);
    model.check(f);
}

/// A model of one preemption, where two are more than there is time for.
fn model_of_one_preemption(f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(f);
}

/// A worker that is stuck afterwards pushes a surplus; the other must come for it.
#[test]
fn loom_push_against_park() {
    loom::model(|| {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(0);
        let other = scene.work(1);
        let first = scene.spawn(async {});
        let second = scene.spawn(async {});
        // The second has taken the slot, which nobody else looks into.
        join(first);
        scene.run_queued();
        join(second);
        scene.end_somehow([other]);
    });
}

/// A worker that searches finds a task in whose poll it stays, until another was run that is injected
/// meanwhile. Who injects calls nobody while one searches: so that one has to.
#[test]
fn loom_searcher_hand_over() {
    model_of_one_preemption(|| {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(1);
        let (stuck, over) = (Arc::new(Parker::new()), Arc::new(AtomicU32::new(0)));
        let (shards, waits, tells) = (scene.shards(), stuck.clone(), over.clone());
        let first = scene.spawn(async move {
            waits.park();
            tells.store(1, Relaxed);
            shards.close();
        });
        // It takes the slot, so that the first may be taken away.
        let second = scene.spawn(async {});
        // From here on this worker is parked, as to it the first is no reason to stay awake.
        let _ = scene.shards().idle.park(1, false);
        let worker = scene.work(0);
        let homes = StdArc::clone(&scene.homes);
        let injects = thread::spawn(move || {
            drop(spawn(&*homes, async move { stuck.unpark() }, Location::caller()));
        });
        let shards = scene.shards();
        let driver = &shards.each()[1].driver;
        let now = driver.clock().now();
        driver.turn(Turn::Sleep(now), &mut WakeList::new()).unwrap();
        if shards.idle.unpark(1) == Left::Called {
            let injected = shards.injector.steal();
            // It leaves the first to others, and so has to tell them, as one that has found something.
            if shards.idle.end_search() {
                full_fence();
                shards.call_for(Surplus::Yes);
            }
            if let Steal::Success(task) = injected {
                let _ = task.run();
            }
        }
        join(first);
        assert_eq!(over.load(Relaxed), 1);
        injects.join().unwrap();
        scene.run_queued();
        join(second);
        scene.end_somehow([worker]);
    });
}

/// From a thread that is no worker: nobody else comes to the task.
#[test]
fn loom_injector_against_park() {
    loom::model(|| {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        join(scene.spawn(async {}));
        scene.end_somehow([worker]);
    });
}

/// A task that yields again and again is taken out by its worker and by who would steal it; the end
/// takes it out, too.
#[test]
fn loom_slot_owner_against_thief() {
    loom::model(|| {
        let mut scene = Scene::new(1);
        scene.be_stuck_worker(0);
        let runs = Arc::new(AtomicU32::new(0));
        let waker = Arc::new(Mutex::new(None));
        let (counts, left) = (runs.clone(), waker.clone());
        let task = scene.spawn(poll_fn(move |cx| {
            counts.fetch_add(1, Relaxed);
            *left.lock() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        scene.run_queued();
        let thief = {
            let shards = scene.shards();
            thread::spawn(move || {
                let stolen = shards.each()[0].slot.take();
                stolen.is_some_and(|task| matches!(task.run(), Ran::Waits))
            })
        };
        let waker: Waker = waker.lock().take().unwrap();
        waker.wake();
        scene.run_queued();
        // Two polls in all, whoever made the second.
        let _ = thief.join().unwrap();
        scene.run_queued();
        assert_eq!(runs.load(Relaxed), 2);
        task.abort();
        drop(task);
        scene.run_queued();
        scene.end([]);
    });
}

/// A pinned task gets to its worker, though nobody is called for it.
#[test]
fn loom_inbox_against_park() {
    loom::model(|| {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let task = spawn_pinned(&*scene.homes, 0, || async {}, Location::caller());
        join(task.unwrap());
        scene.end_somehow([worker]);
    });
}

/// The same for a task that may go elsewhere, once it has begun.
#[test]
fn loom_inbox_of_a_spawn_on_against_park() {
    loom::model(|| {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        join(spawn_on(&*scene.homes, 0, async {}, Location::caller()).unwrap());
        scene.end_somehow([worker]);
    });
}

/// The same for a notice: a pinned task waits, and is woken from elsewhere.
#[test]
fn loom_inbox_of_notices_against_park() {
    model_of_the_rest(|| {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let (sender, receiver) = oneshot::channel::<()>();
        let begun = Arc::new(Parker::new());
        let tells = begun.clone();
        let make = move || {
            tells.unpark();
            receiver
        };
        let task = spawn_pinned(&*scene.homes, 0, make, Location::caller()).unwrap();
        begun.park();
        loom::explore();
        sender.send(()).unwrap();
        let _ = join(task);
        scene.end_somehow([worker]);
    });
}

/// A pinned task yields, with another worker who looks for work: it stays.
#[test]
fn loom_pinned_yield_against_thief() {
    loom::model(|| {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(1);
        let worker = scene.work(0);
        let make = || {
            let mut yields = true;
            poll_fn(move |cx| {
                if !std::mem::take(&mut yields) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        };
        let task = spawn_pinned(&*scene.homes, 0, make, Location::caller()).unwrap();
        if let Steal::Success(stolen) = scene.homes.shards.each()[0].stealer.steal() {
            panic!("{stolen:?} was taken away");
        }
        join(task);
        scene.end_somehow([worker]);
    });
}
