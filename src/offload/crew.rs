//! Threads that share a queue: how jobs find them, and how they come and go.
//!
//! The [`Word`] decides; this file does what it says. Beside the word there is one lock, over the
//! queue and the list of those who sleep. It is held for a push or a pop, never across a system
//! call, and no job is run or dropped under it.
//!
//! # Why no job is left behind
//!
//! - *A push against a thread that lies down.* The push counts the job after it is in the queue;
//!   the thread lies down in an exchange that fails if a job is counted. One of the two comes
//!   second, and sees the other.
//! - *A call against a thread that lies down.* The exchange is made under the lock under which the
//!   thread joins the sleepers, and who calls takes a sleeper under that lock. So for each idle
//!   thread that is counted there is one in the list.
//! - *A push against the keep-alive.* A sleeper whose time is over ends in an exchange that fails if
//!   a job is counted or all sleepers are called. In the latter case somebody is on the way to wake
//!   it, and it waits for that.
//! - *A push against a lower limit.* A thread that is one too many ends only in an exchange that
//!   calls another, if jobs wait that nobody is coming for.
//! - *A push against the end.* The close is in the word before the queue is emptied. Who pushes
//!   later than that finds it in the word when counting, and empties the queue itself.
//! - *No thread to be had.* Where the system refuses a thread and there is no other, the queue is
//!   emptied, and every job in it is answered.
//!
//! The last two empty the queue by force. A claim made meanwhile may find it empty, and a count may
//! come for a job that is gone; a thread that finds nothing to take just looks again.

use super::word::{Call, Expired, Lie, Next, Published, Refused, Word};
use crate::primitives::{Generation, Mutex, Parker, others_can_run, thread};
use crate::util::Patience;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it looks at the most before it sleeps: for about 45 µs.
const LOOKS: u32 = 1 << 12;

/// What the threads of a crew do.
pub(super) trait Work: Send + Sync + 'static {
    type Job: Send + 'static;

    /// Starts a thread that runs `body`.
    fn start(&self, body: impl FnOnce() + Send + 'static) -> io::Result<()>;

    /// Calls `serve` once, on a new thread that it may prepare before and clean up after.
    fn on_thread(&self, serve: impl FnOnce());

    /// Does a job; never unwinds.
    fn run(&self, job: Self::Job);

    /// Answers for a job that will not be done; never unwinds.
    fn refuse(&self, job: Self::Job);

    /// Whether a thread that has done a job may look for the next one before it sleeps.
    fn lingers(&self) -> bool {
        true
    }
}

/// The threads and their queue.
pub(super) struct Crew<W: Work> {
    word: Word,
    shared: Mutex<Shared<W::Job>>,
    keep_alive: Duration,
    /// In a child process there are none of the threads that are counted.
    born: Generation,
    work: W,
}

struct Shared<J> {
    jobs: VecDeque<J>,
    /// The one that lay down last is called first: its memory is warm, and the others may end.
    sleepers: Vec<Arc<Parker>>,
    members: Vec<thread::ThreadId>,
    /// Who waits for the threads to leave.
    closer: Option<Arc<Parker>>,
    /// Whether somebody is emptying the queue by force.
    refusing: Refusing,
}

/// How far the forced emptying of the queue has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusing {
    Nobody,
    /// Somebody took out what was queued, and answers for it.
    Once,
    /// There was cause to empty the queue again meanwhile; the same caller will.
    Again,
}

/// Above this many entries an empty queue gives its memory back.
const KEEP: usize = 1024;

impl<W: Work> Crew<W> {
    /// A crew that has no thread yet.
    pub(super) fn new(limit: u16, keep_alive: Duration, work: W) -> Self {
        let shared = Shared {
            jobs: VecDeque::new(),
            sleepers: Vec::new(),
            members: Vec::new(),
            closer: None,
            refusing: Refusing::Nobody,
        };
        let born = Generation::watch();
        // The threads ask, and it is not for them to open files.
        let _known = others_can_run();
        Self { word: Word::new(limit), shared: Mutex::new(shared), keep_alive, born, work }
    }

