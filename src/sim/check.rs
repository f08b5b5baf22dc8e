//! Running a test under one seed, and under many.

use super::recorder::Recorder;
use super::trace::Trace;
use crate::context;
use crate::runtime::LocalRuntime;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Names the one seed that [`check`] is to run.
const SEED: &str = "MAINSPRING_SEED";

/// Runs `test` once for each of `seeds`, each time in a fresh deterministic runtime on this thread.
///
/// See the [module](super) for how to use it in a test. Where the variable `MAINSPRING_SEED` is set,
/// `test` runs under that seed only. [`Sim::check`] is the same with other bounds.
///
/// # Panics
///
/// If `test` panics or is stuck under one of the seeds: it prints the last events, and panics with
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
}

impl Default for Sim {
    fn default() -> Self {
        Self { patience: Duration::from_secs(1), events: 1000, polls: 1_000_000 }
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
        let one = |seed| self.run(seed, async { test().await }).0;
        match wanted(std::env::var_os(SEED)) {
            Some(seed) => one(seed),
            None => seeds.into_iter().for_each(one),
        }
    }

    /// As the function [`run`].
    ///
    /// # Panics
    ///
    /// As [`run`].
    #[track_caller]
    pub fn run<F: Future>(&self, seed: u64, future: F) -> (F::Output, Trace) {
        assert!(
            !context::is_entered(),
            "a simulation was begun inside a runtime: call it from a plain thread"
        );
        let recorder = Arc::new(Recorder::new(self.events));
        let built = LocalRuntime::builder()
            .deterministic(seed)
            .ends_when_stuck(self.patience, self.polls)
            .hooks(recorder.clone())
            .build();
        let runtime = match built {
            Ok(runtime) => runtime,
            Err(error) => panic!("no runtime could be built for the simulation: {error}"),
        };
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))) {
            Ok(output) => (output, recorder.trace()),
            Err(payload) => {
                let trace = recorder.trace();
                drop(runtime);
                fail(seed, &trace, payload)
            }
        }
    }
}

/// The one seed to run, if somebody wants one.
#[track_caller]
fn wanted(variable: Option<std::ffi::OsString>) -> Option<u64> {
    let text = variable?;
    let seed = text.to_str().and_then(|text| text.trim().parse().ok());
    match seed {
        Some(seed) => Some(seed),
        None => panic!("{SEED} is {text:?}, which is no seed: give a number from 0 to 2^64 - 1"),
    }
}

/// Tells what went wrong, and how to see it again.
#[cold]
#[track_caller]
fn fail(seed: u64, trace: &Trace, payload: Box<dyn Any + Send>) -> ! {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    eprintln!("mainspring: the simulation failed under the seed {seed}; its last events:\n{trace}");
    match message {
        Some(message) => {
            panic!("{message}\nwith the seed {seed}: {SEED}={seed} runs just this one")
        }
        None => {
            eprintln!("mainspring: {SEED}={seed} runs just this one");
            resume_unwind(payload)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::wanted;

    #[test]
    fn a_seed_from_the_environment() {
        assert_eq!(wanted(None), None);
        assert_eq!(wanted(Some(" 18446744073709551615\n".into())), Some(u64::MAX));
    }

    #[test]
    #[should_panic(expected = "is no seed: give a number")]
    fn what_is_no_seed_is_told() {
        wanted(Some("12x".into()));
    }
}
