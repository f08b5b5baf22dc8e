//! What a scope knows of its children, shared by all who have to do with it.

use super::error::Failure;
use crate::coop;
use crate::group::ready::{ReadyList, Ticket};
use crate::primitives::Mutex;
use crate::sync::CancelToken;
use crate::task::{AbortHandle, JoinError, JoinHandle, LocalKey};
use crate::util::contain;
use slab::Slab;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The scope that encloses the code that is polled, if there is one.
pub(super) static ENCLOSING: LocalKey<Arc<dyn Nest>> = LocalKey::__new();

/// What ends a child: nothing, or an error of the user's. Its value has gone to its handle.
pub(super) type Ended<E> = Result<(), E>;

/// A scope, as the scopes inside and around it see it.
pub(super) trait Nest: Send + Sync {
    /// Takes in what is left of a scope inside whose own future was dropped, and waits for it; if it
    /// has ended itself, the scope around does. Whether one can.
    fn adopt(&self, orphans: Arc<dyn Nest>) -> bool;

    /// Waits until all children have ended, whatever they end with.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Closes the scope though members are left, who go on by themselves; gives what it has adopted,
    /// which is to be closed likewise.
    fn close_over(&self) -> Vec<Arc<dyn Nest>>;
}

/// The children of a scope, and whether there may be more.
///
/// No code of the user's runs under the lock: futures are spawned and dropped, tasks aborted and
/// outcomes dropped while it is free.
pub(super) struct Shared<E> {
    table: Mutex<Table<E>>,
    // The keys of members that have ended. Polled by the future of `run`, or by the scope that has
    // adopted this one.
    ended: ReadyList,
    /// Cancelled when the scope begins to end, or before that from outside.
    token: CancelToken,
    /// The scope in which this one was begun.
    outer: Option<Arc<dyn Nest>>,
}

struct Table<E> {
    phase: Phase,
    members: Slab<Member<E>>,
    /// Children that were admitted and are not in the table yet.
    starting: usize,
    /// How many children there ever were.
    born: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Ending(Cause),
    /// Everybody has ended, or was given up; nobody looks at the table any more.
    Over,
}

/// Why a scope ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The body or a child failed.
    Failure,
    /// By `Scope::cancel`.
    Cancel,
    /// By the token that it was given.
    Token,
    Deadline,
    /// The future of `run` was dropped.
    Dropped,
}

enum Member<E> {
    /// The ticket is marked if its own handle has aborted it.
    Child {
        handle: JoinHandle<Ended<E>>,
        number: u64,
        ticket: Arc<Ticket>,
    },
    /// A child that had ended when it came into the table.
    Ended(Result<Ended<E>, JoinError>),
    Orphans {
        scope: Arc<dyn Nest>,
        ticket: Arc<Ticket>,
    },
}

