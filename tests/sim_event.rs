//! An event whose waiters give up, are late and are aborted, against a model.
//!
//! Checked: who waits when the event is set goes on, who comes while it is set goes on, and nobody
//! else; nobody is forgotten.
#![cfg(not(loom))]

#[path = "common/chaos.rs"]
mod chaos;
#[path = "common/modelled.rs"]
mod modelled;

use chaos::{finish, meddle, wander};
use mainspring::sim::{Sim, random_below};
use mainspring::sync::Event;
use mainspring::{spawn_local, yield_now};
use modelled::{Checked, Line, Model, Place, Stands};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[derive(Default)]
struct Flag {
    is_set: bool,
    line: Line<()>,
}

impl Model for Flag {
    type Claim = ();

    fn line(&mut self) -> &mut Line<()> {
        &mut self.line
    }

    fn at_once(&mut self, (): &mut ()) -> bool {
        self.is_set
    }

    fn left(&mut self, _: Place<()>) {}
}

impl Flag {
    fn set(&mut self) {
        self.is_set = true;
        self.line.waiting().for_each(|place| place.stands = Stands::Served);
    }
}

#[test]
fn an_event_lets_go_whom_the_model_lets_go() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let event = Rc::new(Event::new());
        let model = Rc::new(RefCell::new(Flag::default()));
        let alive = Rc::new(());
        let tasks = (0..2 + random_below(4)).map(|_| {
            let (event, model, alive) = (event.clone(), model.clone(), alive.clone());
            spawn_local(async move {
                for _ in 0..random_below(4) {
                    meddle(Checked::new(&model, (), event.wait())).await;
                    wander().await;
                }
                drop(alive);
            })
        });
        let tasks = tasks.collect();
        let setter = {
            let (event, model) = (event.clone(), model.clone());
            spawn_local(async move {
                while Rc::strong_count(&alive) > 1 {
                    if random_below(2) == 0 {
                        model.borrow_mut().set();
                        event.set();
                    } else {
                        model.borrow_mut().is_set = false;
                        event.clear();
                    }
                    assert_eq!(event.is_set(), model.borrow().is_set);
                    wander().await;
                    yield_now().await;
                }
            })
        };
        finish(tasks, random_below(2) == 0).await;
        setter.await.unwrap();
        assert!(model.borrow().line.is_empty());
    });
}

#[test]
fn one_set_reaches_all_that_wait_to_the_end() {
    Sim::new().patience(Duration::ZERO).check(0..4_000, || async {
        let event = Rc::new(Event::new());
        let tasks = (0..1 + random_below(6)).map(|_| {
            let event = event.clone();
            spawn_local(async move {
                wander().await;
                let passed = meddle(event.wait()).await.is_some();
                assert_eq!(passed, event.is_set(), "who gives up does so before it is set");
            })
        });
        let tasks = tasks.collect();
        let setter = spawn_local({
            let event = event.clone();
            async move {
                wander().await;
                event.set();
            }
        });
        // All that were not aborted come to an end, or the run is a deadlock.
        finish(tasks, random_below(2) == 0).await;
        setter.await.unwrap();
    });
}
