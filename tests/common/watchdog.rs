//! Keeps a test that hangs from hanging the whole run.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Far above what any test takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `test` on a thread of its own, and fails if it does not come to an end.
#[track_caller]
pub(crate) fn within(test: impl FnOnce() + Send + 'static) {
    let (alive, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _alive = alive;
        test();
    });
    if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    if let Err(payload) = thread.join() {
        resume_unwind(payload);
    }
}
