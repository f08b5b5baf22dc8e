//! The settings of a pool.

use super::niceness;
use super::pool::ThreadPool;
use super::word::{MOST_QUEUED, MOST_THREADS};
use std::fmt;
use std::time::Duration;

/// The settings of a [`ThreadPool`]; made by [`ThreadPool::builder`].
///
/// # Examples
///
/// ```
/// use mainspring::offload::ThreadPool;
/// use std::time::Duration;
///
/// let pool = ThreadPool::builder()
///     .max_threads(8)
///     .queue(100)
///     .keep_alive(Duration::from_secs(60))
///     .thread_name("resize")
///     .stack_size(256 * 1024)
///     .build()?;
/// assert_eq!(pool.limits().threads(), 0, "none before there is work");
/// # Ok::<(), mainspring::offload::BadSetting>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until build() is called"]
pub struct Builder {
    max_threads: usize,
    queue: usize,
    keep_alive: Duration,
    name: String,
    stack_size: Option<usize>,
    niceness: u8,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            max_threads: 64,
            queue: 1024,
            keep_alive: Duration::from_secs(10),
            name: "mainspring-pool".into(),
            stack_size: None,
            niceness: 0,
        }
    }
}

impl Builder {
    /// How many threads there may be at a time, from 1 to 8,191; by default 64.
    ///
    /// It can be changed later: see [`BlockingLimits::set_limit`](super::BlockingLimits::set_limit).
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.max_threads = threads;
        self
    }

    /// How many jobs may lie in the queue and wait for a thread, from 1 to 1,000,000; by default
    /// 1,024.
    ///
    /// It can be changed later: see
    /// [`BlockingLimits::set_queue_limit`](super::BlockingLimits::set_queue_limit).
    pub fn queue(mut self, jobs: usize) -> Self {
        self.queue = jobs;
        self
    }

    /// How long a thread stays that has nothing to do; by default 10 s.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
        self
    }

    /// What the threads are called; by default "mainspring-pool".
    ///
    /// Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Bytes of stack for each thread; by default what `std` gives, 2 MiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// How much is *added* to the nice value for the threads, from 0 to 19; by default 0.
    ///
    /// With some, work that computes in the pool does not keep from the CPU the threads that must
    /// answer quickly. It is added, on each thread before its first job, to the nice value of the
    /// thread that builds the pool, up to 19 in all.
    ///
    /// Only Linux has a nice value for each thread; elsewhere this does nothing. Nor does it where
    /// the system refuses: the threads then work on as they are. Threads and processes that a job
    /// starts inherit the value, and without privilege (`CAP_SYS_NICE`, `RLIMIT_NICE`) nobody can
    /// lower it again.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::offload::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().thread_name("thumbnails").niceness(10).build()?;
    /// assert!(ThreadPool::builder().niceness(20).build().is_err());
    /// # Ok::<(), mainspring::offload::BadSetting>(())
    /// ```
    pub fn niceness(mut self, added: u8) -> Self {
        self.niceness = added;
        self
    }

    /// Makes the pool; no thread is started before the first job.
    ///
    /// # Errors
    ///
    /// [`BadSetting`] says which setting is out of its bounds.
    pub fn build(self) -> Result<ThreadPool, BadSetting> {
        Ok(ThreadPool::new(self.check()?))
    }

    /// The settings, if they are good.
    pub(crate) fn check(self) -> Result<Settings, BadSetting> {
        let limit = check_threads(self.max_threads)?;
        let queue = check_queue(self.queue)?;
        check_name(&self.name)?;
        if self.stack_size == Some(0) {
            return Err(BadSetting(Bad::Stack));
        }
        if self.niceness > niceness::MOST {
            return Err(BadSetting(Bad::Niceness(self.niceness)));
        }
        let Self { keep_alive, name, stack_size, niceness, .. } = self;
        Ok(Settings { limit, queue, keep_alive, name, stack_size, niceness })
    }
}

/// Settings that were checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(super) limit: u16,
    pub(super) queue: usize,
    pub(super) keep_alive: Duration,
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    pub(super) niceness: u8,
}

pub(super) fn check_threads(threads: usize) -> Result<u16, BadSetting> {
    let fits = (1..=MOST_THREADS).contains(&threads).then_some(threads);
    fits.and_then(|threads| u16::try_from(threads).ok()).ok_or(BadSetting(Bad::Threads(threads)))
}

pub(super) fn check_queue(jobs: usize) -> Result<usize, BadSetting> {
    if (1..=MOST_QUEUED).contains(&jobs) { Ok(jobs) } else { Err(BadSetting(Bad::Queue(jobs))) }
}

/// Whether a thread can be called so: std panics where there is a zero byte in it.
pub(crate) fn check_name(name: &str) -> Result<(), BadSetting> {
    if name.contains('\0') { Err(BadSetting(Bad::Name)) } else { Ok(()) }
}

/// A setting of a pool is out of its bounds; the message names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting(Bad);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bad {
    Threads(usize),
    Queue(usize),
    Name,
    Stack,
    Niceness(u8),
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Bad::Threads(n) => {
                write!(f, "a pool cannot have {n} threads: allow 1 to {MOST_THREADS}")
            }
            Bad::Queue(n) => {
                write!(f, "the queue of a pool cannot hold {n} jobs: allow 1 to {MOST_QUEUED}")
            }
            Bad::Name => {
                f.write_str("the name of a thread cannot contain a zero byte: leave it out")
            }
            Bad::Stack => f.write_str("a thread needs a stack: give it some bytes, or no setting"),
            Bad::Niceness(n) => {
                let most = niceness::MOST;
                write!(f, "the nice value of a pool cannot grow by {n}: add 0 to {most}")
            }
        }
    }
}

impl std::error::Error for BadSetting {}
