//! A barrier whose waiters give up, are late and are aborted, against a model.
//!
//! Checked: a round is full when as many are there, those not counted that left before; all of it go
//! on, and nobody else; each round has one leader, the one that came last, and it knows.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;
#[path = "common/modelled.rs"]
mod modelled;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::spawn_local;
use mainspring::sync::Barrier;
use modelled::{Checked, Line, Model, Place, Stands};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

struct Rounds {
    size: usize,
    full: usize,
    line: Line<()>,
}

impl Model for Rounds {
    type Claim = ();

    fn line(&mut self) -> &mut Line<()> {
        &mut self.line
    }

    fn at_once(&mut self, (): &mut ()) -> bool {
        let is_full = self.line.waiting().count() + 1 >= self.size;
        if is_full {
            self.full += 1;
            self.line.waiting().for_each(|place| place.stands = Stands::Served);
        }
        is_full
    }

    fn left(&mut self, _: Place<()>) {}
}

#[test]
fn rounds_are_full_when_the_model_says_so() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let size = random_below(5) as usize;
        let barrier = Rc::new(Barrier::new(size));
        let model = Rc::new(RefCell::new(Rounds { size, full: 0, line: Line::default() }));
        let leaders = Rc::new(Cell::new(0));
        let alive = Rc::new(());
        let tasks = (0..2 + random_below(5)).map(|_| {
            let (barrier, model) = (barrier.clone(), model.clone());
            let (leaders, alive) = (leaders.clone(), alive.clone());
            spawn_local(async move {
                for _ in 0..random_below(4) {
                    let came = meddle(Checked::new(&model, (), barrier.wait())).await;
                    if came.is_some_and(|came| came.is_leader()) {
                        leaders.set(leaders.get() + 1);
                    }
                    wander().await;
                }
                drop(alive);
            })
        });
        let tasks: Vec<_> = tasks.collect();
        // Those who are there to the end are let go by others that come until nobody is left.
        let fillers = (0..size.max(1)).map(|_| {
            let (barrier, model) = (barrier.clone(), model.clone());
            let (leaders, alive) = (leaders.clone(), alive.clone());
            let size = size.max(1);
            spawn_local(async move {
                // One for each of these, and the one that all are cloned from.
                while Rc::strong_count(&alive) > size + 1 {
                    let waiting = mainspring::time::timeout(
                        Duration::from_millis(2),
                        Checked::new(&model, (), barrier.wait()),
                    );
                    if waiting.await.is_ok_and(|came| came.is_leader()) {
                        leaders.set(leaders.get() + 1);
                    }
                    mainspring::time::sleep(Duration::from_millis(1)).await;
                }
            })
        });
        let fillers: Vec<_> = fillers.collect();
        finish(tasks, random_below(2) == 0).await;
        finish(fillers, false).await;
        assert!(model.borrow().line.is_empty());
        // A leader that was aborted in the very poll in which it led cannot be: each round has one.
        assert_eq!(leaders.get(), model.borrow().full, "one leader in each round");
    });
}

#[test]
fn nobody_goes_on_before_all_have_come() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let size = 1 + random_below(4) as usize;
        let rounds = 1 + random_below(4) as usize;
        let barrier = Rc::new(Barrier::new(size));
        let steps = Rc::new(RefCell::new(vec![0; size]));
        let tasks = (0..size).map(|me| {
            let (barrier, steps) = (barrier.clone(), steps.clone());
            spawn_local(async move {
                let mut led = 0;
                for round in 1..=rounds {
                    wander().await;
                    steps.borrow_mut()[me] = round;
                    // Until it is through; what it gave up before does not count.
                    let came = loop {
                        if let Some(came) = meddle(barrier.wait()).await {
                            break came;
                        }
                    };
                    assert!(steps.borrow().iter().all(|step| *step >= round));
                    led += usize::from(came.is_leader());
                }
                led
            })
        });
        let led: usize = finish(tasks.collect(), false).await.into_iter().flatten().sum();
        assert_eq!(led, rounds);
    });
}
