//! A C interface to a runtime, as little as a host in another language needs: `asyncio_host.py` drives
//! it from Python's asyncio.
//!
//! # Safety essay
//!
//! `ms_new` gives a pointer that only `ms_free` ends; the other functions borrow it in between. The
//! runtime is not `Send`: all calls come from the thread that made it. Callbacks are called by
//! `ms_turn`, on that thread, and may call `ms_sleep`, but not `ms_turn` (which answers -1 then) nor
//! `ms_free`.

use mainspring::time::sleep;
use mainspring::{Budget, LocalRuntime};
use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// A runtime whose deadlines its descriptor tells of, too; null if there can be none.
#[unsafe(no_mangle)]
pub extern "C" fn ms_new() -> *mut LocalRuntime {
    let built = LocalRuntime::builder().timer_fd(true).build();
    built.map_or(std::ptr::null_mut(), |rt| Box::into_raw(Box::new(rt)))
}

/// The descriptor to watch for reading.
///
/// # Safety
///
/// As the essay says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_fd(rt: *const LocalRuntime) -> c_int {
    // SAFETY: the caller's word.
    unsafe { &*rt }.as_fd().as_raw_fd()
}

/// A turn: 1 if there is more to do, 0 if not, -1 if it could not be made.
///
/// # Safety
///
/// As the essay says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_turn(rt: *const LocalRuntime) -> c_int {
    // SAFETY: the caller's word.
    match unsafe { &*rt }.turn(Budget::new()) {
        Ok(report) => c_int::from(report.has_more),
        Err(_) => -1,
    }
}

/// Calls `callback` with `data` in a turn that is at least `millis` away.
///
/// # Safety
///
/// As the essay says, and `callback` may be called with `data` until `ms_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_sleep(
    rt: *const LocalRuntime,
    millis: u64,
    callback: extern "C" fn(*mut c_void),
    data: *mut c_void,
) {
    // SAFETY: the caller's word.
    let task = unsafe { &*rt }.spawn_local(async move {
        sleep(Duration::from_millis(millis)).await;
        callback(data);
    });
    drop(task);
}

/// Ends the runtime; callbacks that were not called will not be.
///
/// # Safety
///
/// `rt` came from `ms_new`, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_free(rt: *mut LocalRuntime) {
    // SAFETY: the caller's word.
    drop(unsafe { Box::from_raw(rt) });
}
