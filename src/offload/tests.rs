//! What the parts do, one at a time, and the pool under many threads at once.

use super::crew::{Crew, Work};
use super::places::Places;
use super::word::{Call, Expired, Lie, Next, Published, Refused, Word};
use super::{Executor, ThreadPool};
use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::task::JoinError;
use futures::executor::block_on;
use std::io;
use std::panic::Location;
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use Ordering::Relaxed;

#[track_caller]
fn pushed(word: &Word) -> Call {
    match word.publish() {
        Published::Counted(call) => call,
        Published::Closed => panic!("closed"),
    }
}

/// A word with this many threads, all asleep.
fn idle(threads: u16, limit: u16) -> Word {
    let word = Word::new(limit);
    for _ in 0..threads {
        assert_eq!(pushed(&word), Call::Start);
        assert_eq!(word.next(true), Next::Job(Call::Nobody));
    }
    for _ in 0..threads {
        assert_eq!(word.next(false), Next::Rest);
        assert_eq!(word.lie_down(), Lie::Down);
    }
    word
}

#[test]
fn a_push_calls_one_and_the_one_that_comes_calls_the_next() {
    let word = idle(1, 3);
    assert_eq!(pushed(&word), Call::Wake);
    assert_eq!(pushed(&word), Call::Nobody, "one is coming");
    assert_eq!(pushed(&word), Call::Nobody);
    assert_eq!(word.next(true), Next::Job(Call::Start), "there were no more sleepers");
    assert_eq!(word.next(true), Next::Job(Call::Start));
    assert_eq!(word.load().busy(), 2);
    assert_eq!(word.next(true), Next::Job(Call::Nobody), "nothing is left");
    assert_eq!(pushed(&word), Call::Nobody, "there may be no more threads");
    assert_eq!(word.load().queued, 1);
    assert_eq!(word.next(false), Next::Job(Call::Nobody));
}

#[test]
fn where_many_stay_busy_more_come_at_a_time() {
    let word = idle(0, 100);
    for _ in 0..8 {
        assert_eq!(pushed(&word), Call::Start);
        assert_eq!(word.next(true), Next::Job(Call::Nobody));
    }
    let calls: Vec<_> = (0..4).map(|_| pushed(&word)).collect();
    assert_eq!(calls, [Call::Start, Call::Start, Call::Nobody, Call::Nobody]);
    assert_eq!(word.next(true), Next::Job(Call::Start));
    assert_eq!(word.another(), Call::Nobody, "two are coming");
    for _ in 0..8 {
        assert_eq!(word.next(true), Next::Job(Call::Start));
        let _ = pushed(&word);
        let _ = pushed(&word);
    }
    assert_eq!((word.load().busy(), word.load().coming), (17, 3));
}

#[test]
fn a_thread_that_is_one_too_many_passes_the_job_on() {
    let word = idle(3, 3);
    assert_eq!(word.set_limit(1), Call::Wake, "to end");
    assert_eq!(pushed(&word), Call::Nobody);
    assert_eq!(word.next(true), Next::End(Call::Wake), "still one too many");
    assert_eq!(word.next(true), Next::End(Call::Wake), "for the job");
    assert_eq!(word.next(true), Next::Job(Call::Nobody));
    assert_eq!(word.load().threads, 1);
}

#[test]
fn a_sleeper_ends_only_while_there_is_nothing_to_do() {
    let word = idle(2, 2);
    assert_eq!(word.expire(), Expired::End);
    assert_eq!((pushed(&word), pushed(&word)), (Call::Wake, Call::Nobody));
    assert_eq!(word.expire(), Expired::Called, "the last sleeper is called");
    let word = idle(3, 3);
    assert_eq!((pushed(&word), pushed(&word)), (Call::Wake, Call::Nobody));
    assert_eq!(word.expire(), Expired::Up, "a job is there that nobody comes for");
}

