//! A socket in memory, and a client who holds its other end.

use super::{Connection, Peer, Summary};
use crate::coop;
use crate::http::codec::Limits;
use crate::http::doing::{self, Told};
use crate::http::service::Service;
use crate::http::shared::Shared;
use crate::primitives::{AtomicUsize, Mutex, Ordering};
use crate::task::Activity;
use futures_io::{AsyncRead, AsyncWrite};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

/// Takes part in the budget, as the crate's own sockets do.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    incoming: VecDeque<u8>,
    incoming_ended: bool,
    reset: bool,
    /// Bytes that one read gives at most; no bound where 0.
    read_at_most: usize,
    reads: usize,
    /// It is known without a read that nothing has come.
    tells: bool,
    /// What each write brought.
    writes: Vec<Vec<u8>>,
    /// Bytes that the socket still takes; no bound where nothing is said.
    room: Option<usize>,
    shut: bool,
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let charge = ready!(coop::poll_proceed(cx));
        let mut state = self.0.lock();
        state.reads += 1;
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.incoming.is_empty() && !state.incoming_ended {
            return Poll::Pending;
        }
        let most = if state.read_at_most == 0 { usize::MAX } else { state.read_at_most };
        let n = state.incoming.len().min(buffer.len()).min(most);
        for (to, from) in buffer.iter_mut().zip(state.incoming.drain(..n)) {
            *to = from;
        }
        charge.made_progress();
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let charge = ready!(coop::poll_proceed(cx));
        let mut state = self.0.lock();
        assert!(!state.shut, "written after the end");
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = bytes.len().min(state.room.unwrap_or(usize::MAX));
        if n == 0 {
            return Poll::Pending;
        }
        if let Some(room) = &mut state.room {
            *room -= n;
        }
        state.writes.push(bytes[..n].to_vec());
        charge.made_progress();
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().shut = true;
        Poll::Ready(Ok(()))
    }
}

impl Peer for Pipe {
    fn poll_hangup(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.lock().reset { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.0.lock();
        let nothing = state.incoming.is_empty() && !state.incoming_ended && !state.reset;
        if state.tells && nothing { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client, and the connection that serves it: polled only when the test says so.
pub(super) struct Client {
    pub(super) connection: Connection<Pipe>,
    pipe: Pipe,
    pub(super) activity: Arc<Activity>,
    woken: Arc<Woken>,
}

impl Client {
    pub(super) fn new(service: impl Service) -> Self {
        Self::within(service, Limits::default())
    }

    pub(super) fn within(service: impl Service, limits: Limits) -> Self {
        Self::sharing(Arc::new(service), Arc::new(Shared::new(limits)))
    }

    pub(super) fn sharing(service: Arc<dyn Service>, shared: Arc<Shared>) -> Self {
        let pipe = Pipe::default();
        let activity = Activity::new(Location::caller(), doing::legend(&*service));
        let told = Told::new(Arc::clone(&activity));
        let connection = Connection::new(pipe.clone(), service, shared, told);
        Self { connection, pipe, activity, woken: Arc::default() }
    }

    pub(super) fn poll(&mut self) -> Poll<Summary> {
        let waker = Waker::from(self.woken.clone());
        Pin::new(&mut self.connection).poll(&mut Context::from_waker(&waker))
    }

    /// Polls a connection that must go on.
    #[track_caller]
    pub(super) fn turn(&mut self) {
        let polled = self.poll();
        assert!(polled.is_pending(), "{polled:?}, {:?}", self.received());
    }

    /// Polls a connection that must end.
    #[track_caller]
    pub(super) fn end(&mut self) -> Summary {
        match self.poll() {
            Poll::Ready(summary) => summary,
            Poll::Pending => panic!("{:?}, {:?}", self.connection, self.received()),
        }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.pipe.0.lock().incoming.extend(bytes.as_ref());
        self
    }

    /// Ends the client's side.
    pub(super) fn shut(&mut self) -> &mut Self {
        self.pipe.0.lock().incoming_ended = true;
        self
    }

    pub(super) fn reset(&self) {
        self.pipe.0.lock().reset = true;
    }

    pub(super) fn read_at_most(&self, n: usize) {
        self.pipe.0.lock().read_at_most = n;
    }

    pub(super) fn tell_when_readable(&self) {
        self.pipe.0.lock().tells = true;
    }

    pub(super) fn take_at_most(&self, room: Option<usize>) {
        self.pipe.0.lock().room = room;
    }

    pub(super) fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }

    pub(super) fn reads(&self) -> usize {
        self.pipe.0.lock().reads
    }

    /// Bytes that were sent and not read.
    pub(super) fn unread(&self) -> usize {
        self.pipe.0.lock().incoming.len()
    }

    /// Whether the server has shut its side.
    pub(super) fn is_shut(&self) -> bool {
        self.pipe.0.lock().shut
    }

    /// What has come since the last look, one text for each write.
    pub(super) fn writes(&self) -> Vec<String> {
        let writes = std::mem::take(&mut self.pipe.0.lock().writes);
        writes.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// What has come since the last look.
    pub(super) fn received(&self) -> String {
        self.writes().concat()
    }

    /// The statuses of the answers that have come since the last look.
    pub(super) fn statuses(&self) -> Vec<u16> {
        let received = self.received();
        let lines = received.split("HTTP/1.1 ").skip(1);
        lines.map(|line| line[..3].parse().unwrap()).collect()
    }
}
