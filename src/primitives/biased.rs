//! A lock that costs its owner, one thread, next to nothing.
//!
//! A mutex that nobody else wants costs two read-modify-writes a turn, 9 to 13 ns. [`Biased`] costs
//! its owner two stores and a load. Others pay for that: the first that comes after the owner had it
//! for itself makes the kernel order the memory of all threads (`membarrier`), which takes
//! microseconds. From then on it is a mutex for everybody, until the owner was there often enough
//! alone; how often that is doubles, since the heavy fence disturbs all threads of the process.
//!
//! # How it works
//!
//! ```text
//! owner                                other, who holds the mutex
//!   inside ← true                        revoked ← true
//!   light fence (compiler only)          heavy fence (all threads)
//!   revoked?  no: in the cell            inside?  yes: wait
//!             yes: out, by the mutex              no: in the cell
//! ```
//!
//! # Safety essay
//!
//! The cell is reached in two ways: by the mutex, and by the owner's short way. Those who hold the
//! mutex exclude each other. It remains to show that nobody is on the short way meanwhile:
//!
//! - `revoked` is set under the mutex before the cell is touched by somebody else, and cleared by the
//!   owner only, who holds the mutex then. So while another holds the mutex it stays set; and where
//!   the owner reads that it is clear, it reads its own store, which nothing has to be acquired with.
//! - Between the two sides lie the two fences, which together are what two full fences would be (the
//!   model has those): of the owner that enters and the other that looks, one sees the other's store.
//!   If it is the owner, it leaves again, untouched. If it is the other, it waits until `inside` is
//!   false.
//! - The release that clears `inside` is acquired by that wait: what the owner did lies before. An
//!   entry by the short way after that one sees `revoked`. When the owner clears `revoked`, it has
//!   acquired the mutex after the others: what they did lies before.
//! - The owner meets itself only where `f` comes back here. On both ways `inside` is true while its
//!   `f` runs, so then it panics. Inside by the mutex nobody waits for it: who would holds the mutex.
//!
//! That the owner's thread ends leaves `inside` false. A key is one thread's only, so another never
//! passes for it; and before the owner has begun, nobody is on the short way.
//!
//! A child made by `fork` inherits that its process may ask for the heavy fence. So that can fail only
//! where a filter of system calls came after the look whether there is one. Then the other waits so
//! long that no processor can hold back a store, or have loaded ahead of it: a thread that runs makes
//! its stores seen within microseconds, and one that is interrupted in between does so at once. No
//! short way is opened from then on, so each lock waits like that once at most.

use super::{AtomicBool, Mutex, Ordering, ThreadKey, UnsafeCell, thread};
use super::{heavy_fence, heavy_fence_is_there, light_fence, prepare_heavy_fence};
use Ordering::{Acquire, Relaxed, Release};
use std::fmt;
use std::time::Duration;

/// After so many turns of the owner by the mutex, in which no other came, it has the short way again.
/// The heavy fence that this may cost is paid for by what they have saved.
const FEWEST_ALONE: u32 = if cfg!(loom) { 1 } else { 1024 };
/// Each time it takes twice as many, up to so many: others who come again and again must not keep the
/// process busy with heavy fences.
const MOST_ALONE: u32 = if cfg!(loom) { 1 } else { 64 * FEWEST_ALONE };

/// A value that its owner, one thread, reaches at less cost than others.
///
/// Under it, as under any lock of ours, no code of others runs.
pub(crate) struct Biased<T> {
    owner: ThreadKey,
    /// The owner is on the short way.
    inside: AtomicBool,
    /// The short way is closed.
    revoked: AtomicBool,
    turns: Mutex<Turns>,
    value: UnsafeCell<T>,
}

/// What is known of the owner's turns by the mutex.
struct Turns {
    /// How many there were since another was here.
    alone: u32,
    /// After how many it has the short way again.
    needed: u32,
}

// SAFETY: it gives access to one thread at a time, by the essay, as a mutex does.
unsafe impl<T: Send> Send for Biased<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Biased<T> {}