#[test]
fn a_thread_that_was_refused_is_missed_only_if_there_is_no_other() {
    let word = Word::new(2);
    assert_eq!(pushed(&word), Call::Start);
    assert_eq!(pushed(&word), Call::Nobody);
    assert_eq!(word.refused(), Refused::Stranded);
    assert_eq!(word.load().queued, 0);
    assert!(word.first());
    assert!(!word.first(), "one is enough");
    assert_eq!(pushed(&word), Call::Nobody);
    assert_eq!(pushed(&word), Call::Nobody);
    assert_eq!(word.next(true), Next::Job(Call::Start));
    assert_eq!(word.refused(), Refused::Others);
    assert_eq!(word.next(false), Next::Job(Call::Nobody));
}

#[test]
fn a_thread_that_was_refused_is_asked_for_again_by_who_takes_a_job() {
    let word = Word::new(2);
    for _ in 0..3 {
        let _ = pushed(&word);
    }
    assert_eq!(word.next(true), Next::Job(Call::Start));
    assert_eq!(word.refused(), Refused::Others);
    assert_eq!(word.next(false), Next::Job(Call::Start), "perhaps now");
    assert_eq!(word.next(false), Next::Job(Call::Nobody), "one is coming");
}

/// The system refuses the first thread, and gives the second.
struct Scarce {
    refusals: AtomicUsize,
    crew: Weak<Crew<Scarce>>,
    events: mpsc::Sender<String>,
    /// Those are done that hold a thread.
    held: Mutex<mpsc::Receiver<()>>,
}

impl Work for Scarce {
    type Job = &'static str;

    fn start(&self, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        if self.refusals.fetch_add(1, Relaxed) == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        thread::Builder::new().spawn(body).map(drop)
    }

    fn on_thread(&self, serve: impl FnOnce()) {
        serve();
    }

    fn run(&self, job: &'static str) {
        self.events.send(format!("ran {job}")).unwrap();
        if job == "holds" {
            let _ = self.held.lock().recv_timeout(Duration::from_secs(60));
        }
    }

    fn refuse(&self, job: &'static str) {
        if job == "first" {
            // Beside the one who answers for what the system refused, others push, with success.
            let crew = self.crew.upgrade().unwrap();
            crew.push("holds");
            while crew.word().load().busy() == 0 {
                thread::yield_now();
            }
            crew.push("queued");
        }
        self.events.send(format!("refused {job}")).unwrap();
    }
}

#[test]
fn what_is_queued_while_others_are_refused_is_left_to_the_threads() {
    let (events, seen) = mpsc::channel();
    let (release, held) = mpsc::channel();
    let crew = Arc::new_cyclic(|crew| {
        let (refusals, crew) = (AtomicUsize::new(0), Weak::clone(crew));
        let work = Scarce { refusals, crew, events, held: Mutex::new(held) };
        Crew::new(1, Duration::from_secs(10), work)
    });
    crew.push("first");
    release.send(()).unwrap();
    let minute = Duration::from_secs(60);
    let mut seen: Vec<_> = (0..3).map(|_| seen.recv_timeout(minute).unwrap()).collect();
    seen.sort();
    assert_eq!(seen, ["ran holds", "ran queued", "refused first"]);
    crew.close();
    assert_eq!(crew.wait(minute), 0);
}

#[test]
fn one_lingers_and_counts_as_coming() {
    let word = idle(2, 2);
    assert_eq!((pushed(&word), word.next(true)), (Call::Wake, Next::Job(Call::Nobody)));
    assert_eq!(word.next(false), Next::Rest);
    assert!(word.linger());
    assert!(!word.linger(), "one is enough");
    assert_eq!((word.load().coming, word.load().idle, word.load().busy()), (1, 1, 0));
    assert!(!word.has_news());
    assert_eq!(pushed(&word), Call::Nobody, "it sees to that");
    assert_eq!(pushed(&word), Call::Nobody, "and calls for this");
    assert!(word.has_news() && !word.linger());
    assert_eq!(word.next(true), Next::Job(Call::Wake));
    assert_eq!(word.next(true), Next::Job(Call::Nobody));
    assert!(!word.has_news());
    assert_eq!((word.next(false), word.linger()), (Next::Rest, true));
    assert_eq!(word.next(true), Next::Rest, "in vain");
    assert_eq!((word.load().coming, word.load().busy()), (0, 2));
}

