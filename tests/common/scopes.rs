//! What tests of scopes have in common: who was dropped, in which order.
#![allow(dead_code)]

use mainspring::group::{Failure, ScopeError};
use mainspring::sim;
use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs under a few seeds, in virtual time.
pub(crate) fn check<F: Future<Output = ()>>(test: impl Fn() -> F + Send + 'static) {
    crate::watchdog::within(move || sim::check(0..50, test));
}

/// The names of those that were dropped, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Rc<RefCell<Vec<&'static str>>>);

pub(crate) struct Leaves(Log, &'static str);

impl Log {
    pub(crate) fn guard(&self, name: &'static str) -> Leaves {
        Leaves(self.clone(), name)
    }

    pub(crate) fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }

    /// Waits for ever; its end is noted.
    pub(crate) fn waits<T>(&self, name: &'static str) -> impl Future<Output = T> + use<T> {
        let guard = self.guard(name);
        async move {
            let _guard = guard;
            pending().await
        }
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.0.borrow_mut().push(self.1);
    }
}

pub(crate) type Outcome<T, E = &'static str> = Result<T, ScopeError<E>>;

#[track_caller]
pub(crate) fn cause<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Outcome<T, E>) -> Failure<E> {
    outcome.unwrap_err().into_cause()
}
