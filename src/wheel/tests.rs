use super::model::{Op, Tick, run, run_bytes};
use super::{TimerKey, Wheel};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn insert<T>(wheel: &mut Wheel<T>, deadline: u64, value: T) -> TimerKey {
    wheel.insert(deadline, value).ok().expect("room")
}

fn expire<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<T> {
    let mut fired = Vec::new();
    wheel.expire(now, |value| fired.push(value));
    wheel.check();
    fired
}

#[test]
fn fires_in_order_of_deadlines_and_then_of_insertion() {
    let mut wheel = Wheel::new(0);
    for (n, deadline) in [5_000, 70, 3, 70, 1 << 40, 5_000, 3].into_iter().enumerate() {
        insert(&mut wheel, deadline, n);
    }
    assert!(expire(&mut wheel, 2).is_empty());
    assert_eq!(expire(&mut wheel, 3), [2, 6]);
    assert_eq!(expire(&mut wheel, 5_000), [1, 3, 0, 5]);
    assert_eq!(expire(&mut wheel, u64::MAX), [4]);
    assert!(wheel.is_empty());
}

#[test]
fn equal_deadlines_inserted_at_different_times_keep_their_order() {
    let deadline = 1 << 30;
    let mut wheel = Wheel::new(0);
    for n in 0..40 {
        insert(&mut wheel, deadline, n);
        // Half of the way that is left: each time from a lower level.
        let now = wheel.elapsed() + (deadline - wheel.elapsed()) / 2;
        assert!(expire(&mut wheel, now).is_empty());
    }
    assert_eq!(expire(&mut wheel, deadline), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_late_timer_is_asked_for_at_once_and_fires_first() {
    let mut wheel = Wheel::new(1_000);
    insert(&mut wheel, 1_001, "soon");
    insert(&mut wheel, 1_000, "now");
    insert(&mut wheel, 7, "late");
    insert(&mut wheel, 3, "later");
    insert(&mut wheel, 7, "late again");
    assert_eq!(wheel.next_expiration(), Some(1_000));
    assert_eq!(expire(&mut wheel, 1_000), ["later", "late", "late again", "now"]);
    assert_eq!(wheel.next_expiration(), Some(1_001));
}

#[test]
fn many_late_timers_from_last_to_first_fire_in_order() {
    let mut wheel = Wheel::new(1 << 20);
    for deadline in (0..10_000).rev() {
        insert(&mut wheel, deadline, deadline);
    }
    assert_eq!(expire(&mut wheel, 1 << 20), (0..10_000).collect::<Vec<_>>());
}

#[test]
fn time_that_goes_backwards_does_nothing() {
    let mut wheel = Wheel::new(100);
    insert(&mut wheel, 50, "late");
    assert_eq!(expire(&mut wheel, 99), [""; 0]);
    assert_eq!((wheel.elapsed(), wheel.earliest()), (100, Some(100)));
    assert_eq!(expire(&mut wheel, 100), ["late"]);
}

#[test]
fn a_stale_key_finds_nothing() {
    let mut wheel = Wheel::new(0);
    let removed = insert(&mut wheel, 10, 1);
    assert_eq!(wheel.get_mut(removed), Some(&mut 1));
    assert_eq!(wheel.remove(removed), Some(1));
    let fired = insert(&mut wheel, 10, 2);
    assert_eq!(expire(&mut wheel, 10), [2]);
    let new = insert(&mut wheel, 20, 3);
    for stale in [removed, fired] {
        assert_ne!(stale, new);
        assert_eq!(wheel.get_mut(stale), None);
        assert_eq!(wheel.remove(stale), None);
    }
    assert_eq!(wheel.remove(new), Some(3));
    assert_eq!(wheel.remove(new), None);
}

#[test]
fn a_lone_timer_is_awaited_exactly() {
    for shift in 0..64 {
        for start in [0, 63, 1 << 30, (1 << 36) - 1, u64::MAX / 2] {
            let deadline = (start + (1u64 << shift)).saturating_sub(1).max(start);
            let mut wheel = Wheel::new(start);
            insert(&mut wheel, deadline, ());
            assert_eq!(wheel.next_expiration(), Some(deadline));
        }
    }
}

#[test]
fn neighbours_in_a_slot_are_broken_up_on_the_way() {
    let mut wheel = Wheel::new(0);
    insert(&mut wheel, 64 * 64 + 70, 1);
    insert(&mut wheel, 64 * 64 + 65, 2);
    assert_eq!(wheel.next_expiration(), Some(64 * 64));
    assert_eq!(wheel.earliest(), Some(64 * 64 + 65));
    assert!(expire(&mut wheel, 64 * 64).is_empty());
    assert_eq!(wheel.next_expiration(), Some(64 * 64 + 64));
    assert!(expire(&mut wheel, 64 * 64 + 64).is_empty());
    assert_eq!(wheel.next_expiration(), Some(64 * 64 + 65));
    assert_eq!(expire(&mut wheel, 64 * 64 + 65), [2]);
}

#[test]
fn the_end_of_time_is_a_tick_like_others() {
    let mut wheel = Wheel::new(u64::MAX - 1);
    insert(&mut wheel, u64::MAX, 1);
    insert(&mut wheel, 0, 0);
    assert_eq!(expire(&mut wheel, u64::MAX - 1), [0]);
    assert_eq!(expire(&mut wheel, u64::MAX), [1]);
    insert(&mut wheel, u64::MAX, 2);
    assert_eq!(wheel.next_expiration(), Some(u64::MAX));
    assert_eq!(expire(&mut wheel, u64::MAX), [2]);
}

#[test]
fn a_panic_in_fire_loses_only_its_own_timer() {
    // In one tick, alone on a high level, and among late ones.
    for deadlines in [[70, 70, 70], [70, 1 << 20, 1 << 40], [3, 2, 1]] {
        for bad in deadlines {
            let mut wheel = Wheel::new(10);
            for deadline in deadlines {
                insert(&mut wheel, deadline, deadline);
            }
            let mut seen = Vec::new();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                wheel.expire(1 << 50, |deadline| {
                    seen.push(deadline);
                    assert_ne!(deadline, bad, "the timer that panics");
                });
            }));
            assert!(outcome.is_err());
            wheel.check();
            assert_eq!(wheel.elapsed(), bad.max(10));
            assert_eq!(wheel.next_expiration().is_none(), wheel.is_empty());
            // Equal deadlines still come in order of insertion, behind what was left.
            insert(&mut wheel, bad, bad);
            seen.extend(expire(&mut wheel, 1 << 50));
            let mut expected = deadlines.to_vec();
            expected.push(bad);
            expected.sort_unstable();
            assert_eq!(seen, expected);
        }
    }
}

