//! Every bound of a server, as one value that can be changed while it runs.

use super::codec::Limits;
use crate::primitives::{AtomicU64, Mutex, Ordering};
use crate::sync::Semaphore;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a server allows, in numbers, bytes and times.
///
/// Each field says what happens at the bound. Made by the methods of the same names on
/// [`ServerBuilder`](super::ServerBuilder), read and changed while the server runs by
/// [`ServerHandle::bounds`](super::ServerHandle::bounds) and
/// [`ServerHandle::set_bounds`](super::ServerHandle::set_bounds). How often each was met is told by
/// [`ServerHandle::metrics`](super::ServerHandle::metrics).
///
/// A time of `Duration::MAX` is no bound.
///
/// Two things are fixed. What a client still sends behind the last answer, the rest of a body that
/// was refused for example, is read and thrown away for 5 s and up to 64 MiB, so that it gets that
/// answer (RFC 9112, section 9.6). A body that its handler has left unread is read up to 64 KiB, so
/// that the connection can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Connections at one time, from 1 to a sixteenth of `usize::MAX`. Further ones wait in the
    /// kernel, 4,096 at most for each listening socket (`net.core.somaxconn`). Default 25,000.
    pub max_connections: usize,
    /// Requests that handlers work on at one time, from 1 to a sixteenth of `usize::MAX`. Further
    /// ones wait. Default 1,024.
    pub max_in_flight: usize,
    /// Requests that wait for a handler; further ones are answered with 503 at once. With 0, none
    /// waits. Default 1,024.
    pub max_waiting: usize,
    /// How long a request waits for a handler before it is answered with 503. Default 10 s.
    pub waiting_time: Duration,
    /// Requests on one connection, after which it is closed; at least 1. Default: no bound.
    pub max_requests: u64,
    /// Answers of one connection that may be ready and not yet taken by the client, at least 1. The
    /// requests of a connection are handled one after the other, and answers to those that have come
    /// together leave together. After this many, all must be handed to the kernel before the next
    /// request is looked at, so a client that sends requests and reads no answers is worked for no
    /// further than that. The same holds for 64 KiB of answers, and nothing is read from a client as
    /// long as answers wait for it. Default 16.
    pub read_ahead: usize,
    /// Bytes of a request's head, from 64 to 65,535; longer ones are answered with 431. Default
    /// 32 KiB.
    pub max_head: usize,
    /// Field lines of a request, from 1 to 256; more are answered with 431. Default 100.
    pub max_headers: usize,
    /// Bytes of a request's target, at least 1; longer ones are answered with 414. Default 8 KiB.
    pub max_target: usize,
    /// Bytes of a request's body; longer ones are answered with 413. Default 2 MiB.
    pub max_body: u64,
    /// How long a request's head may take, at least 1 ms; then 408. It counts from accept for the
    /// first request, from its first byte for a later one, and what comes piece by piece has no more
    /// of it. A connection on which nothing has come by then is closed without an answer. Default
    /// 10 s.
    pub header_time: Duration,
    /// How long a connection may be idle after an answer; then it is closed. With 0 it is closed
    /// after each answer, which says so. Default 5 s.
    pub keep_alive: Duration,
    /// How long a body may be waited for beside what [`body_rate`](Self::body_rate) allows, at least
    /// 1 ms; then 408. Only time in which the handler wants more of it counts. Default 30 s.
    pub body_time: Duration,
    /// Bytes of a body that earn it a second more, and others in proportion; at least 1. Default 256.
    pub body_rate: u64,
    /// How long a client may take nothing of its answer, at least 1 ms; then it is cut off. Default
    /// 30 s.
    pub write_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let Limits { head, fields, target, body } = Limits::default();
        Self {
            max_connections: 25_000,
            max_in_flight: 1_024,
            max_waiting: 1_024,
            waiting_time: Duration::from_secs(10),
            max_requests: u64::MAX,
            read_ahead: 16,
            max_head: head,
            max_headers: fields,
            max_target: target,
            max_body: body,
            header_time: Duration::from_secs(10),
            keep_alive: Duration::from_secs(5),
            body_time: Duration::from_secs(30),
            body_rate: 256,
            write_time: Duration::from_secs(30),
        }
    }
}

impl Bounds {
    pub(super) fn check(&self) -> Result<(), BadBound> {
        // Half of what a semaphore can have: while the number is lowered and raised again, there may
        // be as many still that are to go.
        let permits = Semaphore::MAX_PERMITS as u64 / 2;
        let unbounded = u64::MAX;
        let numbers = [
            ("max_connections", self.max_connections as u64, 1, permits),
            ("max_in_flight", self.max_in_flight as u64, 1, permits),
            ("max_requests", self.max_requests, 1, unbounded),
            ("read_ahead", self.read_ahead as u64, 1, unbounded),
            ("max_head", self.max_head as u64, 64, Limits::HEAD_MAX as u64),
            ("max_headers", self.max_headers as u64, 1, Limits::FIELDS_MAX as u64),
            ("max_target", self.max_target as u64, 1, unbounded),
            ("body_rate", self.body_rate, 1, unbounded),
        ];
        let times = [
            ("header_time", self.header_time),
            ("body_time", self.body_time),
            ("write_time", self.write_time),
        ];
        let times = times.map(|(bound, time)| {
            let ms = u64::try_from(time.as_millis()).unwrap_or(unbounded);
            (BadBound { bound, value: ms, least: 1, most: unbounded, unit: " ms" }, ms)
        });
        let numbers = numbers.map(|(bound, value, least, most)| {
            (BadBound { bound, value, least, most, unit: "" }, value)
        });
        for (bad, value) in numbers.into_iter().chain(times) {
            if !(bad.least..=bad.most).contains(&value) {
                return Err(bad);
            }
        }
        Ok(())
    }

