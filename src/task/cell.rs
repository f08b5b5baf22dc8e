//! The allocation of a task, and what depends on the type of its future.

use super::birth::Birth;
use super::blocks;
use super::home::{HomeRef, Tasks};
use super::join::JoinError;
use super::origin::Origin;
use super::own::Own;
use super::state::State;
use crate::hooks::{Hooks, TaskId, TaskInfo, TaskKind};
use crate::primitives::{AtomicU32, Ordering::Relaxed, UnsafeCell};
use crate::util::{contain, discard};
use std::alloc::Layout;
use std::any::Any;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// What every task has, whatever its future: one cache line, and eight bytes behind it, which fill
/// what the alignment of most futures would leave free.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    /// The owner's part, if the home is owned; if not, that of the thread that polls.
    pub(super) own: Own,
    /// INVARIANT: guarded by the lock of the home's list.
    pub(super) index: UnsafeCell<u32>,
    /// How often the future was polled, modulo 2³²; see [`count_poll`](Self::count_poll).
    polls: AtomicU32,
    pub(super) vtable: &'static Vtable,
    pub(super) home: HomeRef,
    pub(super) origin: Origin,
    pub(super) id: TaskId,
    /// INVARIANT: see the table in the essay of `task`.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
    /// The [`Birth`]; 0 until the task is admitted, and then it does not change.
    born: AtomicU32,
    /// INVARIANT: it says what is in the stage, and belongs to whom that belongs to.
    tag: UnsafeCell<Tag>,
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
        let kind = match self.home.tasks {
            Tasks::Futures if self.state.is_local() => TaskKind::Local,
            Tasks::Futures => TaskKind::Send,
            Tasks::Pinned => TaskKind::Pinned,
            Tasks::Closures => TaskKind::Blocking,
        };
        TaskInfo {
            id: self.id,
            kind,
            location: self.origin.location(),
            extension: self.origin.shared_extension(),
        }
    }

    /// The future is about to be polled, by whom the stage belongs to: there is one at a time, so a
    /// load and a store do.
    #[inline]
    pub(super) fn count_poll(&self) {
        self.polls.store(self.polls.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(super) fn polls(&self) -> u32 {
        self.polls.load(Relaxed)
    }

    /// Says when the task was spawned, which is read only once the task is listed.
    #[inline]
    pub(super) fn set_born(&self, born: Birth) {
        self.born.store(born.to_raw(), Relaxed);
    }

    pub(super) fn born(&self) -> Option<Birth> {
        Birth::from_raw(self.born.load(Relaxed))
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
    slot: UnsafeCell<Slot<F>>,
}

/// What is in the [`Slot`]. As wide as `born`, so that both are written at once.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Tag {
    Future,
    Output,
    Failed,
    Empty,
}

/// The future, and later its outcome, in one place; the [`Tag`] is kept apart, as an enum would put it
/// where `born` is, and leave no room for that.
///
/// INVARIANT: the field that the tag names is initialised.
union Slot<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
    failed: ManuallyDrop<NoOutput>,
}

/// The stage of a live cell: the slot and its tag.
///
/// INVARIANT: both are valid, and belong to whoever has this.
struct Stage<F: Future> {
    tag: *mut Tag,
    slot: *mut Slot<F>,
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
            polls: AtomicU32::new(0),
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
            born: AtomicU32::new(0),
            tag: UnsafeCell::new(Tag::Future),
        },
        slot: UnsafeCell::new(Slot { future: ManuallyDrop::new(future) }),
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
unsafe fn with_stage<F: Future, R>(header: NonNull<Header>, f: impl FnOnce(Stage<F>) -> R) -> R {
    // SAFETY: by the caller's word the cell is alive and of this type; the header is its first
    // field, and the pointer was made from the whole cell.
    let cell = unsafe { header.cast::<Cell<F>>().as_ref() };
    cell.header.tag.with_mut(|tag| cell.slot.with_mut(|slot| f(Stage { tag, slot })))
}

impl<F: Future> Stage<F> {
    /// The future, which must be there.
    fn future(&mut self) -> *mut F {
        // SAFETY: the tag is valid, and ours.
        let Tag::Future = (unsafe { *self.tag }) else {
            unreachable!("the future of a task is gone")
        };
        // SAFETY: the place is valid; nothing is read, and `ManuallyDrop` is what it wraps.
        unsafe { &raw mut (*self.slot).future }.cast()
    }

    /// Puts `next` where there is nothing, or what counts as dropped.
    fn put(&mut self, next: Slot<F>, tag: Tag) {
        // SAFETY: both are valid, and ours; `write` does not look at what was there.
        unsafe {
            self.slot.write(next);
            self.tag.write(tag);
        }
    }

    fn put_failure(&mut self, failure: NoOutput) {
        self.put(Slot { failed: ManuallyDrop::new(failure) }, Tag::Failed);
    }

