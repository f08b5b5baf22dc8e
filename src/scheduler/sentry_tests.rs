//! What the sentry decides, at moments that a test gives it, about threads that a test makes up.

use super::*;
use crate::context;
use crate::driver::{Clock, Driver, KernelTimers};
use crate::hooks::HookSet;
use crate::primitives::{NewThread, Parker, ThreadKey, unique_id};
use crate::scheduler::seat::Beside;
use crate::scheduler::shard::Shard;
use crate::scheduler::shards::Homes;
use crate::scheduler::{idle, rescuers::Enlisted};
use crate::task::spawn;
use std::panic::Location;
use std::thread;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What was asked of it.
#[derive(Default)]
struct Asked {
    started: Vec<(usize, Duty)>,
    reports: Vec<Report>,
    /// The system gives no threads.
    fails: bool,
}

impl Staff for Asked {
    fn start(&mut self, index: usize, duty: Duty) -> io::Result<()> {
        self.started.push((index, duty));
        if self.fails { Err(io::Error::other("no thread")) } else { Ok(()) }
    }

    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }
}

/// Two workers, of which the first is the present thread, and a sentry.
struct Scene {
    shards: Arc<Shards>,
    homes: Arc<Homes>,
    sentry: Sentry<Asked>,
    now: Instant,
    /// How many things the threads have begun.
    begun: u64,
}

/// The numbers of the seats.
const STUCK: usize = 0;
const OTHER: usize = 1;
const RESCUER: usize = 2;

/// Runs `f` on a thread of its own, which becomes a worker.
fn scene(rescuers: usize, f: impl FnOnce(&mut Scene) + Send + 'static) {
    let on_worker = move || {
        let (runtime, other) = (unique_id(), NewThread::new());
        let threads = [ThreadKey::current(), other.key()];
        let shard = |thread| {
            let timers = KernelTimers::Unused;
            let driver = Driver::for_thread(thread, runtime, Clock::real(), ms(1), timers);
            Shard::new(thread, Arc::new(driver.unwrap()))
        };
        let shards = Arc::new(Shards::new(runtime, threads.map(shard), rescuers));
        let homes = Arc::new(Homes::new(&shards, &threads, &HookSet::default()));
        context::work_for(runtime, STUCK);
        let stalls = Stalls { rescuers, ..Stalls::default() };
        let sentry = Sentry::new(Arc::clone(&shards), stalls, Asked::default());
        let now = sentry.rounds_began();
        let mut scene = Scene { shards, homes, sentry, now, begun: 0 };
        f(&mut scene);
        scene.shards.drop_queued();
        scene.homes.of_shards[STUCK].retire();
        scene.homes.pinned[STUCK].retire();
        scene.homes.retire_from(OTHER);
    };
    thread::spawn(on_worker).join().unwrap();
}

impl<S: Staff> Sentry<S> {
    fn rounds_began(&self) -> Instant {
        self.rounds.last_look()
    }
}

impl Scene {
    /// The thread of this seat begins something.
    fn begin(&mut self, seat: usize) -> Word {
        self.begun += 1;
        self.shards.seat(seat).running.enter_beside(Beside::Wakers, self.begun);
        self.shards.seat(seat).running.get()
    }

    /// It is between polls.
    fn rest(&self, seat: usize) {
        self.shards.seat(seat).running.leave(0);
    }

    /// Queues tasks on the present thread.
    fn queue(&self, tasks: usize) {
        for _ in 0..tasks {
            drop(spawn(&*self.homes, async {}, Location::caller()));
        }
    }

    /// So many looks, one every `pace` milliseconds.
    fn look(&mut self, looks: usize, pace: u64) {
        for _ in 0..looks {
            self.now += ms(pace);
            self.sentry.look(self.now);
        }
    }

    fn park(&self, seat: usize) {
        let _ = self.shards.idle.park(seat, false);
    }

    /// Whether this thread, which is parked, was called; it is awake then.
    fn was_called(&self, seat: usize) -> bool {
        self.shards.idle.unpark(seat) == idle::Left::Called
    }

