//! A limiter whose total changes while its borrowers give up, are late and are aborted, against a
//! model.
//!
//! Checked: tokens go to those who wait, in their order; never more are given out than there are;
//! none is lost; a borrower has one at the most, and is told; nothing is kept at the end.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;
#[path = "common/modelled.rs"]
mod modelled;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::sync::CapacityLimiter;
use mainspring::sync::limiter::{AcquireError, Borrower, TryAcquireError};
use mainspring::{spawn_local, task};
use modelled::{Checked, Line, Model, Place, Stands};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

struct Books {
    total: usize,
    borrowed: usize,
    line: Line<()>,
}

impl Model for Books {
    type Claim = ();

    fn line(&mut self) -> &mut Line<()> {
        &mut self.line
    }

    fn at_once(&mut self, (): &mut ()) -> bool {
        let free = self.borrowed < self.total;
        self.borrowed += usize::from(free);
        free
    }

    fn left(&mut self, place: Place<()>) {
        if place.stands == Stands::Served {
            self.give_back();
        }
    }
}

impl Books {
    fn give_back(&mut self) {
        self.borrowed -= 1;
        self.serve();
    }

    fn serve(&mut self) {
        let free = self.total.saturating_sub(self.borrowed);
        for place in self.line.waiting().take(free) {
            place.stands = Stands::Served;
            self.borrowed += 1;
        }
    }
}

/// What a task does with one token, or with none.
async fn borrow(limiter: &Arc<CapacityLimiter>, model: &Rc<RefCell<Books>>) {
    struct Held<'a, T>(Option<T>, &'a Rc<RefCell<Books>>);
    impl<T> Drop for Held<'_, T> {
        fn drop(&mut self) {
            self.1.borrow_mut().give_back();
            self.0.take();
        }
    }
    wander().await;
    let me = Borrower::from(task::id());
    let Some(token) = meddle(Checked::new(model, (), limiter.acquire())).await else {
        return;
    };
    let token = Held(Some(token.expect("it has none yet")), model);
    assert!(token.0.as_ref().is_some_and(|token| token.borrower() == me));
    wander().await;
    let again = limiter.clone().acquire_owned().await.unwrap_err();
    assert_eq!(again, AcquireError::AlreadyBorrows(me));
    assert_eq!(limiter.try_acquire().unwrap_err(), TryAcquireError::AlreadyBorrows(me));
    assert!(limiter.statistics().borrowers.contains(&me));
    if random_below(3) == 0 {
        // One for a number beside it, and the first is given back before the second.
        let other = me_as_number();
        let second = Checked::new(model, (), limiter.clone().acquire_owned_on_behalf_of(other));
        if let Some(second) = meddle_briefly(second).await {
            let second = Held(Some(second.expect("nobody else has this number")), model);
            drop(token);
            wander().await;
            drop(second);
        }
    }
}

fn me_as_number() -> u64 {
    task::id().as_u64()
}

/// Never to its end if that is far: who holds a token and waits for another may wait for itself.
async fn meddle_briefly<F: Future>(future: F) -> Option<F::Output> {
    let limit = Duration::from_millis(1 + random_below(4));
    mainspring::time::timeout(limit, future).await.ok()
}

#[test]
fn tokens_go_where_the_model_gives_them() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let total = random_below(4) as usize;
        let limiter = Arc::new(CapacityLimiter::new(total));
        let books = Books { total, borrowed: 0, line: Line::default() };
        let model = Rc::new(RefCell::new(books));
        let tasks = (0..2 + random_below(5)).map(|_| {
            let (limiter, model) = (limiter.clone(), model.clone());
            spawn_local(async move {
                for _ in 0..random_below(4) {
                    borrow(&limiter, &model).await;
                }
            })
        });
        let tasks = tasks.collect();
        let changer = {
            let (limiter, model) = (limiter.clone(), model.clone());
            spawn_local(async move {
                for left in (0..random_below(6)).rev() {
                    wander().await;
                    // The last total lets all come to their end.
                    let total = (random_below(4) + u64::from(left == 0)) as usize;
                    let set = || {
                        model.borrow_mut().total = total;
                        model.borrow_mut().serve();
                        limiter.set_total_tokens(total);
                    };
                    set();
                    let statistics = limiter.statistics();
                    let model = model.borrow();
                    assert_eq!(statistics.borrowed_tokens, model.borrowed);
                    assert_eq!(statistics.total_tokens, model.total);
                    assert_eq!(statistics.borrowers.len(), model.borrowed);
                    assert_eq!(limiter.available_tokens(), total.saturating_sub(model.borrowed));
                }
                if limiter.total_tokens() == 0 {
                    model.borrow_mut().total = 1;
                    model.borrow_mut().serve();
                    limiter.set_total_tokens(1);
                }
            })
        };
        finish(tasks, random_below(2) == 0).await;
        changer.await.unwrap();
        let statistics = limiter.statistics();
        assert_eq!((statistics.borrowed_tokens, statistics.tasks_waiting), (0, 0));
        assert_eq!(statistics.borrowers, []);
        assert!(model.borrow().borrowed == 0 && model.borrow().line.is_empty());
    });
}
