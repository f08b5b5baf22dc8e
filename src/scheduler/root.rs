//! The future of a `block_on` beside workers: polled by its caller, which polls nothing else.
//!
//! # Where the caller sleeps
//!
//! On its own thread, as a rule: the driver that its sockets and timers wait in is that of the first
//! worker, who looks into it. Only where that worker is in the middle of a poll, and is so still when
//! the caller has slept for a millisecond, the caller sleeps in the driver in its place, and wakes whom
//! its events concern; until the worker comes back, and wants to sleep there itself. Where another
//! caller sleeps there, or the worker was told of something, which whoever sleeps there would not be
//! told of again, the caller looks into the driver every few milliseconds instead.
//!
//! Once a thread stands in for that worker, it sees to the driver, and the caller leaves it alone.
//!
//! Before it sleeps at all it looks for a while whether it was woken, where that pays: see [`Patience`].

use super::shard::Shard;
use super::shards::Shards;
use crate::coop;
use crate::driver::Turn;
use crate::primitives::{AtomicU32, Ordering, Parker};
use crate::util::{Patience, WakeList};
use Ordering::{AcqRel, Acquire};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How often it looks at the most before it sleeps: for about 45 µs.
const LOOKS: u32 = 1 << 12;

/// The caller polls, or looks whether it is to.
const AWAKE: u32 = 0;
/// It sleeps on its thread, or is about to.
const PARKED: u32 = 1;
/// It sleeps in the driver, or is about to.
const IN_DRIVER: u32 = 2;
/// It is to poll.
const WOKEN: u32 = 3;

/// A worker that is in the same poll after this time does not see to its driver soon.
const STUCK_AFTER: Duration = Duration::from_millis(1);
/// Where the caller cannot sleep in the driver of such a worker it tries again, ever less often; and
/// after so long for as long as that lasts.
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// What wakes the thread that waits for its root.
struct Caller {
    state: AtomicU32,
    parker: Parker,
    /// In the driver of the first it may sleep.
    shards: Arc<Shards>,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.state.swap(WOKEN, AcqRel) {
            PARKED => self.parker.unpark(),
            IN_DRIVER => self.shard().driver.ring(),
            _ => {}
        }
    }
}

/// Polls `root` on the present thread until it is ready, and sleeps in between.
pub(super) fn run<F: Future>(root: F, shards: &Arc<Shards>) -> F::Output {
    let (state, parker) = (AtomicU32::new(AWAKE), Parker::new());
    let caller = Arc::new(Caller { state, parker, shards: Arc::clone(shards) });
    let waker = Waker::from(Arc::clone(&caller));
    let mut cx = Context::from_waker(&waker);
    let mut root = pin!(root);
    let mut patience = Patience::new(LOOKS);
    let mut wakes = WakeList::new();
    loop {
        let budget = coop::start();
        let polled = root.as_mut().poll(&mut cx);
        drop(budget);
        if let Poll::Ready(output) = polled {
            return output;
        }
        caller.wait(&mut patience, &mut wakes);
    }
}

impl Caller {
    fn shard(&self) -> &Shard {
        &self.shards.each()[0]
    }

    /// Waits until it is to poll.
    fn wait(&self, patience: &mut Patience, wakes: &mut WakeList) {
        let busy_with = self.shard().running.get();
        if patience.trusts() && patience.looks(|| self.take()) {
            return;
        }
        // Where nothing runs, or something else by now, the worker is about to see to its driver.
        let is_stuck = || !busy_with.is_nothing() && self.shard().running.get() == busy_with;
        let mut pause = STUCK_AFTER;
        while is_stuck() {
            if self.park(pause) || is_stuck() && self.sleep_in_driver(wakes) {
                return;
            }
            // Another sleeps there, who may leave, or nobody can.
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        while !self.park(Duration::MAX) {}
    }

    /// Sleeps on the thread until it is to poll, for `limit` at the most; whether it is.
    fn park(&self, limit: Duration) -> bool {
        if self.state.compare_exchange(AWAKE, PARKED, AcqRel, Acquire).is_ok() {
            self.parker.park_timeout(limit);
            // A call that was meant for an earlier sleep ends this one, too.
            let _ = self.state.compare_exchange(PARKED, AWAKE, AcqRel, Acquire);
        }
        self.take()
    }

    /// Sleeps in the driver of a worker that is busy, for as long as it can; whether it is to poll.
    #[cold]
    fn sleep_in_driver(&self, wakes: &mut WakeList) -> bool {
        let shard = self.shard();
        // Who stands in for the worker sees to the driver.
        let announce = || {
            !shard.adopter.is_there()
                && self.state.compare_exchange(AWAKE, IN_DRIVER, AcqRel, Acquire).is_ok()
        };
        loop {
            let sleep = Turn::Sleep(shard.driver.clock().now());
            let turned = shard.driver.turn_as_guest(sleep, announce, wakes);
            let _ = self.state.compare_exchange(IN_DRIVER, AWAKE, AcqRel, Acquire);
            wakes.wake_all();
            if self.take() {
                return true;
            }
            if !matches!(turned, Some(Ok((_, true)))) {
                return false;
            }
        }
    }

    fn take(&self) -> bool {
        self.state.load(Ordering::Relaxed) == WOKEN && self.state.swap(AWAKE, AcqRel) == WOKEN
    }
}
