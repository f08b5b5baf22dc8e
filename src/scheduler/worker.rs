//! One worker: the loop that runs tasks, looks outside, searches, and parks.
//!
//! What it does together with others is in this folder's README.md, and in `idle`. By itself it runs
//! what it has, and looks at its driver, its inbox and the injector as often as [`Fairness`] says, so
//! that neither events nor other threads wait long behind tasks that are always ready.
//!
//! Where somebody stood in for it while it was stuck in a poll, it takes its driver back when it next looks
//! outside or is about to park.
//!
//! [`Fairness`]: super::fairness::Fairness

use super::idle;
use super::runner::Runner;
use super::seat::Beside;
use super::shard::{Left, Shard};
use super::shards::{Anywhere, Shards, There};
use crate::context::{self, Current, Outside, Runs};
use crate::driver::{Turn, Turned};
use crate::hooks::HookSet;
use crate::primitives::{NewThread, full_fence, thread};
use crate::task::{Graves, Home, Schedule};
use crate::util::Patience;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// How often it looks at the most before it sleeps: for about 45 µs.
const LOOKS: u32 = 1 << 12;

/// The room that what others have left keeps, in entries.
const KEEP: usize = 1024;

/// What a worker gets along.
pub(super) struct Start {
    pub(super) thread: NewThread,
    pub(super) shards: Arc<Shards>,
    pub(super) index: usize,
    pub(super) home: Arc<Home<Anywhere>>,
    pub(super) pinned: Arc<Home<There>>,
    pub(super) outside: Outside,
    pub(super) executor: Arc<dyn context::DefaultExecutor>,
    pub(super) hooks: HookSet,
    pub(super) seed: u64,
}

/// A worker, on its thread.
struct Worker {
    runner: Runner,
    pinned: Arc<Home<There>>,
    patience: Patience,
    /// Room for what is taken out of the inbox.
    spare: VecDeque<Left>,
    /// Somebody who stood in for it may have taken notices of what is in the inbox.
    inbox_is_due: bool,
}

/// The life of a worker's thread.
pub(super) fn work(start: Start) {
    let Start { thread, shards, index, home, pinned, outside, executor, hooks, seed } = start;
    thread.begin();
    let Outside { driver: _, spawn, calls } = outside;
    let driver = Arc::clone(&shards.each()[index].driver);
    context::work_for(driver.runtime(), index);
    let current = Current { driver, spawn, executor, calls, runs: Runs::Send };
    let entered = context::enter(Rc::new(current));
    let mut worker = Worker {
        runner: Runner::new(Arc::clone(&shards), index, hooks, seed),
        pinned: Arc::clone(&pinned),
        patience: Patience::new(LOOKS),
        spare: VecDeque::new(),
        inbox_is_due: false,
    };
    let now = worker.runner.clock().now();
    worker.runner.saw(now);
    worker.runner.tell(|hooks| hooks.on_worker_start(index));
    let buries = Buries(&shards.each()[index].graves);
    worker.run();
    drop(buries);
    worker.runner.tell(|hooks| hooks.on_worker_stop(index));
    worker.shard().counters.present.forget();
    drop(entered);
    home.retire();
    pinned.retire();
}

/// Leaves nothing that has ended in the lists of others, also where the scheduler itself panics.
struct Buries<'a>(&'a Graves);

impl Drop for Buries<'_> {
    fn drop(&mut self) {
        self.0.bury();
    }
}

impl Worker {
    fn run(&mut self) {
        loop {
            while let Some(task) = self.shard().pop() {
                if self.runner.searching {
                    self.runner.found();
                }
                if let Some(stays) = self.runner.run_task(task) {
                    self.pinned.schedule(stays);
                }
                if self.runner.fairness.spend() || self.shard().is_kicked() {
                    self.look();
                }
            }
            if self.take_inbox()
                || self.runner.take_injected()
                || self.runner.search()
                || self.lingers()
            {
                continue;
            }
            if self.is_done() {
                break;
            }
            self.park();
        }
        if self.runner.searching {
            self.runner.found();
        }
        // Who adopts the driver from now on sees that the runtime ends.
        let _ = self.dismiss_adopter();
        for left in self.shard().close_inbox() {
            debug_assert!(!matches!(left, Left::Pinned(_)), "a pinned task was left behind");
            drop(left);
        }
    }

    #[inline]
    fn shard(&self) -> &Shard {
        &self.runner.shards.each()[self.runner.number]
    }

    /// Looks what the kernel and other threads have, with tasks queued.
    fn look(&mut self) {
        self.take_back();
        self.shard().graves.bury();
        let turned = self.turn(Turn::Look);
        let now = self.runner.settle(turned);
        self.take_inbox();
        self.runner.take_injected();
        self.runner.looked(now);
    }