/// Does now what the first other thread at any of these locks would wait for, once in a process: up to
/// tens of milliseconds, if the process has several threads.
pub(crate) fn prepare_for_others() {
    if heavy_fence_is_there() {
        prepare_heavy_fence();
    }
}

impl<T> Biased<T> {
    /// One that belongs to the present thread.
    #[cfg(test)]
    fn new(value: T) -> Self {
        Self::owned_by(ThreadKey::current(), value)
    }

    /// One that belongs to a thread, which need not have begun. Where the system has no heavy fence it
    /// is a mutex.
    pub(crate) fn owned_by(thread: ThreadKey, value: T) -> Self {
        let owner = if heavy_fence_is_there() { thread } else { ThreadKey::NONE };
        Self {
            owner,
            inside: AtomicBool::new(false),
            revoked: AtomicBool::new(owner == ThreadKey::NONE),
            turns: Mutex::new(Turns { alone: 0, needed: FEWEST_ALONE }),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value, while nobody else has it.
    ///
    /// # Panics
    ///
    /// If the owner's `f` comes back here; if another's does, that is a deadlock.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        if !self.is_owned() {
            return self.with_mutex(f);
        }
        assert!(!self.inside.load(Relaxed), "a lock was taken by the thread that holds it");
        self.inside.store(true, Relaxed);
        let leave = Leave(&self.inside);
        light_fence();
        if self.revoked.load(Relaxed) {
            drop(leave);
            return self.with_mutex(f);
        }
        // SAFETY: nobody else is in the cell, and we are so once; see the essay.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }

    #[cold]
    fn with_mutex<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let owned = self.is_owned();
        if !owned && !self.revoked.load(Relaxed) {
            prepare_heavy_fence();
        }
        let mut turns = self.turns.lock();
        // Left before the mutex is.
        let _leave;
        if owned {
            self.inside.store(true, Relaxed);
            _leave = Leave(&self.inside);
            turns.alone += 1;
            if turns.alone == turns.needed {
                *turns = Turns { alone: 0, needed: (2 * turns.needed).min(MOST_ALONE) };
                self.revoked.store(!heavy_fence_is_there(), Relaxed);
            }
        } else {
            turns.alone = 0;
            if !self.revoked.load(Relaxed) {
                // Open again since the look above, perhaps: then others have prepared the fence.
                self.revoked.store(true, Relaxed);
                heavy_fence();
                self.wait_for_owner();
            }
        }
        // SAFETY: we hold the mutex, and nobody is on the short way; see the essay.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }

    /// The owner is inside for a few instructions, unless it was interrupted there.
    fn wait_for_owner(&self) {
        let mut looks = 0;
        while self.inside.load(Acquire) {
            looks += 1;
            if cfg!(loom) || looks < 64 {
                thread::yield_now();
            } else {
                // It may need this processor.
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    #[inline]
    fn is_owned(&self) -> bool {
        self.owner.is_here()
    }
}

impl<T> fmt::Debug for Biased<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Biased").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Opens the lock, also where `f` unwinds.
struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn others_and_the_owner_exclude_each_other() {
        let turns: u64 = if cfg!(miri) { 100 } else { 300_000 };
        let shared = Arc::new(Biased::new((0u64, 0u64)));
        let add = |shared: &Biased<(u64, u64)>| {
            shared.with(|(a, b)| {
                assert_eq!(a, b);
                *a += 1;
                *b += 1;
            });
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    for turn in 0..200 {
                        add(&shared);
                        // So that the owner gets its short way back in between.
                        if turn % 8 == 0 {
                            thread::sleep(Duration::from_micros(300));
                        }
                    }
                })
            })
            .collect();
        for _ in 0..turns {
            add(&shared);
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.with(|both| *both), (turns + 400, turns + 400));
    }

