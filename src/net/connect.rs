//! Connecting to one of several addresses.
//!
//! The way is that of "Happy Eyeballs", RFC 8305: the families take turns, attempts begin one after
//! the other, [`DELAY`] apart or as soon as the one before has failed, and the first connection that
//! stands is taken.

use super::TcpStream;
use crate::time::{Sleep, sleep};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long an attempt has the field for itself (RFC 8305, section 5, "Connection Attempt Delay").
const DELAY: Duration = Duration::from_millis(250);

/// How many attempts go on at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    match addresses[..] {
        [only] => TcpStream::connect_one(only).await,
        _ => Race::new(in_turns(addresses)).await,
    }
}

/// Why none of several addresses could be connected to.
///
/// It is inside the [`io::Error`] of [`TcpStream::connect`], which has the kind of the last attempt's
/// error; [`io::Error::get_ref`] finds it.
#[derive(Debug)]
pub struct ConnectError {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl ConnectError {
    /// What was tried and how that went, in the order in which the attempts failed.
    pub fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        &self.attempts
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none of the addresses could be connected to")?;
        for (n, (address, error)) in self.attempts.iter().enumerate() {
            let before = if n == 0 { ": " } else { "; " };
            write!(f, "{before}{address}: {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

/// Puts the addresses in an order in which the families take turns, beginning with that of the
/// first (RFC 8305, section 4).
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let count = addresses.len();
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(count);
    while turns.len() < count {
        turns.extend(same.next());
        turns.extend(other.next());
    }
    turns
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

struct Race {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<(SocketAddr, Connecting)>,
    failed: Vec<(SocketAddr, io::Error)>,
    /// When the next may begin beside those that run.
    next: Option<Sleep>,
}

impl Race {
    fn new(addresses: Vec<SocketAddr>) -> Self {
        let failed = Vec::with_capacity(addresses.len());
        Self { waiting: addresses.into_iter(), running: Vec::new(), failed, next: None }
    }

    fn begin_next(&mut self) -> bool {
        self.next = None;
        let Some(address) = self.waiting.next() else { return false };
        self.running.push((address, Box::pin(TcpStream::connect_one(address))));
        true
    }

    /// Polls all that run; tells whether some of them failed.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, SomeFailed>> {
        let before = self.failed.len();
        let mut place = 0;
        while let Some((_, attempt)) = self.running.get_mut(place) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                Poll::Ready(Err(error)) => {
                    let (address, _) = self.running.remove(place);
                    self.failed.push((address, error));
                }
                Poll::Pending => place += 1,
            }
        }
        if self.failed.len() > before { Poll::Ready(Err(SomeFailed)) } else { Poll::Pending }
    }

    fn give_up(&mut self) -> io::Error {
        let attempts = std::mem::take(&mut self.failed);
        let kind = attempts.last().map_or(io::ErrorKind::NotFound, |(_, error)| error.kind());
        io::Error::new(kind, ConnectError { attempts })
    }
}

struct SomeFailed;

impl Future for Race {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let this = &mut *self;
        loop {
            match this.poll_running(cx) {
                Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                // What failed makes place for another at once.
                Poll::Ready(Err(SomeFailed)) => {
                    this.begin_next();
                    continue;
                }
                Poll::Pending => {}
            }
            if this.running.is_empty() {
                if this.begin_next() {
                    continue;
                }
                return Poll::Ready(Err(this.give_up()));
            }
            if this.waiting.len() == 0 || this.running.len() >= AT_ONCE {
                return Poll::Pending;
            }
            let next = this.next.get_or_insert_with(|| sleep(DELAY));
            if Pin::new(next).poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.begin_next();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns() {
        let of =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let six = ["[::1]:1", "[::1]:2", "[::1]:3"];
        let given = of(&[six[0], six[1], six[2], "1.1.1.1:1", "1.1.1.1:2"]);
        assert_eq!(in_turns(given), of(&[six[0], "1.1.1.1:1", six[1], "1.1.1.1:2", six[2]]));
        let given = of(&["1.1.1.1:1", "1.1.1.1:2", six[0]]);
        assert_eq!(in_turns(given), of(&["1.1.1.1:1", six[0], "1.1.1.1:2"]));
        assert_eq!(in_turns(Vec::new()), []);
    }
}
