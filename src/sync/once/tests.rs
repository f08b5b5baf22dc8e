use super::{OnceCell, SetError, SetOnce};
use crate::coop;
use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::test_kit::Task;
use futures::executor::block_on;
use std::future::pending;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

static STATIC: OnceCell<String> = OnceCell::new();
static FULL: OnceCell<u32> = OnceCell::new_with(Some(7));
static SET: SetOnce<u32> = SetOnce::new();

/// One that makes a value, and does not come to an end.
fn making<T: Send + Sync>(cell: &OnceCell<T>) -> Task<'_, &T> {
    Task::waiting(cell.get_or_init(pending))
}

#[test]
fn the_first_that_asks_makes_the_value() {
    assert_eq!((STATIC.get(), STATIC.initialized()), (None, false));
    let value = block_on(STATIC.get_or_init(async || "first".to_string()));
    assert_eq!(value, "first");
    let again = block_on(STATIC.get_or_init(async || unreachable!("there is one")));
    assert!(std::ptr::eq(value, again) && STATIC.initialized());
    assert_eq!(block_on(FULL.get_or_init(pending)), &7);
}

#[test]
fn one_makes_it_while_the_others_wait() {
    let cell = OnceCell::new();
    let (sender, receiver) = crate::sync::oneshot::channel();
    let mut first = Task::waiting(cell.get_or_init(async || receiver.await.unwrap()));
    let second = Task::waiting(cell.get_or_init(async || 2));
    let third = Task::waiting(cell.get_or_init(async || 3));
    assert_eq!(cell.set(4), Err(SetError::Initializing(4)));
    assert_eq!(cell.get(), None);
    sender.send(1).unwrap();
    assert_eq!((second.bell.rings(), third.bell.rings()), (0, 0));
    assert_eq!(first.poll(), Poll::Ready(&1));
    assert_eq!((second.woken(), third.woken()), (&1, &1));
    assert_eq!(cell.set(4), Err(SetError::AlreadyInitialized(4)));
    assert_eq!(cell.set(4).unwrap_err().into_inner(), 4);
}

#[test]
fn an_attempt_that_is_dropped_is_the_next_ones_turn() {
    let cell = OnceCell::new();
    let first = making(&cell);
    let second = Task::waiting(cell.get_or_init(async || 2));
    let third = Task::waiting(cell.get_or_init(async || 3));
    let fourth = Task::waiting(cell.get_or_init(async || 4));
    // One that leaves the queue has no turn.
    drop(third);
    drop(first);
    assert_eq!((second.bell.rings(), fourth.bell.rings()), (1, 0));
    // A newcomer does not pass those who wait.
    let newcomer = Task::waiting(cell.get_or_init(async || 5));
    // One that was given its turn and is dropped unseen passes it on.
    drop(second);
    assert_eq!(fourth.woken(), &4);
    assert_eq!(newcomer.woken(), &4);
}

#[test]
fn an_attempt_that_nobody_waits_behind_leaves_the_cell_as_it_was() {
    let cell = OnceCell::new();
    drop(making(&cell));
    assert_eq!(cell.set(1), Ok(()));
    let cell = OnceCell::new();
    let first = making(&cell);
    let second = making_after(&cell);
    drop(first);
    drop(second);
    assert_eq!(block_on(cell.get_or_init(async || 2)), &2);
}

fn making_after(cell: &OnceCell<u32>) -> Task<'_, &u32> {
    let task = making(cell);
    assert_eq!(task.bell.rings(), 0);
    task
}

#[test]
fn an_attempt_that_fails_tells_its_error_and_the_next_one_tries() {
    let cell = OnceCell::new();
    let (sender, receiver) = crate::sync::oneshot::channel::<()>();
    let mut first =
        Task::waiting(cell.get_or_try_init(async || receiver.await.map(|()| 1).map_err(drop)));
    let second = Task::waiting(cell.get_or_try_init(async || Ok::<_, ()>(2)));
    drop(sender);
    assert!(matches!(first.poll(), Poll::Ready(Err(_))));
    assert_eq!(second.woken(), Ok(&2));
}

#[test]
fn an_attempt_that_panics_leaves_nothing_half_done() {
    for in_future in [false, true] {
        let cell = OnceCell::new();
        let mut first = Task::new(cell.get_or_init(|| {
            assert!(in_future, "in the function");
            async { panic!("in the future") }
        }));
        let caught = catch_unwind(AssertUnwindSafe(|| first.poll().is_ready()));
        assert!(caught.is_err());
        assert_eq!(cell.get(), None);
        assert_eq!(block_on(cell.get_or_init(async || 2)), &2);
    }
}

