//! What a worker's thread does: runs tasks, looks outside now and then, searches, sleeps.

use super::fairness::Fairness;
use super::idle;
use super::keeps::Keeps;
use super::shard::{Left, Shard, Surplus};
use super::shards::{Anywhere, Shards, There};
use crate::context::{self, Current, Outside, Runs};
use crate::driver::{Instant, Turn, Turned};
use crate::hooks::{HookSet, PollOutcome};
use crate::primitives::{NewThread, Steal, full_fence, thread};
use crate::task::{Graves, Home, Ran, Runnable, Schedule};
use crate::util::{Patience, Rng, WakeList};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

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
    shards: Arc<Shards>,
    index: usize,
    pinned: Arc<Home<There>>,
    hooks: HookSet,
    fairness: Fairness,
    random: Rng,
    wakes: WakeList,
    patience: Patience,
    /// Counted as one that searches.
    searching: bool,
    /// Since its last sleep it found something in the injector or its inbox.
    given: bool,
    /// How often it has begun something for a task.
    begun: u64,
    /// Room for what is taken out of the inbox.
    spare: VecDeque<Left>,
    /// The kernel's failure was told.
    told: bool,
    keeps: Keeps,
    /// Until when it is counted how long the worker was busy, and made how many polls.
    counted: (Instant, u64),
}

