//! A timer of the kernel's that ends sleeps: finer than the wait's own timeout, which counts in
//! milliseconds, and seen by a host that only watches the descriptor.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use timerfd::KernelTimer;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use unsupported::KernelTimer;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod timerfd {
    use crate::driver::Instant;
    use crate::reactor::Reactor;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    /// A timerfd. It is never read: setting it anew forgets that it had fired. It goes by the clock
    /// that moments are of, so that it is set to a moment without asking for the present.
    #[derive(Debug)]
    pub(in crate::driver) struct KernelTimer {
        fd: OwnedFd,
        set_for: Option<Instant>,
    }

    impl KernelTimer {
        /// One whose firing `reactor` is woken by.
        pub(in crate::driver) fn new(reactor: &Reactor) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            reactor.rings(fd.as_fd())?;
            Ok(Self { fd, set_for: None })
        }

        /// It is `now`: what has fired till then is forgotten, so that it can be set to the same moment
        /// again, as its event may have been taken.
        #[inline]
        pub(in crate::driver) fn has_become(&mut self, now: Instant) {
            if self.set_for.is_some_and(|at| at <= now) {
                self.set_for = None;
            }
        }

        /// Fires at `deadline`, at once if that is over, and never if there is none, for the reactor
        /// that it was made with. Costs a system call only where that has changed.
        pub(in crate::driver) fn set(
            &mut self,
            deadline: Option<Instant>,
            reactor: &Reactor,
        ) -> io::Result<()> {
            if self.set_for == deadline {
                return Ok(());
            }
            // Zero would mean never.
            let nanos = deadline.map_or(0, |at| at.as_nanos().max(1));
            let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            let it_value =
                Timespec { tv_sec: seconds.try_into().unwrap_or(i64::MAX), tv_nsec: nanos as _ };
            let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
            timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &spec)?;
            reactor.rings_again(self.fd.as_fd())?;
            self.set_for = deadline;
            Ok(())
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod unsupported {
    use crate::driver::Instant;
    use crate::reactor::Reactor;
    use std::io;

    #[derive(Debug)]
    pub(in crate::driver) enum KernelTimer {}

    impl KernelTimer {
        pub(in crate::driver) fn new(_: &Reactor) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no timerfd"))
        }

        pub(in crate::driver) fn has_become(&mut self, _: Instant) {
            match *self {}
        }

        pub(in crate::driver) fn set(&mut self, _: Option<Instant>, _: &Reactor) -> io::Result<()> {
            match *self {}
        }
    }
}

#[cfg(all(test, not(loom), any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::KernelTimer;
    use crate::driver::Clock;
    use crate::reactor::Reactor;
    use std::num::NonZeroU64;
    use std::time::{Duration, Instant};

    const WATCHDOG: Duration = Duration::from_secs(10);

    #[test]
    fn a_moment_that_has_passed_fires_each_time_it_is_set() {
        let (reactor, mut poller, _alarm) = Reactor::new(NonZeroU64::MIN).unwrap();
        let mut timer = KernelTimer::new(&reactor).unwrap();
        let clock = Clock::real();
        let moment = clock.now() + Duration::from_millis(1);
        let start = Instant::now();
        for _ in 0..3 {
            timer.set(Some(moment), &reactor).unwrap();
            poller.wait(Some(WATCHDOG)).unwrap();
            let now = clock.now();
            assert!(now >= moment, "not early");
            timer.has_become(now);
        }
        assert!(start.elapsed() < WATCHDOG);
    }
}
