//! A connection and the times that it has: for heads, bodies and answers, to idle, and to end.

use super::State;
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
    since: Instant,
    /// What had come when the wait began.
    received: u64,
    timer: Sleep,
}

/// When the present wait began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measured {
    /// At an earlier poll.
    Before,
    /// In this one.
    Now,
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
        let (asked, ending, wait, received) = (false, None, None, 0);
        Self { connection, state, stop, asked, ending, wait, since, received, timer }
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
        let (now, grace) = (Instant::now(), self.state.grace());
        let quiet = QUIET.min(grace / 2);
        let listens = !quiet.is_zero();
        self.ending = Some(Ending { quiet: now + quiet, listens, cut_off: now + grace });
        match listens {
            true => self.connection.stop_soon(),
            false => self.connection.stop(),
        }
        self.look_again();
    }

    /// The order to end may be here sooner than the event that tells of a request.
    fn look_again(&self) {
        self.connection.io().look_again();
    }

    /// When the time is over for what the connection waits for; measured anew where that changed.
    fn deadline(&mut self) -> (Instant, Measured) {
        let wait = self.connection.wait();
        let mut measured = Measured::Before;
        if self.wait != Some(wait) {
            self.wait = Some(wait);
            self.since = Instant::now();
            self.received = self.connection.received();
            measured = Measured::Now;
        }
        let bounds = self.connection.bounds();
        let time = match wait.phase {
            Phase::Idle | Phase::Head if self.connection.is_kept_alive() => bounds.keep_alive,
            Phase::Idle | Phase::Head => bounds.header_time,
            Phase::Waiting => bounds.waiting_time,
            Phase::Body => {
                let came = self.connection.received() - self.received;
                bounds.body_time + Duration::from_secs(came / bounds.body_rate)
            }
            Phase::Write => bounds.write_time,
            Phase::Linger => LINGER,
            Phase::Handler => Duration::MAX,
        };
        let deadline = self.since + time;
        let deadline = match &self.ending {
            None => deadline,
            Some(Ending { quiet, listens: true, .. }) => deadline.min(*quiet),
            Some(Ending { cut_off, .. }) => deadline.min(*cut_off),
        };
        (deadline, measured)
    }

    /// Whether the timer need not be asked: it is armed, with this task's waker, for a moment that
    /// was not there when the clock was read just now. So it goes for most requests.
    fn has_time(&self, measured: Measured) -> bool {
        measured == Measured::Now && self.timer.armed_for().is_some_and(|at| self.since < at)
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
                self.look_again();
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
            if Pin::new(&mut this.connection).poll(cx).is_ready() {
                return Poll::Ready(End::ByItself);
            }
            let (deadline, measured) = this.deadline();
            if this.timer.deadline() != deadline {
                this.timer.reset(deadline);
            }
            if this.has_time(measured) {
                return Poll::Pending;
            }
            // A handler that spends the whole budget in each poll must not keep its time from being
            // looked at.
            let _unlimited = coop::unlimited();
            if Pin::new(&mut this.timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(end) = this.expire() {
                return Poll::Ready(end);
            }
        }
    }
}
