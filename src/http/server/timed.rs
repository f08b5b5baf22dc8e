//! A connection and the times that it has: for heads, bodies and answers, to idle, and to end.

use super::State;
use crate::context;
use crate::coop;
use crate::http::connection::{Connection, Phase, Wait};
use crate::net::TcpStream;
use crate::time::{Instant, Sleep, sleep_until};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a peer may take to close its side after we have closed ours.
const LINGER: Duration = Duration::from_secs(5);

/// How long an idle connection listens on when the server is told to end: a request may be on its
/// way.
const QUIET: Duration = Duration::from_millis(250);

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    ByItself,
    /// The peer was too slow to take its answer, or to close.
    Slow,
    /// The server's grace was over.
    CutOff,
}

/// A connection, told when its time is over.
///
/// One timer serves all its times. It is put off with each request, which costs no lock, and armed
/// again only when it has fired early.
pub(super) struct Timed<'a, S> {
    connection: Connection<TcpStream>,
    state: &'a State,
    stop: Pin<&'a mut S>,
    /// The wait for the stop has this task's waker, which stays the same.
    asked: bool,
    ending: Option<Ending>,
    wait: Option<Wait>,
    /// When that began; earlier by what was used before where it goes on.
    since: Instant,
    body: BodyTime,
    timer: Sleep,
}

/// How long a request's body was waited for. A handler that does something between two pieces
/// interrupts the wait, and the client must not gain by that.
#[derive(Default)]
struct BodyTime {
    /// The number of the request.
    of: u64,
    spent: Duration,
    /// What had come on the connection when the wait began first.
    received: u64,
}

/// The times of a connection whose server was told to end.
struct Ending {
    /// When it stops to listen for a request.
    quiet: Instant,
    listens: bool,
    cut_off: Instant,
}

impl<'a, S: Future<Output = ()>> Timed<'a, S> {
    pub(super) fn new(
        connection: Connection<TcpStream>,
        state: &'a State,
        stop: Pin<&'a mut S>,
    ) -> Self {
        let since = Instant::now();
        let timer = sleep_until(since + connection.bounds().header_time);
        let (asked, ending, wait, body) = (false, None, None, BodyTime::default());
        Self { connection, state, stop, asked, ending, wait, since, body, timer }
    }

    /// Whether the server was told to end, and this connection does not know yet.
    fn must_end(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ending.is_some() {
            return false;
        }
        if std::mem::replace(&mut self.asked, true) {
            return self.state.stop.is_set();
        }
        // A spent budget does not mean that nobody has said so.
        let _unlimited = coop::unlimited();
        self.stop.as_mut().poll(cx).is_ready()
    }

    fn begin_to_end(&mut self) {
        let (now, cut_off) = (Instant::now(), self.state.ends_at());
        let quiet = QUIET.min(cut_off.saturating_duration_since(now) / 2);
        let listens = !quiet.is_zero();
        self.ending = Some(Ending { quiet: now + quiet, listens, cut_off });
        match listens {
            true => self.connection.stop_soon(),
            false => self.connection.stop(),
        }
    }

    /// Measures anew where the connection waits for something else than before. Returns the moment if
    /// the clock was read for that.
    fn measure(&mut self) -> Option<Instant> {
        let wait = self.connection.wait();
        // A part of a head that turned out to be an empty line is not a new beginning.
        let head = Wait { phase: Phase::Head, ..wait };
        if self.wait == Some(wait) || (wait.phase == Phase::Idle && self.wait == Some(head)) {
            return None;
        }
        let now = soon();
        if self.wait.is_some_and(|before| before.phase == Phase::Body) {
            self.body.spent = now - self.since;
        }
        self.wait = Some(wait);
        self.since = now;
        if wait.phase == Phase::Body {
            if self.body.of != wait.mark {
                let (of, received) = (wait.mark, self.connection.received());
                self.body = BodyTime { of, received, spent: Duration::ZERO };
            }
            self.since = now - self.body.spent;
        }
        Some(now)
    }

