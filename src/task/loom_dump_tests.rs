//! One thread looks at a task while others wake it, run it to its end and free it.

use super::loom_owned_tests as owned;
use super::loom_tests as shared;
use super::*;
use crate::primitives::{Ordering::Relaxed, thread};

/// What a dump finds, which is dropped on the thread that asked.
fn dump<S: Schedule>(home: &Home<S>) -> Option<TaskState> {
    let mut tasks = Vec::new();
    home.dump(Some(0), || Birth::from_nanos(0), &mut tasks);
    assert!(tasks.len() <= 1);
    tasks.pop().map(|task| {
        assert!((1..=2).contains(&task.polls), "it was polled once before");
        task.state
    })
}

#[test]
fn loom_owned_dump_against_the_end() {
    loom::model(|| {
        let owned::Scene { rt, handle, flag, waker, drops } = owned::waiting_task();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || dump(&rt.0))
        };
        flag.store(true, Relaxed);
        waker.wake();
        rt.run();
        drop(handle);
        let _ = other.join().unwrap();
        assert_eq!((dump(&rt.0), drops.load(Relaxed)), (None, 1));
        rt.shut_down();
        owned::assert_freed(rt);
    });
}

/// The look comes after the wake of the same thread, and before the owner takes the notice.
#[test]
fn loom_owned_a_thread_sees_that_it_has_woken_a_task() {
    loom::model(|| {
        let owned::Scene { rt, handle, waker, .. } = owned::waiting_task();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || {
                waker.wake();
                assert_eq!(dump(&rt.0), Some(TaskState::Queued));
            })
        };
        other.join().unwrap();
        rt.run();
        assert_eq!(dump(&rt.0), Some(TaskState::Idle));
        handle.abort();
        assert_eq!(dump(&rt.0), Some(TaskState::Queued));
        drop(handle);
        rt.shut_down();
        owned::assert_freed(rt);
    });
}

#[test]
fn loom_dump_against_the_end() {
    loom::model(|| {
        let shared::Scene { rt, handle, flag, waker, drops } = shared::waiting_task();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || dump(&rt.0))
        };
        flag.store(true, Relaxed);
        waker.wake();
        rt.run();
        drop(handle);
        let _ = other.join().unwrap();
        assert_eq!((dump(&rt.0), drops.load(Relaxed)), (None, 1));
        shared::assert_freed(rt);
    });
}

/// What a search finds, which is dropped on the thread that asked.
fn is_found<S: Schedule>(home: &Home<S>, id: TaskId) -> bool {
    home.find(&|other| other == id).is_some_and(|found| found.info.id == id)
}

#[test]
fn loom_owned_search_against_the_end() {
    loom::model(|| {
        let owned::Scene { rt, handle, flag, waker, drops } = owned::waiting_task();
        let id = handle.id();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || is_found(&rt.0, id))
        };
        flag.store(true, Relaxed);
        waker.wake();
        rt.run();
        drop(handle);
        let _ = other.join().unwrap();
        assert_eq!((is_found(&rt.0, id), drops.load(Relaxed)), (false, 1));
        rt.shut_down();
        owned::assert_freed(rt);
    });
}

#[test]
fn loom_search_against_the_end() {
    loom::model(|| {
        let shared::Scene { rt, handle, flag, waker, drops } = shared::waiting_task();
        let id = handle.as_ref().unwrap().id();
        let other = {
            let rt = rt.clone();
            thread::spawn(move || is_found(&rt.0, id))
        };
        flag.store(true, Relaxed);
        waker.wake();
        rt.run();
        drop(handle);
        let _ = other.join().unwrap();
        assert_eq!((is_found(&rt.0, id), drops.load(Relaxed)), (false, 1));
        shared::assert_freed(rt);
    });
}
