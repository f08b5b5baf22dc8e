//! The allocation of a task, and what depends on the type of its future.

use super::blocks;
use super::home::HomeRef;
use super::join::JoinError;
use super::origin::Origin;
use super::own::Own;
use super::state::State;
use crate::hooks::{Hooks, TaskId, TaskInfo, TaskKind};
use crate::primitives::UnsafeCell;
use crate::util::{contain, discard};
use std::alloc::Layout;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// What every task has, whatever its future: one cache line.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    /// The owner's part, if the home is owned.
    pub(super) own: Own,
    /// INVARIANT: guarded by the lock of the home's list.
    pub(super) index: UnsafeCell<u32>,
    pub(super) vtable: &'static Vtable,
    pub(super) home: HomeRef,
    pub(super) origin: Origin,
    pub(super) id: TaskId,
    /// INVARIANT: see the table in the essay of `task`.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
}

impl Header {
    /// Tells the hooks, of which there are some, what happens to the task.
    ///
    /// Out of line, so that it weighs nothing where there are none.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(&self, event: impl FnOnce(&dyn Hooks, &TaskInfo)) {
        let info = self.info();
        self.home.hooks.call(|hooks| event(hooks, &info));
    }

    /// What hooks are told about the task.
    #[cold]
    pub(super) fn info(&self) -> TaskInfo {
        let kind = match self.state.is_local() {
            true => TaskKind::Local,
            false if self.home.blocking => TaskKind::Blocking,
            false => TaskKind::Send,
        };
        TaskInfo {
            id: self.id,
            kind,
            location: self.origin.location(),
            extension: self.origin.shared_extension(),
        }
    }
}

/// What became of the stage in one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Pending,
    Finished,
    Panicked,
}

/// The operations that need to know `F`.
///
/// All take a pointer to the header of a live `Cell<F>`. `poll`, `cancel` and `drop_outcome` need
/// the stage to be the caller's (see the essay of `task`); `take` needs that too.
pub(super) struct Vtable {
    /// Polls the future; unless `Pending`, the outcome is in its place. Never unwinds.
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    /// Drops the future; the outcome is "cancelled", or the panic of the drop. Never unwinds.
    pub(super) cancel: unsafe fn(NonNull<Header>) -> Polled,
    /// Moves the outcome to a `*mut Option<Result<F::Output, JoinError>>`; leaves `None` there if
    /// it was taken before.
    pub(super) take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the outcome if it is still there, but for the payload of a panic, which is the caller's
    /// then. Unwinds if the drop does.
    pub(super) drop_outcome: unsafe fn(NonNull<Header>) -> NoOutput,
    /// Of the allocation.
    layout: Layout,
}

/// The allocation.
#[repr(C)]
struct Cell<F: Future> {
    /// INVARIANT: the first field, so that a pointer to the cell is one to the header.
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Future(F),
    Output(F::Output),
    Failed(NoOutput),
    Empty,
}

/// What is left of a task without an output: the payload of a panic, or nothing if it was cancelled.
pub(super) type NoOutput = Option<Box<dyn Any + Send>>;

/// Makes the cell of a task, of which `state` and `own` say what references there are.
#[inline]
pub(super) fn allocate<F: Future>(
    future: F,
    (state, own): (State, Own),
    home: HomeRef,
    id: TaskId,
    origin: Origin,
) -> NonNull<Header> {
    let layout = const { blocks::layout_of::<Cell<F>>() };
    let place = home.kept.allocate(layout).cast::<Cell<F>>();
    let cell = Cell {
        header: Header {
            state,
            own,
            index: UnsafeCell::new(super::list::UNLISTED),
            vtable: const {
                &Vtable {
                    poll: poll::<F>,
                    cancel: cancel::<F>,
                    take: take::<F>,
                    drop_outcome: drop_outcome::<F>,
                    layout: blocks::layout_of::<Cell<F>>(),
                }
            },
            home,
            origin,
            id,
            join_waker: UnsafeCell::new(None),
        },
        stage: UnsafeCell::new(Stage::Future(future)),
    };
    // SAFETY: it is memory of this size and alignment at least, and nobody else's.
    unsafe { place.write(cell) };
    place.cast()
}

/// Calls `f` with the stage.
///
/// # Safety
///
/// `header` is that of a live `Cell<F>`, and its stage is the caller's.
unsafe fn with_stage<F: Future, R>(
    header: NonNull<Header>,
    f: impl FnOnce(*mut Stage<F>) -> R,
) -> R {
    let cell = header.cast::<Cell<F>>();
    // SAFETY: by the caller's word the cell is alive and of this type; the header is its first
    // field, and the pointer was made from the whole cell.
    unsafe { cell.as_ref() }.stage.with_mut(f)
}

