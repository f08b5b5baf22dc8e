//! Trees of tokens under many schedules: against a list of parents that forgets nobody.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn;
use mainspring::sync::CancelToken;
use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

const SEEDS: u64 = 4_000;

/// The tokens of a run, in the order in which they were made: each with the number of its parent,
/// and whether somebody began to cancel it. Notes are taken before the act.
#[derive(Default)]
struct Notes(RefCell<Vec<(Option<usize>, bool)>>);

impl Notes {
    fn child_of(&self, parent: Option<usize>) -> usize {
        self.0.borrow_mut().push((parent, false));
        self.0.borrow().len() - 1
    }

    fn cancel(&self, token: usize) {
        self.0.borrow_mut()[token].1 = true;
    }

    /// Whether the token or one above it is noted.
    fn is_cancelled(&self, token: usize) -> bool {
        let notes = self.0.borrow();
        let mut line = std::iter::successors(Some(token), |token| notes[*token].0);
        line.any(|token| notes[token].1)
    }
}

/// Works with a token and makes others below it: every wait for one ends exactly when it is
/// cancelled or given up, and a token is cancelled exactly when it or one above it was.
async fn worker(token: CancelToken, own: usize, notes: Rc<Notes>, depth: u32) {
    let mut below = Vec::new();
    for _ in 0..random_below(4) {
        let child = token.child_token();
        let number = notes.child_of(Some(own));
        assert_eq!(child.is_cancelled(), notes.is_cancelled(number));
        match random_below(4) {
            0 => drop(child),
            1 if depth > 0 => {
                let work = Box::pin(worker(child, number, notes.clone(), depth - 1));
                below.push(mainspring::spawn_local(work));
            }
            _ => {
                let notes = notes.clone();
                below.push(mainspring::spawn_local(async move {
                    let outcome = match random_below(3) {
                        0 => meddle(child.cancelled()).await,
                        1 => meddle(child.clone().cancelled_owned()).await,
                        _ => meddle(child.run_until_cancelled(pending::<()>())).await.map(|ran| {
                            assert!(ran.is_none());
                        }),
                    };
                    if outcome.is_some() {
                        assert!(child.is_cancelled() && notes.is_cancelled(number));
                    }
                }));
            }
        }
        wander().await;
        assert_eq!(token.is_cancelled(), notes.is_cancelled(own));
    }
    if random_below(3) == 0 {
        notes.cancel(own);
        if random_below(2) == 0 { token.cancel() } else { drop(token.drop_guard()) }
    }
    finish(below, false).await;
}

#[test]
fn tokens_are_cancelled_with_what_is_above_them_and_every_wait_ends() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let (root, notes) = (CancelToken::new(), Rc::new(Notes::default()));
        let own = notes.child_of(None);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let child = root.child_token();
                let number = notes.child_of(Some(own));
                mainspring::spawn_local(worker(child, number, notes.clone(), 2))
            })
            .collect();
        wander().await;
        notes.cancel(own);
        root.cancel();
        // Where a wait did not end, this would be a deadlock.
        finish(workers, false).await;
        assert!(root.child_token().is_cancelled());
    });
}

#[test]
fn tasks_that_run_until_cancelled_all_end_and_lose_no_output() {
    Sim::new().patience(Duration::ZERO).check(0..SEEDS, || async {
        let root = CancelToken::new();
        let tasks: Vec<_> = (0..4_u64)
            .map(|n| {
                let token = root.child_token();
                spawn(async move {
                    let work = async {
                        wander().await;
                        wander().await;
                        n
                    };
                    let abandoned = random_below(4) == 0;
                    let work = async move { if abandoned { pending().await } else { work.await } };
                    let output = token.clone().run_until_cancelled_owned(work).await;
                    assert!(output.is_some() || token.is_cancelled());
                    assert!(!(abandoned && output.is_some()));
                    output
                })
            })
            .collect();
        let guard = root.clone().drop_guard();
        let canceller = spawn(async move {
            wander().await;
            wander().await;
            drop(guard);
        });
        let abort = random_below(2) == 0;
        for (n, outcome) in (0..).zip(finish(tasks, abort).await) {
            assert!(matches!(outcome, None | Some(None)) || outcome == Some(Some(n)));
        }
        canceller.await.unwrap();
        assert!(root.is_cancelled());
    });
}
