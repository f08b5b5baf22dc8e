//! `Notify` against a model that is too simple to be wrong: a flag, and a list of those who came.

use super::{Notified, Notify};
use crate::sync::test_kit::Bell;
use proptest::prelude::*;
use std::pin::Pin;

#[derive(Clone, Copy, Debug)]
enum Op {
    Make,
    /// Polls one, with a new waker or the same.
    Poll(usize, bool),
    Enable(usize),
    Drop(usize),
    One,
    Last,
    All,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => Just(Op::Make),
        8 => (0..8_usize, any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        2 => (0..8_usize).prop_map(Op::Enable),
        3 => (0..8_usize).prop_map(Op::Drop),
        4 => Just(Op::One),
        3 => Just(Op::Last),
        1 => Just(Op::All),
    ];
    proptest::collection::vec(op, 0..80)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    New,
    /// Since that moment; whether it was polled since, and so is to be woken.
    Queued(usize, bool),
    One,
    Last,
    All,
    Told,
}

struct One<'a> {
    future: Pin<Box<Notified<'a>>>,
    bell: Bell,
    stands: Stands,
    due: usize,
}

#[derive(Default)]
struct Model<'a> {
    kept: bool,
    moment: usize,
    ones: Vec<One<'a>>,
}

impl<'a> Model<'a> {
    fn give(&mut self, as_last: bool) {
        let queued = self.ones.iter_mut().filter_map(|one| match one.stands {
            Stands::Queued(since, _) => Some((since, one)),
            _ => None,
        });
        let chosen = if as_last {
            queued.max_by_key(|(since, _)| *since)
        } else {
            queued.min_by_key(|(since, _)| *since)
        };
        match chosen {
            Some((_, one)) => one.give(if as_last { Stands::Last } else { Stands::One }),
            None => self.kept = true,
        }
    }

    /// What one finds that looks, and is in the queue afterwards if it found nothing.
    fn look(&mut self, n: usize, polled: bool) -> bool {
        self.moment += 1;
        let one = &mut self.ones[n];
        match one.stands {
            Stands::New if self.kept => self.kept = false,
            Stands::New => {
                one.stands = Stands::Queued(self.moment, polled);
                return false;
            }
            Stands::Queued(since, before) => {
                one.stands = Stands::Queued(since, before || polled);
                return false;
            }
            Stands::One | Stands::Last | Stands::All | Stands::Told => {}
        }
        one.stands = Stands::Told;
        true
    }

    fn step(&mut self, notify: &'a Notify, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Make => self.ones.push(One {
                future: Box::pin(notify.notified()),
                bell: Bell::new(),
                stands: Stands::New,
                due: 0,
            }),
            Op::Poll(n, anew) if n < self.ones.len() => {
                if anew {
                    // Nobody waits for the old bell any more.
                    let old = std::mem::replace(&mut self.ones[n].bell, Bell::new());
                    prop_assert_eq!(old.rings(), std::mem::take(&mut self.ones[n].due));
                }
                let ready = self.look(n, true);
                let one = &mut self.ones[n];
                prop_assert_eq!(one.bell.poll(&mut one.future).is_ready(), ready);
                if ready {
                    prop_assert_eq!(one.bell.rings(), one.due);
                    self.ones.remove(n);
                }
            }
            Op::Enable(n) if n < self.ones.len() => {
                let told = self.look(n, false);
                prop_assert_eq!(self.ones[n].future.as_mut().enable(), told);
            }
            Op::Drop(n) if n < self.ones.len() => {
                let one = self.ones.remove(n);
                drop(one.future);
                match one.stands {
                    Stands::One => self.give(false),
                    Stands::Last => self.give(true),
                    _ => {}
                }
            }
            Op::One => {
                notify.notify_one();
                self.give(false);
            }
            Op::Last => {
                notify.notify_last();
                self.give(true);
            }
            Op::All => {
                notify.notify_waiters();
                for one in &mut self.ones {
                    if matches!(one.stands, Stands::New | Stands::Queued(..)) {
                        one.give(Stands::All);
                    }
                }
            }
            Op::Poll(..) | Op::Enable(_) | Op::Drop(_) => {}
        }
        for one in &mut self.ones {
            prop_assert_eq!(
                one.bell.rings(),
                std::mem::take(&mut one.due),
                "woken once, if polled"
            );
        }
        prop_assert_eq!(notify.word.load().has_permit(), self.kept);
        Ok(())
    }
}

impl One<'_> {
    fn give(&mut self, how: Stands) {
        self.due = usize::from(matches!(self.stands, Stands::Queued(_, true)));
        self.stands = how;
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(ops in ops()) {
        let notify = Notify::new();
        let mut model = Model::default();
        for op in ops {
            model.step(&notify, op)?;
        }
    }
}
