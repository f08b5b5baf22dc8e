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
    use std::time::Duration;

    /// A timerfd. It is never read: setting it anew forgets that it had fired.
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

        /// Fires at `deadline`, at once if that is over, and never if there is none. Costs a system
        /// call only where that has changed.
        pub(in crate::driver) fn set(
            &mut self,
            deadline: Option<Instant>,
            now: Instant,
        ) -> io::Result<()> {
            if self.set_for == deadline && deadline.is_none_or(|at| at > now) {
                return Ok(());
            }
            let after = deadline.map(|at| at.saturating_duration_since(now));
            // Zero would mean never.
            let after = after.map(|after| after.max(Duration::from_nanos(1)));
            let it_value = after.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, |after| Timespec {
                tv_sec: after.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: after.subsec_nanos().into(),
            });
            let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
            timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &spec)?;
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

        pub(in crate::driver) fn set(&mut self, _: Option<Instant>, _: Instant) -> io::Result<()> {
            match *self {}
        }
    }
}