    #[test]
    fn a_panic_inside_leaves_it_open() {
        let shared = Biased::new(0);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            shared.with(|_| panic!("inside"));
        }));
        assert!(panicked.is_err());
        shared.with(|n| *n += 1);
        std::thread::scope(|scope| {
            scope.spawn(|| shared.with(|n| assert_eq!(*n, 1)));
        });
    }

    #[test]
    fn the_owner_has_the_short_way_again_when_it_was_long_alone() {
        if !heavy_fence_is_there() {
            return;
        }
        let shared = Biased::new(0);
        visit(&shared);
        for _ in 0..FEWEST_ALONE {
            assert!(shared.revoked.load(Relaxed));
            shared.with(|n| *n += 1);
        }
        assert!(!shared.revoked.load(Relaxed));
        let visits = [2, 4, 8, 16, 32, 64, 64, 64].map(|times| {
            visit(&shared);
            let turns = (1..).find(|_| {
                shared.with(|n| *n += 1);
                !shared.revoked.load(Relaxed)
            });
            (turns, Some(times * FEWEST_ALONE))
        });
        for (turns, expected) in visits {
            assert_eq!(turns, expected);
        }
    }

    #[test]
    fn the_owners_turns_count_only_while_no_other_comes() {
        let shared = Biased::new(0);
        for _ in 0..3 {
            visit(&shared);
            for _ in 1..FEWEST_ALONE {
                shared.with(|n| *n += 1);
            }
            assert!(shared.revoked.load(Relaxed));
        }
    }

    /// On the turn that opens the short way, too.
    #[test]
    fn the_owner_that_comes_back_panics_on_each_way() {
        let shared = Biased::new(0);
        visit(&shared);
        for turn in 0..FEWEST_ALONE + 2 {
            shared.with(|n| *n += 1);
            if (2..FEWEST_ALONE - 2).contains(&turn) {
                continue;
            }
            let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                shared.with(|_| shared.with(|_| ()));
            }));
            assert!(again.is_err(), "two references to the value at a time");
        }
    }

    /// As a filter of system calls may come at any time: here in a process of its own.
    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn a_heavy_fence_that_fails_leaves_a_mutex() {
        const NAME: &str = "primitives::biased::tests::a_heavy_fence_that_fails_leaves_a_mutex";
        const CHILD: &str = "MAINSPRING_TEST_WITHOUT_MEMBARRIER";
        if std::env::var_os(CHILD).is_none() {
            let itself = std::env::current_exe().unwrap();
            let output = std::process::Command::new(itself)
                .args([NAME, "--exact", "--nocapture"])
                .env(CHILD, "1")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
            return;
        }
        let shared = Biased::new(0);
        shared.with(|n| *n += 1);
        if shared.revoked.load(Relaxed) || !forbid(libc::SYS_membarrier) {
            return;
        }
        visit(&shared);
        for _ in 0..2 * FEWEST_ALONE {
            shared.with(|n| *n += 1);
            assert!(shared.revoked.load(Relaxed), "another would wait again");
        }
        assert!(Biased::new(0).revoked.load(Relaxed), "another would wait here, too");
    }

    /// Makes a system call fail, in this thread and in those that it starts; whether that could be.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn forbid(call: libc::c_long) -> bool {
        let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
        let mut steps = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: the first takes numbers; the second reads the steps, which live meanwhile.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
                    == 0
        }
    }

    fn visit(shared: &Biased<u32>) {
        std::thread::scope(|scope| {
            scope.spawn(|| shared.with(|n| *n += 1));
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::super::Arc;
    use super::*;

    fn check(owners: usize, others: &'static [usize]) {
        loom::model(move || {
            // The cell of loom tells of two who are in it at a time.
            let shared = Arc::new(Biased::new(0));
            let threads: Vec<_> = others
                .iter()
                .map(|turns| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        for _ in 0..*turns {
                            shared.with(|n| *n += 1);
                        }
                    })
                })
                .collect();
            for _ in 0..owners {
                shared.with(|n| *n += 1);
            }
            for other in threads {
                other.join().unwrap();
            }
            assert_eq!(shared.with(|n| *n), owners + others.iter().sum::<usize>());
        });
    }

    #[test]
    fn loom_biased_owner_against_another() {
        check(3, &[1]);
    }

    #[test]
    fn loom_biased_short_way_is_opened_and_closed_again() {
        check(2, &[2]);
    }

    #[test]
    fn loom_biased_owner_against_two() {
        check(2, &[1, 1]);
    }
}
