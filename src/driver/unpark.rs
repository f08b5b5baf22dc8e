//! The word by which a thread is kept from sleeping, or woken.

use crate::primitives::{AtomicU32, Ordering};
use Ordering::{AcqRel, Acquire, Relaxed};

/// The thread runs, or has not been told of anything since it last asked.
const AWAKE: u32 = 0;
/// The thread waits in the kernel, or is about to.
const ASLEEP: u32 = 1;
/// Somebody has left work since the thread last asked.
const NOTIFIED: u32 = 2;

/// One word for one sleeper and any number of notifiers.
///
/// Work is left first, with any ordering, then [`notify`](Self::notify) releases it. The sleeper
/// takes the notice with an acquire and looks for the work afterwards: it cannot miss it.
/// `notify` is a read-modify-write even if the word says `NOTIFIED` already, because the work left
/// before it has to be released too. A sleeper that announces itself while the word says `NOTIFIED`
/// does not sleep; a notifier that finds `ASLEEP` is the one, and the only one, that wakes it.
#[derive(Debug)]
pub(super) struct Unpark(AtomicU32);

impl Unpark {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(AWAKE))
    }

    /// Tells the sleeper that there is work. `true` asks the caller to end the wait in the kernel.
    #[must_use]
    pub(super) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, AcqRel) == ASLEEP
    }

    /// The sleeper is about to wait; `false` if it must not.
    #[must_use]
    pub(super) fn announce(&self) -> bool {
        self.0.compare_exchange(AWAKE, ASLEEP, AcqRel, Acquire).is_ok()
    }

    /// The sleeper is back. A notice that came meanwhile stays until [`take`](Self::take).
    pub(super) fn awake(&self) {
        let _ = self.0.compare_exchange(ASLEEP, AWAKE, AcqRel, Acquire);
    }

    /// Whether there is a notice; it stays.
    pub(super) fn is_notified(&self) -> bool {
        self.0.load(Acquire) == NOTIFIED
    }

    /// Whether there was a notice; it is taken.
    #[inline]
    pub(super) fn take(&self) -> bool {
        self.0.load(Relaxed) == NOTIFIED && self.0.swap(AWAKE, AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::primitives::{Arc, Mutex, thread};

    /// Stands in for the kernel's wait: one permit, as an eventfd has.
    struct Kernel(loom::sync::Notify);

    #[test]
    fn loom_unpark_against_park() {
        loom::model(|| {
            let shared =
                Arc::new((Unpark::new(), Mutex::new(0), Kernel(loom::sync::Notify::new())));
            let notifiers: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    thread::spawn(move || {
                        *shared.1.lock() += 1;
                        if shared.0.notify() {
                            shared.2.0.notify();
                        }
                    })
                })
                .collect();
            let mut seen = 0;
            while seen < 2 {
                // A lost wake shows as a sleep without end, which loom reports as a deadlock.
                if shared.0.announce() {
                    shared.2.0.wait();
                    shared.0.awake();
                }
                if shared.0.take() {
                    seen += std::mem::take(&mut *shared.1.lock());
                }
            }
            for notifier in notifiers {
                notifier.join().unwrap();
            }
        });
    }
}
