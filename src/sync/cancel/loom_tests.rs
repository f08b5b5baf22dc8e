//! Models of cancelling against making children, waiting, giving up and going.

use super::CancelToken;
use crate::primitives::{Arc, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;

#[test]
fn loom_cancel_meets_a_child_that_is_made_and_one_that_goes() {
    model(3, || {
        let root = CancelToken::new();
        let going = root.child_token();
        let maker = {
            let root = root.clone();
            thread::spawn(move || {
                let child = root.child_token();
                give_up(child.cancelled());
                child
            })
        };
        let goer = thread::spawn(move || {
            give_up(going.cancelled());
            drop(going);
        });
        root.cancel();
        assert!(root.is_cancelled());
        let child = maker.join().unwrap();
        assert!(child.is_cancelled());
        goer.join().unwrap();
        assert_eq!(root.node.entries(), 0);
    });
}

#[test]
fn loom_cancel_meets_one_that_waits_and_one_that_gives_up() {
    model(3, || {
        let root = CancelToken::new();
        let child = root.child_token();
        let data = Arc::new(UnsafeCell::new(0));
        let canceller = {
            let data = Arc::clone(&data);
            thread::spawn(move || {
                // SAFETY: nobody reads it before the token is cancelled.
                data.with_mut(|data| unsafe { *data = 7 });
                root.cancel();
            })
        };
        let quitter = {
            let child = child.clone();
            thread::spawn(move || give_up(child.cancelled_owned()))
        };
        block_on(child.cancelled_owned());
        // SAFETY: the token was cancelled, so the writer is done with it.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        quitter.join().unwrap();
        canceller.join().unwrap();
    });
}

#[test]
fn loom_two_cancel_at_once_and_both_find_all_cancelled() {
    model(3, || {
        let root = CancelToken::new();
        let child = root.child_token();
        let grandchild = child.child_token();
        let other = {
            let (root, grandchild) = (root.clone(), grandchild.clone());
            thread::spawn(move || {
                root.cancel();
                assert!(grandchild.is_cancelled());
            })
        };
        give_up(grandchild.cancelled());
        // One that has nothing left to do here returns only when all is done.
        if root.is_cancelled() {
            assert!(child.is_cancelled() && grandchild.is_cancelled());
        }
        child.cancel();
        assert!(grandchild.is_cancelled());
        other.join().unwrap();
        assert!(root.is_cancelled());
    });
}

#[test]
fn loom_a_forgotten_parent_goes_as_its_children_come_and_go() {
    model(3, || {
        let root = CancelToken::new();
        let middle = root.child_token();
        let (kept, going) = (middle.child_token(), middle.child_token());
        let parent = thread::spawn(move || drop(middle));
        let child = thread::spawn(move || {
            give_up(going.cancelled());
            drop(going);
        });
        root.cancel();
        assert!(kept.is_cancelled());
        parent.join().unwrap();
        child.join().unwrap();
        assert_eq!(root.node.entries(), 0);
    });
}

#[test]
fn loom_what_was_done_before_a_cancel_is_seen_by_one_that_only_looks() {
    model(3, || {
        let root = CancelToken::new();
        let child = root.child_token();
        let data = Arc::new(UnsafeCell::new(0));
        let canceller = {
            let data = Arc::clone(&data);
            thread::spawn(move || {
                // SAFETY: nobody reads it before the token is cancelled.
                data.with_mut(|data| unsafe { *data = 7 });
                root.cancel();
            })
        };
        give_up(child.cancelled());
        if child.is_cancelled() {
            // SAFETY: the token was cancelled, so the writer is done with it.
            assert_eq!(data.with(|data| unsafe { *data }), 7);
        }
        canceller.join().unwrap();
    });
}
