use super::CancelToken;
use crate::coop;
use crate::sync::test_kit::{Bell, Task};
use futures::executor::block_on;
use std::future::{pending, poll_fn, ready};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;

#[test]
fn cancel_reaches_those_below_and_no_others() {
    let root = CancelToken::default();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token().child_token();
    left.cancel();
    left.cancel();
    assert!(left.is_cancelled() && below.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    assert!(left.child_token().is_cancelled() && below.child_token().is_cancelled());
    root.clone().cancel();
    assert!(root.is_cancelled() && right.is_cancelled());
    assert!(root.child_token().child_token().is_cancelled());
}

#[test]
fn cancel_wakes_all_that_wait_once() {
    let root = CancelToken::new();
    let child = root.child_token();
    let tasks: Vec<_> =
        [&root, &child, &child].into_iter().map(|token| Task::waiting(token.cancelled())).collect();
    let owned = Task::waiting(child.clone().cancelled_owned());
    root.cancel();
    root.cancel();
    tasks.into_iter().for_each(Task::woken);
    owned.woken();
    block_on(child.cancelled());
    block_on(child.cancelled_owned());
}

#[test]
fn a_dropped_wait_takes_its_waker_along_and_leaves_the_others() {
    let token = CancelToken::new();
    let first = Task::waiting(token.cancelled());
    let mut quitter = Task::waiting(token.clone().cancelled_owned());
    let last = Task::waiting(token.cancelled());
    let bell = std::mem::replace(&mut quitter.bell, Bell::new());
    assert_eq!(bell.clones(), 1);
    drop(quitter);
    assert_eq!(bell.clones(), 0);
    token.cancel();
    first.woken();
    last.woken();
    assert_eq!(bell.rings(), 0);
}

#[test]
fn a_wait_keeps_a_token_that_nobody_else_has() {
    let root = CancelToken::new();
    let task = Task::waiting(root.child_token().child_token().cancelled_owned());
    root.cancel();
    task.woken();
    // And gives it up.
    let root = CancelToken::new();
    drop(Task::waiting(root.child_token().cancelled_owned()));
    assert_eq!(root.node.entries(), 1);
}

#[test]
fn a_child_outlives_its_parents_and_hears_of_theirs() {
    let root = CancelToken::new();
    let middle = root.child_token();
    let children = [middle.child_token(), middle.child_token()];
    drop(middle);
    assert!(!children[0].is_cancelled());
    root.cancel();
    assert!(children.iter().all(CancelToken::is_cancelled));
    let orphan = CancelToken::new().child_token();
    assert!(!orphan.is_cancelled());
    orphan.cancel();
    assert!(orphan.is_cancelled());
}

#[test]
fn a_parent_keeps_nothing_of_children_that_were_dropped() {
    let root = CancelToken::new();
    for _ in 0..1_000 {
        let child = root.child_token();
        drop((child.child_token(), child.clone(), child.child_token(), child));
        assert_eq!(root.node.entries(), 1);
    }
    let cancelled = root.child_token();
    let below = cancelled.child_token();
    cancelled.cancel();
    assert_eq!(root.node.entries(), 1, "what is cancelled is let go of at once");
    drop((cancelled, below));
    assert_eq!(root.node.entries(), 1);
}

#[test]
fn a_line_of_forgotten_parents_does_not_grow() {
    let root = CancelToken::new();
    let mut last = root.child_token();
    for _ in 0..1_000 {
        last = last.child_token();
        assert_eq!(root.node.entries(), 2);
    }
    // Nor does one of which only the youngest is left.
    drop(root);
    for _ in 0..1_000 {
        last = last.child_token();
        assert_eq!(last.node.entries(), 1);
    }
}

#[test]
fn deep_trees_are_cancelled_and_dropped_in_any_order() {
    const DEEP: usize = 100_000;
    let line = || {
        let mut all = vec![CancelToken::new()];
        for n in 0..DEEP {
            all.push(all[n].child_token());
        }
        all
    };
    let all = line();
    all[DEEP / 2].cancel();
    assert!(!all[DEEP / 2 - 1].is_cancelled());
    assert!(all[DEEP / 2..].iter().all(CancelToken::is_cancelled));
    all[0].cancel();
    assert!(all.iter().all(CancelToken::is_cancelled));
    drop(all);
    // From the root, from the tip, and only the tip left.
    drop(line());
    let mut all = line();
    while all.pop().is_some() {}
    let mut all = line();
    let (root, tip) = (all[0].clone(), all[DEEP].clone());
    all.clear();
    assert_eq!(root.node.entries(), 2);
    root.cancel();
    assert!(tip.is_cancelled());
}

#[test]
fn wide_trees_below_forgotten_parents_are_dropped_in_no_square_time() {
    const MANY: usize = 20_000;
    // Were the children handed from each generation to the one above, this were 4 × 10^8 steps.
    let mut line = vec![CancelToken::new()];
    for n in 0..MANY {
        line.push(line[n].child_token());
    }
    let foot = line[MANY].clone();
    let children: Vec<_> = (0..MANY).map(|_| foot.child_token()).collect();
    let root = line[0].clone();
    drop(foot);
    while line.pop().is_some() {}
    assert_eq!(root.node.entries(), MANY + 2);
    root.cancel();
    assert!(children.iter().all(CancelToken::is_cancelled));
}

#[test]
fn what_a_future_has_ready_counts_however_late() {
    let token = CancelToken::new();
    assert_eq!(block_on(token.run_until_cancelled(ready(1))), Some(1));
    let waiting = Task::waiting(token.run_until_cancelled(pending::<i32>()));
    let owned = Task::waiting(token.clone().run_until_cancelled_owned(pending::<i32>()));
    let mut open = false;
    let mut both = Box::pin(token.run_until_cancelled(poll_fn(|_| {
        if std::mem::replace(&mut open, true) { Poll::Ready(2) } else { Poll::Pending }
    })));
    let bell = Bell::new();
    assert!(bell.poll(&mut both).is_pending());
    token.cancel();
    assert_eq!(waiting.woken(), None);
    assert_eq!(owned.woken(), None);
    assert_eq!(bell.poll(&mut both), Poll::Ready(Some(2)));
    assert_eq!(block_on(token.run_until_cancelled(ready(3))), Some(3));
    assert_eq!(block_on(token.clone().run_until_cancelled_owned(pending::<i32>())), None);
}

#[test]
fn one_who_uses_up_the_budget_is_still_cancelled() {
    let token = CancelToken::new();
    let event = crate::sync::Event::new();
    event.set();
    // Takes all there is in each poll, and has more to do.
    let greedy = async {
        loop {
            event.wait().await;
        }
    };
    let mut task = Task::new(token.run_until_cancelled::<_>(greedy));
    {
        let _budget = coop::start();
        assert!(task.poll().is_pending());
        token.cancel();
        assert!(Task::new(token.cancelled()).poll().is_ready());
    }
    let _budget = coop::start();
    assert_eq!(task.poll(), Poll::Ready(None::<()>));
}

#[test]
fn guards_cancel_unless_they_are_disarmed() {
    let token = CancelToken::new();
    drop(token.drop_guard_ref().disarm().child_token());
    drop(token.clone().drop_guard().disarm());
    assert!(!token.is_cancelled());
    let child = token.child_token();
    drop(child.drop_guard_ref());
    assert!(child.is_cancelled() && !token.is_cancelled());
    drop(token.clone().drop_guard());
    assert!(token.is_cancelled());
}

#[test]
fn a_waker_may_use_and_drop_tokens() {
    struct Nosy(CancelToken, mpsc::Sender<bool>);
    impl std::task::Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.0.cancel();
            let _ = self.1.send(self.0.child_token().is_cancelled());
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            // Would hang if a lock of the tree were held.
            drop(self.0.child_token());
        }
    }
    let (sender, seen) = mpsc::channel();
    let root = CancelToken::new();
    let child = root.child_token();
    let mut wait = Box::pin(child.clone().cancelled_owned());
    let poll = |wait: &mut std::pin::Pin<Box<super::CancelledOwned>>| {
        let waker = Arc::new(Nosy(child.clone(), sender.clone())).into();
        wait.as_mut().poll(&mut std::task::Context::from_waker(&waker))
    };
    assert!(poll(&mut wait).is_pending());
    assert!(poll(&mut wait).is_pending(), "the first waker is dropped");
    root.cancel();
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true]);
    let mut wait = Box::pin(CancelToken::new().cancelled_owned());
    assert!(poll(&mut wait).is_pending());
    drop(wait);
}

