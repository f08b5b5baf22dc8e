//! Tasks: the cell that holds a future, and the handles that refer to it.
//!
//! [`spawn`](crate::spawn) gives a future to the runtime and a [`JoinHandle`] back. This room knows
//! what a task *is*; which thread runs it, and when, is the scheduler's business.
//!
//! # Safety essay
//!
//! A task is one allocation, a `Cell<F>`: a `Header` of 72 bytes that does not
//! depend on `F`, then the future, and later its outcome, in one place. That place and the tag in the
//! header which says what is there are the *stage*. Everything outside `cell` holds a pointer to the
//! header and reaches `F` only through the vtable in it.
//!
//! *Kinds of reference.* A `TaskRef` is a counted pointer; wakers, join handles and abort handles
//! are `TaskRef`s by other names. A `Runnable` is the right to run the task; there is never more
//! than one of a task, because only the transition that sets `HELD` on an idle task (or the spawn)
//! makes one. It holds no count: the live reference, which only its holder can give up,
//! keeps the cell. The bits, the live reference and the orderings are set out in `state`.
//!
//! *Owned homes.* Where one thread runs all the tasks of a home, as in a `LocalRuntime`, it keeps
//! their state in words that it alone writes, and other threads reach it by a `Notice`; see `own` for
//! tasks and `cells` for the home. `ThreadBound` is how a scheduler keeps a queue for that thread.
//!
//! *Who touches which field.*
//!
//! | field | touched by |
//! |---|---|
//! | `state` | everybody, by the transitions of `state` |
//! | `own` | the owner's thread, if the home is owned; before the task is listed, who spawns it; of a task without an owner, the thread between `start` and `stop` or `complete`; read by who dumps |
//! | `polls` | written by the thread that the stage belongs to; read by who dumps |
//! | `born` | written by who spawns, before the task is listed; read by who dumps |
//! | `vtable`, `home`, `origin`, `id` | read by everybody; written at birth only |
//! | `index` | whoever holds the lock of the home's list |
//! | `join_waker` | the `JoinHandle` while `JOIN_WAKER` is clear; the completing thread once the task completed with it set; at the end whoever frees, who finds it empty |
//! | stage | the thread between `start` and `stop` or `complete`; after completion the `JoinHandle`, or, if it was gone, the completing thread before it completes |
//!
//! *Why each public operation is sound.* `JoinHandle` is `Send` only for `T: Send`, as polling or
//! dropping it moves or drops a `T` on its thread. Wakers and `AbortHandle` are `Send` and `Sync`
//! for every `F`: they change the state and hand a `Runnable` to the home, and neither polls nor
//! drops anything of `F`. A `Runnable` may travel between threads even for a `!Send` future (an
//! abort from elsewhere queues it), so the cell itself checks the thread: a local task's home notes
//! the thread that made it, spawning asserts that this is the present one, and
//! `Runnable::run` and its drop compare again before they touch the stage. A `Runnable` that is
//! dropped on a wrong thread leaks its cell rather than drop a `!Send` future there; our schedulers
//! never do that. A task whose future is made where it runs counts as `Send` before that, and as local
//! from then on; see `pinned`. Freeing a cell touches no future and no outcome: the stage is empty by then,
//! and so is the waker's slot. What may end with it are hooks and user data, which are `Send` and
//! `Sync`, and whose panics go no further.
//!
//! *Graves.* A task that ended on a worker which did not make it may stay in the list of its home for a
//! while. Then the worker holds a reference, which it is given in the same step in which the live reference
//! goes, and gives up after it has taken the task out of the list; see `graves`.
//!
//! *The slot* of a worker, from which others may take, holds a `Runnable` as a pointer; see `slot`.
//!
//! *Origin.* One word is a line of code, or counted: an extension, or an activity; see `origin`.
//!
//! *The current task* of a thread is a pointer to a header. `Runnable::run` and its drop set it, and
//! restore the one before ahead of giving up the live reference, or with no code of the user's in
//! between. Tasks nest as calls do, so each pointer further up is to a cell that is alive too.
//!
//! *Task-locals* are found by a list of frames on the thread's stack; see `locals`.
//!
//! *Dumps.* Who dumps, or looks a task up, gets its references under the lock of the home's list, in which
//! all are live, and then reads what is atomic or never changes. It touches no stage.
//!
//! *Panics.* A panic of the future, in a poll or in its drop, is caught in the vtable's functions
//! and becomes the task's outcome. Nothing in this room unwinds into a scheduler.

mod activity;
mod birth;
mod blocks;
mod builder;
mod cell;
mod cells;
mod current;
mod dump;
mod find;
mod graves;
mod home;
mod join;
mod list;
mod locals;
mod notice;
mod origin;
mod own;
mod pinned;
mod root;
mod run;
mod slot;
mod spawn;
mod state;
mod thread;
mod waker;

#[cfg(all(test, loom))]
mod loom_dump_tests;
#[cfg(all(test, loom))]
mod loom_owned_tests;
#[cfg(all(test, loom))]
mod loom_pinned_tests;
#[cfg(all(test, loom))]
mod loom_poll_tests;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use crate::hooks::TaskId;
pub use builder::{Builder, data, name};
pub use current::{id, try_id};
pub use dump::{TaskDump, TaskState};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use locals::{LocalKey, NotInScope, ScopedFuture};
pub use spawn::{Busy, Executor, Job, NoSuchShard};

#[cfg(feature = "http")]
pub(crate) use activity::{Activity, Legend};
pub(crate) use birth::{Birth, Present};
pub(crate) use find::Found;
pub(crate) use graves::Graves;
pub(crate) use home::{Home, Schedule};
pub(crate) use notice::Notice;
pub(crate) use origin::Origin;
pub(crate) use root::Root;
pub(crate) use run::{Ran, Runnable};
pub(crate) use slot::OwnedSlot;
#[cfg(feature = "http")]
pub(crate) use spawn::spawn_on;
pub(crate) use spawn::{Placement, Spawn, spawn, spawn_local, spawn_pinned};
pub(crate) use thread::ThreadBound;