/// The life of a worker's thread.
pub(super) fn work(start: Start) {
    let Start { thread, shards, index, home, pinned, outside, executor, hooks, seed } = start;
    thread.begin();
    let Outside { driver: _, spawn, calls } = outside;
    let driver = Arc::clone(&shards.each()[index].driver);
    context::work_for(driver.runtime(), index);
    let now = driver.clock().now();
    let current = Current { driver, spawn, executor, calls, runs: Runs::Send };
    let entered = context::enter(Rc::new(current));
    let mut worker = Worker {
        shards,
        index,
        pinned: Arc::clone(&pinned),
        hooks,
        fairness: Fairness::new(now),
        random: Rng::new(seed),
        wakes: WakeList::new(),
        patience: Patience::new(LOOKS),
        searching: false,
        given: false,
        begun: 0,
        spare: VecDeque::new(),
        told: false,
        keeps: Keeps::new(),
        counted: (now, 0),
    };
    worker.saw(now);
    worker.hooks.call(|hooks| hooks.on_worker_start(index));
    let shards = Arc::clone(&worker.shards);
    let buries = Buries(&shards.each()[index].graves);
    worker.run();
    drop(buries);
    worker.hooks.call(|hooks| hooks.on_worker_stop(index));
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
                if self.searching {
                    self.found();
                }
                self.run_task(task);
                if self.fairness.spend() {
                    self.look();
                }
            }
            if self.take_inbox() || self.take_injected() || self.search() || self.lingers() {
                continue;
            }
            if self.is_done() {
                break;
            }
            self.park();
        }
        if self.searching {
            self.found();
        }
        for left in self.shard().close_inbox() {
            debug_assert!(!matches!(left, Left::Pinned(_)), "a pinned task was left behind");
            drop(left);
        }
    }

    #[inline]
    fn shard(&self) -> &Shard {
        &self.shards.each()[self.index]
    }

    #[inline]
    fn run_task(&mut self, task: Runnable) {
        self.begun += 1;
        let shard = &*self.shards.each()[self.index];
        shard.counters.polls.add(1);
        let before = shard.running.enter(Some(task.id()), self.begun);
        let ran = match self.hooks.is_empty() {
            true => task.run_beside(Some(&shard.graves)),
            false => self.run_and_tell(task),
        };
        shard.running.leave(before);
        match ran {
            Ran::Again(task) if task.stays() => self.pinned.schedule(task),
            Ran::Again(task) => self.shards.call_for(shard.push_back(task)),
            Ran::Done if shard.graves.is_full() => shard.graves.bury(),
            Ran::Waits | Ran::Done => {}
        }
    }

    #[cold]
    fn run_and_tell(&self, task: Runnable) -> Ran {
        let info = task.info();
        self.hooks.call(|hooks| hooks.on_poll_start(&info));
        let ran = task.run_beside(Some(&self.shard().graves));
        let outcome = match &ran {
            Ran::Waits => PollOutcome::Pending,
            Ran::Again(_) => PollOutcome::Yielded,
            Ran::Done => PollOutcome::Done,
        };
        self.hooks.call(|hooks| hooks.on_poll_end(&info, outcome));
        ran
    }

    /// Looks what the kernel and other threads have, with tasks queued.
    fn look(&mut self) {
        self.shard().graves.bury();
        let turned = self.turn(Turn::Look);
        let now = self.settle(turned);
        self.take_inbox();
        self.take_injected();
        self.fairness.looked(now);
        let surplus = self.shard().surplus();
        self.shards.call_for(surplus);
    }

    /// Takes what others have left for this worker; whether that was anything.
    fn take_inbox(&mut self) -> bool {
        if !self.shard().driver.take_notified() {
            return false;
        }
        let spare = std::mem::take(&mut self.spare);
        let mut left = self.shard().take_inbox(spare);
        let any = !left.is_empty();
        self.given |= any;
        for left in left.drain(..) {
            match left {
                Left::Task(task) => {
                    let surplus = self.shard().push_back(task);
                    self.shards.call_for(surplus);
                }
                Left::Pinned(task) => self.pinned.schedule(task),
                // To take a notice may be to free a task, with what its user has hung on it.
                Left::Notice(notice) => {
                    if let Some(task) = notice.take() {
                        self.pinned.schedule(task);
                    }
                }
            }
        }
        left.shrink_to(KEEP);
        self.spare = left;
        any
    }

    /// Takes a share of what threads have queued that are no workers.
    fn take_injected(&mut self) -> bool {
        if self.shards.injector.is_empty() {
            return false;
        }
        let stolen = self.shard().with_queue(|queue| {
            loop {
                match self.shards.injector.steal_batch_and_pop(queue) {
                    Steal::Success(task) => break Some(task),
                    Steal::Empty => break None,
                    Steal::Retry => {}
                }
            }
        });
        let Some(task) = stolen else { return false };
        self.given = true;
        // Behind the others of its batch.
        let surplus = self.shard().push_back(task);
        self.shards.call_for(surplus);
        true
    }

    /// Searches the queues of others, once around; whether something was found.
    fn search(&mut self) -> bool {
        let workers = self.shards.each().len();
        if workers == 1 || !self.searches() {
            return false;
        }
        let first = self.random.below(workers);
        let around = (0..workers).map(|step| (first + step) % workers);
        for victim in around.filter(|victim| *victim != self.index) {
            if let Some((task, more)) = self.steal_from(victim) {
                self.shard().counters.steals.add(1 + more as u64);
                // Before it is queued, so that the call for more comes first.
                let _ = self.shard().push_back(task);
                self.hooks.call(|hooks| hooks.on_steal(self.index, victim, 1 + more));
                return true;
            }
        }
        self.take_injected()
    }

    /// Whether the worker is, from now on if not before, one of those who search.
    fn searches(&mut self) -> bool {
        self.searching = self.searching || self.shards.idle.begin_search();
        self.searching
    }

    /// Goes on searching for a while, if that pays, for what comes without the kernel; whether there is
    /// something.
    fn lingers(&mut self) -> bool {
        let may = self.given && !self.shards.is_closing();
        if !may || !self.patience.trusts() || !self.searches() {
            return false;
        }
        // How long the looks take says nothing of polls.
        let now = self.shard().driver.clock().now();
        self.saw(now);
        let shards = &*self.shards;
        let driver = &shards.each()[self.index].driver;
        // One worker at a look, so that it takes no longer where there are many.
        let mut others = shards.each().iter().cycle();
        let comes = self.patience.looks(|| {
            driver.is_notified()
                || !shards.injector.is_empty()
                || others.next().is_some_and(|shard| shard.had_surplus())
        });
        if comes {
            let now = driver.clock().now();
            self.saw(now);
            if self.fairness.is_due(now) {
                self.look();
            }
        }
        comes
    }

    /// A task of another worker, and how many more of them are in the own queue, empty before.
    fn steal_from(&self, victim: usize) -> Option<(Runnable, usize)> {
        let stealer = &self.shards.each()[victim].stealer;
        self.shard().with_queue(|queue| {
            loop {
                match stealer.steal_batch_and_pop(queue) {
                    Steal::Success(task) => return Some((task, queue.len())),
                    Steal::Empty => return None,
                    Steal::Retry => {}
                }
            }
        })
    }

    /// There is something to do; the last of those who searched sees to it that somebody else looks for
    /// more.
    #[cold]
    fn found(&mut self) {
        self.searching = false;
        if self.shards.idle.end_search() {
            full_fence();
            if self.shards.has_surplus() {
                self.shards.call_for(Surplus::Yes);
            }
        }
    }

    /// Whether the worker has no more to do for ever.
    fn is_done(&self) -> bool {
        self.shards.is_closing()
            && self.pinned.live_tasks() == 0
            && self.shard().is_empty()
            && !self.shards.has_work()
    }

    /// Sleeps until there is something to do, or may be.
    fn park(&mut self) {
        self.hooks.call(|hooks| hooks.on_park(self.index));
        if !self.hooks.is_empty() && !self.shard().is_empty() {
            // The hook has spawned or woken something.
            self.hooks.call(|hooks| hooks.on_unpark(self.index));
            return;
        }
        self.shard().graves.bury();
        self.shard().give_back();
        let now = self.shard().driver.clock().now();
        self.saw(now);
        let others_search = self.shards.idle.park(self.index, self.searching);
        (self.searching, self.given) = (false, false);
        full_fence();
        let stays = self.may_sleep(others_search);
        if stays {
            self.shard().counters.parks.add(1);
            self.shard().counters.present.forget();
        }
        let turned = self.turn(if stays { Turn::Sleep(now) } else { Turn::Look });
        self.searching = self.shards.idle.unpark(self.index) == idle::Left::Called;
        self.hooks.call(|hooks| hooks.on_unpark(self.index));
        if stays && let Ok(turned) = &turned {
            self.counted.0 = turned.now;
        }
        let now = self.settle(turned);
        self.fairness.slept(now);
        let surplus = self.shard().surplus();
        self.shards.call_for(surplus);
    }

    /// Whether somebody wakes the worker, which is counted as parked, when it is needed.
    fn may_sleep(&self, others_search: bool) -> bool {
        if !self.shards.is_closing() {
            return others_search || !self.shards.has_work();
        }
        // Those who search end when they find no more, and call nobody for that. Only its own tasks
        // wake one that stays, so one look decides: what comes after it may be done by others.
        let stays = self.pinned.live_tasks() > 0 && !self.shards.has_work();
        if !stays {
            // What there is to do may be for one that searches, and needs the processor for that.
            thread::yield_now();
        }
        stays
    }

    fn turn(&mut self, turn: Turn) -> io::Result<Turned> {
        self.shards.each()[self.index].driver.turn(turn, &mut self.wakes)
    }

    /// Wakes whom a turn of the driver concerns; gives the present.
    fn settle(&mut self, turned: io::Result<Turned>) -> Instant {
        let turned = turned.map_err(|error| self.tell_of_failure(&error));
        let now = turned.map_or_else(|()| self.shard().driver.clock().now(), |turned| turned.now);
        // First, as wakes may spawn.
        self.saw(now);
        self.begun += 1;
        let shard = &*self.shards.each()[self.index];
        let before = shard.running.enter(None, self.begun);
        shard.dispatch(|| self.wakes.wake_all());
        shard.running.leave(before);
        now
    }

    /// The clock says `now`: for the births of tasks, and for what is counted.
    fn saw(&mut self, now: Instant) {
        let shard = &*self.shards.each()[self.index];
        let polls = shard.counters.polls.get();
        let (since, before) = std::mem::replace(&mut self.counted, (now, polls));
        let took = now.saturating_duration_since(since);
        shard.counters.present.set(now.as_nanos());
        shard.counters.busy.add(took.as_nanos() as u64);
        if polls != before {
            self.keeps.measure(polls - before, took);
            shard.keep(self.keeps.tasks());
        }
    }

    /// The kernel cannot be asked any more. What needs no events goes on.
    #[cold]
    fn tell_of_failure(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            let _ = writeln!(
                io::stderr(),
                "mainspring: worker {} cannot wait for events any more: {error}",
                self.index
            );
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