#[test]
fn who_lingers_is_told_of_a_lower_limit_and_of_the_end() {
    let two = || {
        let word = idle(2, 2);
        assert_eq!((pushed(&word), word.next(true)), (Call::Wake, Next::Job(Call::Nobody)));
        word
    };
    let word = two();
    assert!(word.linger());
    assert_eq!(word.set_limit(1), Call::Nobody, "it comes");
    assert!(word.has_news());
    assert_eq!((word.next(true), word.load().threads), (Next::End(Call::Nobody), 1));
    let word = two();
    assert_eq!(word.set_limit(1), Call::Wake);
    assert!(!word.linger(), "there is one too many");
    let word = two();
    assert!(word.linger() && word.close());
    assert!(word.has_news() && !word.linger());
    assert_eq!((word.load().idle, word.load().coming, word.load().busy()), (2, 0, 0));
    assert_eq!((word.next(true), word.left(true)), (Next::Leave { idle: true }, 1));
}

#[test]
fn the_word_keeps_its_fields_apart() {
    let word = idle(8191, 8191);
    for _ in 0..1000 {
        let _ = word.publish();
    }
    let now = word.load();
    assert_eq!((now.queued, now.idle, now.threads), (1000, 8190, 8191));
    assert_eq!((now.limit, now.coming, now.closed), (8191, 1, false));
    assert!(word.close());
    assert!(!word.close());
    assert_eq!(word.publish(), Published::Closed);
    assert_eq!(
        (word.load().idle, word.load().coming),
        (8191, 0),
        "those called have no job either"
    );
    assert_eq!(word.left(true), 8190);
}

#[test]
fn after_the_end_those_are_busy_that_still_have_a_job() {
    let word = idle(1, 3);
    assert_eq!((pushed(&word), pushed(&word)), (Call::Wake, Call::Nobody));
    assert_eq!(word.next(true), Next::Job(Call::Start), "a busy one, and one that is started");
    assert!(word.close());
    assert_eq!((word.load().threads, word.load().busy()), (2, 1));
    assert_eq!(word.refused(), Refused::Others, "it could not be started after all");
    assert_eq!((word.load().threads, word.load().busy()), (1, 1));
    assert_eq!(word.next(false), Next::Leave { idle: false });
    assert_eq!(word.left(false), 0);
    let word = idle(2, 2);
    assert!(word.close());
    assert_eq!((word.load().threads, word.load().busy()), (2, 0));
    assert_eq!(word.next(true), Next::Leave { idle: true });
    assert_eq!(word.left(true), 1);
    assert_eq!(word.load().idle, 1);
}

#[test]
fn places_are_bounded_while_the_bound_moves() {
    let places = Places::new(3);
    assert!((0..3).all(|_| places.try_take()));
    assert!(!places.try_take());
    places.set_limit(1);
    places.put_back();
    places.put_back();
    assert!(!places.try_take(), "two places were one too many each");
    places.set_limit(2);
    assert!(places.try_take());
    assert!(!places.try_take());
    places.put_back();
    places.put_back();
    places.set_limit(1);
    assert!(places.try_take(), "what was free paid at once");
    assert!(!places.try_take());
    assert_eq!(places.limit(), 1);
}

#[test]
fn settings_out_of_bounds_are_refused_by_name() {
    let wrong = [
        (ThreadPool::builder().max_threads(0), "0 threads"),
        (ThreadPool::builder().max_threads(8192), "8192 threads"),
        (ThreadPool::builder().queue(0), "0 jobs"),
        (ThreadPool::builder().queue(1_000_001), "1000001 jobs"),
        (ThreadPool::builder().thread_name("a\0b"), "zero byte"),
        (ThreadPool::builder().stack_size(0), "stack"),
        (ThreadPool::builder().niceness(20), "by 20"),
    ];
    for (builder, names) in wrong {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(names), "{error:?} does not name {names:?}");
    }
    let limits = ThreadPool::builder().build().unwrap().limits();
    assert!(limits.set_limit(0).is_err() && limits.set_queue_limit(0).is_err());
    assert_eq!((limits.limit(), limits.queue_limit()), (64, 1024), "unchanged");
}

