use super::{Barrier, BarrierWaitResult};
use crate::coop;
use crate::primitives::{AtomicUsize, Ordering};
use crate::sync::test_kit::Task;
use futures::executor::block_on;
use proptest::prelude::*;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

static STATIC: Barrier = Barrier::new(1);

const LED: Poll<BarrierWaitResult> = Poll::Ready(BarrierWaitResult { is_leader: true });

#[test]
fn the_last_one_lets_all_go_and_leads() {
    let barrier = Barrier::new(3);
    let first = Task::waiting(barrier.wait());
    let second = Task::waiting(barrier.wait());
    assert_eq!((first.bell.rings(), second.bell.rings()), (0, 0));
    assert_eq!(Task::new(barrier.wait()).poll(), LED);
    assert!(!first.woken().is_leader());
    // The next round does not wait for the rest of this one.
    let third = Task::waiting(barrier.wait());
    let fourth = Task::waiting(barrier.wait());
    assert_eq!(Task::new(barrier.wait()).poll(), LED);
    assert!(!third.woken().is_leader() && !fourth.woken().is_leader());
    assert!(!second.woken().is_leader());
}

#[test]
fn a_barrier_for_one_or_none_stops_nobody() {
    assert!(block_on(STATIC.wait()).is_leader());
    let none = Barrier::new(0);
    assert!(block_on(none.wait()).is_leader());
    assert!(block_on(none.wait()).is_leader());
}

#[test]
fn one_that_leaves_before_the_round_is_full_was_never_there() {
    let barrier = Barrier::new(2);
    drop(Task::waiting(barrier.wait()));
    drop(Task::new(barrier.wait()));
    let first = Task::waiting(barrier.wait());
    assert_eq!(Task::new(barrier.wait()).poll(), LED);
    first.woken();
}

#[test]
fn one_that_leaves_after_the_round_was_full_changes_nothing() {
    let barrier = Barrier::new(3);
    let first = Task::waiting(barrier.wait());
    let second = Task::waiting(barrier.wait());
    assert_eq!(Task::new(barrier.wait()).poll(), LED);
    drop(first);
    let mut next = Task::waiting(barrier.wait());
    second.woken();
    let last = Task::waiting(barrier.wait());
    assert!(next.poll().is_pending());
    assert_eq!(Task::new(barrier.wait()).poll(), LED);
    next.woken();
    last.woken();
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_wait_that_is_over_is_not_polled_again() {
    let mut task = Task::new(STATIC.wait());
    assert!(task.poll().is_ready());
    let _ = task.poll();
}

#[test]
fn coming_takes_part_in_the_budget_and_does_not_count_where_it_was_turned_away() {
    let barrier = Barrier::new(2);
    let _budget = coop::start();
    for _ in 0..coop::BUDGET {
        assert!(Task::new(STATIC.wait()).poll().is_ready());
    }
    let mut turned_away = Task::new(barrier.wait());
    assert!(turned_away.poll().is_pending());
    assert_eq!(turned_away.bell.rings(), 1);
    let _unlimited = coop::unlimited();
    let first = Task::waiting(barrier.wait());
    assert_eq!(turned_away.poll(), LED);
    first.woken();
}

#[test]
fn threads_go_from_round_to_round_together() {
    const ROUNDS: usize = 1_000;
    let barrier = Arc::new(Barrier::new(3));
    let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (barrier, counts) = (barrier.clone(), counts.clone());
            thread::spawn(move || {
                for round in 1..=ROUNDS {
                    counts[0].fetch_add(1, Ordering::Relaxed);
                    if block_on(barrier.wait()).is_leader() {
                        counts[1].fetch_add(1, Ordering::Relaxed);
                    }
                    assert_eq!(counts[0].load(Ordering::Relaxed), 3 * round);
                    block_on(barrier.wait());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(counts[1].load(Ordering::Relaxed), ROUNDS);
}

#[test]
fn threads_meet_past_those_that_give_up() {
    const ROUNDS: usize = 1_000;
    let barrier = Arc::new(Barrier::new(3));
    // Each round two wait to the end, and one that gives up comes and goes until they are through:
    // it makes the round full, or it never was there.
    let through = Arc::new(AtomicUsize::new(0));
    let staying: Vec<_> = (0..2)
        .map(|_| {
            let (barrier, through) = (barrier.clone(), through.clone());
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    block_on(barrier.wait());
                    through.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while through.load(Ordering::Relaxed) < 2 * ROUNDS {
        let _ = Task::new(barrier.wait()).poll();
        thread::yield_now();
    }
    for thread in staying {
        thread.join().unwrap();
    }
    assert_eq!(barrier.round.lock().arrived, 0);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Come,
    Poll(usize, bool),
    Leave(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Come),
        4 => (0..8_usize, any::<bool>()).prop_map(|(n, anew)| Op::Poll(n, anew)),
        3 => (0..8_usize).prop_map(Op::Leave),
    ];
    proptest::collection::vec(op, 0..80)
}

/// One that waits, as the model sees it.
struct Waiting<'a> {
    task: Task<'a, BarrierWaitResult>,
    is_through: bool,
    rung: bool,
}

proptest! {
    #[test]
    fn behaves_as_the_model(size in 0..5_usize, ops in ops()) {
        let barrier = Barrier::new(size);
        let mut waiting: Vec<Waiting<'_>> = Vec::new();
        for op in ops {
            let here = waiting.iter().filter(|one| !one.is_through).count();
            match op {
                Op::Come => {
                    let mut task = Task::new(barrier.wait());
                    if here + 1 >= size {
                        prop_assert_eq!(task.poll(), LED);
                        waiting.iter_mut().for_each(|one| one.is_through = true);
                    } else {
                        prop_assert!(task.poll().is_pending());
                        waiting.push(Waiting { task, is_through: false, rung: false });
                    }
                }
                Op::Poll(n, anew) if n < waiting.len() => {
                    let Waiting { task, is_through, .. } = &mut waiting[n];
                    match if anew { task.poll_anew() } else { task.poll() } {
                        Poll::Ready(result) => {
                            prop_assert!(*is_through && !result.is_leader());
                            waiting.remove(n);
                        }
                        Poll::Pending => prop_assert!(!*is_through),
                    }
                }
                Op::Leave(n) if n < waiting.len() => drop(waiting.remove(n)),
                Op::Poll(..) | Op::Leave(_) => {}
            }
            for one in &mut waiting {
                let now = one.is_through && !one.rung;
                prop_assert_eq!(one.task.bell.rings(), usize::from(now), "woken once");
                one.rung |= now;
            }
            let here = waiting.iter().filter(|one| !one.is_through).count();
            prop_assert_eq!(barrier.round.lock().arrived, here);
        }
    }
}
