//! What the loop of one thread does with what its clock says: it counts how long it was busy, and tells
//! those who spawn what the present is.

use super::local::Local;
use crate::driver::{Clock, Instant};

impl Local {
    /// The loop goes on, and the clock says `now`: for the births of tasks, and for what is counted.
    pub(super) fn saw(&self, now: Instant) {
        let counters = &self.home.counters;
        let since = self.counted.replace(now);
        // In virtual time nothing takes any, and who spawns reads it at the cost of a load.
        if let Clock::Real = self.current.driver.clock() {
            counters.present.set(now.as_nanos());
            counters.busy.add(now.as_nanos().saturating_sub(since.as_nanos()));
        }
        self.home.say_depth();
    }

    /// The loop has begun, or has slept: it counts its time from `now` on.
    pub(super) fn begin(&self, now: Instant) {
        self.counted.set(now);
        self.saw(now);
        self.is_here();
    }

    /// The loop will not look at the clock for a while.
    pub(super) fn stop(&self) {
        self.home.counters.present.forget();
        self.home.say_depth();
        self.is_away();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::{Driver, KernelTimers};
    use crate::hooks::HookSet;
    use crate::primitives::unique_id;
    use crate::scheduler::host::Budget;
    use crate::scheduler::no_executor::NoExecutor;
    use crate::task::spawn;
    use std::future::poll_fn;
    use std::panic::Location;
    use std::sync::{Arc, mpsc};
    use std::task::{Poll, Waker};
    use std::thread;
    use std::time::Duration;

    fn local() -> Local {
        let step = Duration::from_millis(1);
        let driver = Driver::new(unique_id(), Clock::real(), step, KernelTimers::Unused).unwrap();
        Local::new(driver, HookSet::new(None, None), |_, _| Arc::new(NoExecutor))
    }

    #[test]
    fn the_present_is_known_while_the_loop_runs_and_no_longer() {
        let local = local();
        let known = || local.home.counters.present.get().is_some();
        assert!(!known());
        assert!(local.block_on(async { known() }).unwrap());
        assert!(!known(), "left by block_on");
        let (saw, seen) = mpsc::channel();
        let home = Arc::clone(&local.home);
        let task = async move { saw.send(home.counters.present.get().is_some()).unwrap() };
        drop(spawn(&*local.current().spawn, task, Location::caller()));
        let _ = local.turn_once(Budget::new()).unwrap();
        assert!(seen.recv().unwrap());
        assert!(!known(), "left by a turn");
    }

    #[test]
    fn the_present_is_not_known_while_the_loop_sleeps() {
        let local = local();
        let (home, (give, given)) = (Arc::clone(&local.home), mpsc::channel());
        let other = thread::spawn(move || {
            let waker: Waker = given.recv().unwrap();
            let counters = &home.counters;
            while counters.parks.get() == 0 || counters.present.get().is_some() {
                thread::yield_now();
            }
            waker.wake();
        });
        let mut give = Some(give);
        let root = poll_fn(|cx| match give.take() {
            None => Poll::Ready(local.home.counters.present.get().is_some()),
            Some(give) => {
                give.send(cx.waker().clone()).unwrap();
                Poll::Pending
            }
        });
        assert!(local.block_on(root).unwrap(), "known again");
        other.join().unwrap();
    }
}