    /// Whether nobody can do a job any more: the crew was closed, or its threads are in the parent of
    /// this process.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.word.is_closed() || self.is_elsewhere()
    }

    /// Whether the threads are in the parent of this process: locks that one of them had at the fork are
    /// held here for good.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.born.is_over()
    }

    pub(super) fn word(&self) -> &Word {
        &self.word
    }

    pub(super) fn work(&self) -> &W {
        &self.work
    }

    /// Sees to it that there is a thread; `false` if there is none and the system gives none.
    #[inline]
    pub(super) fn ensure_thread(self: &Arc<Self>) -> bool {
        !self.word.first() || self.start() || self.word.load().threads > 0
    }

    /// Queues a job for the next thread that is free.
    #[inline]
    pub(super) fn push(self: &Arc<Self>, job: W::Job) {
        self.shared.lock().jobs.push_back(job);
        match self.word.publish() {
            Published::Counted(call) => self.answer(call),
            Published::Closed => self.refuse_all(),
        }
    }

    /// Changes how many threads there may be; those too many end when they are free.
    pub(super) fn set_limit(self: &Arc<Self>, limit: u16) {
        let call = self.word.set_limit(limit);
        self.answer(call);
    }

    /// Takes in nothing more, refuses what is queued, and lets the threads leave.
    pub(super) fn close(&self) {
        if !self.word.close() {
            return;
        }
        self.refuse_all();
        let sleepers = std::mem::take(&mut self.shared.lock().sleepers);
        for sleeper in sleepers {
            sleeper.unpark();
        }
    }

    /// After the close, waits until all threads have left, and no longer than `limit`; says how many
    /// are still busy. One of the threads itself does not wait, and in a child process there are none.
    pub(super) fn wait(&self, limit: Duration) -> usize {
        if self.is_elsewhere() {
            return 0;
        }
        let me = Arc::new(Parker::new());
        let mut shared = self.shared.lock();
        if !shared.members.contains(&thread::current().id()) {
            shared.closer = Some(Arc::clone(&me));
            drop(shared);
            self.wait_at(&me, limit);
        }
        usize::from(self.word.load().busy())
    }

    fn wait_at(&self, me: &Parker, limit: Duration) {
        let since = Instant::now();
        let mut left = limit;
        while self.word.load().threads > 0 {
            if !me.park_timeout(left) {
                return;
            }
            left = limit.saturating_sub(since.elapsed());
        }
    }

    #[inline]
    fn answer(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake => self.wake(),
            Call::Start => {
                self.start();
            }
        }
    }

    #[cold]
    fn wake(&self) {
        // None is there if the crew was closed meanwhile: then all are awake.
        let sleeper = self.shared.lock().sleepers.pop();
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }

    /// Starts a thread that is counted already; `false` if the system refuses.
    #[cold]
    fn start(self: &Arc<Self>) -> bool {
        let crew = Arc::clone(self);
        if self.work.start(move || crew.thread()).is_ok() {
            return true;
        }
        if self.word.refused() == Refused::Stranded {
            self.refuse_all();
        }
        self.tell_closer();
        false
    }

    /// Answers for all that is queued now. What that leads to may give cause to do so again, which
    /// is done by the same call, not by one within it: the depth of the stack must not depend on who
    /// waits. Without such a cause what is queued meanwhile is left to the threads that came for it.
    fn refuse_all(&self) {
        let mut shared = self.shared.lock();
        if shared.refusing != Refusing::Nobody {
            shared.refusing = Refusing::Again;
            return;
        }
        loop {
            shared.refusing = Refusing::Once;
            let jobs = std::mem::take(&mut shared.jobs);
            drop(shared);
            for job in jobs {
                self.work.refuse(job);
            }
            shared = self.shared.lock();
            if shared.refusing == Refusing::Once {
                shared.refusing = Refusing::Nobody;
                return;
            }
        }
    }

    /// What a thread of the crew runs.
    fn thread(self: Arc<Self>) {
        let me = thread::current().id();
        self.shared.lock().members.push(me);
        let mut gone = Gone::Ended;
        self.work.on_thread(|| gone = self.serve());
        self.shared.lock().members.retain(|member| *member != me);
        if let Gone::Leaves { idle } = gone
            && self.word.left(idle) == 0
        {
            self.tell_closer();
        }
    }

    fn tell_closer(&self) {
        let closer = self.shared.lock().closer.clone();
        if let Some(closer) = closer {
            closer.unpark();
        }
    }

    /// Does jobs until the thread is to end.
    fn serve(self: &Arc<Self>) -> Gone {
        let me = Arc::new(Parker::new());
        let mut patience = Patience::new(if self.work.lingers() { LOOKS } else { 0 });
        let mut arriving = true;
        let mut busy = false;
        loop {
            match self.word.next(arriving) {
                Next::Job(call) => {
                    arriving = false;
                    let job = self.take();
                    self.answer(call);
                    if call != Call::Nobody {
                        // Where more may come at a time, each that comes calls two.
                        self.answer(self.word.another());
                    }
                    if let Some(job) = job {
                        self.work.run(job);
                    }
                    busy = true;
                }
                Next::Rest
                    if std::mem::take(&mut busy) && patience.trusts() && self.word.linger() =>
                {
                    let _ = patience.looks(|| self.word.has_news());
                    arriving = true;
                }
                Next::Rest => match self.rest(&me) {
                    Rested::Called => arriving = true,
                    Rested::Up => arriving = false,
                    Rested::End => return Gone::Ended,
                },
                Next::End(call) => {
                    self.answer(call);
                    return Gone::Ended;
                }
                Next::Leave { idle } => return Gone::Leaves { idle },
            }
        }
    }

    fn take(&self) -> Option<W::Job> {
        let mut shared = self.shared.lock();
        let job = shared.jobs.pop_front();
        if shared.jobs.is_empty() && shared.jobs.capacity() > KEEP {
            shared.jobs.shrink_to(KEEP);
        }
        job
    }

    /// Sleeps until there is something to do, or the keep-alive is over.
    fn rest(&self, me: &Arc<Parker>) -> Rested {
        let mut shared = self.shared.lock();
        match self.word.lie_down() {
            Lie::Down => shared.sleepers.push(Arc::clone(me)),
            Lie::Again => return Rested::Up,
        }
        drop(shared);
        if me.park_timeout(self.keep_alive) {
            return Rested::Called;
        }
        let mut shared = self.shared.lock();
        if let Some(at) = shared.sleepers.iter().position(|sleeper| Arc::ptr_eq(sleeper, me)) {
            match self.word.expire() {
                Expired::End => {
                    shared.sleepers.remove(at);
                    return Rested::End;
                }
                Expired::Up => {
                    shared.sleepers.remove(at);
                    return Rested::Up;
                }
                Expired::Called => {}
            }
        }
        drop(shared);
        me.park();
        Rested::Called
    }
}

/// Why a thread does no more jobs.
enum Gone {
    /// It was one too many, or had nothing to do for long, and is counted no more.
    Ended,
    /// All is over, and it is counted still.
    Leaves { idle: bool },
}

/// How a rest ended.
enum Rested {
    /// Somebody called the thread, and counts it as coming.
    Called,
    /// It got up by itself.
    Up,
    /// It is to end, and is counted no more.
    End,
}
