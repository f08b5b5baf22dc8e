//! A clock that counts its own readings, so that each run takes the same steps.
//!
//! Runtimes measure how long polls take, and choose by that when to ask the kernel: with a real clock
//! no two runs are the same, and under valgrind, fifty times slower, they are not even alike. So this
//! program has its own `clock_gettime`, which the linker takes before that of the C library: each
//! reading is a microsecond after the last one, which is about how often a busy runtime reads it. A
//! reading costs fewer instructions here than in the kernel's page; the script counts the readings.
//!
//! It has its own `epoll_wait` too. A wait that ends without events moves the clock by its timeout;
//! once [`jump_when_idle`] was called it does not really wait, so that timers fire as fast as they
//! can be fired. A runtime that waits by another call, or by another clock, does really wait.

use rustix::event::{Timespec, epoll};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;

const STEP: u64 = 1_000;

// Of the one thread that there is: read-modify-writes are counted, so there should be none here.
thread_local! {
    /// In nanoseconds. It begins in the year 2026, for those who ask for the date.
    static NOW: Cell<u64> = const { Cell::new(1_770_000_000_000_000_000) };
    static JUMPS: Cell<bool> = const { Cell::new(false) };
}

/// From now on, waits that have a timeout take no time where there is nothing to wait for.
pub(crate) fn jump_when_idle() {
    JUMPS.set(true);
}

/// # Safety
///
/// As that of the C library: `to` is a `timespec` that may be written.
// Inlined it could not be counted.
#[inline(never)]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(_clock: c_int, to: *mut Timespec) -> c_int {
    let now = NOW.get();
    NOW.set(now + STEP);
    let (tv_sec, tv_nsec) = ((now / 1_000_000_000) as i64, (now % 1_000_000_000) as i64);
    // SAFETY: the caller's word.
    unsafe { to.write(Timespec { tv_sec, tv_nsec }) };
    0
}

/// # Safety
///
/// As that of the C library: `events` has room for so many, and `epoll` is open.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut c_void,
    room: c_int,
    timeout_ms: c_int,
) -> c_int {
    let jumps = JUMPS.get() && timeout_ms > 0;
    let timeout = match timeout_ms {
        _ if jumps => Some(Timespec::default()),
        ..0 => None,
        ms => Some(Timespec {
            tv_sec: i64::from(ms / 1000),
            tv_nsec: i64::from(ms % 1000) * 1_000_000,
        }),
    };
    let room = usize::try_from(room).unwrap_or(0);
    // SAFETY: the caller's word; rustix's events are laid out as the kernel's, and need not be
    // initialised to be written.
    let waited = unsafe {
        let events = events.cast::<std::mem::MaybeUninit<epoll::Event>>();
        let events = std::slice::from_raw_parts_mut(events, room);
        epoll::wait(BorrowedFd::borrow_raw(epoll), events, timeout.as_ref())
            .map(|(ready, _)| ready.len())
    };
    match waited {
        Ok(0) => {
            let ms = u64::try_from(timeout_ms).unwrap_or(0);
            NOW.set(NOW.get() + ms * 1_000_000);
            0
        }
        Ok(count) => count as c_int,
        // Callers read errno only after a negative answer, and the wait is cut short by nothing here.
        Err(error) => panic!("epoll_wait: {error}"),
    }
}