/// # Safety
///
/// As for [`Vtable`].
unsafe fn poll<F: Future>(header: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
    // SAFETY: the caller's word. Within the closure the stage is ours alone, so making references
    // into it is sound. The future is pinned: it lies in a heap allocation that does not move, and
    // leaves its place only through `drop_in_place` in `replace`.
    unsafe {
        with_stage::<F, _>(header, |stage| {
            let mut output = None;
            let result = catch_unwind(AssertUnwindSafe(|| {
                let Stage::Future(future) = &mut *stage else {
                    unreachable!("polled a task whose future is gone")
                };
                if let Poll::Ready(value) = Pin::new_unchecked(&mut *future).poll(cx) {
                    output = Some(value);
                    std::ptr::drop_in_place(future);
                }
            }));
            match (result, output) {
                // The output counts, even if the drop of the finished future panics.
                (result, Some(output)) => {
                    std::ptr::write(stage, Stage::Output(output));
                    result.map_or_else(discard, |_| ());
                    Polled::Finished
                }
                (Ok(_), None) => Polled::Pending,
                (Err(payload), None) => {
                    let dropped = replace(stage, Stage::Failed(Some(payload)));
                    dropped.unwrap_or_else(discard);
                    Polled::Panicked
                }
            }
        })
    }
}

/// # Safety
///
/// As for [`Vtable`].
unsafe fn cancel<F: Future>(header: NonNull<Header>) -> Polled {
    // SAFETY: the caller's word.
    unsafe {
        with_stage::<F, _>(header, |stage| match replace(stage, Stage::Failed(None)) {
            Ok(()) => Polled::Finished,
            Err(payload) => {
                std::ptr::write(stage, Stage::Failed(Some(payload)));
                Polled::Panicked
            }
        })
    }
}

/// Drops what is in the stage, in its place, and puts `next` there even if the drop panics.
///
/// Where it is called nothing is in a hurry, so that there need be but one of it.
///
/// # Safety
///
/// `stage` is valid, and the caller's alone.
#[cold]
#[inline(never)]
unsafe fn replace<F: Future>(
    stage: *mut Stage<F>,
    next: Stage<F>,
) -> Result<(), Box<dyn Any + Send>> {
    // SAFETY: the caller's word. After `drop_in_place`, whether it returned or unwound, the old
    // value counts as dropped, and `write` does not look at it.
    unsafe {
        let dropped = catch_unwind(AssertUnwindSafe(|| std::ptr::drop_in_place(stage)));
        std::ptr::write(stage, next);
        dropped
    }
}

/// # Safety
///
/// As for [`Vtable`]; `to` points to an `Option<Result<F::Output, JoinError>>`.
unsafe fn take<F: Future>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the caller's word.
    unsafe {
        let outcome = outcome::<F>(header);
        *to.cast::<Option<Result<F::Output, JoinError>>>() =
            outcome.map(|outcome| outcome.map_err(|left| failure(header.as_ref(), left)));
    }
}

/// # Safety
///
/// As for [`Vtable`].
unsafe fn drop_outcome<F: Future>(header: NonNull<Header>) -> NoOutput {
    // SAFETY: the caller's word. It is moved out first, so that a panic in its drop leaves an empty
    // stage behind.
    unsafe { outcome::<F>(header) }.and_then(Result::err).flatten()
}

/// Moves the outcome out of the stage, which is empty then; `None` if it was before.
///
/// # Safety
///
/// As for [`Vtable`].
unsafe fn outcome<F: Future>(header: NonNull<Header>) -> Option<Result<F::Output, NoOutput>> {
    // SAFETY: the caller's word. What is moved out was never pinned: outcomes are not. It is read
    // where it lies, as the stage around it may be as large as the future was; and `write` does not
    // look at what it leaves there.
    unsafe {
        with_stage::<F, _>(header, |stage| {
            let outcome = match &*stage {
                Stage::Future(_) => unreachable!("took the outcome of a live task"),
                Stage::Output(output) => Some(Ok(std::ptr::read(output))),
                Stage::Failed(payload) => Some(Err(std::ptr::read(payload))),
                Stage::Empty => None,
            };
            std::ptr::write(stage, Stage::Empty);
            outcome
        })
    }
}

/// Why a task has no output.
#[cold]
fn failure(header: &Header, left: NoOutput) -> JoinError {
    match left {
        Some(payload) => JoinError::panicked(header.id, payload),
        None if header.state.is_refused() => JoinError::refused(header.id),
        None => JoinError::cancelled(header.id),
    }
}

/// Frees a cell.
///
/// # Safety
///
/// The last reference is the caller's, and goes with this. The stage is empty, and so is the slot of
/// the join waker.
pub(super) unsafe fn free(header: NonNull<Header>) {
    // SAFETY: the caller has the cell alone. What the header owns is moved out of it, and of what is
    // left nothing has anything to drop. It was allocated by its home, with this layout.
    let (home, origin) = unsafe {
        let Header { vtable, home, origin, .. } = std::ptr::read(header.as_ptr());
        home.kept.free(header.cast(), vtable.layout);
        (home, origin)
    };
    // This may be the end of the user's data that hang on the task, and of the user's hooks: a panic
    // of their drop is nobody's to answer for.
    if origin.is_extended() {
        contain(|| drop(origin));
    }
    drop(home);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_cache_line() {
        assert!(size_of::<Header>() <= 64, "{}", size_of::<Header>());
        assert_eq!(align_of::<Header>(), align_of::<usize>(), "no over-alignment");
    }
}
