//! What a task allocates: one cell at the most, and no more unless it has a name or data.
#![cfg(not(loom))]

use mainspring::task::Builder;
use mainspring::{LocalRuntime, spawn, spawn_local, task_local};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = MADE.try_with(|made| made.set(made.get() + 1));
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's word.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// With debug assertions each task has memory of its own; otherwise that of the one before.
const CELL: usize = cfg!(debug_assertions) as usize;

task_local! {
    static KEY: u64;
}

#[test]
fn names_and_data_are_paid_for_by_those_who_have_them() {
    async fn cost<F: Future>(work: impl Fn() -> F) -> usize {
        // The first time fills queues and lists.
        work().await;
        let before = MADE.get();
        work().await;
        MADE.get() - before
    }
    let rt = LocalRuntime::builder().build().unwrap();
    let handle = rt.handle();
    rt.block_on(async {
        assert_eq!(cost(|| async { spawn(async {}).await.unwrap() }).await, CELL);
        assert_eq!(cost(|| async { spawn_local(async {}).await.unwrap() }).await, CELL);
        assert_eq!(cost(|| async { handle.spawn(async {}).await.unwrap() }).await, CELL);
        let plain = || async { Builder::new().spawn(async {}).await.unwrap() };
        assert_eq!(cost(plain).await, CELL);
        let scoped = || async { spawn(KEY.scope(1, async { KEY.get() })).await.unwrap() };
        assert_eq!(cost(scoped).await, CELL);
        let named = || async { Builder::new().name("n").spawn(async {}).await.unwrap() };
        assert_eq!(cost(named).await, CELL + 1);
        let with_data = || async { Builder::new().data(7u32).spawn(async {}).await.unwrap() };
        assert_eq!(cost(with_data).await, CELL + 2, "extension and data");
        let inherits = || async {
            let parent = Builder::new()
                .data(7u32)
                .spawn(async { cost(|| async { spawn(async {}).await.unwrap() }).await });
            assert_eq!(parent.await.unwrap(), CELL + 1, "the extension");
        };
        inherits().await;
    });
}