    /// A thread of that seat stands in for the first worker, and has so much queued.
    fn stands_in(&self, tasks: usize) {
        let duty = Duty { shard: STUCK, before: None, stuck: STUCK, within: Word::NOTHING };
        assert_eq!(self.shards.rescuers.enlist(duty), Enlisted::New(0));
        assert!(self.shards.each()[STUCK].adopter.adopt(None, RESCUER));
        let (shards, homes) = (Arc::clone(&self.shards), Arc::clone(&self.homes));
        let sits = move || {
            shards.rescuers.seat(0).sit_down();
            context::work_for(shards.each()[STUCK].driver.runtime(), RESCUER);
            shards.rescuers.begin(0, STUCK);
            for _ in 0..tasks {
                drop(spawn(&*homes, async {}, Location::caller()));
            }
        };
        thread::spawn(sits).join().unwrap();
    }

    fn started(&self) -> &[(usize, Duty)] {
        &self.sentry.staff.started
    }
}

#[test]
fn while_somebody_is_parked_a_stuck_worker_is_relieved_and_nobody_stands_in() {
    scene(2, |scene| {
        scene.begin(STUCK);
        scene.queue(2);
        scene.park(OTHER);
        scene.look(1, 5);
        assert!(!scene.was_called(OTHER), "it was seen once");
        for _ in 0..100 {
            scene.park(OTHER);
            scene.look(1, 1);
            assert!(scene.was_called(OTHER), "once a tick");
            assert!(scene.shards.each()[OTHER].driver.take_notified());
            assert!(scene.shards.idle.end_search());
        }
        assert!(scene.shards.seat(STUCK).is_stuck() && scene.shards.has_stuck());
        assert!(scene.started().is_empty());
        scene.rest(STUCK);
        scene.park(OTHER);
        scene.look(1, 1);
        assert!(!scene.was_called(OTHER));
        assert!(!scene.shards.seat(STUCK).is_stuck() && !scene.shards.has_stuck());
        assert_eq!(scene.sentry.staff.reports.len(), 1);
    });
}

/// Its sockets and timers wait, too.
#[test]
fn a_stuck_worker_is_relieved_though_nothing_is_queued_there() {
    scene(2, |scene| {
        scene.begin(STUCK);
        scene.park(OTHER);
        scene.look(2, 5);
        assert!(scene.was_called(OTHER));
    });
}

#[test]
fn where_nobody_is_parked_one_is_sent_for_each_stall_time() {
    scene(2, |scene| {
        let within = scene.begin(STUCK);
        scene.look(1, 5);
        scene.look(9, 1);
        assert!(scene.started().is_empty(), "9 ms");
        scene.look(1, 1);
        let &[(0, Duty { shard: STUCK, before: None, stuck: STUCK, within: told })] =
            scene.started()
        else {
            panic!("{:?}", scene.started())
        };
        assert_eq!(told, within);
        // The first has not come yet.
        scene.look(9, 1);
        assert_eq!(scene.started().len(), 1);
        scene.look(1, 1);
        assert_eq!(scene.started().len(), 2);
        scene.look(100, 1);
        assert_eq!(scene.started().len(), 2, "there are no more");
    });
}

#[test]
fn what_changes_gets_nobody() {
    scene(2, |scene| {
        for _ in 0..100 {
            scene.begin(STUCK);
            scene.begin(OTHER);
            scene.look(1, 5);
            scene.look(1, 1);
        }
        assert!(scene.started().is_empty() && scene.sentry.staff.reports.is_empty());
    });
}

#[test]
fn one_that_waits_for_a_duty_is_sent_before_a_thread_is_started() {
    scene(1, |scene| {
        let duty = Duty { shard: STUCK, before: None, stuck: STUCK, within: Word::NOTHING };
        assert_eq!(scene.shards.rescuers.enlist(duty), Enlisted::New(0));
        let shards = Arc::clone(&scene.shards);
        let (tell, told) = std::sync::mpsc::channel();
        let waits = thread::spawn(move || {
            let parker = Arc::new(Parker::new());
            tell.send(()).unwrap();
            shards.rescuers.wait(0, &parker, Duration::MAX)
        });
        told.recv().unwrap();
        let within = scene.begin(STUCK);
        scene.look(1, 5);
        let begun = std::time::Instant::now();
        while !waits.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            scene.look(1, 1);
            thread::yield_now();
        }
        assert_eq!(waits.join().unwrap().unwrap().within, within);
        assert!(scene.started().is_empty());
    });
}

#[test]
fn who_stands_in_and_is_stuck_is_replaced() {
    scene(2, |scene| {
        scene.begin(STUCK);
        scene.stands_in(0);
        scene.begin(RESCUER);
        scene.look(1, 5);
        scene.look(9, 1);
        assert!(scene.started().is_empty());
        scene.look(1, 1);
        let &[(1, Duty { shard: STUCK, before: Some(RESCUER), stuck: RESCUER, .. })] =
            scene.started()
        else {
            panic!("{:?}", scene.started())
        };
    });
}

