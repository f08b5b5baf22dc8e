//! An allocator that counts the bytes that are in use.
#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

static BYTES: AtomicIsize = AtomicIsize::new(0);

pub(crate) struct Counting;

// SAFETY: it passes everything on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            BYTES.fetch_add(layout.size() as isize, Relaxed);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(block, layout) };
    }
}

/// Bytes that are allocated and not freed.
pub(crate) fn bytes() -> isize {
    BYTES.load(Relaxed)
}
