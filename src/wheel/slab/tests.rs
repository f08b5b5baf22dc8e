use super::{AGED, Entry, KEPT, RETIRED, Slab, TimerKey};
use crate::wheel::levels::Slot;
use std::num::NonZeroU32;
use std::task::Waker;

fn insert(slab: &mut Slab<u32>, value: u32) -> TimerKey {
    slab.insert(0, Slot::LATE, value).expect("room")
}

fn fill(slab: &mut Slab<u32>, count: u32) -> Vec<TimerKey> {
    (0..count).map(|value| insert(slab, value)).collect()
}

fn age(slab: &mut Slab<u32>, index: u32, generation: u32) {
    slab.entries[index as usize].generation = NonZeroU32::new(generation).expect("not 0");
}

#[test]
fn an_entry_with_a_waker_has_forty_bytes() {
    assert_eq!(size_of::<Entry<Waker>>(), 40);
    assert_eq!(size_of::<Option<TimerKey>>(), 8);
}

#[test]
fn a_full_slab_gives_the_value_back() {
    let mut slab = Slab::new();
    slab.limit = 2;
    let first = insert(&mut slab, 1);
    insert(&mut slab, 2);
    assert_eq!(slab.insert(0, Slot::LATE, 3).expect_err("no room").0, 3);
    assert_eq!(slab.len(), 2);
    assert_eq!(slab.free(first.index()), Some(1));
    assert_eq!(insert(&mut slab, 3).index(), first.index());
    slab.check();
}

#[test]
fn an_entry_is_retired_before_its_generation_wraps() {
    let mut slab = Slab::new();
    let first = insert(&mut slab, 1);
    slab.free(first.index());
    age(&mut slab, first.index(), RETIRED.get() - 2);
    for _ in 0..2 {
        let key = insert(&mut slab, 2);
        assert_eq!(key.index(), first.index());
        assert_ne!(key.generation(), RETIRED.get());
        assert_eq!(slab.free(key.index()), Some(2));
        assert_eq!(slab.get_mut(key), None);
        slab.check();
    }
    let next = insert(&mut slab, 3);
    assert_ne!(next.index(), first.index());
    assert_eq!(slab.get_mut(first), None);
    assert_eq!(slab.get_mut(next), Some(&mut 3));
    slab.check();
}

#[test]
fn memory_goes_back_when_the_last_timer_goes() {
    let mut slab = Slab::new();
    for _ in 0..3 {
        for key in fill(&mut slab, 10_000) {
            slab.free(key.index());
        }
        slab.check();
        assert!(slab.bound() <= KEPT);
        assert!(slab.heap() <= KEPT as usize * size_of::<Entry<u32>>());
    }
}

#[test]
fn memory_goes_back_when_the_end_is_free() {
    // From first to last, as timers fire, and the other way round.
    for backwards in [false, true] {
        let mut slab = Slab::new();
        let mut keys = fill(&mut slab, 10_000);
        let mut gone = keys.split_off(200);
        if backwards {
            gone.reverse();
        }
        for key in gone {
            slab.free(key.index());
        }
        slab.check();
        assert!(slab.bound() <= 800, "{}", slab.bound());
        assert!(slab.entries.capacity() <= 3_200, "{}", slab.entries.capacity());
        for (value, key) in (0..).zip(keys) {
            assert_eq!(slab.get_mut(key), Some(&mut { value }));
        }
    }
}

#[test]
fn a_timer_at_the_end_holds_memory_only_while_it_lives() {
    let mut slab = Slab::new();
    let keys = fill(&mut slab, 10_000);
    for key in &keys[..9_999] {
        slab.free(key.index());
    }
    assert_eq!(slab.bound(), 10_000);
    // Timers that come and go overlapping, so that there is never none.
    let mut before = insert(&mut slab, 1);
    slab.free(keys[9_999].index());
    assert!(slab.bound() <= 5_000, "{}", slab.bound());
    for _ in 0..20_000 {
        let key = insert(&mut slab, 1);
        slab.free(before.index());
        before = key;
    }
    slab.check();
    assert!(slab.bound() <= KEPT, "{}", slab.bound());
    assert_eq!(slab.get_mut(before), Some(&mut 1));
}

#[test]
fn keys_stay_stale_when_their_entries_went_and_came_back() {
    let mut slab = Slab::new();
    let mut stale = Vec::new();
    for round in 0..5 {
        let keys = fill(&mut slab, 1_000);
        for key in stale.iter().copied() {
            assert_eq!(slab.get_mut(key), None, "round {round}");
        }
        for key in &keys {
            slab.free(key.index());
        }
        stale.extend(keys);
    }
}

#[test]
fn an_aged_entry_keeps_its_place() {
    let mut slab = Slab::new();
    let keys = fill(&mut slab, 1_000);
    for key in &keys {
        if key.index() == 500 {
            age(&mut slab, 500, AGED.get());
        }
        slab.free(key.index());
    }
    assert_eq!(slab.bound(), 501);
    assert!(slab.floor < AGED);
    slab.check();
}
