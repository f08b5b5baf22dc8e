//! Keeps the host's signals off our threads.
//!
//! The host owns signals: its handlers run on its own threads, and a call of its that is to be
//! interrupted (`EINTR`) must be the one that the signal reaches. So a thread of ours starts with
//! every signal blocked that somebody can send. Those by which the processor or the kernel answers
//! to what a thread itself has just done stay as they were: blocked they would end the process at
//! once, without the handler that reports a stack overflow, or that a virtual machine relies on.
//!
//! # Safety essay
//!
//! rustix offers no signal mask, so this file calls libc, which needs `unsafe`. The sets are plain
//! values on the stack; each is initialised by `sigemptyset`, `sigfillset` or `pthread_sigmask`
//! before it is read. The mask belongs to the calling thread alone, and the guard cannot leave it.

/// Blocks the signals of this thread until the guard drops; a thread started meanwhile inherits it.
pub(super) fn block() -> Blocked {
    imp::block()
}

pub(super) use imp::Blocked;

#[cfg(all(unix, not(loom)))]
mod imp {
    use std::marker::PhantomData;
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    /// The mask that was there before, if it could be changed.
    ///
    /// INVARIANT: stays on the thread whose mask it is.
    pub(in super::super) struct Blocked(Option<libc::sigset_t>, PhantomData<*const ()>);

    /// What a thread brings upon itself.
    const FAULTS: [libc::c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

    pub(super) fn block() -> Blocked {
        let mut most = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: both pointers are to sets on this stack; `most` is initialised by `sigfillset`
        // before it is read, and `before` is read only if the call has filled it.
        let before = unsafe {
            libc::sigfillset(most.as_mut_ptr());
            for fault in FAULTS {
                libc::sigdelset(most.as_mut_ptr(), fault);
            }
            let set = libc::pthread_sigmask(libc::SIG_BLOCK, most.as_ptr(), before.as_mut_ptr());
            (set == 0).then(|| before.assume_init())
        };
        Blocked(before, PhantomData)
    }

    impl Drop for Blocked {
        fn drop(&mut self) {
            if let Some(before) = &self.0 {
                // SAFETY: the set is this thread's former mask, by the invariant.
                unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, null_mut()) };
            }
        }
    }
}

#[cfg(any(not(unix), loom))]
mod imp {
    pub(in super::super) struct Blocked;

    pub(super) fn block() -> Blocked {
        Blocked
    }
}