    /// When the time is over for what the connection waits for.
    fn deadline(&self) -> Instant {
        let bounds = self.connection.bounds();
        let time = match self.wait.map(|wait| wait.phase) {
            Some(Phase::Idle) => bounds.keep_alive,
            Some(Phase::Head) => bounds.header_time,
            Some(Phase::Waiting) => bounds.waiting_time,
            Some(Phase::Body) => {
                let came = self.connection.received() - self.body.received;
                bounds.body_time.saturating_add(earned(came, bounds.body_rate))
            }
            Some(Phase::Write) => bounds.write_time,
            Some(Phase::Linger) => LINGER,
            Some(Phase::Handler) | None => Duration::MAX,
        };
        let deadline = self.since + time;
        match &self.ending {
            None => deadline,
            Some(Ending { quiet, listens: true, .. }) => deadline.min(*quiet),
            Some(Ending { cut_off, .. }) => deadline.min(*cut_off),
        }
    }

    /// Whether the timer need not be asked: it is armed, with this task's waker, for a moment that
    /// was not there when the clock was read just now. So it goes for most requests.
    fn has_time(&self, read: Option<Instant>) -> bool {
        read.is_some_and(|now| self.timer.armed_for().is_some_and(|at| now < at))
    }

    /// The timer has fired; what follows from that.
    fn expire(&mut self) -> Option<End> {
        let now = Instant::now();
        if let Some(ending) = &mut self.ending {
            if now >= ending.cut_off {
                let lingers = self.connection.phase() == Phase::Linger;
                return Some(if lingers { End::Slow } else { End::CutOff });
            }
            if ending.listens && now >= ending.quiet {
                ending.listens = false;
                self.connection.stop();
                return None;
            }
        }
        match self.connection.phase() {
            Phase::Linger => Some(End::Slow),
            phase => {
                self.connection.expire();
                (phase == Phase::Write).then_some(End::Slow)
            }
        }
    }
}

impl<S: Future<Output = ()>> Future for Timed<'_, S> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = &mut *self;
        loop {
            if this.must_end(cx) {
                this.begin_to_end();
            }
            if this.ending.is_some() {
                // What is to be done, here or there, may be known sooner than the event that tells
                // of a request, and an idle connection is closed then.
                this.connection.io().look_again();
            }
            if Pin::new(&mut this.connection).poll(cx).is_ready() {
                return Poll::Ready(End::ByItself);
            }
            let read = this.measure();
            let deadline = this.deadline();
            if this.timer.deadline() != deadline {
                this.timer.reset(deadline);
            }
            if this.has_time(read) {
                return Poll::Pending;
            }
            // A handler that spends the whole budget in each poll must not keep its time from being
            // looked at.
            let _unlimited = coop::unlimited();
            if Pin::new(&mut this.timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(end) = this.expire() {
                this.connection.abandon();
                return Poll::Ready(end);
            }
        }
    }
}

/// A moment that has not passed and comes within milliseconds.
fn soon() -> Instant {
    match context::current() {
        Ok(current) => current.driver.clock().soon(),
        Err(_) => Instant::now(),
    }
}

/// The time that bytes of a body earn at `rate` of them per second.
fn earned(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes % rate) * 1_000_000_000 / u128::from(rate);
    // The rest of a division by the rate: less than a second.
    Duration::from_secs(bytes / rate).saturating_add(Duration::from_nanos(nanos as u64))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::earned;
    use std::time::Duration;

    #[test]
    fn bytes_earn_time_in_proportion() {
        assert_eq!(earned(0, 256), Duration::ZERO);
        assert_eq!(earned(640, 256), Duration::from_millis(2_500));
        assert_eq!(earned(150_000, 1_000_000), Duration::from_millis(150));
        assert_eq!(earned(u64::MAX, 1), Duration::from_secs(u64::MAX));
        assert_eq!(earned(u64::MAX, u64::MAX), Duration::from_secs(1));
        assert!(earned(u64::MAX - 1, u64::MAX) < Duration::from_secs(1));
    }
}