#[test]
fn drain_empties_and_a_panic_in_it_keeps_the_rest() {
    let mut wheel = Wheel::new(5);
    let keys: Vec<_> = (0..1_000).map(|n| insert(&mut wheel, n << 20, n)).collect();
    let mut drained = Vec::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        wheel.drain(|n| {
            drained.push(n);
            assert_ne!(n, 500, "the timer that panics");
        });
    }));
    assert!(outcome.is_err());
    wheel.check();
    assert_eq!(wheel.len() + drained.len(), 1_000);
    wheel.drain(|n| drained.push(n));
    wheel.check();
    drained.sort_unstable();
    assert_eq!(drained, (0..1_000).collect::<Vec<_>>());
    assert!(wheel.is_empty() && wheel.next_expiration().is_none());
    assert_eq!(wheel.elapsed(), 5);
    assert!(keys.iter().all(|key| wheel.remove(*key).is_none()));
}

#[test]
fn an_idle_wheel_is_small() {
    let heap = |wheel: &Wheel<std::task::Waker>| wheel.levels.heap() + wheel.slab.heap();
    let mut wheel = Wheel::new(0);
    assert!(size_of_val(&wheel) <= 192, "{}", size_of_val(&wheel));
    assert_eq!(heap(&wheel), 0);
    insert(&mut wheel, (1 << 36) - 1, std::task::Waker::noop().clone());
    assert!(heap(&wheel) <= 3 * 1024 + 4 * 40, "{}", heap(&wheel));
    for n in 0..100_000 {
        insert(&mut wheel, u64::MAX - n, std::task::Waker::noop().clone());
    }
    wheel.expire(u64::MAX, drop);
    assert!(heap(&wheel) <= 11 * 512 + 128 * 40, "{}", heap(&wheel));
}

#[test]
fn prints_what_matters() {
    let mut wheel = Wheel::new(3);
    insert(&mut wheel, 9, ());
    let text = format!("{wheel:?}");
    assert_eq!(text, "Wheel { elapsed: 3, len: 1, next_expiration: Some(9), .. }");
}

#[test]
fn bytes_of_any_length_are_operations() {
    for len in 0..64 {
        run_bytes(&vec![6; len]);
        run_bytes(&(0..len as u8).map(|n| n.wrapping_mul(37)).collect::<Vec<_>>());
    }
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        4 => (0..200u64).prop_map(Tick::After),
        4 => (0..64u32, 0..70u64).prop_map(|(shift, n)| Tick::After((1 << shift) + n)),
        2 => ((1u64 << 30)..(1 << 45)).prop_map(Tick::After),
        1 => (0..200u64).prop_map(Tick::Before),
        1 => any::<u64>().prop_map(Tick::At),
        1 => (0..200u64).prop_map(|n| Tick::At(u64::MAX - n)),
        4 => (0..11u8, -3..=3i8).prop_map(|(place, n)| Tick::Edge(place, n)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => tick().prop_map(Op::Insert),
        2 => (any::<u8>(), tick(), 0..80u8).prop_map(|(n, tick, gap)| Op::InsertMany(n, tick, gap)),
        5 => any::<u16>().prop_map(Op::Remove),
        2 => any::<u8>().prop_map(Op::RemoveMany),
        3 => any::<u16>().prop_map(Op::GetMut),
        4 => tick().prop_map(Op::Expire),
        4 => Just(Op::Follow),
        1 => Just(Op::Drain),
    ]
}

/// Where time starts: anywhere, and at either side of each digit's turn.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        any::<u64>(),
        tick().prop_map(|tick| tick.resolve(0)),
        (tick(), tick()).prop_map(|(far, near)| near.resolve(far.resolve(0))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn does_what_a_sorted_map_does(start in start(), ops in prop::collection::vec(op(), 1..200)) {
        run(start, ops);
    }
}
