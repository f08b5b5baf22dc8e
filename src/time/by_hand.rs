//! Virtual time, moved by hand.

use crate::context::{self, Current};
use crate::driver::{Advance, Driver, Instant, VirtualTime};
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Keeps the virtual time of this runtime from moving by itself, until [`resume`].
///
/// While it is paused, only [`advance`] moves it. Where nothing can run then, the thread waits for
/// the outside, even with timers armed. Pausing twice is pausing once.
///
/// # Panics
///
/// Outside a runtime, and in one whose time is real: time cannot be held there. Build it with
/// [`deterministic`](crate::LocalBuilder::deterministic).
///
/// # Examples
///
/// ```
/// use mainspring::time::{self, Instant, advance, sleep};
/// use std::time::Duration;
///
/// let rt = mainspring::LocalRuntime::builder().deterministic(1).build()?;
/// rt.block_on(async {
///     time::pause();
///     let start = Instant::now();
///     let task = mainspring::spawn(sleep(Duration::from_secs(5)));
///     advance(Duration::from_secs(4)).await;
///     assert!(!task.is_finished());
///     advance(Duration::from_secs(1)).await;
///     task.await.unwrap();
///     assert_eq!(start.elapsed(), Duration::from_secs(5));
/// });
/// # Ok::<(), mainspring::BuildError>(())
/// ```
#[track_caller]
pub fn pause() {
    with_virtual_time("pause", |_, time| time.set_paused(true));
}

/// Lets the virtual time of this runtime move by itself again; see [`pause`].
///
/// # Panics
///
/// As [`pause`].
#[track_caller]
pub fn resume() {
    with_virtual_time("resume", |current, time| {
        time.set_paused(false);
        tell_the_mover(&current.driver);
    });
}

/// Moves the virtual time of this runtime on by `duration`, counted from this call.
///
/// Time still moves only while nothing can run. So all that can run now runs before it moves; then
/// it goes from deadline to deadline, in their order, and at each of them whatever becomes ready
/// runs until nothing can, which may arm timers that are due on the way. At the end it stands exactly
/// `duration` later, and timers that are due there fire; in which order those and the caller go on,
/// the seed says. An advance of zero ends at once, and lets nothing run.
///
/// It works whether time is paused or not. Of several at a time each ends at its own moment. A task
/// that yields without end keeps time from moving.
///
/// # Panics
///
/// As [`pause`], when called; and when it is polled in another runtime.
///
/// # Cancel safety
///
/// Dropping the future stops the advance where it is; time does not go back.
#[track_caller]
pub fn advance(duration: Duration) -> impl Future<Output = ()> {
    with_virtual_time("advance", |current, time| Advancing {
        driver: Arc::clone(&current.driver),
        target: time.now() + duration,
        number: None,
    })
}

#[track_caller]
fn with_virtual_time<R>(name: &str, f: impl FnOnce(&Rc<Current>, &VirtualTime) -> R) -> R {
    let Ok(current) = context::current() else {
        panic!(
            "time::{name} was called where no runtime runs: call it inside block_on or a task of a \
             runtime built with deterministic(seed)"
        );
    };
    match current.driver.clock().as_virtual() {
        Some(time) => f(&current, time),
        None => panic!(
            "time::{name} was called in a runtime whose time is real and cannot be moved: build it \
             with LocalRuntime::builder().deterministic(seed)"
        ),
    }
}

/// The thread that moves time may sleep, unless this is the one.
fn tell_the_mover(driver: &Driver) {
    if !context::runs_here(driver.runtime()) {
        driver.unpark();
    }
}

/// The future of [`advance`].
struct Advancing {
    driver: Arc<Driver>,
    target: Instant,
    number: Option<Advance>,
}

impl Advancing {
    fn runtime(&self) -> NonZeroU64 {
        self.driver.runtime()
    }
}

impl Future for Advancing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        assert!(
            context::current().is_ok_and(|current| current.runtime() == this.runtime()),
            "an advance of time was polled outside the runtime whose time it moves: await it there"
        );
        let begun = this.number.is_some();
        let going_on = this
            .driver
            .clock()
            .as_virtual()
            .is_some_and(|time| time.advance(&mut this.number, this.target, cx.waker()));
        if !going_on {
            return Poll::Ready(());
        }
        if !begun {
            tell_the_mover(&this.driver);
        }
        Poll::Pending
    }
}

impl Drop for Advancing {
    fn drop(&mut self) {
        if let (Some(time), Some(number)) = (self.driver.clock().as_virtual(), self.number.take()) {
            time.cancel(number);
        }
    }
}
