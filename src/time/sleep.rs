//! A future that is ready at a moment.

use crate::context;
use crate::coop;
use crate::driver::{Driver, Instant, Timer, TimerPoll};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Waits for `duration`, counted from this call.
///
/// A duration of zero is over at once; one that reaches beyond the clock's end never is.
///
/// # Panics
///
/// Outside `block_on` and tasks, when called or when polled: there is no clock to ask.
///
/// # Cancel safety
///
/// Dropping the future disarms its timer and loses nothing.
///
/// # Examples
///
/// ```
/// use mainspring::time::{Instant, sleep};
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
#[inline]
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let now = clock_of_this_thread();
    Sleep::new(now + duration, duration.is_zero())
}

/// Waits until `deadline`; one that has passed is over at once.
///
/// # Panics
///
/// Outside `block_on` and tasks, when called or when polled: there is no clock to ask.
///
/// # Cancel safety
///
/// Dropping the future disarms its timer and loses nothing.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    let over = deadline <= clock_of_this_thread();
    Sleep::new(deadline, over)
}

#[inline]
#[track_caller]
fn clock_of_this_thread() -> Instant {
    match context::current() {
        Ok(current) => current.driver.clock().now(),
        Err(_) => no_runtime(),
    }
}

#[cold]
#[track_caller]
fn no_runtime() -> ! {
    panic!("a sleep was made or polled where no runtime runs: do it inside block_on or a task");
}

#[cold]
fn ended() -> ! {
    panic!("a sleep was polled in a runtime that has ended: enter another one, or none");
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// Its timer belongs to the runtime in which it was last polled, and fires while that runs; polling it
/// in another one moves the timer there.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    deadline: Instant,
    /// The deadline that the timer has; earlier than the other after an extension.
    armed_for: Instant,
    over: bool,
    driver: Option<Arc<Driver>>,
    timer: Option<Timer>,
}

impl Sleep {
    pub(super) fn new(deadline: Instant, over: bool) -> Self {
        Self { deadline, armed_for: deadline, over, driver: None, timer: None }
    }

    /// One whose moment is the present.
    #[track_caller]
    pub(super) fn starting_now() -> Self {
        Self::new(clock_of_this_thread(), true)
    }

    /// The moment that it waits for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the moment has come and was noticed by a poll.
    pub fn is_elapsed(&self) -> bool {
        self.over
    }

    /// Waits for another moment from now on, also if the present one has come.
    ///
    /// A later moment costs no lock and no system call: the timer fires at the earlier one, and is
    /// armed again by the poll that follows. So a deadline that is pushed on with each message, and
    /// seldom comes, costs next to nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::time::{Instant, sleep};
    /// use std::time::Duration;
    ///
    /// # mainspring::block_on(async {
    /// let start = Instant::now();
    /// let mut idle = sleep(Duration::from_millis(1));
    /// idle.reset(start + Duration::from_millis(4));
    /// idle.await;
    /// assert!(start.elapsed() >= Duration::from_millis(4));
    /// # });
    /// ```
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.over = false;
        if let (Some(driver), Some(_)) = (&self.driver, &self.timer)
            && deadline < self.armed_for
        {
            driver.advance_timer(&mut self.timer, deadline);
            self.armed_for = deadline;
        }
    }

    /// The moment at which the last waker is woken, at the latest; `None` if no timer is armed.
    pub(crate) fn armed_for(&self) -> Option<Instant> {
        self.timer.is_some().then_some(self.armed_for)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let current = context::current().ok();
        if let (Some(driver), Some(current)) = (&self.driver, &current)
            && !Arc::ptr_eq(driver, &current.driver)
            && driver.runtime() != current.runtime()
        {
            // A `LocalRuntime` may stand still for ever while the future goes on elsewhere.
            self.disarm();
            self.driver = None;
        }
        loop {
            let driver = match (&self.driver, &current) {
                (Some(driver), _) => driver,
                (None, Some(current)) => self.driver.insert(Arc::clone(&current.driver)),
                (None, None) => no_runtime(),
            };
            if self.timer.is_none() {
                self.armed_for = self.deadline;
            }
            match driver.poll_timer(&mut self.timer, self.deadline, cx.waker()) {
                TimerPoll::Waits => return Poll::Pending,
                TimerPoll::Fired if self.armed_for < self.deadline => {}
                TimerPoll::Fired => break,
                TimerPoll::Closed if driver.clock().now() >= self.deadline => break,
                TimerPoll::Closed => {
                    let runtime = driver.runtime();
                    self.driver = None;
                    if context::runs_here(runtime) {
                        // It is ending, and this is among the last things that it does.
                        return Poll::Pending;
                    }
                    if current.as_ref().is_some_and(|current| current.runtime() == runtime) {
                        ended();
                    }
                }
            }
        }
        self.driver = None;
        Poll::Ready(())
    }

    /// Takes the timer out, if there is one.
    #[inline]
    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take()
            && let Some(driver) = &self.driver
        {
            driver.cancel_timer(timer);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let charge = ready!(coop::poll_proceed(cx));
        if !self.over {
            ready!(self.poll_timer(cx));
            self.over = true;
        }
        charge.made_progress();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("armed_for", &self.armed_for())
            .field("over", &self.over)
            .finish()
    }
}
