//! A child process made by `fork`.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Forks, and ends the child with what `child` says: whether all is well.
#[track_caller]
pub(crate) fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child does not return from this function, and touches what this thread has made.
    match unsafe { libc::fork() } {
        -1 => panic!("no process could be made"),
        0 => {
            // SAFETY: it ends a child that hangs.
            unsafe { libc::alarm(20) };
            let well = catch_unwind(AssertUnwindSafe(child));
            // SAFETY: it ends the child at once, as nothing of its parent's may run here.
            unsafe { libc::_exit(i32::from(!well.unwrap_or(false))) }
        }
        child => {
            let mut status = 0;
            // SAFETY: `status` is written to, and the child is ours.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0, "the child was not well");
        }
    }
}
