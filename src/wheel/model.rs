//! The wheel beside a sorted map that does the same slowly: operations, run on both.
//!
//! The property tests make the operations themselves, the fuzzer decodes them from bytes.

use super::{TimerKey, Wheel};
use std::collections::BTreeMap;

/// A tick, said in relation to the time of the wheel, so that any sequence is worth running.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tick {
    After(u64),
    Before(u64),
    At(u64),
    /// So many ticks from the next tick at which a digit of this place turns over.
    Edge(u8, i8),
}

impl Tick {
    /// The tick that is meant while time stands at `elapsed`; it stops at the ends of time.
    pub(crate) fn resolve(self, elapsed: u64) -> u64 {
        match self {
            Self::After(n) => elapsed.saturating_add(n),
            Self::Before(n) => elapsed.saturating_sub(n),
            Self::At(tick) => tick,
            Self::Edge(place, n) => {
                let step = 1u64 << (u32::from(place) * 6 % 66);
                (elapsed - elapsed % step).saturating_add(step).saturating_add_signed(n.into())
            }
        }
    }
}

/// One call, or a few, to the wheel. Keys are picked from all ever given, stale ones included.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Insert(Tick),
    /// Up to 255 timers, so many ticks apart.
    InsertMany(u8, Tick, u8),
    Remove(u16),
    /// Removes what is left of the timers inserted last.
    RemoveMany(u8),
    GetMut(u16),
    Expire(Tick),
    /// Expires what `next_expiration` asks for until a timer fires.
    Follow,
    Drain,
}

/// Runs operations on a wheel whose time starts at `start`, and panics at the first difference.
pub(crate) fn run(start: u64, ops: impl IntoIterator<Item = Op>) {
    let mut pair = Pair::new(start);
    for op in ops {
        pair.apply(op);
        pair.check(pair.waiting.len() <= 64);
    }
    pair.check(true);
}

/// Runs the operations that `bytes` spell.
pub(crate) fn run_bytes(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let start = bytes.tick().resolve(0);
    run(start, std::iter::from_fn(|| bytes.op()));
}

struct Pair {
    wheel: Wheel<u64>,
    elapsed: u64,
    /// The timers that wait, by deadline and then by order of insertion.
    waiting: BTreeMap<(u64, u64), TimerKey>,
    /// All keys ever given, with what they were given for: a timer's value is its place in here.
    given: Vec<(TimerKey, u64)>,
}

