//! Hooks as a runtime holds them: absent, alive, or switched off after a panic.

use super::Hooks;
use crate::primitives::{AtomicBool, Ordering};
use crate::util::discard;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The hooks of one runtime; clones are the same set, and are switched off together.
#[derive(Clone)]
pub(crate) struct HookSet(Option<Arc<Live>>);

struct Live {
    hooks: Arc<dyn Hooks>,
    broken: AtomicBool,
}

impl HookSet {
    pub(crate) fn new(hooks: Option<Arc<dyn Hooks>>) -> Self {
        Self(hooks.map(|hooks| Arc::new(Live { hooks, broken: AtomicBool::new(false) })))
    }

    /// Whether nobody listens, so that a caller can skip gathering what it would tell.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Calls `event` with the hooks, if there are any; never unwinds.
    #[inline]
    pub(crate) fn call(&self, event: impl FnOnce(&dyn Hooks)) {
        if let Some(live) = &self.0 {
            live.call(event);
        }
    }
}

impl Live {
    #[cold]
    fn call(&self, event: impl FnOnce(&dyn Hooks)) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| event(&*self.hooks))) {
            discard(payload);
            if !self.broken.swap(true, Ordering::Relaxed) {
                // Unlike eprintln!, it does not panic where nobody reads standard error.
                let _ = io::stderr().write_all(
                    b"mainspring: a hook panicked; this runtime calls its hooks no more\n",
                );
            }
        }
    }
}

impl fmt::Debug for HookSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            None => "none",
            Some(live) if live.broken.load(Ordering::Relaxed) => "switched off after a panic",
            Some(_) => "alive",
        };
        write!(f, "HookSet({state})")
    }
}
