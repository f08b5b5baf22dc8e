//! A scheduler of one thread that is watched: what it does not return from is told. Nobody stands in for it,
//! as its tasks stay on its thread.

use super::bell::Bell;
use super::local::{Local, WORKER};
use super::reports::Reports;
use super::rounds::Rounds;
use super::seat::{Beside, Running};
use super::sentry::Report;
use super::spent;
use super::watch::Watch;
use crate::driver::Clock;
use crate::hooks::PollOutcome;
use crate::offload::signals;
use crate::primitives::{AtomicBool, Ordering::Relaxed, thread};
use crate::task::{Ran, Runnable};
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What the sentry of a scheduler sees of it.
#[derive(Debug)]
struct Watched {
    running: Running,
    /// The thread sleeps, or is outside the scheduler.
    away: AtomicBool,
    bell: Bell,
}

/// The scheduler's end of its watch; the sentry ends when it is dropped.
pub(super) struct Watching {
    watched: Arc<Watched>,
    /// How often something was begun.
    begun: Cell<u64>,
    sentry: Option<thread::JoinHandle<()>>,
}

impl Local {
    /// Has a thread of its own tell of what this one does not return from for so long.
    pub(super) fn watch(&mut self, report_after: Duration) -> io::Result<()> {
        let watched = Arc::new(Watched {
            running: Running::default(),
            away: AtomicBool::new(true),
            bell: Bell::default(),
        });
        let hooks = self.home.hooks().clone();
        let name = String::from("mainspring-reports");
        let mut reports = Reports::new(Arc::clone(&self.current.spawn), hooks, name);
        let (seen, home) = (Arc::clone(&watched), Arc::clone(&self.home));
        let thread = spent::thread_number();
        let builder = thread::Builder::new().name("mainspring-sentry".into());
        let _blocked = signals::block();
        let sentry = builder.spawn(move || {
            let clock = Clock::real();
            let (mut rounds, mut watch) = (Rounds::new(clock.now()), Watch::new());
            let parker = seen.bell.hang_up();
            let is_away = || seen.away.load(Relaxed);
            while rounds.wait(&seen.bell, &parker, || clock.now(), is_away) {
                let now = clock.now();
                let step = rounds.step_until(now);
                let stuck = watch.see(seen.running.get(), step, thread);
                if let Some((elapsed, kind)) = watch.report(report_after) {
                    home.tally.stall();
                    let within = watch.within();
                    reports.tell(Report { seat: WORKER, within, elapsed, kind }, || {
                        Some(Box::new(()))
                    });
                }
                rounds.looked(now, stuck, is_away());
            }
        })?;
        self.watching = Some(Watching { watched, begun: Cell::new(0), sentry: Some(sentry) });
        Ok(())
    }

    /// The thread has come into the scheduler, or is back from a sleep.
    pub(super) fn is_here(&self) {
        if let Some(Watching { watched, .. }) = &self.watching {
            watched.away.store(false, Relaxed);
            watched.bell.worker_wakes();
        }
    }

    /// The thread leaves the scheduler, or is about to sleep.
    pub(super) fn is_away(&self) {
        if let Some(Watching { watched, .. }) = &self.watching {
            watched.running.leave(0);
            watched.away.store(true, Relaxed);
        }
    }

    /// Does `f`, which runs code of others, in view of the sentry.
    #[inline]
    pub(super) fn beside<R>(&self, what: Beside, f: impl FnOnce() -> R) -> R {
        match &self.watching {
            None => f(),
            Some(watching) => {
                watching.within(|running, begun| running.enter_beside(what, begun), f)
            }
        }
    }

    /// Runs a task, where somebody is told of it or watches.
    #[cold]
    pub(super) fn run_and_tell(&self, task: Runnable) {
        let id = task.id();
        let ran = || self.tell_and_run(task);
        let again = match &self.watching {
            None => ran(),
            Some(watching) => watching.within(|running, begun| running.enter(id, begun), ran),
        };
        again.into_iter().for_each(|task| self.home.push(task));
    }

    fn tell_and_run(&self, task: Runnable) -> Option<Runnable> {
        let hooks = self.home.hooks();
        if hooks.is_empty() {
            return match task.run() {
                Ran::Again(task) => Some(task),
                Ran::Waits | Ran::Done => None,
            };
        }
        let info = task.info();
        hooks.call(|hooks| hooks.on_poll_start(&info));
        let ran = task.run();
        let outcome = match &ran {
            Ran::Waits => PollOutcome::Pending,
            Ran::Again(_) => PollOutcome::Yielded,
            Ran::Done => PollOutcome::Done,
        };
        hooks.call(|hooks| hooks.on_poll_end(&info, outcome));
        match ran {
            Ran::Again(task) => Some(task),
            Ran::Waits | Ran::Done => None,
        }
    }
}

impl Watching {
    fn within<R>(&self, enter: impl FnOnce(&Running, u64) -> u64, f: impl FnOnce() -> R) -> R {
        self.begun.set(self.begun.get() + 1);
        let running = &self.watched.running;
        let _leave = Leave(running, enter(running, self.begun.get()));
        f()
    }

    /// The root is about to be polled, until [`leave_root`](Self::leave_root); or the thread leaves all, where
    /// the root is ready, or panics.
    #[cold]
    pub(super) fn enter_root(&self) {
        self.begun.set(self.begun.get() + 1);
        self.watched.running.enter_beside(Beside::Root, self.begun.get());
    }

    /// It was polled, if at all.
    #[cold]
    pub(super) fn leave_root(&self) {
        self.watched.running.leave(0);
    }

    /// In a child process, where there is no sentry to wait for, nor to detach: its stack may be that of
    /// another thread by now.
    pub(super) fn forget_sentry(&mut self) {
        std::mem::forget(self.sentry.take());
    }
}

/// Goes back to what was before, also where a panic unwinds.
struct Leave<'a>(&'a Running, u64);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(sentry) = self.sentry.take() {
            self.watched.bell.end();
            // It runs no code of others, so it ends at once.
            let _ = sentry.join();
        }
    }
}
