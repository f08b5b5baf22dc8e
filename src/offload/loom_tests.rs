//! The ways in which a job, a thread or a place could get lost.
//!
//! A job that nobody comes for shows as a deadlock: the models wait for what they push.

use super::crew::{Crew, Work};
use super::places::Places;
use super::{BlockingLimits, ThreadPool};
use crate::primitives::{AtomicUsize, Ordering, Parker, thread};
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use Ordering::{AcqRel, Acquire, Relaxed};

/// Models have no clock: anything but zero is for ever.
const EVER: Duration = Duration::MAX;

/// Counts what became of jobs, and tells one who waits for all of them.
struct Count {
    ran: AtomicUsize,
    answered: AtomicUsize,
    /// The sum of all jobs that the model pushes.
    all: usize,
    /// How many threads the system still gives.
    gives: AtomicUsize,
    told: Parker,
    met: Parker,
    lingers: bool,
    crew: Weak<Crew<Self>>,
}

// What jobs weigh, so that a sum says which have run. Some do a thing on top, so that the model
// needs no further thread for it.
const PLAIN: usize = 1;
const OTHER: usize = 10;
/// Lowers the limit to 1.
const LOWERS: usize = 100;
/// Pushes `PLAIN`.
const PUSHES: usize = 1_000;
/// Waits until `MEETS` runs beside it.
const NEEDS: usize = 10_000;
const MEETS: usize = 100_000;

impl Count {
    fn answer(&self, weight: usize) {
        if self.answered.fetch_add(weight, AcqRel) + weight == self.all {
            self.told.unpark();
        }
    }
}

impl Work for Count {
    type Job = usize;

