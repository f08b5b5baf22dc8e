//! The kernel's coarse clock: the date of its last tick, some milliseconds ago, for a fifth of what the
//! fine one costs, which reads the counter of the CPU. For what is told to the second; where a tick is
//! late the date is, too, so that no time limit is counted from it.
//!
//! Through libc, as rustix looks for the vDSO by itself, and crashes under Valgrind, which hides it.
//!
//! # Safety essay
//!
//! One call, which writes to the room that it is given, and to nothing else.

/// The date in seconds since 1970 (UTC).
#[inline]
pub(crate) fn second() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // It fails only for clocks that there are not, and this one Linux has had since 2.6.32.
    // SAFETY: `time` is room for the answer, and lives during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut time) };
    // Nobody's date is before 1970 but by mistake.
    u64::try_from(time.tv_sec).unwrap_or(0)
}
