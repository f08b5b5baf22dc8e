//! The blocking ends: a plain thread waits where a task would.

use crate::coop;
use crate::primitives::Parker;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Lets the thread sleep until `future` is ready.
///
/// `call` is what the user called, and `instead` what to do in a task: both for the panic.
///
/// # Panics
///
/// Inside the poll of a task of this crate, also where nothing would have to be waited for: so that
/// the mistake shows the first time, and not under load.
#[track_caller]
pub(super) fn block_on<F: Future>(future: F, call: &str, instead: &str) -> F::Output {
    refuse_in_task(call, instead);
    let mut future = pin!(future);
    let sleeper = Arc::new(Sleeper(Parker::new()));
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => sleeper.0.park(),
        }
    }
}

/// The panic of [`block_on`] alone, for a way that does not come to wait.
#[inline]
#[track_caller]
pub(super) fn refuse_in_task(call: &str, instead: &str) {
    if coop::is_limited() {
        refuse(call, instead);
    }
}

#[cold]
#[track_caller]
fn refuse(call: &str, instead: &str) -> ! {
    panic!(
        "{call} was called inside a task, whose thread it would block: {instead} instead, or call \
         it in a closure of spawn_blocking"
    );
}

/// The thread that waits.
struct Sleeper(Parker);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::block_on;
    use crate::coop;
    use std::cell::Cell;
    use std::future::{poll_fn, ready};
    use std::panic::catch_unwind;
    use std::task::Poll;
    use std::thread;

    #[test]
    fn it_sleeps_until_it_is_woken_and_polls_again() {
        let polls = Cell::new(0);
        let slow = poll_fn(|cx| {
            polls.set(polls.get() + 1);
            match polls.get() {
                // Woken before it sleeps.
                1 => cx.waker().wake_by_ref(),
                2 => {
                    let waker = cx.waker().clone();
                    thread::spawn(move || waker.wake());
                }
                _ => return Poll::Ready("done"),
            }
            Poll::Pending
        });
        assert_eq!(block_on(slow, "f", "await"), "done");
        assert_eq!(polls.get(), 3);
    }

    #[test]
    fn a_task_is_not_blocked_and_is_told_what_to_do() {
        let _budget = coop::start();
        let blocked = || block_on(ready(()), "Thing::blocking_wait", "await `wait()`");
        let text = *catch_unwind(blocked).unwrap_err().downcast::<String>().unwrap();
        assert_eq!(
            text,
            "Thing::blocking_wait was called inside a task, whose thread it would block: await \
             `wait()` instead, or call it in a closure of spawn_blocking"
        );
        let _free = coop::unlimited();
        block_on(ready(()), "Thing::blocking_wait", "await `wait()`");
    }
}
