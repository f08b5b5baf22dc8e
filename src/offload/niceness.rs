//! A lower priority for the threads of a pool.
//!
//! On Linux the nice value is each thread's own (setpriority(2), under "C library/kernel
//! differences"), and a new thread has that of the one that starts it. Threads of a pool start each
//! other, so the value is settled once, when the pool is made, and each thread sets it for itself:
//! added by each, it would grow from thread to thread.
//!
//! Elsewhere the nice value is the process's, and would slow down everybody; there nothing is done.

/// The most that can be added.
pub(super) const MOST: u8 = 19;

/// What the threads of a pool set for themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Niceness(Option<i32>);

impl Niceness {
    /// `added` to what the present thread has.
    pub(super) fn beside_this_thread(added: u8) -> Self {
        Self((added > 0).then(|| imp::of_this_thread() + i32::from(added)))
    }

    /// Sets it for the present thread, which goes on as it is where the system refuses.
    pub(super) fn apply(self) {
        if let Some(level) = self.0 {
            imp::raise_to(level.min(i32::from(MOST)));
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use rustix::process::{getpriority_process, setpriority_process};

    // To the kernel of Linux, no number means the calling thread.
    pub(super) fn of_this_thread() -> i32 {
        getpriority_process(None).unwrap_or(0)
    }

    pub(super) fn raise_to(level: i32) {
        // The one that starts a thread may have been nicer already.
        if of_this_thread() < level {
            let _ = setpriority_process(None, level);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    pub(super) fn of_this_thread() -> i32 {
        0
    }

    pub(super) fn raise_to(_: i32) {}
}