    /// Moves the outcome out; `None` if it was before.
    fn take_outcome(&mut self) -> Option<Result<F::Output, NoOutput>> {
        // SAFETY: the tag names the field that is initialised, and says afterwards that none is. What
        // is moved out was never pinned: outcomes are not.
        unsafe {
            let outcome = match *self.tag {
                Tag::Future => unreachable!("took the outcome of a live task"),
                Tag::Output => Some(Ok(ManuallyDrop::take(&mut (*self.slot).output))),
                Tag::Failed => Some(Err(ManuallyDrop::take(&mut (*self.slot).failed))),
                Tag::Empty => None,
            };
            *self.tag = Tag::Empty;
            outcome
        }
    }

    /// Drops the future in its place, and puts `next` there even if the drop panics.
    ///
    /// Where it is called nothing is in a hurry, so that there need be but one of it.
    #[cold]
    #[inline(never)]
    fn replace_future(&mut self, next: NoOutput) -> Result<(), Box<dyn Any + Send>> {
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: it is there, and counts as dropped afterwards, whether this returns or unwinds.
            unsafe { std::ptr::drop_in_place(self.future()) };
        }));
        self.put_failure(next);
        dropped
    }
}

/// # Safety
///
/// As for [`Vtable`].
unsafe fn poll<F: Future>(header: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
    let poll = |mut stage: Stage<F>| {
        let mut output = None;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let future = stage.future();
            // SAFETY: the stage is ours alone, so making references into it is sound. The future is
            // pinned: it lies in a heap allocation that does not move, and leaves its place only
            // through `drop_in_place`, here and in `replace_future`.
            unsafe {
                if let Poll::Ready(value) = Pin::new_unchecked(&mut *future).poll(cx) {
                    output = Some(value);
                    std::ptr::drop_in_place(future);
                }
            }
        }));
        match (result, output) {
            // The output counts, even if the drop of the finished future panics.
            (result, Some(output)) => {
                stage.put(Slot { output: ManuallyDrop::new(output) }, Tag::Output);
                result.map_or_else(discard, |_| ());
                Polled::Finished
            }
            (Ok(_), None) => Polled::Pending,
            (Err(payload), None) => {
                let dropped = stage.replace_future(Some(payload));
                dropped.unwrap_or_else(discard);
                Polled::Panicked
            }
        }
    };
    // SAFETY: the caller's word.
    unsafe { with_stage::<F, _>(header, poll) }
}

/// # Safety
///
/// As for [`Vtable`].
unsafe fn cancel<F: Future>(header: NonNull<Header>) -> Polled {
    let cancel = |mut stage: Stage<F>| match stage.replace_future(None) {
        Ok(()) => Polled::Finished,
        Err(payload) => {
            stage.put_failure(Some(payload));
            Polled::Panicked
        }
    };
    // SAFETY: the caller's word.
    unsafe { with_stage::<F, _>(header, cancel) }
}

/// # Safety
///
/// As for [`Vtable`]; `to` points to an `Option<Result<F::Output, JoinError>>`.
unsafe fn take<F: Future>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the caller's word.
    unsafe {
        let outcome = with_stage::<F, _>(header, |mut stage| stage.take_outcome());
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
    let outcome = unsafe { with_stage::<F, _>(header, |mut stage| stage.take_outcome()) };
    outcome.and_then(Result::err).flatten()
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
    if origin.is_counted() {
        contain(|| drop(origin));
    }
    drop(home);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn a_header_is_one_cache_line_and_what_fills_the_gap_behind_it() {
        assert!(offset_of!(Header, born) <= 64, "{}", offset_of!(Header, born));
        assert!(size_of::<Header>() <= 72, "{}", size_of::<Header>());
        assert_eq!(align_of::<Header>(), align_of::<usize>(), "no over-alignment");
    }

    /// The stage as an enum, with its tag in front, and no time of birth.
    #[allow(dead_code)]
    enum Enum<F: Future> {
        Future(F),
        Output(F::Output),
        Failed(NoOutput),
        Empty,
    }

    #[repr(C)]
    struct WithEnum<F: Future>([u64; 8], Enum<F>);

    #[repr(align(32))]
    struct Aligned;

    fn is_no_larger<F: Future>(_: F) {
        let (size, before) = (size_of::<Cell<F>>(), size_of::<WithEnum<F>>());
        assert!(size <= before, "{size} of {before} bytes, for {}", std::any::type_name::<F>());
    }

    /// Only where the tag of an enum finds a place inside the future, as in some that are written by hand,
    /// or in front of one whose alignment is below 8, is there no gap to fill.
    #[test]
    fn a_cell_is_no_larger_for_the_time_of_birth() {
        let (shared, text) = (std::sync::Arc::new(5), String::from("text"));
        let ready = std::future::ready::<u8>;
        is_no_larger(async {});
        is_no_larger(ready(1));
        is_no_larger(Box::pin(ready(2)) as Pin<Box<dyn Future<Output = u8>>>);
        is_no_larger(async move { ready(3).await + *shared });
        is_no_larger(async move {
            ready(4).await;
            text
        });
        is_no_larger(async {
            let large = [0_u64; 512];
            large[usize::from(ready(5).await)]
        });
        is_no_larger(async {
            let aligned = (Aligned, ready(6).await);
            aligned.1
        });
    }
}
