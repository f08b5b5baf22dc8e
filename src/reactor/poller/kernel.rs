//! Over epoll or kqueue.

use super::EVENTS;
use mio::{Events, Token};
use std::io;
use std::time::Duration;

pub(in crate::reactor) use mio::Registry;

/// One registration serves for all events of a descriptor.
pub(in crate::reactor) const REARMS: bool = false;

/// The half of a reactor that only the thread that turns the driver touches.
#[derive(Debug)]
pub(crate) struct Poller {
    poll: mio::Poll,
    events: Events,
}

/// Ends a wait from any thread, or keeps the next one from beginning.
#[derive(Debug)]
pub(crate) struct Alarm(mio::Waker);

impl Poller {
    /// A poller, what registers with it, and its alarm, whose event bears `token`.
    pub(in crate::reactor) fn new(token: Token) -> io::Result<(Self, Registry, Alarm)> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let alarm = Alarm(mio::Waker::new(&registry, token)?);
        Ok((Self { poll, events: Events::with_capacity(EVENTS) }, registry, alarm))
    }

    /// Waits for events; for ever if `timeout` is `None`. A signal ends the wait without any.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// What the last wait brought.
    pub(in crate::reactor) fn events(&self) -> &Events {
        &self.events
    }
}

impl Alarm {
    pub(crate) fn ring(&self) -> io::Result<()> {
        self.0.wake()
    }
}
