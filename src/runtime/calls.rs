//! Calls of plain closures: soon, at a moment, after a time.
//!
//! A call at a moment is a task of its own, which waits for a timer. Calls that are to be made soon
//! stand in one queue of the runtime, whatever thread they come from, because tasks by themselves
//! would not keep their order; one task empties it, a call in each poll, so that other tasks come
//! between and each call is timed by itself.
//!
//! Who decides between a call and its cancelling is [`Fate`]: one exchange, which one of the two wins.

use super::handle::Handle;
use crate::context::{self, Calls};
use crate::driver::{Driver, Instant, Timer, TimerPoll};
use crate::primitives::{AtomicU32, Ordering};
use crate::task::{self, AbortHandle, Origin};
use crate::util::contain;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

impl Handle {
    /// Calls `f` on a thread of the runtime as soon as its turn comes.
    ///
    /// Calls of one runtime are made one after the other, in the order in which they were asked for,
    /// by whichever threads; so `f` should be short and must not block. Between two calls other tasks
    /// get their turn. A [`LocalRuntime`](crate::LocalRuntime) makes them in its `block_on` and `turn`.
    /// There is no bound to how many may wait, as there is none for spawned tasks.
    ///
    /// A panic of `f` ends the call and nothing else; the panic hook has told of it. The closure is
    /// nobody's child: it does not inherit the user data of the task that asks for the call. If the
    /// runtime has ended, or ends before, `f` is dropped uncalled, and the handle says
    /// [cancelled](TimerHandle::is_cancelled).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let rt = mainspring::Runtime::builder().worker_threads(2).build()?;
    /// let (tx, rx) = mpsc::channel();
    /// for n in 0..3 {
    ///     let tx = tx.clone();
    ///     rt.handle().call_soon(move || tx.send(n).unwrap());
    /// }
    /// drop(tx);
    /// assert_eq!(rx.iter().collect::<Vec<_>>(), [0, 1, 2]);
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    #[track_caller]
    pub fn call_soon<F>(&self, f: F) -> TimerHandle
    where
        F: FnOnce() + Send + 'static,
    {
        let outside = self.outside();
        let call = Call::new(f);
        let fate = Arc::clone(&call.fate);
        if outside.calls.push(Box::new(move || call.make())) {
            let tend = Tend { calls: Arc::clone(&outside.calls), done: false };
            drop(task::spawn(&*outside.spawn, tend, Origin::alone(Location::caller())));
        }
        TimerHandle { fate, task: None }
    }

    /// Calls `f` on a thread of the runtime when `deadline` has come; one that has passed is as good
    /// as now.
    ///
    /// It is never early, and late by a step of the timer (1 ms by default) or by what runs just then.
    /// In a [`LocalRuntime`](crate::LocalRuntime), calls at different moments come in the order of these,
    /// to a step of the timer. In a [`Runtime`](crate::Runtime) each is made by the worker that comes to
    /// it: those whose moments are close may be made side by side or in another order, and so may one
    /// that comes late because its worker was busy. Otherwise it is as with
    /// [`call_soon`](Self::call_soon).
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::time::{Instant, sleep};
    /// use std::time::Duration;
    ///
    /// # mainspring::block_on(async {
    /// let start = Instant::now();
    /// let (tx, rx) = mainspring::sync::oneshot::channel();
    /// let handle = mainspring::Handle::current();
    /// handle.call_at(start + Duration::from_millis(2), move || drop(tx.send(start.elapsed())));
    /// assert!(rx.await.unwrap() >= Duration::from_millis(2));
    /// # });
    /// ```
    #[track_caller]
    pub fn call_at<F>(&self, deadline: Instant, f: F) -> TimerHandle
    where
        F: FnOnce() + Send + 'static,
    {
        let outside = self.outside();
        let call = Call::new(f);
        let fate = Arc::clone(&call.fate);
        let over = deadline <= outside.driver.clock().now();
        let driver = Arc::clone(&outside.driver);
        let timed = Timed { call: Some(call), deadline, over, driver, timer: None };
        let task = task::spawn(&*outside.spawn, timed, Origin::alone(Location::caller()));
        TimerHandle { fate, task: Some(task.abort_handle()) }
    }

    /// Calls `f` on a thread of the runtime after `delay`, counted from this call; see
    /// [`call_at`](Self::call_at).
    ///
    /// A delay that reaches beyond the clock's end is never over.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let timer = rt.handle().call_later(Duration::from_secs(5), || println!("still there?"));
    /// assert!(timer.cancel());
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    #[track_caller]
    pub fn call_later<F>(&self, delay: Duration, f: F) -> TimerHandle
    where
        F: FnOnce() + Send + 'static,
    {
        self.call_at(self.outside().driver.clock().now() + delay, f)
    }
}

