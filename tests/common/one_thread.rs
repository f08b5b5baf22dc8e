//! `block_on` on the thread of the test itself, for what depends on an order of polls.

use std::future::Future;

/// Runs `future` on a `LocalRuntime` made for it.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    mainspring::LocalRuntime::builder().build().unwrap().block_on(future)
}
