//! The kernel's coarse clocks: the time of its last tick, some milliseconds ago at most, for a fifth of
//! what the fine ones cost, which read the counter of the CPU.
//!
//! Through libc, as rustix looks for the vDSO by itself, and crashes under Valgrind, which hides it.
//!
//! # Safety
//!
//! One call, which writes to the room that it is given, and to nothing else.

use std::time::Duration;

/// The date: time since 1970 (UTC).
#[inline]
pub(crate) fn wall() -> Duration {
    read(libc::CLOCK_REALTIME_COARSE)
}

/// The clock behind `std::time::Instant`.
#[inline]
pub(crate) fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// The same clock, read exactly.
pub(crate) fn monotonic_exactly() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// How long a tick lasts.
pub(crate) fn tick() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is room for the answer, and lives during the call.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    duration(time)
}

#[inline]
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // It fails only for clocks that there are not, and these Linux has had since 2.6.32.
    // SAFETY: `time` is room for the answer, and lives during the call.
    unsafe { libc::clock_gettime(clock, &mut time) };
    duration(time)
}

#[inline]
fn duration(time: libc::timespec) -> Duration {
    // Nobody's date is before 1970 but by mistake.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), time.tv_nsec as u32)
}