    /// Takes the driver back, if somebody has adopted it.
    #[inline]
    fn take_back(&mut self) {
        if self.shard().adopter.is_there() && self.dismiss_adopter() {
            self.inbox_is_due = true;
        }
    }

    /// Whoever stands in for the worker does so no more; whether there was anybody.
    #[cold]
    fn dismiss_adopter(&self) -> bool {
        let shard = self.shard();
        let any = shard.adopter.take_back().is_some();
        if any {
            // Who sleeps there comes out.
            shard.driver.ring();
        }
        any
    }

    /// Takes what others have left for this worker; whether that was anything.
    fn take_inbox(&mut self) -> bool {
        let told = self.shard().driver.take_notified();
        if !std::mem::take(&mut self.inbox_is_due) && !told {
            return false;
        }
        let spare = std::mem::take(&mut self.spare);
        let mut left = self.shard().take_inbox(spare);
        let any = !left.is_empty();
        self.runner.given |= any;
        for left in left.drain(..) {
            match left {
                Left::Task(task) => self.runner.queue(task),
                Left::Pinned(task) => self.pinned.schedule(task),
                // To take a notice may be to free a task, with what its user has hung on it.
                Left::Notice(notice) => {
                    let mut woken = None;
                    self.runner.beside(Beside::Wakers, |_| woken = notice.take());
                    if let Some(task) = woken {
                        self.pinned.schedule(task);
                    }
                }
            }
        }
        left.shrink_to(KEEP);
        self.spare = left;
        any
    }

    /// Goes on searching for a while, if that pays, for what comes without the kernel; whether there is
    /// something.
    fn lingers(&mut self) -> bool {
        let may = self.runner.given && !self.runner.shards.is_closing();
        if !may || !self.patience.trusts() || !self.runner.searches() {
            return false;
        }
        // How long the looks take says nothing of polls.
        let now = self.runner.clock().now();
        self.runner.saw(now);
        let shards = &*self.runner.shards;
        let driver = &shards.each()[self.runner.number].driver;
        // One worker at a look, so that it takes no longer where there are many.
        let mut others = shards.each().iter().cycle();
        let comes = self.patience.looks(|| {
            driver.is_notified()
                || !shards.injector.is_empty()
                || others.next().is_some_and(|shard| shard.had_surplus())
        });
        if comes {
            let now = driver.clock().now();
            self.runner.saw(now);
            if self.runner.fairness.is_due(now) {
                self.look();
            }
        }
        comes
    }

    /// Whether the worker has no more to do for ever.
    fn is_done(&self) -> bool {
        self.runner.shards.is_closing()
            && self.pinned.live_tasks() == 0
            && self.shard().is_empty()
            && !self.runner.shards.has_work()
    }

    /// Sleeps until there is something to do, or may be.
    fn park(&mut self) {
        let number = self.runner.number;
        self.runner.tell(|hooks| hooks.on_park(number));
        if !self.runner.hooks.is_empty() && !self.shard().is_empty() {
            // The hook has spawned or woken something.
            self.runner.tell(|hooks| hooks.on_unpark(number));
            return;
        }
        self.take_back();
        self.shard().graves.bury();
        self.shard().give_back();
        let now = self.runner.clock().now();
        self.runner.saw(now);
        let others_search = self.runner.shards.idle.park(number, self.runner.searching);
        (self.runner.searching, self.runner.given) = (false, false);
        full_fence();
        // Somebody may have adopted the driver since it was taken back.
        let alone = !self.inbox_is_due && !self.shard().adopter.is_there();
        let stays = alone && self.may_sleep(others_search);
        if stays {
            self.shard().counters.parks.add(1);
            self.shard().counters.present.forget();
        }
        let turned = self.turn(if stays { Turn::Sleep(now) } else { Turn::Look });
        self.runner.searching = self.runner.shards.idle.unpark(number) == idle::Left::Called;
        self.runner.shards.bell.worker_wakes();
        self.runner.tell(|hooks| hooks.on_unpark(number));
        if stays && let Ok(turned) = &turned {
            self.runner.is_back(turned.now);
        }
        let now = self.runner.settle(turned);
        self.runner.slept(now);
    }

    /// Whether somebody wakes the worker, which is counted as parked, when it is needed.
    fn may_sleep(&self, others_search: bool) -> bool {
        let shards = &self.runner.shards;
        if !shards.is_closing() {
            return others_search || !shards.has_work();
        }
        // Those who search end when they find no more, and call nobody for that. Only its own tasks
        // wake one that stays, so one look decides: what comes after it may be done by others.
        let stays = self.pinned.live_tasks() > 0 && !shards.has_work();
        if !stays {
            // What there is to do may be for one that searches, and needs the processor for that.
            thread::yield_now();
        }
        stays
    }

    fn turn(&mut self, turn: Turn) -> io::Result<Turned> {
        let shard = &self.runner.shards.each()[self.runner.number];
        shard.driver.turn(turn, &mut self.runner.wakes)
    }
}