/// A stack for which no machine has the address space, so that each start really fails.
const TOO_LARGE: usize = 1 << 46;

#[test]
fn where_no_thread_can_be_had_every_job_is_answered() {
    let pool = ThreadPool::builder().stack_size(TOO_LARGE).build().unwrap();
    let (tx, rx) = mpsc::channel();
    let kept = tx.clone();
    let refused = pool.execute(Box::new(move || kept.send(7).unwrap())).unwrap_err();
    refused.0();
    assert_eq!(rx.recv(), Ok(7), "the job came back whole");
    let here = Location::caller();
    let task = pool.handle().spawn(move || tx.send(8), here);
    let error: JoinError = block_on(task).unwrap_err();
    assert!(error.is_cancelled());
    assert!(error.to_string().contains("gives no thread"), "{error}");
    assert!(error.to_string().contains("ulimit -u"), "{error} does not say what to do");
    assert!(rx.recv().is_err(), "the closure is gone");
    assert!(pool.handle().try_spawn(|| (), here).is_err());
    let limits = pool.limits();
    assert_eq!((limits.threads(), limits.in_use(), limits.queued()), (0, 0, 0));
}

#[test]
fn a_job_that_panics_costs_neither_its_thread_nor_others() {
    let pool = ThreadPool::builder().max_threads(1).build().unwrap();
    let (tx, rx) = mpsc::channel();
    for n in 0..4 {
        let tx = tx.clone();
        let job = Box::new(move || {
            tx.send((n, thread::current().id())).unwrap();
            assert_ne!(n, 1, "the job that panics");
        });
        pool.execute(job).unwrap();
    }
    drop(tx);
    let ran: Vec<_> = rx.iter().collect();
    assert_eq!(ran.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1, 2, 3], "in order");
    assert!(ran.iter().all(|(_, thread)| *thread == ran[0].1));
}

#[test]
fn a_pool_dropped_on_its_own_thread_does_not_wait_for_itself() {
    let pool = Arc::new(ThreadPool::builder().build().unwrap());
    let (limits, last) = (pool.limits(), Arc::clone(&pool));
    let (tx, rx) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    pool.execute(Box::new(move || {
        gone.recv().unwrap_err();
        let before = std::time::Instant::now();
        drop(last);
        tx.send(before.elapsed()).unwrap();
    }))
    .unwrap();
    drop(pool);
    drop(go);
    assert!(rx.recv().unwrap() < Duration::from_secs(5));
    while limits.threads() > 0 {
        thread::yield_now();
    }
}

#[test]
fn limits_stay_readable_and_harmless_after_the_end() {
    let pool = ThreadPool::builder().build().unwrap();
    let (limits, handle) = (pool.limits(), pool.handle().clone());
    assert_eq!(pool.shutdown_timeout(Duration::from_secs(60)), 0);
    limits.set_limit(3).unwrap();
    limits.set_queue_limit(3).unwrap();
    assert_eq!((limits.limit(), limits.threads(), limits.queued()), (3, 0, 0));
    assert!(handle.execute(Box::new(|| ())).is_err());
    let task: JoinError = block_on(handle.spawn(|| (), Location::caller())).unwrap_err();
    assert!(task.is_cancelled() && task.to_string().ends_with("was cancelled"), "{task}");
}

fn tick(count: &AtomicUsize) {
    count.fetch_add(1, Relaxed);
}

/// A job that is lost shows as a wait without end.
fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (alive, ended) = mpsc::channel::<()>();
    let test = thread::spawn(move || {
        let _alive = alive;
        test();
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "the test hangs");
    test.join().unwrap();
}

#[test]
fn stress_each_closure_has_one_outcome() {
    within_a_minute(each_closure_has_one_outcome);
}

#[test]
fn stress_the_end_against_pushes() {
    within_a_minute(the_end_against_pushes);
}