/// The one that stands in may have enough to do, and never search.
#[test]
fn what_is_queued_behind_a_worker_that_is_served_is_left_to_all() {
    scene(2, |scene| {
        scene.begin(STUCK);
        scene.queue(3);
        scene.stands_in(0);
        scene.look(2, 5);
        assert_eq!(scene.shards.seat(STUCK).queued(), 0);
        assert_eq!(scene.shards.injector.len(), 3);
        scene.look(100, 1);
        assert!(scene.started().is_empty());
    });
}

#[test]
fn what_is_queued_behind_one_that_stands_in_for_nobody_is_left_to_all() {
    scene(2, |scene| {
        scene.stands_in(3);
        assert!(scene.shards.each()[STUCK].adopter.take_back().is_some());
        scene.begin(RESCUER);
        scene.look(2, 5);
        assert_eq!(scene.shards.seat(RESCUER).queued(), 0);
        assert_eq!(scene.shards.injector.len(), 3);
        scene.look(100, 1);
        assert!(scene.started().is_empty());
    });
}

#[test]
fn where_the_system_gives_no_thread_what_is_queued_is_left_to_all_and_one_is_tried_again() {
    scene(1, |scene| {
        scene.sentry.staff.fails = true;
        scene.begin(STUCK);
        scene.queue(3);
        scene.look(3, 5);
        assert_eq!(scene.started().len(), 1);
        assert_eq!(scene.shards.injector.len(), 3);
        scene.look(9, 1);
        assert_eq!(scene.started().len(), 1);
        scene.look(1, 1);
        assert_eq!(scene.started().len(), 2);
        assert_eq!((scene.started()[1].0, scene.shards.rescuers.any_at_work()), (0, false));
    });
}

#[test]
fn where_nobody_may_stand_in_what_is_queued_is_left_to_all() {
    scene(0, |scene| {
        scene.begin(STUCK);
        scene.queue(3);
        scene.look(2, 5);
        assert_eq!(scene.shards.injector.len(), 0);
        scene.look(5, 1);
        assert_eq!(scene.shards.injector.len(), 3);
        assert!(scene.started().is_empty());
    });
}

#[test]
fn looks_that_are_late_send_nobody_and_all_takes_longer_then() {
    scene(2, |scene| {
        scene.begin(STUCK);
        scene.queue(2);
        scene.park(OTHER);
        scene.look(10, 50);
        assert!(!scene.shards.seat(STUCK).is_stuck() && !scene.was_called(OTHER));
        scene.look(1, 5);
        let strain = scene.sentry.rounds.strain();
        assert!(strain >= 8, "{strain}");
        scene.look(1, 3);
        scene.park(OTHER);
        scene.look(1, 50);
        assert!(scene.shards.seat(STUCK).is_stuck() && !scene.was_called(OTHER), "as it was");
        scene.look(31, 1);
        assert!(scene.started().is_empty(), "39 ms in which looks were on time");
        scene.look(1, 1);
        assert_eq!(scene.started().len(), 1, "four times as long, as it comes to rest");
    });
}

/// As in a hook that it calls before it parks: who pushes then takes it for one who searches.
#[test]
fn one_that_is_stuck_as_it_searches_keeps_nobody_from_being_called() {
    scene(2, |scene| {
        assert!(scene.shards.idle.begin_search());
        scene.begin(STUCK);
        scene.stands_in(0);
        scene.park(OTHER);
        let homes = Arc::clone(&scene.homes);
        let injects = move || drop(spawn(&*homes, async {}, Location::caller()));
        scene.look(3, 5);
        thread::spawn(injects).join().unwrap();
        assert!(!scene.was_called(OTHER), "there was nothing to do");
        scene.park(OTHER);
        scene.look(1, 1);
        assert!(scene.was_called(OTHER));
    });
}

#[test]
fn nobody_is_sent_while_the_runtime_ends() {
    scene(2, |scene| {
        scene.begin(STUCK);
        scene.queue(3);
        scene.shards.close();
        scene.look(20, 5);
        assert!(scene.started().is_empty());
        assert_eq!(scene.shards.seat(STUCK).queued(), 3, "who ends drops it");
    });
}
