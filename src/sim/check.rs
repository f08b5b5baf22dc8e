//! Running a test under one seed, and under many.

use super::recorder::Recorder;
use super::schedule::Schedule;
use super::trace::Trace;
use crate::context;
use crate::runtime::LocalRuntime;
use crate::util::{Choices, MOST_MADE, Made, OutOfTime};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names the one seed that [`check`] is to run, and maybe a schedule.
const SEED: &str = "MAINSPRING_SEED";

/// Runs `test` once for each of `seeds`, each time in a fresh deterministic runtime on this thread.
///
/// See the [module](super) for how to use it in a test. Where the variable `MAINSPRING_SEED` is set,
/// `test` runs under that seed only. [`Sim::check`] is the same with other bounds.
///
/// # Panics
///
/// If `test` panics or is stuck under one of the seeds: it looks for the shortest schedule that fails
/// too (see the [module](super#the-shortest-schedule)), prints the last events of that, and panics with
/// the seed and the message. Inside a runtime. If the variable is set and is no seed.
///
/// # Examples
///
/// ```
/// use mainspring::{sim, spawn, yield_now};
/// use std::sync::{Arc, Mutex};
///
/// // Reads, lets others run, writes: what the other task has written meanwhile is lost.
/// async fn add_one(sum: Arc<Mutex<u32>>) {
///     let before = *sum.lock().unwrap();
///     yield_now().await;
///     *sum.lock().unwrap() = before + 1;
/// }
///
/// let found = std::panic::catch_unwind(|| {
///     sim::check(0..1000, || async {
///         let sum = Arc::new(Mutex::new(0));
///         let tasks = [spawn(add_one(sum.clone())), spawn(add_one(sum.clone()))];
///         for task in tasks {
///             task.await.unwrap();
///         }
///         assert_eq!(*sum.lock().unwrap(), 2);
///     });
/// });
/// assert!(found.is_err());
/// ```
#[track_caller]
pub fn check<F: Future<Output = ()>>(seeds: impl IntoIterator<Item = u64>, test: impl Fn() -> F) {
    Sim::new().check(seeds, test);
}

/// Runs `future` in a fresh deterministic runtime on this thread; gives what it gave, and what the
/// tasks did until then.
///
/// Tasks that still live at its end are cancelled, which the trace does not show. `MAINSPRING_SEED`
/// is not asked for.
///
/// # Panics
///
/// If `future` panics or is stuck: it prints the last events, and panics with the seed and the
/// message. Inside a runtime.
///
/// # Examples
///
/// ```
/// use mainspring::{sim, time::sleep};
/// use std::time::Duration;
///
/// let (output, trace) = sim::run(3, async {
///     mainspring::spawn(sleep(Duration::from_secs(60))).await.unwrap();
///     "a minute later"
/// });
/// assert_eq!(output, "a minute later");
/// assert!(trace.to_string().contains("[60000.000000 ms] task 1 has finished"));
/// ```
#[track_caller]
pub fn run<F: Future>(seed: u64, future: F) -> (F::Output, Trace) {
    Sim::new().run(seed, future)
}

/// The bounds of a deterministic run; the functions [`check`] and [`run`] use the defaults.
///
/// # Examples
///
/// ```
/// use mainspring::sim::Sim;
/// use std::time::Duration;
///
/// // A test that waits for a thread of its own.
/// Sim::new().patience(Duration::from_secs(30)).events(100).check(0..10, || async {
///     let handle = mainspring::Handle::current();
///     let thread = std::thread::spawn(move || handle.spawn(async { 5 }));
///     assert_eq!(thread.join().unwrap().await.unwrap(), 5);
/// });
/// ```
#[derive(Clone, Debug)]
#[must_use = "it runs nothing before check() or run() is called"]
pub struct Sim {
    patience: Duration,
    events: usize,
    polls: u64,
    shorten: u32,
}

/// How long, in real time, a shorter schedule is looked for.
const SHORTEN_FOR: Duration = Duration::from_secs(5);

/// A schedule with more choices than this in it is of no use to a reader, nor fits into a variable.
const MOST_TOLD: usize = 1000;

