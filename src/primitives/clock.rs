//! The system's monotonic clock, as a number.
//!
//! `std::time::Instant` gives no number, and the difference of two costs a fifth of what the reading
//! does. rustix calls the kernel's own code (the vDSO) where it finds it by itself, which crashes under
//! valgrind, as that takes the code away; the C library's function works everywhere.
//!
//! # Safety essay
//!
//! The one call writes a plain value that is on the stack.

pub(crate) use imp::monotonic_nanos;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    /// Nanoseconds on the clock by which the kernel's timers go, too.
    #[inline]
    pub(crate) fn monotonic_nanos() -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` is valid for writes. It cannot fail: the clock is always there.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        // Neither is negative, and the sum cannot wrap for 584 years.
        (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Nanoseconds since the first call.
    #[inline]
    pub(crate) fn monotonic_nanos() -> u64 {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let since = ORIGIN.get_or_init(Instant::now).elapsed();
        since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(since.subsec_nanos()))
    }
}