    fn start(&self, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let left = self.gives.fetch_update(AcqRel, Acquire, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        thread::Builder::new().spawn(body).map(drop)
    }

    fn on_thread(&self, serve: impl FnOnce()) {
        serve();
    }

    fn run(&self, weight: usize) {
        let crew = self.crew.upgrade().unwrap();
        match weight {
            LOWERS => crew.set_limit(1),
            PUSHES => crew.push(PLAIN),
            NEEDS => self.met.park(),
            MEETS => self.met.unpark(),
            _ => {}
        }
        self.ran.fetch_add(weight, AcqRel);
        self.answer(weight);
    }

    fn refuse(&self, weight: usize) {
        self.answer(weight);
    }

    fn lingers(&self) -> bool {
        self.lingers
    }
}

type TestCrew = Arc<Crew<Count>>;

fn crew(limit: u16, keep_alive: Duration, gives: usize, all: usize) -> TestCrew {
    Arc::new_cyclic(|crew| {
        let work = Count {
            ran: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            all,
            gives: AtomicUsize::new(gives),
            told: Parker::new(),
            met: Parker::new(),
            // With several threads that takes minutes.
            lingers: limit == 1 && all < NEEDS,
            crew: Weak::clone(crew),
        };
        Crew::new(limit, keep_alive, work)
    })
}

fn ran(crew: &TestCrew) -> usize {
    crew.work().ran.load(Acquire)
}

/// Waits until each job was run or refused.
fn wait(crew: &TestCrew) {
    crew.work().told.park();
    assert_eq!(crew.work().answered.load(Acquire), crew.work().all, "each once");
}

fn end(crew: &TestCrew) {
    crew.close();
    assert_eq!(crew.wait(EVER), 0);
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    check_up_to(2, model);
}

/// With two preemptions, models of three threads take minutes each.
fn check_up_to(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn loom_push_against_a_thread_that_lies_down() {
    check(|| {
        let crew = crew(1, EVER, 1, PLAIN + OTHER);
        crew.push(PLAIN);
        while ran(&crew) == 0 {
            thread::yield_now();
        }
        crew.push(OTHER);
        wait(&crew);
        assert_eq!(ran(&crew), PLAIN + OTHER);
        end(&crew);
    });
}

#[test]
fn loom_push_against_the_keep_alive() {
    check(|| {
        let crew = crew(1, Duration::ZERO, 3, PLAIN + OTHER);
        crew.push(PLAIN);
        while ran(&crew) == 0 {
            thread::yield_now();
        }
        crew.push(OTHER);
        wait(&crew);
        assert_eq!(ran(&crew), PLAIN + OTHER);
        end(&crew);
    });
}

#[test]
fn loom_a_job_that_needs_a_second_thread_gets_it() {
    check_up_to(1, || {
        let crew = crew(2, EVER, 2, NEEDS + MEETS);
        crew.push(NEEDS);
        crew.push(MEETS);
        wait(&crew);
        assert_eq!(ran(&crew), NEEDS + MEETS);
        end(&crew);
    });
}

#[test]
fn loom_two_who_push() {
    check_up_to(1, || {
        let crew = crew(2, EVER, 2, PUSHES + PLAIN + OTHER);
        crew.push(PUSHES);
        crew.push(OTHER);
        wait(&crew);
        assert_eq!(ran(&crew), PUSHES + PLAIN + OTHER);
        end(&crew);
    });
}

#[test]
fn loom_push_against_a_lower_limit() {
    check(|| {
        let crew = crew(2, EVER, 2, LOWERS + PLAIN + OTHER);
        crew.push(LOWERS);
        crew.push(PLAIN);
        crew.push(OTHER);
        wait(&crew);
        assert_eq!(ran(&crew), LOWERS + PLAIN + OTHER);
        end(&crew);
    });
}

#[test]
fn loom_a_higher_limit_brings_a_thread_to_what_is_queued() {
    check_up_to(1, || {
        let crew = crew(1, EVER, 2, NEEDS + MEETS);
        crew.push(NEEDS);
        crew.push(MEETS);
        crew.set_limit(2);
        wait(&crew);
        assert_eq!(ran(&crew), NEEDS + MEETS);
        end(&crew);
    });
}

#[test]
fn loom_push_against_the_end() {
    check(|| {
        let crew = crew(1, EVER, 1, PLAIN + OTHER);
        crew.push(PLAIN);
        let other = Arc::clone(&crew);
        let pushing = thread::spawn(move || other.push(OTHER));
        end(&crew);
        pushing.join().unwrap();
        wait(&crew);
    });
}

#[test]
fn loom_no_thread_is_given_and_all_are_answered() {
    check(|| {
        let crew = crew(2, EVER, 0, PLAIN + OTHER + LOWERS);
        let other = Arc::clone(&crew);
        let pushing = thread::spawn(move || {
            other.push(PLAIN);
            other.push(OTHER);
        });
        crew.push(LOWERS);
        wait(&crew);
        pushing.join().unwrap();
        assert_eq!(ran(&crew), 0);
        assert_eq!(crew.word().load().threads, 0);
    });
}

#[test]
fn loom_one_thread_is_given_and_does_all_that_it_finds() {
    check(|| {
        let crew = crew(2, EVER, 1, PLAIN + OTHER);
        assert!(crew.ensure_thread());
        let other = Arc::clone(&crew);
        let pushing = thread::spawn(move || other.push(PLAIN));
        crew.push(OTHER);
        wait(&crew);
        pushing.join().unwrap();
        assert_eq!(ran(&crew), PLAIN + OTHER, "none was refused");
        end(&crew);
    });
}

#[test]
fn loom_two_who_change_the_bound_of_the_queue() {
    check(|| {
        let places = Arc::new(Places::new(1));
        let other = Arc::clone(&places);
        let raising = thread::spawn(move || other.set_limit(3));
        places.set_limit(1);
        let mut held = usize::from(places.try_take());
        raising.join().unwrap();
        while places.try_take() {
            held += 1;
        }
        assert_eq!(held, places.limit(), "as many places as the last of them has said");
    });
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn full_pool() -> (ThreadPool, BlockingLimits) {
    let pool = ThreadPool::builder().max_threads(1).queue(1).keep_alive(EVER).build().unwrap();
    let limits = pool.limits();
    (pool, limits)
}

#[test]
fn loom_a_handle_dropped_just_as_the_place_comes() {
    check(|| {
        let (pool, _) = full_pool();
        let here = std::panic::Location::caller();
        let drops = Arc::new(AtomicUsize::new(0));
        let first = pool.handle().spawn(|| (), here);
        let counted = Counted(Arc::clone(&drops));
        // Where the first has not started this one waits, and is granted its place as it does.
        let second = pool.handle().spawn(move || drop(counted), here);
        drop(second);
        drop(first);
        assert_eq!(pool.shutdown_timeout(EVER), 0);
        assert_eq!(drops.load(Relaxed), 1, "run or dropped, once");
    });
}

#[test]
fn loom_a_closure_that_waits_for_a_place_runs() {
    check_up_to(1, || {
        let (pool, _) = full_pool();
        let here = std::panic::Location::caller();
        let _first = pool.handle().spawn(|| (), here);
        let second = pool.handle().spawn(|| 2, here);
        assert_eq!(loom::future::block_on(second).unwrap(), 2);
        assert_eq!(pool.shutdown_timeout(EVER), 0);
    });
}