    /// The part that the codec holds.
    #[inline]
    pub(super) fn limits(&self) -> Limits {
        Limits {
            head: self.max_head,
            fields: self.max_headers,
            target: self.max_target,
            body: self.max_body,
        }
    }
}

/// A bound is out of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBound {
    /// Its name.
    pub bound: &'static str,
    /// What was given; times in milliseconds.
    pub value: u64,
    /// The least that it takes.
    pub least: u64,
    /// The most that it takes; `u64::MAX` where there is no such bound.
    pub most: u64,
    unit: &'static str,
}

impl fmt::Display for BadBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, value, least, most, unit } = self;
        match *most {
            u64::MAX => write!(f, "{bound} is {value}{unit}, but must be at least {least}{unit}"),
            _ => write!(f, "{bound} is {value}{unit}, but must be from {least} to {most}{unit}"),
        }
    }
}

impl std::error::Error for BadBound {}

/// The bounds of a running server.
///
/// Connections keep a reference to the version that they last saw, and compare one number to find
/// out whether there is a newer one.
#[derive(Debug)]
pub(super) struct Live {
    version: AtomicU64,
    current: Mutex<Arc<Bounds>>,
}

/// The bounds as a connection last saw them.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    version: u64,
    pub(super) bounds: Arc<Bounds>,
}

impl Seen {
    #[inline]
    pub(super) fn limits(&self) -> Limits {
        self.bounds.limits()
    }
}

impl Live {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { version: AtomicU64::new(0), current: Mutex::new(Arc::new(bounds)) }
    }

    pub(super) fn get(&self) -> Arc<Bounds> {
        Arc::clone(&self.current.lock())
    }

    pub(super) fn see(&self) -> Seen {
        // The version first: if it is older than the bounds, they are looked at once more than need
        // be.
        let version = self.version.load(Ordering::Acquire);
        Seen { version, bounds: self.get() }
    }

    /// Brings `seen` up to date.
    #[inline]
    pub(super) fn refresh(&self, seen: &mut Seen) {
        if self.version.load(Ordering::Acquire) != seen.version {
            *seen = self.see();
        }
    }

    /// Changes the bounds from `old`, which [`get`](Self::get) gave, to `new`; no, where others have
    /// changed them meanwhile.
    pub(super) fn replace(&self, old: &Arc<Bounds>, new: Arc<Bounds>) -> bool {
        let mut current = self.current.lock();
        // `old` is held, so no other bounds can be at its address.
        let unchanged = Arc::ptr_eq(&current, old);
        if unchanged {
            *current = new;
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        unchanged
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_follows_what_is_set() {
        let live = Live::new(Bounds::default());
        let mut seen = live.see();
        live.refresh(&mut seen);
        assert_eq!(seen.bounds.max_body, 2 * 1024 * 1024);
        let (old, new) = (live.get(), Arc::new(Bounds { max_body: 5, ..Bounds::default() }));
        assert!(live.replace(&old, new));
        assert!(!live.replace(&old, Arc::default()), "somebody else was first");
        live.refresh(&mut seen);
        assert_eq!((seen.bounds.max_body, seen.limits().body), (5, 5));
    }

    #[test]
    fn bounds_out_of_range_are_told_by_name() {
        assert_eq!(Bounds::default().check(), Ok(()));
        for (bounds, name) in [
            (Bounds { max_connections: 0, ..Bounds::default() }, "max_connections"),
            (Bounds { max_in_flight: 0, ..Bounds::default() }, "max_in_flight"),
            (Bounds { max_in_flight: usize::MAX, ..Bounds::default() }, "max_in_flight"),
            (
                Bounds { max_in_flight: Semaphore::MAX_PERMITS, ..Bounds::default() },
                "max_in_flight",
            ),
            (Bounds { read_ahead: 0, ..Bounds::default() }, "read_ahead"),
            (Bounds { header_time: Duration::ZERO, ..Bounds::default() }, "header_time"),
            (Bounds { body_time: Duration::from_nanos(1), ..Bounds::default() }, "body_time"),
            (Bounds { write_time: Duration::ZERO, ..Bounds::default() }, "write_time"),
            (Bounds { max_requests: 0, ..Bounds::default() }, "max_requests"),
            (Bounds { max_head: 63, ..Bounds::default() }, "max_head"),
            (Bounds { max_headers: 257, ..Bounds::default() }, "max_headers"),
            (Bounds { max_target: 0, ..Bounds::default() }, "max_target"),
            (Bounds { body_rate: 0, ..Bounds::default() }, "body_rate"),
        ] {
            assert_eq!(bounds.check().unwrap_err().bound, name);
        }
        let short = Bounds { header_time: Duration::ZERO, ..Bounds::default() };
        let told = short.check().unwrap_err().to_string();
        assert_eq!(told, "header_time is 0 ms, but must be at least 1 ms");
        // No bound at all is a good bound, and none of these times needs one.
        let (most, none) = (Duration::MAX, Duration::ZERO);
        let lax = Bounds {
            header_time: most,
            body_time: most,
            write_time: most,
            keep_alive: none,
            waiting_time: none,
            max_waiting: 0,
            read_ahead: usize::MAX,
            ..Bounds::default()
        };
        assert_eq!(lax.check(), Ok(()));
    }
}