/// How long a run with another schedule may take, where that of the seed took `took`: one may never
/// end though the other fails, as time is virtual.
fn most_time(took: Duration) -> Duration {
    Duration::from_millis(100) + 10 * took
}

/// What a run gave.
type Ran<T> = Result<(T, Trace), Failure>;

/// A run that panicked.
struct Failure {
    trace: Trace,
    payload: Box<dyn Any + Send>,
}

impl Default for Sim {
    fn default() -> Self {
        Self { patience: Duration::from_secs(1), events: 1000, polls: 1_000_000, shorten: 500 }
    }
}

impl Sim {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long, in real time, a run waits for the outside where nothing inside can go on, before it
    /// counts as a deadlock; by default 1 s.
    ///
    /// Tests without threads and sockets of their own can set it to zero.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many events a trace keeps; by default 1,000. As many are printed on a failure.
    pub fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// How many polls there may be while virtual time stands still, before a run counts as one that
    /// never ends; by default 1,000,000.
    pub fn polls(mut self, polls: u64) -> Self {
        self.polls = polls;
        self
    }

    /// How many runs [`check`](Self::check) makes, after one has failed, to find a shorter schedule
    /// that fails too; by default 500. It begins none after 5 s of real time.
    ///
    /// With zero the failure is told as it is.
    pub fn shorten(mut self, runs: u32) -> Self {
        self.shorten = runs;
        self
    }

    /// As the function [`check`].
    ///
    /// # Panics
    ///
    /// As [`check`].
    #[track_caller]
    pub fn check<F: Future<Output = ()>>(
        &self,
        seeds: impl IntoIterator<Item = u64>,
        test: impl Fn() -> F,
    ) {
        // The test is called inside, so that it may spawn before its first await.
        let one = |seed, choices| self.attempt(seed, choices, async { test().await });
        match wanted(std::env::var_os(SEED)) {
            Some((seed, schedule)) => {
                let choices = schedule.map(|schedule| Choices::listed(schedule.into_choices()));
                if let Err(failure) = one(seed, choices) {
                    failure.tell(seed);
                }
            }
            None => {
                for seed in seeds {
                    if let Err(failure) = one(seed, None) {
                        self.tell_the_shortest(seed, failure, &one);
                    }
                }
            }
        }
    }

    /// As the function [`run`].
    ///
    /// # Panics
    ///
    /// As [`run`].
    #[track_caller]
    pub fn run<F: Future>(&self, seed: u64, future: F) -> (F::Output, Trace) {
        match self.attempt(seed, None, future) {
            Ok(ran) => ran,
            Err(failure) => failure.tell(seed),
        }
    }

