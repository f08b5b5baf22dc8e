//! Tasks whose outcomes are taken as they come.

use super::ready::ReadyList;
use crate::context;
use crate::coop;
use crate::offload::PoolHandle;
use crate::task::{self, AbortHandle, JoinError, JoinHandle, TaskId};
use futures_core::{FusedStream, Stream};
use slab::Slab;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// Tasks that one waits for together, and whose outcomes come in the order in which they end.
///
/// Taking an outcome costs the same however many tasks there are. Dropping the set aborts them all,
/// and waits for none; [`shutdown`](Self::shutdown) does both, and [`detach_all`](Self::detach_all)
/// lets them go on. Where tasks must have ended before the code that started them goes on, whatever
/// happens to it, use a [`TaskScope`](super::TaskScope).
///
/// Outcomes wait in the set until they are taken: one that is spawned into for ever must be asked
/// for them too. It is also a [`Stream`], which ends when the set is empty, and can be polled again
/// after the next spawn.
///
/// # Examples
///
/// ```
/// use mainspring::group::JoinSet;
/// use mainspring::time::sleep;
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// let mut set = JoinSet::new();
/// for ms in [3, 1, 2] {
///     set.spawn(async move {
///         sleep(Duration::from_millis(10 * ms)).await;
///         ms
///     });
/// }
/// let mut ended = Vec::new();
/// while let Some(outcome) = set.join_next().await {
///     ended.push(outcome?);
/// }
/// assert_eq!(ended, [1, 2, 3]);
/// # Ok::<(), mainspring::task::JoinError>(())
/// # }).unwrap();
/// ```
///
/// A task with a name, or one of another runtime, is made elsewhere and [put in](Self::insert):
///
/// ```
/// use mainspring::{group::JoinSet, task};
///
/// # mainspring::block_on(async {
/// let mut set = JoinSet::new();
/// set.insert(task::Builder::new().name("adder").spawn(async { 1 + 1 }));
/// assert_eq!(set.join_all().await, [2]);
/// # });
/// ```
#[must_use = "dropping a JoinSet aborts its tasks"]
pub struct JoinSet<T> {
    tasks: Slab<Member<T>>,
    // The keys of tasks that have ended, each once. A look asks the task itself, so that a wake for
    // nothing would do no harm.
    ended: ReadyList,
}

// No output is ever pinned.
impl<T> Unpin for JoinSet<T> {}

enum Member<T> {
    Runs(JoinHandle<T>),
    /// It had ended when it was put in.
    Ended(TaskId, Result<T, JoinError>),
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    pub fn new() -> Self {
        Self { tasks: Slab::new(), ended: ReadyList::new() }
    }

