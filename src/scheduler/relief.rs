//! What a thread that has nothing to do takes over from one that is stuck: its events and timers, what is
//! queued behind it, and the task that it would have run next.
//!
//! It goes on for as long as the mark of the sentry is there, each time that the thread runs out of work;
//! and one that sleeps is woken for it with each tick. So sockets and timers that belong to a stuck worker
//! are looked at once a tick.

use super::runner::Runner;
use crate::driver::Turn;
use std::sync::Arc;

impl Runner {
    /// Looks behind all that are stuck; whether there was something to take over.
    #[cold]
    pub(super) fn relieve(&mut self) -> bool {
        let shards = Arc::clone(&self.shards);
        let workers = 0..shards.each().len();
        let rescuers = shards.seats_of_rescuers().map(|(number, _)| number);
        let mut any = false;
        for stuck in workers.chain(rescuers) {
            if stuck == self.number || !shards.seat(stuck).is_stuck() {
                continue;
            }
            let tasks = self.take_over_from(stuck);
            if tasks > 0 {
                any = true;
                shards.tally.relief();
                let number = self.number;
                self.tell(|hooks| hooks.on_relief(number, stuck, tasks));
            }
        }
        // What was woken there may be tasks that stay here, which are no gain and nobody else's to run.
        any || !self.seat().is_empty()
    }

    /// Takes over what lies behind one that is stuck; how many tasks that are.
    pub(super) fn take_over_from(&mut self, stuck: usize) -> usize {
        let shards = Arc::clone(&self.shards);
        let before = self.seat().queued();
        // The one that was woken last has waited the shortest, but it is alone, and at nobody's reach.
        if let Some(next) = shards.seat(stuck).slot.take() {
            self.queue(next);
        }
        if let Some(shard) = shards.each().get(stuck) {
            // Who stands in for the worker, or waits for a root of his own, may have it: he looks, then.
            let turned = shard.driver.turn_as_guest(Turn::Look, || true, &mut self.wakes);
            if let Some(turned) = turned {
                self.settle(turned.map(|(turned, _)| turned));
            }
            shard.take_placed().into_iter().for_each(|placed| self.queue(placed));
        }
        if let Some((task, ..)) = self.steal_from(stuck) {
            self.queue(task);
        }
        self.seat().queued().saturating_sub(before)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::shard::Shard;
    use super::super::shards::{Homes, Shards};
    use super::*;
    use crate::context;
    use crate::driver::{Clock, Driver, KernelTimers, TimerPoll};
    use crate::hooks::HookSet;
    use crate::primitives::{NewThread, ThreadKey, unique_id};
    use crate::task::{JoinHandle, Ran, spawn, spawn_on, spawn_pinned};
    use std::future::poll_fn;
    use std::panic::Location;
    use std::task::Poll;
    use std::thread;
    use std::time::Duration;

    /// Two workers: the first is stuck, the second is the present thread.
    struct Scene {
        shards: Arc<Shards>,
        homes: Homes,
        runner: Runner,
    }

    /// Runs `f` on a thread of its own, which becomes the second worker; `queue` on one that was the first.
    fn scene(
        queue: impl FnOnce(&Homes) + Send + 'static,
        f: impl FnOnce(&mut Scene) + Send + 'static,
    ) {
        let runtime = unique_id();
        let (stuck, here) = (NewThread::new(), NewThread::new());
        let threads = [stuck.key(), here.key()];
        let shard = |thread: ThreadKey| {
            let (step, timers) = (Duration::from_millis(1), KernelTimers::Unused);
            let driver = Driver::for_thread(thread, runtime, Clock::real(), step, timers);
            Shard::new(thread, Arc::new(driver.unwrap()))
        };
        let shards = Arc::new(Shards::new(runtime, threads.map(shard), 0));
        let homes = Homes::new(&shards, &threads, &HookSet::default());
        let first = thread::spawn(move || {
            stuck.begin();
            context::work_for(runtime, 0);
            queue(&homes);
            homes
        });
        let homes = first.join().unwrap();
        shards.mark(0, true);
        let on_worker = move || {
            here.begin();
            context::work_for(runtime, 1);
            let runner = Runner::new(Arc::clone(&shards), 1, HookSet::default(), 7);
            let mut scene = Scene { shards, homes, runner };
            f(&mut scene);
            scene.shards.drop_queued();
            assert_eq!(scene.homes.live_tasks(), 0);
            scene.homes.of_shards[1].retire();
            scene.homes.pinned[1].retire();
            scene.homes.of_shards[0].retire_for_maker();
            scene.homes.pinned[0].retire_for_maker();
        };
        thread::spawn(on_worker).join().unwrap();
    }

    impl Scene {
        /// Searches once, and runs what is there then; whether the search said so.
        fn search_and_run(&mut self) -> bool {
            let found = self.runner.search();
            while let Some(task) = self.runner.seat().pop() {
                assert!(matches!(task.run(), Ran::Done));
            }
            found
        }
    }

    #[test]
    fn the_queue_the_slot_and_the_inbox_are_taken_over() {
        let queue = |homes: &Homes| {
            for _ in 0..3 {
                drop(spawn(homes, async {}, Location::caller()));
            }
            let placed = spawn_on(homes, 0, async {}, Location::caller());
            drop(placed.unwrap_or_else(|_| unreachable!("there is such a shard")));
        };
        scene(queue, |scene| {
            assert_eq!(scene.homes.live_tasks(), 4);
            for left in [1, 0] {
                // Half of a queue at a time.
                assert!(scene.search_and_run());
                assert!(scene.homes.live_tasks() <= left);
            }
            assert!(!scene.search_and_run());
        });
    }

    /// It is woken on its own worker, which leaves itself no notice for that.
    #[test]
    fn a_task_that_stays_here_and_waits_at_a_driver_there_keeps_this_thread_awake() {
        scene(
            |_| {},
            |scene| {
                let driver = Arc::clone(&scene.shards.each()[0].driver);
                let mut timer = None;
                let at = driver.clock().now() + Duration::from_millis(50);
                let waits = move || {
                    poll_fn(move |cx| match driver.poll_timer(&mut timer, at, cx.waker()) {
                        TimerPoll::Waits => Poll::Pending,
                        _ => Poll::Ready(()),
                    })
                };
                let task = spawn_pinned(&scene.homes, 1, waits, Location::caller());
                let task: JoinHandle<()> = task.unwrap_or_else(|_| unreachable!());
                let first = scene.runner.seat().pop().unwrap();
                if matches!(first.run(), Ran::Done) {
                    // This thread had no processor meanwhile.
                    return;
                }
                thread::sleep(Duration::from_millis(60));
                assert!(scene.search_and_run() && task.is_finished());
            },
        );
    }
}
