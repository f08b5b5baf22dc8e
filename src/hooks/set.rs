//! Hooks as a runtime holds them: absent, alive, or switched off after a panic.

use super::{Hooks, Stall, TaskInfo};
use crate::primitives::{AtomicBool, Ordering};
use crate::util::discard;
use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What is told of panics that nobody waits for, beside hooks or instead of them.
pub(crate) type OnUnhandledPanic = Arc<dyn Fn(&TaskInfo, &(dyn Any + Send)) + Send + Sync>;

/// What is told of stalls, beside hooks or instead of them.
pub(crate) type OnStall = Arc<dyn Fn(&Stall) + Send + Sync>;

/// The hooks of one runtime; clones are the same set, and are switched off together.
///
/// What is told of unhandled panics alone, or of stalls alone, is held apart, so that the events of a
/// runtime which has but those stay as cheap as without. Each is switched off by itself.
#[derive(Clone, Default)]
pub(crate) struct HookSet {
    hooks: Option<Arc<Live<Arc<dyn Hooks>>>>,
    on_unhandled_panic: Option<Arc<Live<OnUnhandledPanic>>>,
    on_stall: Option<Arc<Live<OnStall>>>,
}

/// Somebody else's code that is called until it panics.
struct Live<T> {
    callee: T,
    broken: AtomicBool,
    /// What is reported when it panics.
    report: &'static [u8],
}

impl HookSet {
    pub(crate) fn new(
        hooks: Option<Arc<dyn Hooks>>,
        on_unhandled_panic: Option<OnUnhandledPanic>,
    ) -> Self {
        Self {
            hooks: hooks.map(|hooks| {
                Live::new(
                    hooks,
                    b"mainspring: a hook panicked; this runtime calls its hooks no more\n",
                )
            }),
            on_unhandled_panic: on_unhandled_panic.map(|closure| {
                Live::new(
                    closure,
                    b"mainspring: the closure for unhandled panics panicked; this runtime calls \
                      it no more\n",
                )
            }),
            on_stall: None,
        }
    }

    /// The same, where `closure` is told of stalls, too.
    pub(crate) fn on_stall(mut self, closure: Option<OnStall>) -> Self {
        const REPORT: &[u8] =
            b"mainspring: the closure for stalls panicked; this runtime calls it no more\n";
        self.on_stall = closure.map(|closure| Live::new(closure, REPORT));
        self
    }

    /// Whether anybody listens to stalls.
    pub(crate) fn hear_stalls(&self) -> bool {
        !self.is_empty() || self.on_stall.is_some()
    }

    /// Tells whoever listens of a stall; never unwinds.
    pub(crate) fn tell_stall(&self, stall: &Stall) {
        self.call(|hooks| hooks.on_stall(stall));
        if let Some(live) = &self.on_stall {
            live.call(|closure| closure(stall));
        }
    }

    /// Whether nobody listens to events, so that a caller can skip gathering what it would tell.
    ///
    /// Unhandled panics may have somebody who listens nevertheless: see
    /// [`tell_unhandled`](Self::tell_unhandled).
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.hooks.is_none()
    }

    /// Calls `event` with the hooks, if there are any; never unwinds.
    #[inline]
    pub(crate) fn call(&self, event: impl FnOnce(&dyn Hooks)) {
        if let Some(live) = &self.hooks {
            live.call(|hooks| event(&**hooks));
        }
    }

    /// Tells whoever listens that a task panicked and nobody waits for it; `info` is asked for if
    /// somebody does. Never unwinds.
    #[cold]
    pub(crate) fn tell_unhandled(
        &self,
        info: impl FnOnce() -> TaskInfo,
        payload: &(dyn Any + Send),
    ) {
        if self.is_empty() && self.on_unhandled_panic.is_none() {
            return;
        }
        let info = info();
        self.call(|hooks| hooks.on_unhandled_panic(&info, payload));
        if let Some(live) = &self.on_unhandled_panic {
            live.call(|closure| closure(&info, payload));
        }
    }
}

impl<T> Live<T> {
    fn new(callee: T, report: &'static [u8]) -> Arc<Self> {
        Arc::new(Self { callee, broken: AtomicBool::new(false), report })
    }

    #[cold]
    fn call(&self, event: impl FnOnce(&T)) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| event(&self.callee))) {
            discard(payload);
            if !self.broken.swap(true, Ordering::Relaxed) {
                // Unlike eprintln!, it does not panic where nobody reads standard error.
                let _ = io::stderr().write_all(self.report);
            }
        }
    }

    fn state(&self) -> &'static str {
        match self.broken.load(Ordering::Relaxed) {
            true => "switched off after a panic",
            false => "alive",
        }
    }
}

impl fmt::Debug for HookSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = self.hooks.as_ref().map_or("none", |live| live.state());
        let closure = self.on_unhandled_panic.as_ref().map_or("none", |live| live.state());
        let stalls = self.on_stall.as_ref().map_or("none", |live| live.state());
        f.debug_struct("HookSet")
            .field("hooks", &format_args!("{hooks}"))
            .field("on_unhandled_panic", &format_args!("{closure}"))
            .field("on_stall", &format_args!("{stalls}"))
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_listens_to_unhandled_panics_alone_costs_no_event_anything() {
        let set = HookSet::new(None, Some(Arc::new(|_: &TaskInfo, _: &(dyn Any + Send)| {})));
        assert!(set.is_empty());
        set.call(|_| unreachable!("there are no hooks"));
    }

    #[test]
    fn nobody_gathers_what_nobody_hears() {
        HookSet::default().tell_unhandled(|| unreachable!("nobody listens"), &"payload");
    }

    #[test]
    fn clones_are_switched_off_together() {
        struct Idle;
        impl Hooks for Idle {}
        let set = HookSet::new(Some(Arc::new(Idle)), None);
        let clone = set.clone();
        set.call(|_| panic!("a hook"));
        clone.call(|_| unreachable!("switched off"));
        assert_eq!(
            format!("{clone:?}"),
            "HookSet { hooks: switched off after a panic, on_unhandled_panic: none, on_stall: none }"
        );
    }
}
