//! The future of a `block_on` beside workers: polled by its caller, which polls nothing else.

use crate::coop;
use crate::primitives::{AtomicBool, Ordering, Parker};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What wakes the thread that waits for its root.
struct Caller {
    woken: AtomicBool,
    parker: Parker,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.parker.unpark();
        }
    }
}

/// Polls `root` on the present thread until it is ready, and sleeps in between.
pub(super) fn run<F: Future>(root: F) -> F::Output {
    let caller = Arc::new(Caller { woken: AtomicBool::new(false), parker: Parker::new() });
    let waker = Waker::from(Arc::clone(&caller));
    let mut cx = Context::from_waker(&waker);
    let mut root = pin!(root);
    loop {
        let budget = coop::start();
        let polled = root.as_mut().poll(&mut cx);
        drop(budget);
        if let Poll::Ready(output) = polled {
            return output;
        }
        while !caller.woken.swap(false, Ordering::AcqRel) {
            caller.parker.park();
        }
    }
}