    /// How many tasks there are whose outcomes were not taken, ended or not.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether all outcomes were taken.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Makes `future` a task of the runtime that runs the calling code, and of the set.
    ///
    /// # Panics
    ///
    /// As [`spawn`](crate::spawn()), outside `block_on` and tasks.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        match context::current() {
            Ok(current) => self.insert(task::spawn(&*current.spawn, future, location)),
            Err(_) => super::no_runtime("JoinSet::spawn"),
        }
    }

    /// Makes `future`, which need not be `Send`, a task of the
    /// [`LocalRuntime`](crate::LocalRuntime) of this thread, and of the set.
    ///
    /// # Panics
    ///
    /// As [`spawn_local`](crate::spawn_local()), outside the `block_on` and the tasks of a
    /// `LocalRuntime`.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let location = Location::caller();
        match context::current() {
            Ok(current) if super::takes_local(&current) => {
                self.insert(task::spawn_local(&*current.spawn, future, location))
            }
            _ => super::no_local_runtime("JoinSet::spawn_local"),
        }
    }

    /// Runs `f`, which may block, on a thread of the pool of the runtime that runs the calling code.
    ///
    /// It is as with [`spawn_blocking`](crate::spawn_blocking): an abort keeps a closure from being
    /// run that has not started, and nothing stops one that has. Where the queue of the pool is
    /// full, the closure waits for a place in the set.
    ///
    /// # Panics
    ///
    /// As [`spawn_blocking`](crate::spawn_blocking), where no runtime runs.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        match context::current() {
            Ok(current) => self.insert(PoolHandle::of(&current).spawn(f, location)),
            Err(_) => super::no_runtime("JoinSet::spawn_blocking"),
        }
    }

    /// Takes in a task that was spawned elsewhere: by a [`task::Builder`], say, or by a
    /// [`Handle`](crate::Handle).
    ///
    /// # Panics
    ///
    /// If `handle` gave its outcome already.
    pub fn insert(&mut self, mut handle: JoinHandle<T>) -> AbortHandle {
        let stop = handle.abort_handle();
        let ticket = Waker::from(self.ended.ticket(self.tasks.vacant_key()));
        let polled = {
            let _unlimited = coop::unlimited();
            Pin::new(&mut handle).poll(&mut Context::from_waker(&ticket))
        };
        match polled {
            Poll::Pending => self.tasks.insert(Member::Runs(handle)),
            Poll::Ready(outcome) => {
                ticket.wake();
                self.tasks.insert(Member::Ended(stop.id(), outcome))
            }
        };
        stop
    }

    /// Waits for a task to end, and gives its outcome; `None` if the set is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no outcome.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), with the number of the task; that of one that has no
    /// output is in its [error](JoinError::id).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no outcome.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(TaskId, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// As [`join_next`](Self::join_next), for use in a `poll` function.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|next| next.map(without_id))
    }

    /// As [`join_next_with_id`](Self::join_next_with_id), for use in a `poll` function.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(TaskId, T), JoinError>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let charge = ready!(coop::poll_proceed(cx));
        loop {
            let key = ready!(self.ended.poll_pop(cx));
            if let Some(outcome) = self.take(key) {
                charge.made_progress();
                return Poll::Ready(Some(outcome));
            }
        }
    }

    /// The outcome of a task that has ended, if there is one; it never waits.
    ///
    /// `None` does not tell an empty set from one whose tasks all run; [`is_empty`](Self::is_empty)
    /// does.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id().map(without_id)
    }

    /// As [`try_join_next`](Self::try_join_next), with the number of the task.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(TaskId, T), JoinError>> {
        while let Some(key) = self.ended.pop() {
            let outcome = self.take(key);
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    /// Waits for all tasks, and gives their outputs in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If a task panicked, with what it panicked with; and if one was aborted. The others are
    /// aborted then. Where that is no bug, use [`join_next`](Self::join_next).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the set: the tasks are aborted, and outputs lost.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(outcome) = self.join_next().await {
            match outcome.map_err(JoinError::try_into_panic) {
                Ok(output) => outputs.push(output),
                Err(Ok(payload)) => resume_unwind(payload),
                Err(Err(error)) => panic!("JoinSet::join_all got no output of all tasks: {error}"),
            }
        }
        outputs
    }

    /// Asks all tasks to end, as [`JoinHandle::abort`] does. Their outcomes are still to be taken.
    pub fn abort_all(&mut self) {
        for (_, member) in &self.tasks {
            if let Member::Runs(handle) = member {
                handle.abort();
            }
        }
    }

    /// Aborts all tasks and waits until they have ended. Their outcomes are dropped, panics too.
    ///
    /// Closures of [`spawn_blocking`](Self::spawn_blocking) that have started are waited for to
    /// their end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves in the set what has not ended, aborted.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Lets all tasks go on by themselves, and empties the set. Outcomes that wait in it are dropped.
    ///
    /// As everywhere, a closure of [`spawn_blocking`](Self::spawn_blocking) that has no place in
    /// the queue of its pool yet is dropped unrun, because it waits inside the handle that is
    /// dropped here. Who cannot lose one waits for it with [`join_next`](Self::join_next), or spawns
    /// with [`try_spawn_blocking`](crate::try_spawn_blocking), which is told that there is no place.
    pub fn detach_all(&mut self) {
        // With the keys of those that have ended, which nobody might ever ask for.
        self.ended = ReadyList::new();
        self.tasks.clear();
    }

    /// Takes a task out that has ended.
    fn take(&mut self, key: usize) -> Option<Result<(TaskId, T), JoinError>> {
        match self.tasks.get(key)? {
            Member::Runs(handle) if !handle.is_finished() => return None,
            Member::Runs(_) | Member::Ended(..) => {}
        }
        let mut handle = match self.tasks.remove(key) {
            Member::Ended(id, outcome) => return Some(outcome.map(|output| (id, output))),
            Member::Runs(handle) => handle,
        };
        let id = handle.id();
        let _unlimited = coop::unlimited();
        match Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome.map(|output| (id, output))),
            Poll::Pending => unreachable!("a task that has ended has its outcome"),
        }
    }
}

fn without_id<T>(outcome: Result<(TaskId, T), JoinError>) -> Result<T, JoinError> {
    outcome.map(|(_, output)| output)
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> Stream for JoinSet<T> {
    type Item = Result<T, JoinError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_join_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T> FusedStream for JoinSet<T> {
    fn is_terminated(&self) -> bool {
        self.is_empty()
    }
}

/// Spawns each of the futures, as [`JoinSet::spawn`] does, and panics where that does.
impl<F> FromIterator<F> for JoinSet<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        set.extend(futures);
        set
    }
}

/// Spawns each of the futures, as [`JoinSet::spawn`] does, and panics where that does.
impl<F> Extend<F> for JoinSet<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::JoinSet;

    #[test]
    fn detached_tasks_leave_nothing_in_the_set() {
        crate::block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..3 {
                let ends = set.spawn(async {});
                while !ends.is_finished() {
                    crate::yield_now().await;
                }
                set.insert(crate::spawn(async {}));
                set.detach_all();
                crate::yield_now().await;
                assert_eq!(set.ended.pop(), None);
            }
        });
    }
}