#[test]
fn who_has_the_cell_alone_may_change_and_take_the_value() {
    let mut cell = OnceCell::from(1);
    *cell.get_mut().unwrap() += 1;
    let clone = cell.clone();
    assert_eq!((&clone, clone.get()), (&cell, Some(&2)));
    assert_eq!((cell.take(), cell.take()), (Some(2), None));
    assert_ne!(clone, cell);
    assert_eq!(cell, OnceCell::default());
    assert_eq!(cell.clone(), cell);
    assert_eq!(cell.set(3), Ok(()));
    assert_eq!(cell.into_inner(), Some(3));
    assert_eq!(OnceCell::<u32>::new_with(None).into_inner(), None);
}

#[test]
fn taking_the_value_leaves_an_empty_cell_whatever_was_leaked() {
    let mut cell = OnceCell::new();
    // One that makes a value and one that waits for it, and that are never dropped.
    let mut leaked = [(); 2].map(|()| ManuallyDrop::new(cell.get_or_init(pending)));
    for future in &mut leaked {
        // SAFETY: it stays here; nothing reaches it after this test, as the cell is gone then.
        let future = unsafe { Pin::new_unchecked(&mut **future) };
        assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(cell.set(1), Err(SetError::Initializing(1)));
    assert_eq!(cell.take(), None);
    // The first that fails passes its turn to nobody who was there before.
    let failing = cell.get_or_try_init(async || Err::<u32, _>(()));
    assert_eq!(Task::new(failing).poll(), Poll::Ready(Err(())));
    assert_eq!(cell.set(1), Ok(()));
}

#[test]
fn the_value_is_dropped_once() {
    let value = Arc::new(());
    let cell = OnceCell::new();
    cell.set(value.clone()).unwrap();
    let refused = cell.set(value.clone()).unwrap_err();
    assert_eq!(Arc::strong_count(&value), 3);
    drop(refused);
    drop(cell);
    assert_eq!(Arc::strong_count(&value), 1);
    let mut cell = OnceCell::from(value.clone());
    drop(cell.take());
    drop(cell);
    let once = SetOnce::from(value.clone());
    drop(once.into_inner());
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn asking_takes_part_in_the_budget() {
    let cell = OnceCell::from(1);
    let _budget = coop::start();
    let received = (0..2 * coop::BUDGET)
        .take_while(|_| Task::new(cell.get_or_init(pending)).poll().is_ready())
        .count();
    assert_eq!(received, usize::from(coop::BUDGET));
}

#[test]
fn a_value_that_is_set_once_reaches_all_that_wait() {
    assert_eq!((SET.get(), SET.initialized()), (None, false));
    let tasks: Vec<_> = (0..3).map(|_| Task::waiting(SET.wait())).collect();
    drop(Task::waiting(SET.wait()));
    SET.set(1).unwrap();
    for task in tasks {
        assert_eq!(task.woken(), &1);
    }
    assert_eq!(SET.set(2).unwrap_err().into_inner(), 2);
    assert_eq!(block_on(SET.wait()), &1);
    assert!(SET.initialized());
    let clone = SET.clone();
    assert_eq!((&clone, block_on(clone.wait())), (&SET, &1));
    let empty = SetOnce::default();
    assert_ne!(empty, clone);
    assert_eq!(empty.clone(), empty);
    assert_eq!((clone.into_inner(), empty.into_inner()), (Some(1), None));
}

#[test]
fn one_value_is_made_among_threads_that_fail_and_give_up() {
    const ROUNDS: usize = 500;
    let cells: Arc<Vec<OnceCell<usize>>> = Arc::new((0..ROUNDS).map(|_| OnceCell::new()).collect());
    let made = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|n| {
            let (cells, made) = (cells.clone(), made.clone());
            thread::spawn(move || {
                for cell in cells.iter() {
                    // One that gives up, as maker or in the queue, and one that fails.
                    let _ = Task::new(cell.get_or_init(pending)).poll();
                    let _ = block_on(cell.get_or_try_init(async || Err::<usize, _>(())));
                    block_on(cell.get_or_init(async || {
                        made.fetch_add(1, Ordering::Relaxed);
                        n
                    }));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(made.load(Ordering::Relaxed), ROUNDS);
}