#[test]
fn between_threads_every_child_of_a_cancelled_token_is_cancelled() {
    for round in 0..200 {
        let root = CancelToken::new();
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    let mut kept = Vec::new();
                    let mut at = root.child_token();
                    while !root.is_cancelled() {
                        let next = at.child_token();
                        let _ = Task::new(next.cancelled()).poll();
                        drop(at.child_token());
                        if kept.len() < round {
                            kept.push(at);
                        }
                        at = next;
                    }
                    block_on(at.cancelled());
                    assert!(kept.iter().all(CancelToken::is_cancelled));
                    assert!(at.child_token().is_cancelled());
                });
            }
            start.wait();
            thread::yield_now();
            root.cancel();
        });
        assert_eq!(root.node.entries(), 0);
    }
}

/// For a sanitizer: the last owner of a token goes as soon as it can, while the one who cancels it
/// still holds the lock of its queue.
#[test]
fn between_threads_a_waiter_goes_with_its_token_in_the_midst_of_a_cancel() {
    for _ in 0..500 {
        let root = CancelToken::new();
        let waits: Vec<_> = (0..3).map(|_| root.child_token().cancelled_owned()).collect();
        let start = Barrier::new(waits.len() + 1);
        thread::scope(|scope| {
            for wait in waits {
                let start = &start;
                scope.spawn(move || {
                    let mut task = Task::new(wait);
                    let mut polled = task.poll();
                    start.wait();
                    while polled.is_pending() {
                        std::hint::spin_loop();
                        polled = task.poll();
                    }
                });
            }
            start.wait();
            root.cancel();
        });
        assert_eq!(root.node.entries(), 0);
    }
}
