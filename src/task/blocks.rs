//! Memory of tasks that have ended, kept for those that come.

use super::thread::ThreadBound;
use crate::primitives::ThreadKey;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Sizes are rounded up so that they end [`ROOM`] before a multiple of this, which is what glibc's
/// allocator has in its blocks.
const STEP: usize = 16;

/// What such an allocator takes of each block.
const ROOM: usize = 8;

/// Blocks of up to so many bytes are kept.
const LARGEST: usize = size(CLASSES - 1);

/// So many lists there are; the first stays empty.
const CLASSES: usize = 33;

/// Blocks of more than this are not kept.
const ALIGN: usize = align_of::<usize>();

/// So many bytes are kept at the most: 64 KiB.
///
/// None in a debug build, where the tools that look for memory used after its end would not see it.
const MOST: usize = if cfg!(debug_assertions) { 0 } else { 64 << 10 };

/// What the maker of a home's tasks keeps of their memory.
///
/// A block may be freed by anybody, by any thread: each is an allocation of its own.
pub(super) struct Kept(ThreadBound<Blocks>);

impl Kept {
    /// For this thread.
    pub(super) fn new(thread: ThreadKey) -> Self {
        Self(ThreadBound::of(thread, Blocks::new(MOST)))
    }

    /// Memory for a cell, whose layout is one of [`layout_of`]'s.
    pub(super) fn allocate(&self, layout: Layout) -> NonNull<u8> {
        if let Ok(Some(block)) = self.0.with((), |blocks, ()| blocks.take(layout)) {
            return block;
        }
        // SAFETY: a cell has a header, so the size is not 0.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// Frees such memory, or keeps it.
    ///
    /// # Safety
    ///
    /// It is the caller's alone, and was allocated with this layout.
    pub(super) unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's word.
        let kept = self.0.with((), |blocks, ()| unsafe { blocks.put(block, layout) });
        if kept != Ok(true) {
            // SAFETY: the caller's word.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}

/// Free blocks, by size, the last freed first.
///
/// INVARIANT: each list holds blocks that were allocated with the layout of its class, and that are
/// nobody's; `bytes` is their sum.
struct Blocks {
    free: [Option<NonNull<Free>>; CLASSES],
    bytes: usize,
    most: usize,
}

/// What is in a block that is free.
struct Free {
    next: Option<NonNull<Free>>,
}

// SAFETY: free memory belongs to no thread.
unsafe impl Send for Blocks {}

/// The layout that a block for a `T` is allocated with.
pub(super) const fn layout_of<T>() -> Layout {
    let layout = Layout::new::<T>();
    if layout.align() > ALIGN || layout.size() > LARGEST {
        return layout;
    }
    match Layout::from_size_align(size(class(layout)), ALIGN) {
        Ok(rounded) => rounded,
        Err(_) => layout,
    }
}

/// Which list has the blocks of this layout; past the last one if none has.
#[inline]
const fn class(layout: Layout) -> usize {
    if layout.align() > ALIGN { usize::MAX } else { (layout.size() + ROOM).div_ceil(STEP) }
}

/// The size of the blocks of a list.
const fn size(class: usize) -> usize {
    class * STEP - ROOM
}

impl Blocks {
    fn new(most: usize) -> Self {
        Self { free: [None; CLASSES], bytes: 0, most }
    }

    /// Takes a block out.
    #[inline]
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let list = self.free.get_mut(class(layout))?;
        let block = (*list)?;
        // SAFETY: by the invariant it is a free block, in which there is one of these.
        *list = unsafe { block.as_ref() }.next;
        self.bytes -= layout.size();
        Some(block.cast())
    }

    /// Puts a block in, unless enough are kept.
    ///
    /// # Safety
    ///
    /// It was allocated with this layout, one of [`layout_of`]'s, and is the caller's alone. If it is
    /// put in it is so no more.
    #[inline]
    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        let Some(list) = self.free.get_mut(class(layout)) else { return false };
        let bytes = self.bytes + layout.size();
        if bytes > self.most {
            return false;
        }
        let block = block.cast::<Free>();
        // SAFETY: by the caller's word it is free memory, which is large enough, as no cell is empty,
        // and aligned.
        unsafe { block.write(Free { next: *list }) };
        (*list, self.bytes) = (Some(block), bytes);
        true
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (class, list) in self.free.iter().enumerate() {
            let mut next = *list;
            while let Some(block) = next {
                // SAFETY: by the invariant they are free, and of this size.
                unsafe {
                    next = block.as_ref().next;
                    let layout = Layout::from_size_align_unchecked(size(class), ALIGN);
                    dealloc(block.cast().as_ptr(), layout);
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts_are_of_a_class_or_their_own() {
        assert_eq!(layout_of::<[u64; 11]>(), Layout::from_size_align(88, 8).unwrap());
        assert_eq!(layout_of::<[u8; 89]>(), Layout::from_size_align(104, 8).unwrap());
        assert_eq!(layout_of::<[u64; 63]>().size(), LARGEST);
        assert_eq!(layout_of::<[u8; 505]>(), Layout::new::<[u8; 505]>());
        #[repr(align(64))]
        struct Aligned(#[allow(dead_code)] [u8; 64]);
        assert_eq!(layout_of::<Aligned>(), Layout::new::<Aligned>());
        assert!(class(layout_of::<Aligned>()) >= CLASSES);
        assert!(class(layout_of::<[u8; 505]>()) >= CLASSES);
    }

    proptest! {
        /// Blocks that come out were put in with the same layout, the last first; no more than so
        /// many bytes are kept. That none is lost or freed twice is the sanitizer's to say.
        #[test]
        fn kept_blocks_are_given_out_again(steps in prop::collection::vec((any::<bool>(), 0_usize..4), 1..200)) {
            let layouts = [layout_of::<[u8; 80]>(), layout_of::<[u8; 96]>(), layout_of::<[u8; 500]>(), layout_of::<[u8; 600]>()];
            let mut blocks = Blocks::new(2048);
            let mut model: [Vec<NonNull<u8>>; 4] = Default::default();
            for (puts, at) in steps {
                let layout = layouts[at];
                if puts {
                    // SAFETY: the layout has a size; the block is ours until it is put in.
                    unsafe {
                        let block = NonNull::new(alloc(layout)).unwrap();
                        if blocks.put(block, layout) {
                            model[at].push(block);
                        } else {
                            let bytes: usize = model.iter().zip(layouts).map(|(kept, layout)| kept.len() * layout.size()).sum();
                            prop_assert!(at == 3 || bytes + layout.size() > 2048);
                            dealloc(block.as_ptr(), layout);
                        }
                    }
                } else {
                    let block = blocks.take(layout);
                    prop_assert_eq!(block, model[at].pop());
                    // SAFETY: it has come out, and is ours.
                    block.into_iter().for_each(|block| unsafe { dealloc(block.as_ptr(), layout) });
                }
            }
        }
    }
}