/// The power to cancel a call of [`Handle::call_soon`], [`call_at`](Handle::call_at) or
/// [`call_later`](Handle::call_later), from any thread.
///
/// Dropping it cancels nothing.
#[derive(Clone)]
pub struct TimerHandle {
    fate: Arc<Fate>,
    /// The task to be ended with the call, if that has one of its own.
    task: Option<AbortHandle>,
}

impl TimerHandle {
    /// Keeps the call from being made; `true` if it will not be, `false` if it was or is being made.
    ///
    /// Asking again gives the same answer. The closure is dropped soon, by the runtime, on one of its
    /// threads.
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let call = rt.handle().call_soon(|| unreachable!("cancelled"));
    /// assert!(call.cancel() && call.cancel() && call.is_cancelled());
    /// rt.block_on(mainspring::yield_now());
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        let cancelled = self.fate.cancel();
        if cancelled && let Some(task) = &self.task {
            task.abort();
        }
        cancelled
    }

    /// Whether the call will never be made: it was cancelled, or its runtime ended before it.
    pub fn is_cancelled(&self) -> bool {
        self.fate.is_cancelled()
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// What became of a call: it waits, it was begun, or it never will be.
#[derive(Debug)]
struct Fate(AtomicU32);

const WAITS: u32 = 0;
const BEGUN: u32 = 1;
const CANCELLED: u32 = 2;

impl Fate {
    /// Whether the call is to be made now, by whoever asks.
    fn begin(&self) -> bool {
        self.settle(BEGUN).is_ok()
    }

    /// Whether the call will never be made.
    fn cancel(&self) -> bool {
        self.settle(CANCELLED).map_or_else(|settled| settled == CANCELLED, |()| true)
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) == CANCELLED
    }

    fn settle(&self, fate: u32) -> Result<(), u32> {
        let exchange = self.0.compare_exchange(WAITS, fate, Ordering::AcqRel, Ordering::Acquire);
        exchange.map(drop)
    }
}

/// A closure that is called once at the most. Dropped uncalled it counts as cancelled.
struct Call<F> {
    f: Option<F>,
    fate: Arc<Fate>,
}

impl<F: FnOnce()> Call<F> {
    fn new(f: F) -> Self {
        Self { f: Some(f), fate: Arc::new(Fate(AtomicU32::new(WAITS))) }
    }

    /// Makes the call, unless it was cancelled.
    fn make(mut self) {
        if self.fate.begin()
            && let Some(f) = self.f.take()
        {
            f();
        }
    }
}

impl<F> Drop for Call<F> {
    fn drop(&mut self) {
        self.fate.cancel();
    }
}

/// Empties the queue of calls that are to be made soon.
struct Tend {
    calls: Arc<Calls>,
    /// Whether the queue was found empty, so that it is somebody else's to tend from then on.
    done: bool,
}

impl Future for Tend {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.calls.next() {
            Some(call) => {
                contain(call);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.done = true;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Tend {
    fn drop(&mut self) {
        // The runtime has ended. Whoever adds a call after this loop will find that too.
        while !self.done {
            match self.calls.next() {
                Some(call) => contain(|| drop(call)),
                None => self.done = true,
            }
        }
    }
}

/// Makes a call when its moment has come.
struct Timed<F> {
    call: Option<Call<F>>,
    deadline: Instant,
    over: bool,
    driver: Arc<Driver>,
    timer: Option<Timer>,
}

// The closure is moved out before it is called, so nothing of it is ever pinned.
impl<F> Unpin for Timed<F> {}

impl<F> Timed<F> {
    /// The timer belongs to the thread that polls first, if that runs this runtime.
    fn choose_driver(&mut self) {
        if self.timer.is_none()
            && let Ok(current) = context::current()
            && current.runtime() == self.driver.runtime()
        {
            self.driver = Arc::clone(&current.driver);
        }
    }
}

impl<F: FnOnce()> Future for Timed<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.over {
            self.choose_driver();
            let Self { driver, timer, deadline, .. } = &mut *self;
            match driver.poll_timer(timer, *deadline, cx.waker()) {
                TimerPoll::Fired => {}
                // A runtime whose driver is closed is about to drop this.
                TimerPoll::Waits | TimerPoll::Closed => return Poll::Pending,
            }
        }
        if let Some(call) = self.call.take() {
            call.make();
        }
        Poll::Ready(())
    }
}

impl<F> Drop for Timed<F> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.driver.cancel_timer(timer);
        }
    }
}
