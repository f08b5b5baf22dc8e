//! What the connections of one server have in common.

use super::admission::Admission;
use super::afterwork::Afterworks;
use super::bounds::{Bounds, Live};
use super::codec::Limits;
use super::codec::encode::DateText;
use super::counters::Counters;
use crate::context::Spare;
use crate::primitives::Mutex;
use std::io::Write;
use std::time::UNIX_EPOCH;

/// Bounds, counts and spare buffers, shared by connections.
///
/// A server has one, or one for each worker where their lock should not be shared.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) bounds: Live,
    pub(super) admission: Admission,
    pub(crate) counters: Counters,
    pub(super) afterworks: Afterworks,
    pub(super) buffers: Buffers,
}

impl Shared {
    pub(crate) fn new(bounds: impl Into<Bounds>) -> Self {
        let bounds = bounds.into();
        Self {
            admission: Admission::new(&bounds),
            bounds: Live::new(bounds),
            counters: Counters::default(),
            afterworks: Afterworks::default(),
            buffers: Buffers::default(),
        }
    }

    /// Whole seconds after which a request that is refused now may be tried again.
    pub(super) fn retry_after(&self, bounds: &Bounds) -> u64 {
        self.admission.retry_after(self.counters.served.get(), bounds)
    }
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        let Limits { head, fields, target, body } = limits;
        Self {
            max_head: head,
            max_headers: fields,
            max_target: target,
            max_body: body,
            ..Self::default()
        }
    }
}

/// Spare buffers: a connection holds one only while bytes are in it.
///
/// So an idle connection holds none, and a busy one takes the buffer that was used last, which is
/// still in the cache, without going through the allocator. Each thread has one of its own; these are
/// for connections that hold theirs over a wait.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    input: Mutex<Vec<Vec<u8>>>,
    output: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Bytes of a buffer for reading; a larger one is not kept.
    pub(super) const INPUT: usize = 8 * 1024;
    /// Bytes that a buffer for writing may have grown to and still be kept.
    const OUTPUT_MAX: usize = 32 * 1024;
    const OUTPUT_START: usize = 4 * 1024;
    /// Buffers of each kind that are kept: at most 2.5 MiB in all.
    const KEPT: usize = 64;

    /// A buffer whose length is all its room.
    #[inline]
    pub(super) fn take_input(&self) -> Vec<u8> {
        Spare::Input.take().unwrap_or_else(|| self.take_shared_input())
    }

    #[cold]
    fn take_shared_input(&self) -> Vec<u8> {
        let spare = self.input.lock().pop();
        spare.unwrap_or_else(|| vec![0; Self::INPUT])
    }

    #[inline]
    pub(super) fn give_input(&self, buffer: Vec<u8>) {
        if buffer.len() == Self::INPUT
            && let Some(other) = Spare::Input.keep(buffer)
        {
            keep(&self.input, other);
        }
    }

    /// A buffer of length 0.
    #[inline]
    pub(super) fn take_output(&self) -> Vec<u8> {
        Spare::Output.take().unwrap_or_else(|| self.take_shared_output())
    }

    #[cold]
    fn take_shared_output(&self) -> Vec<u8> {
        let spare = self.output.lock().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(Self::OUTPUT_START))
    }

    #[inline]
    pub(super) fn give_output(&self, mut buffer: Vec<u8>) {
        if (1..=Self::OUTPUT_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            if let Some(other) = Spare::Output.keep(buffer) {
                keep(&self.output, other);
            }
        }
    }
}

/// Keeps `buffer` for whoever needs one, where there is room; frees it outside the lock where there is none.
#[cold]
fn keep(spares: &Mutex<Vec<Vec<u8>>>, buffer: Vec<u8>) {
    let mut spares = spares.lock();
    if spares.len() < Buffers::KEPT {
        spares.push(buffer);
    } else {
        drop(spares);
    }
}

/// The current date as text, written anew when the second changes.
#[derive(Debug)]
pub(super) struct Date {
    second: u64,
    /// The clock was read since [`age`](Self::age).
    fresh: bool,
    text: DateText,
}

impl Date {
    pub(super) fn new() -> Self {
        Self { second: u64::MAX, fresh: false, text: [b' '; 29] }
    }

    /// Makes the next [`text`](Self::text) read the clock.
    #[inline]
    pub(super) fn age(&mut self) {
        self.fresh = false;
    }

    #[inline]
    pub(super) fn text(&mut self) -> &DateText {
        if !self.fresh {
            self.fresh = true;
            let second = present_second();
            if second != self.second {
                self.write(second);
            }
        }
        &self.text
    }

    #[cold]
    fn write(&mut self, second: u64) {
        /// The last second of the year 9999, after which the format ends.
        const LAST: u64 = 253_402_300_799;
        self.second = second;
        let time = UNIX_EPOCH + std::time::Duration::from_secs(second.min(LAST));
        // The text has exactly this many bytes in every year of four digits.
        let _ = write!(&mut self.text[..], "{}", httpdate::HttpDate::from(time));
    }
}

/// The second of the present, or the one that has just passed.
#[cfg(target_os = "linux")]
#[inline]
fn present_second() -> u64 {
    crate::primitives::coarse::second()
}

#[cfg(not(target_os = "linux"))]
fn present_second() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Buffers, Date, Spare};

    #[test]
    fn dates_in_the_format_of_http() {
        let mut date = Date::new();
        for (second, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            date.write(second);
            assert_eq!(std::str::from_utf8(&date.text), Ok(text));
        }
        let now = httpdate::parse_http_date(std::str::from_utf8(Date::new().text()).unwrap());
        let age = std::time::SystemTime::now().duration_since(now.unwrap()).unwrap();
        assert!(age.as_secs() < 60, "{age:?}");
    }

    #[test]
    fn buffers_are_kept_up_to_a_bound() {
        let buffers = Buffers::default();
        for _ in 0..100 {
            buffers.give_input(vec![0; Buffers::INPUT]);
            buffers.give_output(Vec::with_capacity(100));
        }
        assert_eq!(buffers.input.lock().len(), Buffers::KEPT);
        assert_eq!(buffers.output.lock().len(), Buffers::KEPT);
        // The first is the thread's.
        assert_eq!(buffers.take_input().len(), Buffers::INPUT);
        assert_eq!(buffers.input.lock().len(), Buffers::KEPT);
        assert_eq!(buffers.take_input().len(), Buffers::INPUT);
        assert_eq!(buffers.input.lock().len(), Buffers::KEPT - 1);
        buffers.give_input(vec![0; 2 * Buffers::INPUT]);
        assert_eq!(Spare::Input.take(), None, "one that has grown is not kept");
        assert_eq!(buffers.input.lock().len(), Buffers::KEPT - 1);
        let small = buffers.take_output();
        buffers.give_output(Vec::with_capacity(1 << 20));
        assert_eq!(Spare::Output.take(), None, "a large one is not kept");
        buffers.give_output(small);
        assert!(Spare::Output.take().is_some());
    }
}
