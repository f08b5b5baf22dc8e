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
pub(crate) fn block() -> Former {
    imp::block()
}

/// Runs `f` with no signal blocked on this thread, and then blocks again those that were.
///
/// The threads of a pool block the signals that others can send, and a process begins with those
/// blocked that the thread blocks which starts it: started there just so, it would hear neither
/// Ctrl-C nor a SIGTERM, and `kill -9` alone would end it. So a job starts processes within this.
/// While `f` runs, handlers of the host may be called on this thread.
///
/// On systems other than Unix it only calls `f`.
///
/// # Examples
///
/// ```
/// use mainspring::offload::with_signals_unblocked;
/// use std::process::Command;
///
/// # mainspring::block_on(async {
/// let status = mainspring::spawn_blocking(|| {
///     let mut child = with_signals_unblocked(|| Command::new("true").spawn())?;
///     child.wait()
/// });
/// assert!(status.await.unwrap()?.success());
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub fn with_signals_unblocked<T>(f: impl FnOnce() -> T) -> T {
    let _blocked_again = imp::unblock();
    f()
}

pub(super) use imp::Former;

#[cfg(all(unix, not(loom)))]
mod imp {
    use std::marker::PhantomData;
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    /// The mask that was there before, if it could be changed; it is put back when this drops.
    ///
    /// INVARIANT: stays on the thread whose mask it is.
    pub(crate) struct Former(Option<libc::sigset_t>, PhantomData<*const ()>);

    /// What a thread brings upon itself.
    const FAULTS: [libc::c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

    pub(crate) fn block() -> Former {
        change(libc::SIG_BLOCK)
    }

    pub(super) fn unblock() -> Former {
        change(libc::SIG_UNBLOCK)
    }

    /// Adds all that others can send to the mask of this thread, or takes it out.
    fn change(how: libc::c_int) -> Former {
        let mut most = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: both pointers are to sets on this stack; `most` is initialised by `sigfillset`
        // before it is read, and `before` is read only if the call has filled it.
        let before = unsafe {
            libc::sigfillset(most.as_mut_ptr());
            for fault in FAULTS {
                libc::sigdelset(most.as_mut_ptr(), fault);
            }
            let set = libc::pthread_sigmask(how, most.as_ptr(), before.as_mut_ptr());
            (set == 0).then(|| before.assume_init())
        };
        Former(before, PhantomData)
    }

    impl Drop for Former {
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
    pub(crate) struct Former;

    pub(crate) fn block() -> Former {
        Former
    }

    pub(super) fn unblock() -> Former {
        Former
    }
}