impl<E: Send + 'static> Shared<E> {
    pub(super) fn new(token: CancelToken, outer: Option<Arc<dyn Nest>>) -> Self {
        let table = Table { phase: Phase::Open, members: Slab::new(), starting: 0, born: 0 };
        Self { table: Mutex::new(table), ended: ReadyList::new(), token, outer }
    }

    pub(super) fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Why it ends early, if it does.
    pub(super) fn cause(&self) -> Option<Cause> {
        match self.table.lock().phase {
            Phase::Ending(cause) => Some(cause),
            Phase::Open | Phase::Over => None,
        }
    }

    /// Keeps a place for a child, if the scope takes in any; it does not end meanwhile.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place<E>> {
        let mut table = self.table.lock();
        if table.phase != Phase::Open {
            return None;
        }
        if self.token.is_cancelled() {
            // From outside, as the scope itself cancels it after the phase has changed. It counts from
            // here on: what was refused a child must not end as if nothing had been left out.
            drop(table);
            self.end(Cause::Token);
            return None;
        }
        table.starting += 1;
        drop(table);
        Some(Place { shared: Arc::clone(self), taken: false })
    }

    /// Aborts all children in the order in which they were spawned, and admits no more; only the
    /// first cause counts.
    pub(super) fn end(&self, cause: Cause) {
        let mut table = self.table.lock();
        if table.phase != Phase::Open {
            return;
        }
        table.phase = Phase::Ending(cause);
        let mut children: Vec<(u64, AbortHandle)> = Vec::with_capacity(table.members.len());
        for (_, member) in &table.members {
            if let Member::Child { handle, number, .. } = member {
                children.push((*number, handle.abort_handle()));
            }
        }
        drop(table);
        self.token.cancel();
        children.sort_unstable_by_key(|(number, _)| *number);
        for (_, child) in children {
            child.abort();
        }
        self.ended.wake();
    }

    /// Takes out members that have ended, and tells what failed; some at a time, so that a great many
    /// do not hold up everybody else. The task of `cx` is woken for more.
    pub(super) fn reap(&self, cx: &mut Context<'_>, mut failed: impl FnMut(Failure<E>)) {
        // The budget is the body's; if that spends it all in each poll, children end all the same.
        let _unlimited = coop::unlimited();
        for _ in 0..coop::BUDGET {
            let Poll::Ready(key) = self.ended.poll_pop(cx) else { return };
            if let Some(failure) = self.take(key) {
                self.end(Cause::Failure);
                failed(failure);
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Looks at a member that was woken; tells how it failed, if it did.
    fn take(&self, key: usize) -> Option<Failure<E>> {
        let mut table = self.table.lock();
        match table.members.get(key)? {
            Member::Child { handle, .. } if !handle.is_finished() => return None,
            Member::Child { .. } | Member::Ended(_) => {}
            Member::Orphans { scope, ticket } => {
                let (scope, ticket) = (Arc::clone(scope), Arc::clone(ticket));
                drop(table);
                ticket.begin();
                let waker = Waker::from(ticket);
                if scope.poll_ended(&mut Context::from_waker(&waker)).is_ready() {
                    let member = self.table.lock().members.try_remove(key);
                    drop(member);
                }
                return None;
            }
        }
        let member = table.members.remove(key);
        let cancelled = table.phase != Phase::Open;
        drop(table);
        match member {
            Member::Child { mut handle, ticket, .. } => {
                let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
                match polled {
                    Poll::Ready(outcome) => failure(outcome, cancelled || ticket.is_marked()),
                    Poll::Pending => unreachable!("a task that has ended has its outcome"),
                }
            }
            Member::Ended(outcome) => failure(outcome, cancelled),
            Member::Orphans { .. } => None,
        }
    }

    /// Closes the scope for good, if nobody is left.
    pub(super) fn try_close(&self) -> bool {
        let mut table = self.table.lock();
        let over = table.members.is_empty() && table.starting == 0;
        if over {
            table.phase = Phase::Over;
            drop(table);
            self.ended.leave();
        }
        over
    }

    /// Leaves what is left to the innermost scope around that has not ended. Whether there is one.
    pub(super) fn is_adopted(self: &Arc<Self>) -> bool {
        self.outer.as_ref().is_some_and(|outer| outer.adopt(self.clone()))
    }

    /// Closes the scope though members are left, who go on by themselves.
    pub(super) fn give_up(&self) {
        // What it has adopted is waited for by nobody then, and must adopt nothing any more: it would
        // keep for ever what keeps it.
        let mut left = self.close_over();
        while let Some(orphans) = left.pop() {
            left.extend(orphans.close_over());
        }
    }

    /// Puts a child into the table that was just spawned.
    fn insert(&self, mut handle: JoinHandle<Ended<E>>) -> Child {
        let stop = handle.abort_handle();
        let mut table = self.table.lock();
        let (ending, over) = (table.phase != Phase::Open, table.phase == Phase::Over);
        table.starting -= 1;
        let ticket = self.ended.ticket(table.members.vacant_key());
        let child = Child { task: stop, ticket: Arc::clone(&ticket) };
        if over {
            drop(table);
            child.task.abort();
            return child;
        }
        let number = table.born;
        table.born += 1;
        // Under the lock, so that whoever is told of its end finds it in the table. It runs no code
        // of the user's: the handle is new and has no other waker, and the outcome is only moved.
        let polled = {
            let _unlimited = coop::unlimited();
            let waker = Waker::from(Arc::clone(&ticket));
            Pin::new(&mut handle).poll(&mut Context::from_waker(&waker))
        };
        match polled {
            Poll::Pending => {
                table.members.insert(Member::Child { handle, number, ticket });
                drop(table);
                if ending {
                    child.task.abort();
                }
            }
            Poll::Ready(outcome) => {
                table.members.insert(Member::Ended(outcome));
                drop(table);
                Waker::from(ticket).wake();
            }
        }
        child
    }
}

impl<E: Send + 'static> Nest for Shared<E> {
    fn adopt(&self, orphans: Arc<dyn Nest>) -> bool {
        let mut table = self.table.lock();
        if table.phase == Phase::Over {
            drop(table);
            // Its future has left this scope, and was dropped in one further out.
            return self.outer.as_ref().is_some_and(|outer| outer.adopt(orphans));
        }
        let ticket = self.ended.ticket(table.members.vacant_key());
        let waker = Waker::from(Arc::clone(&ticket));
        table.members.insert(Member::Orphans { scope: orphans, ticket });
        drop(table);
        // Looked at once, it leaves the ticket with its own list.
        waker.wake();
        true
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        // There is nobody to tell.
        self.reap(cx, |failure| contain(|| drop(failure)));
        match self.try_close() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn close_over(&self) -> Vec<Arc<dyn Nest>> {
        let mut table = self.table.lock();
        table.phase = Phase::Over;
        let members = std::mem::take(&mut table.members);
        drop(table);
        self.ended.leave();
        let orphans = members.into_iter().filter_map(|(_, member)| match member {
            Member::Orphans { scope, .. } => Some(scope),
            // Their outcomes are the user's, and the others have to be closed all the same.
            Member::Child { .. } | Member::Ended(_) => {
                contain(|| drop(member));
                None
            }
        });
        orphans.collect()
    }
}

/// How a child failed, if it did.
fn failure<E>(outcome: Result<Ended<E>, JoinError>, cancelled: bool) -> Option<Failure<E>> {
    match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Failure::Child(error)),
        Err(error) if error.is_panic() => Some(Failure::Panicked(error)),
        Err(_) if cancelled => None,
        Err(error) => Some(Failure::Lost(error)),
    }
}

/// A child as its handle knows it.
pub(super) struct Child {
    task: AbortHandle,
    ticket: Arc<Ticket>,
}

impl Child {
    pub(super) fn task(&self) -> &AbortHandle {
        &self.task
    }

    /// Cancels it, which is no failure.
    pub(super) fn abort(&self) {
        self.ticket.mark();
        self.task.abort();
    }
}

/// A place for a child that is being spawned; it is given back if the spawn panics.
pub(super) struct Place<E: Send + 'static> {
    shared: Arc<Shared<E>>,
    taken: bool,
}

impl<E: Send + 'static> Place<E> {
    /// The child takes its place.
    pub(super) fn take(mut self, handle: JoinHandle<Ended<E>>) -> Child {
        self.taken = true;
        self.shared.insert(handle)
    }
}

impl<E: Send + 'static> Drop for Place<E> {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.table.lock().starting -= 1;
            self.shared.ended.wake();
        }
    }
}