    /// One run, whose order follows `choices`, if there are some, and the seed otherwise.
    #[track_caller]
    fn attempt<F: Future>(&self, seed: u64, choices: Option<Choices>, future: F) -> Ran<F::Output> {
        assert!(
            !context::is_entered(),
            "a simulation was begun inside a runtime: call it from a plain thread"
        );
        let recorder = Arc::new(Recorder::new(self.events));
        let mut builder = LocalRuntime::builder()
            .deterministic(seed)
            .ends_when_stuck(self.patience, self.polls)
            .hooks(recorder.clone());
        if let Some(choices) = choices {
            builder = builder.follows(choices);
        }
        let runtime = match builder.build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("no runtime could be built for the simulation: {error}"),
        };
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))) {
            Ok(output) => Ok((output, recorder.trace())),
            Err(payload) => Err(Failure { trace: recorder.trace(), payload }),
        }
    }

    /// Looks for the shortest schedule that fails as `first` did, and tells of both.
    #[cold]
    #[track_caller]
    fn tell_the_shortest(
        &self,
        seed: u64,
        first: Failure,
        one: &dyn Fn(u64, Option<Choices>) -> Ran<()>,
    ) -> ! {
        if self.shorten == 0 {
            first.tell(seed);
        }
        let made = Made::default();
        let since = Instant::now();
        let again = one(seed, Some(Choices::drawn(seed).written_to(Arc::clone(&made))));
        let made = std::mem::take(&mut *made.lock());
        let Err(again) = again else {
            eprintln!(
                "mainspring: the seed {seed} failed, and passed when it was run again: something \
                 beyond the seed decides"
            );
            first.tell(seed);
        };
        if made.len() == MOST_MADE {
            first.tell(seed);
        }
        let mut shortest = again;
        let most = most_time(since.elapsed());
        let since = Instant::now();
        let schedule = Schedule::new(made).shorten(self.shorten, |schedule| {
            if since.elapsed() > SHORTEN_FOR {
                return false;
            }
            let choices = Choices::listed(schedule.clone().into_choices());
            match one(seed, Some(choices.until(Instant::now() + most))) {
                Err(failure) if !failure.payload.is::<OutOfTime>() => {
                    shortest = failure;
                    true
                }
                _ => false,
            }
        });
        if schedule.unusual() > MOST_TOLD {
            first.tell(seed);
        }
        eprintln!(
            "mainspring: the simulation failed under the seed {seed}; the shortest schedule found \
             that fails makes {} other than first come, first served ({SEED}={seed}/{schedule} runs \
             it); its last events:\n{}",
            match schedule.unusual() {
                0 => "no choice".to_owned(),
                1 => "1 choice".to_owned(),
                many => format!("{many} choices"),
            },
            shortest.trace
        );
        resume(seed, Some(&schedule), first.payload)
    }
}

impl Failure {
    /// Tells what went wrong, and how to see it again.
    #[cold]
    #[track_caller]
    fn tell(self, seed: u64) -> ! {
        let Self { trace, payload } = self;
        eprintln!(
            "mainspring: the simulation failed under the seed {seed}; its last events:\n{trace}"
        );
        resume(seed, None, payload)
    }
}

/// Panics as the test did, with how to see it again.
#[cold]
#[track_caller]
fn resume(seed: u64, schedule: Option<&Schedule>, payload: Box<dyn Any + Send>) -> ! {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    let shortest = schedule.map_or(String::new(), |schedule| {
        format!("{SEED}={seed}/{schedule} runs its shortest schedule, ")
    });
    match message {
        Some(message) => {
            panic!("{message}\nwith the seed {seed}: {shortest}{SEED}={seed} runs just this one")
        }
        None => {
            eprintln!("mainspring: {shortest}{SEED}={seed} runs just this one");
            resume_unwind(payload)
        }
    }
}

/// The one seed to run, if somebody wants one, and the schedule to run it in.
#[track_caller]
fn wanted(variable: Option<std::ffi::OsString>) -> Option<(u64, Option<Schedule>)> {
    let text = variable?;
    let wanted = text.to_str().and_then(|text| {
        let (seed, schedule) = match text.trim().split_once('/') {
            Some((seed, schedule)) => (seed, Some(schedule.parse().ok()?)),
            None => (text.trim(), None),
        };
        Some((seed.parse().ok()?, schedule))
    });
    match wanted {
        Some(wanted) => Some(wanted),
        None => panic!(
            "{SEED} is {text:?}, which is no seed: give a number from 0 to 2^64 - 1, and maybe a \
             schedule as a failed test tells it, 7/3=1,8=2"
        ),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Schedule, wanted};

    #[test]
    fn a_seed_from_the_environment() {
        assert_eq!(wanted(None), None);
        assert_eq!(wanted(Some(" 18446744073709551615\n".into())), Some((u64::MAX, None)));
        let schedule = Schedule::new(vec![0, 2]);
        assert_eq!(wanted(Some("7/1=2".into())), Some((7, Some(schedule))));
        assert_eq!(wanted(Some("7/".into())), Some((7, Some(Schedule::default()))));
    }

    #[test]
    #[should_panic(expected = "is no seed: give a number")]
    fn what_is_no_seed_is_told() {
        wanted(Some("12x".into()));
    }

    #[test]
    #[should_panic(expected = "is no seed: give a number")]
    fn what_is_no_schedule_is_told() {
        wanted(Some("12/x".into()));
    }
}