/// Many who push, limits that change, threads that expire: each job runs once, or is cancelled.
fn each_closure_has_one_outcome() {
    const PUSHERS: usize = 4;
    const EACH: usize = 5_000;
    let pool = ThreadPool::builder()
        .max_threads(3)
        .queue(16)
        .keep_alive(Duration::from_micros(50))
        .build()
        .unwrap();
    let runs: Arc<Vec<AtomicUsize>> =
        Arc::new((0..PUSHERS * EACH).map(|_| AtomicUsize::new(0)).collect());
    let most = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            let (pool, runs, done) = (pool.handle().clone(), Arc::clone(&runs), &done);
            scope.spawn(move || {
                let here = Location::caller();
                let mut waiting: Vec<crate::JoinHandle<()>> = Vec::new();
                let mut outcomes = [0, 0];
                let mut join = |task| match block_on(task) {
                    Ok(()) => outcomes[0] += 1,
                    Err(error) => {
                        let error: JoinError = error;
                        assert!(error.is_cancelled());
                        outcomes[1] += 1;
                    }
                };
                for n in 0..EACH {
                    let (runs, at) = (Arc::clone(&runs), pusher * EACH + n);
                    let task = pool.spawn(move || tick(&runs[at]), here);
                    match n % 7 {
                        // Dropped: runs if it had a place, and otherwise not.
                        0 => drop(task),
                        1 => {
                            task.abort();
                            waiting.push(task);
                        }
                        _ => waiting.push(task),
                    }
                    if waiting.len() > 40 {
                        waiting.drain(..).for_each(&mut join);
                    }
                }
                waiting.drain(..).for_each(&mut join);
                assert_eq!(outcomes[0] + outcomes[1], EACH - EACH.div_ceil(7));
                assert!(outcomes[1] <= EACH / 7 + 1, "only those aborted are cancelled");
                done.fetch_add(1, Relaxed);
            });
        }
        let limits = pool.limits();
        let (most, done) = (&most, &done);
        scope.spawn(move || {
            for n in 0.. {
                if done.load(Relaxed) == PUSHERS {
                    return;
                }
                limits.set_limit([1, 3, 2, 5][n % 4]).unwrap();
                limits.set_queue_limit([1, 16, 4, 33][n / 4 % 4]).unwrap();
                most.fetch_max(limits.threads(), Relaxed);
                if n % 16 == 0 {
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
    });
    assert!(most.load(Relaxed) <= 5, "more threads than were ever allowed");
    let limits = pool.limits();
    assert_eq!(pool.shutdown_timeout(Duration::from_secs(60)), 0);
    assert_eq!((limits.queued(), limits.threads()), (0, 0));
    for (at, runs) in runs.iter().enumerate() {
        let runs = runs.load(Relaxed);
        let may_be_dropped = at % EACH % 7 < 2;
        assert!(runs == 1 || (runs == 0 && may_be_dropped), "{at} ran {runs} times");
    }
}

/// The end comes while others push: nothing is lost, and nothing stays behind.
fn the_end_against_pushes() {
    for round in 0..200 {
        let pool = ThreadPool::builder().max_threads(2).queue(4).build().unwrap();
        let alive = Arc::new(());
        thread::scope(|scope| {
            for _ in 0..2 {
                let (handle, alive) = (pool.handle().clone(), Arc::clone(&alive));
                scope.spawn(move || {
                    let tasks: Vec<_> = (0..20)
                        .map(|_| {
                            let alive = Arc::clone(&alive);
                            handle.spawn(move || drop(alive), Location::caller())
                        })
                        .collect();
                    for task in tasks {
                        // An answer, whichever; one that is lost would hang here.
                        let _ = block_on(task);
                    }
                });
            }
            for _ in 0..round % 10 * 20 {
                std::hint::spin_loop();
            }
            assert_eq!(pool.shutdown_timeout(Duration::from_secs(60)), 0);
        });
        assert_eq!(Arc::strong_count(&alive), 1, "a closure was leaked");
    }
}