impl Pair {
    fn new(start: u64) -> Self {
        let (waiting, given) = (BTreeMap::new(), Vec::new());
        Self { wheel: Wheel::new(start), elapsed: start, waiting, given }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(tick) => self.insert(tick.resolve(self.elapsed)),
            Op::InsertMany(count, tick, step) => {
                let first = tick.resolve(self.elapsed);
                for n in 0..u64::from(count) {
                    self.insert(first.saturating_add(n * u64::from(step)));
                }
            }
            Op::Remove(pick) => self.remove(usize::from(pick)),
            Op::RemoveMany(count) => {
                for n in 1..=usize::from(count).min(self.given.len()) {
                    self.remove(self.given.len() - n);
                }
            }
            Op::GetMut(pick) => {
                if let Some((value, key, deadline)) = self.pick(usize::from(pick)) {
                    let expected = self.waiting.contains_key(&(deadline, value)).then_some(value);
                    assert_eq!(self.wheel.get_mut(key).copied(), expected);
                }
            }
            Op::Expire(tick) => {
                self.expire(tick.resolve(self.elapsed));
            }
            Op::Follow => self.follow(),
            Op::Drain => {
                let mut drained = Vec::new();
                self.wheel.drain(|value| drained.push(value));
                drained.sort_unstable();
                let mut expected: Vec<_> = self.waiting.keys().map(|(_, value)| *value).collect();
                expected.sort_unstable();
                self.waiting.clear();
                assert_eq!(drained, expected);
            }
        }
    }

    fn insert(&mut self, deadline: u64) {
        let value = self.given.len() as u64;
        let key = self.wheel.insert(deadline, value).expect("a model is never full");
        self.given.push((key, deadline));
        self.waiting.insert((deadline, value), key);
    }

    fn remove(&mut self, pick: usize) {
        if let Some((value, key, deadline)) = self.pick(pick) {
            let expected = self.waiting.remove(&(deadline, value)).map(|_| value);
            assert_eq!(self.wheel.remove(key), expected);
        }
    }

    fn pick(&self, pick: usize) -> Option<(u64, TimerKey, u64)> {
        let value = pick.checked_rem(self.given.len())?;
        let (key, deadline) = self.given[value];
        Some((value as u64, key, deadline))
    }

    /// Expires both, and says how many timers fired.
    fn expire(&mut self, now: u64) -> usize {
        let mut fired = Vec::new();
        self.wheel.expire(now, |value| fired.push(value));
        let mut expected = Vec::new();
        if now >= self.elapsed {
            self.elapsed = now;
            while let Some(first) = self.waiting.first_entry()
                && first.key().0 <= now
            {
                expected.push(first.key().1);
                first.remove();
            }
        }
        assert_eq!(fired, expected, "fired at {now}");
        fired.len()
    }

    fn follow(&mut self) {
        let mut calls = 0;
        while let Some(next) = self.wheel.next_expiration() {
            calls += 1;
            assert!(calls <= 11, "a timer moves down at most ten times");
            if self.expire(next) > 0 {
                break;
            }
        }
    }

    fn check(&self, thoroughly: bool) {
        let wheel = &self.wheel;
        assert_eq!(wheel.elapsed(), self.elapsed);
        assert_eq!(wheel.len(), self.waiting.len());
        assert_eq!(wheel.is_empty(), self.waiting.is_empty());
        let first = self.waiting.first_key_value();
        let first = first.map(|(&(deadline, _), _)| deadline.max(self.elapsed));
        assert_eq!(wheel.earliest(), first);
        let next = wheel.next_expiration();
        match self.waiting.first_key_value() {
            None => assert_eq!(next, None),
            Some((&(deadline, _), _)) => {
                let due = deadline.max(self.elapsed);
                let next = next.expect("a timer waits");
                assert!(self.elapsed <= next && next <= due, "{next} for {due}");
                // What is due within its own 64 ticks, and what is alone, is known exactly.
                if due / 64 == self.elapsed / 64 || self.waiting.len() == 1 {
                    assert_eq!(next, due);
                }
            }
        }
        if thoroughly {
            wheel.check();
        }
    }
}

/// What is left of the fuzzer's input.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, or 0: half an operation at the end is still one.
    fn more(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn pick(&mut self) -> u16 {
        u16::from_le_bytes([self.more(), self.more()])
    }

    fn op(&mut self) -> Option<Op> {
        Some(match self.byte()? % 16 {
            0..=5 => Op::Insert(self.tick()),
            6 => Op::InsertMany(self.more(), self.tick(), self.more()),
            7 | 8 => Op::Remove(self.pick()),
            9 => Op::RemoveMany(self.more()),
            10 => Op::GetMut(self.pick()),
            11 | 12 => Op::Expire(self.tick()),
            13 | 14 => Op::Follow,
            _ => Op::Drain,
        })
    }

    fn tick(&mut self) -> Tick {
        let kind = self.more();
        // A power of two and a bit, so that few bytes reach all sizes.
        let (size, rest) = (self.more(), self.more());
        let ticks = (1u64 << (size % 64)).wrapping_add(rest.into());
        match kind % 8 {
            0 => Tick::After(rest.into()),
            1 | 2 => Tick::After(ticks),
            3 => Tick::Before(rest.into()),
            4 => Tick::At(ticks),
            5 => Tick::At(u64::MAX - u64::from(rest)),
            _ => Tick::Edge(size % 11, rest as i8),
        }
    }
}
