//! Models of ends: of tasks on several workers, and of the workers, against those who spawn, wake, and
//! search meanwhile.

use super::loom_shards_tests::{
    Scene, join, model_of_the_rest, model_of_the_rest_with_one_preemption,
};
use crate::primitives::{Arc, AtomicU32, Mutex, Ordering, Parker, thread};
use crate::task::{JoinHandle, Ran, Spawn, spawn, spawn_pinned};
use std::future::{pending, poll_fn};
use std::panic::Location;
use std::sync::Arc as StdArc;
use std::task::{Poll, Waker};
use std::time::Duration;

use Ordering::Relaxed;

/// Counts its drops.
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A task is polled on its worker while another worker wakes and aborts it, and may take it.
#[test]
fn loom_abort_against_poll() {
    model_of_the_rest(|| {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(0);
        let drops = Arc::new(AtomicU32::new(0));
        let (counted, waker) = (Counted(drops.clone()), Arc::new(Mutex::new(None)));
        let left = waker.clone();
        let task = scene.spawn(async move {
            let _counted = counted;
            poll_fn(|cx| {
                *left.lock() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        });
        scene.run_queued();
        let waker: Waker = waker.lock().take().unwrap();
        loom::explore();
        let other = scene.work(1);
        let abort = task.abort_handle();
        waker.wake();
        // It takes the slot, so that the first may be taken away.
        let second = scene.spawn(async {});
        abort.abort();
        scene.run_queued();
        let outcome = task.wait(Duration::MAX).unwrap_or_else(|_| unreachable!("no limit"));
        assert!(outcome.unwrap_err().is_cancelled());
        assert_eq!(drops.load(Relaxed), 1);
        join(second);
        drop(abort);
        scene.end_somehow([other]);
    });
}

/// Tasks of a worker's home end on another worker, while their own goes on spawning.
#[test]
fn loom_completion_against_list() {
    loom::model(|| {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(0);
        let first = scene.spawn(async {});
        let other = {
            let shards = scene.shards();
            thread::spawn(move || shards.each()[0].slot.take().map(|task| task.run()).is_some())
        };
        let second = scene.spawn(async {});
        assert!((1..=2).contains(&scene.homes.live_tasks()));
        scene.run_queued();
        other.join().unwrap();
        scene.run_queued();
        assert_eq!(scene.homes.live_tasks(), 0);
        join(first);
        join(second);
        scene.homes.of_shards[1].retire();
        scene.homes.pinned[1].retire();
        scene.end([]);
    });
}

/// The same where the other worker leaves them in the list at first, and then takes them out, while the
/// maker joins one, looks at the list, and frees the cell, or leaves that.
fn model_of_graves(maker: fn(&Scene, JoinHandle<()>)) {
    loom::model(move || {
        let mut scene = Scene::new(2);
        scene.be_stuck_worker(0);
        let first = scene.spawn(async {});
        let other = {
            let (shards, worker) = (scene.shards(), scene.thread(1));
            thread::spawn(move || {
                worker.begin();
                let (from, graves) = (&shards.each()[0], &shards.each()[1].graves);
                for task in [from.slot.take(), from.slot.take()].into_iter().flatten() {
                    assert!(matches!(task.run_beside(Some(graves)), Ran::Done));
                }
                graves.bury();
            })
        };
        maker(&scene, first);
        other.join().unwrap();
        scene.run_queued();
        assert_eq!((scene.homes.live_tasks(), scene.homes.listed_tasks()), (0, 0));
        scene.homes.of_shards[1].retire();
        scene.homes.pinned[1].retire();
        scene.end([]);
    });
}

#[test]
fn loom_graves_against_list() {
    model_of_graves(|scene, first| {
        let second = scene.spawn(async {});
        scene.run_queued();
        drop(second);
        // May be the last.
        drop(first);
    });
}

#[test]
fn loom_graves_against_dump() {
    model_of_graves(|scene, first| {
        let mut tasks = Vec::new();
        scene.homes.dump(&mut tasks);
        assert!(tasks.len() <= 1);
        let gone = tasks.is_empty();
        drop(tasks);
        scene.run_queued();
        join(first);
        assert_eq!(scene.homes.live_tasks(), 0, "joined, in a grave or not; gone before: {gone}");
    });
}

/// Neither does the count miss one that lives, nor has it one that was joined.
#[test]
fn loom_graves_against_count() {
    model_of_graves(|scene, first| {
        let lives = spawn_pinned(&*scene.homes, 0, pending::<()>, Location::caller()).unwrap();
        let live = scene.homes.live_tasks();
        assert!((1..=2).contains(&live), "{live}");
        scene.run_queued();
        join(first);
        assert_eq!(scene.homes.live_tasks(), 1);
        lives.abort();
        scene.run_queued();
    });
}

#[test]
fn loom_graves_against_close() {
    model_of_graves(|scene, first| {
        scene.homes.close();
        scene.run_queued();
        let _ = first.wait(Duration::MAX);
    });
}

/// A thread spawns while the runtime ends: the task is refused, run or dropped, and none is left.
#[test]
fn loom_shutdown_against_spawn() {
    model_of_the_rest(|| {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let drops = Arc::new(AtomicU32::new(0));
        let spawning = {
            let (homes, counted) = (StdArc::clone(&scene.homes), Counted(drops.clone()));
            loom::explore();
            thread::spawn(move || {
                let task = async move {
                    let _counted = counted;
                    pending::<()>().await;
                };
                drop(spawn(&*homes, task, Location::caller()));
            })
        };
        scene.end_before([worker], [spawning]);
        assert_eq!(drops.load(Relaxed), 1);
    });
}
/// A waker is used on another thread while the runtime ends, and after that.
#[test]
fn loom_waker_after_the_end() {
    model_of_the_rest(|| {
        let mut scene = Scene::new(1);
        let worker = scene.work(0);
        let home = StdArc::downgrade(&scene.homes.outside);
        let drops = Arc::new(AtomicU32::new(0));
        let (counted, slot) = (Counted(drops.clone()), StdArc::new(std::sync::Mutex::new(None)));
        let (left, polled) = (slot.clone(), Arc::new(Parker::new()));
        let tells = polled.clone();
        drop(scene.spawn(async move {
            let _counted = counted;
            poll_fn(|cx| {
                *left.lock().unwrap() = Some(cx.waker().clone());
                tells.unpark();
                Poll::<()>::Pending
            })
            .await;
        }));
        polled.park();
        let waker: Waker = slot.lock().unwrap().take().unwrap();
        loom::explore();
        let waking = thread::spawn(move || {
            waker.wake_by_ref();
            waker.wake();
        });
        scene.end_before([worker], [waking]);
        assert_eq!(drops.load(Relaxed), 1);
        // A second poll may have left another.
        drop(slot);
        let left = home.upgrade().map(|home| (home.live_tasks(), StdArc::strong_count(&home)));
        assert_eq!(left, None, "something was left that nobody takes");
    });
}

/// Two workers are told to end while one of them comes to a task that the end has woken.
#[test]
fn loom_two_workers_shut_down() {
    model_of_the_rest_with_one_preemption(|| {
        let mut scene = Scene::new(2);
        let workers = [scene.work(0), scene.work(1)];
        let polled = Arc::new(Parker::new());
        let tells = polled.clone();
        drop(scene.spawn(async move {
            tells.unpark();
            pending::<()>().await;
        }));
        polled.park();
        loom::explore();
        scene.end(workers);
    });
}
