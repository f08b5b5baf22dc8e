//! Over `poll(2)`, where whoever registers a descriptor disturbs the wait.
//!
//! mio's back end interrupts the wait for that, by way of the descriptor that its `Waker` uses too,
//! and empties this afterwards. Two things go wrong:
//!
//! - A wake in between is emptied with it, and the wait goes on for as long as nothing else ends it
//!   (tokio-rs/mio#1874). So the alarm here is a pipe, watched as any descriptor is: what is in it
//!   stays ready until the thread that waits has read it.
//! - The wait begins again with all of its timeout, so that its end is put off each time. So whoever
//!   registers [rings](Registry), if a wait is going on that has an end: the thread that waits comes
//!   back, and knows how long is left.

use super::EVENTS;
use crate::primitives::{AtomicBool, Ordering};
use mio::event::Source;
use mio::unix::{SourceFd, pipe};
use mio::{Events, Interest, Token};
use rustix::io::{Errno, read, write};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// An event is told once, and then no more until the descriptor is registered again.
pub(in crate::reactor) const REARMS: bool = true;

/// The half of a reactor that only the thread that turns the driver touches.
#[derive(Debug)]
pub(crate) struct Poller {
    poll: mio::Poll,
    events: Events,
    token: Token,
    bell: Arc<Bell>,
}

/// Ends a wait from any thread, or keeps the next one from beginning.
#[derive(Debug)]
pub(crate) struct Alarm(Arc<Bell>);

/// mio's registry, but it puts off the end of no wait.
#[derive(Debug)]
pub(in crate::reactor) struct Registry {
    registry: mio::Registry,
    bell: Arc<Bell>,
}

/// Both ends live as long as anybody has either: a ring is never for nobody, which would be SIGPIPE,
/// and the end of the alarm is no event.
#[derive(Debug)]
struct Bell {
    rung: OwnedFd,
    ringing: OwnedFd,
    /// A wait is going on that has an end, and nobody has rung because of that.
    ends: AtomicBool,
}

impl Poller {
    /// A poller, what registers with it, and its alarm, whose event bears `token`.
    pub(in crate::reactor) fn new(token: Token) -> io::Result<(Self, Registry, Alarm)> {
        let poll = mio::Poll::new()?;
        let (ringing, rung) = pipe::new()?;
        // Not as mio's own sources: these would deregister when they are dropped, in a forked child too.
        let (rung, ringing) = (rung.into(), ringing.into());
        let bell = Arc::new(Bell { rung, ringing, ends: AtomicBool::new(false) });
        let source = &mut SourceFd(&bell.rung.as_raw_fd());
        poll.registry().register(source, token, Interest::READABLE)?;
        let registry = Registry { registry: poll.registry().try_clone()?, bell: Arc::clone(&bell) };
        let alarm = Alarm(Arc::clone(&bell));
        Ok((Self { poll, events: Events::with_capacity(EVENTS), token, bell }, registry, alarm))
    }

    /// Waits for events; for ever if `timeout` is `None`. A signal ends the wait without any, and so may
    /// whoever registers meanwhile.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let ends = timeout.is_some_and(|timeout| !timeout.is_zero());
        // mio takes a lock for the wait, and so does whoever interrupts it, who therefore sees this.
        self.bell.ends.store(ends, Ordering::Relaxed);
        let waited = self.poll.poll(&mut self.events, timeout);
        self.bell.ends.store(false, Ordering::Relaxed);
        match waited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        if self.events.iter().any(|event| event.token() == self.token) {
            self.answer()?;
        }
        Ok(())
    }

    /// Takes what has rung, and is there for the next ring. One that comes between the two steps is
    /// still in the pipe at the second, and ends the next wait.
    fn answer(&self) -> io::Result<()> {
        self.bell.empty()?;
        let source = &mut SourceFd(&self.bell.rung.as_raw_fd());
        self.poll.registry().reregister(source, self.token, Interest::READABLE)
    }

    /// What the last wait brought.
    pub(in crate::reactor) fn events(&self) -> &Events {
        &self.events
    }
}

impl Alarm {
    pub(crate) fn ring(&self) -> io::Result<()> {
        self.0.ring()
    }
}

impl Registry {
    pub(in crate::reactor) fn register(
        &self,
        source: &mut impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.undisturbed(|registry| registry.register(source, token, interest))
    }

    pub(in crate::reactor) fn reregister(
        &self,
        source: &mut impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.undisturbed(|registry| registry.reregister(source, token, interest))
    }

    pub(in crate::reactor) fn deregister(&self, source: &mut impl Source) -> io::Result<()> {
        self.undisturbed(|registry| registry.deregister(source))
    }

    fn undisturbed(&self, change: impl FnOnce(&mio::Registry) -> io::Result<()>) -> io::Result<()> {
        let changed = change(&self.registry);
        if self.bell.ends.swap(false, Ordering::Relaxed) {
            // It fails only where the descriptor was closed by someone else, which the wait tells.
            let _ = self.bell.ring();
        }
        changed
    }
}

impl Bell {
    fn ring(&self) -> io::Result<()> {
        loop {
            match write(&self.ringing, &[1]) {
                // Full, it rings as loud as it can.
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn empty(&self) -> io::Result<()> {
        let mut rings = [0; 256];
        loop {
            match read(&self.rung, &mut rings) {
                Ok(count) if count == rings.len() => {}
                // The event may have been of the timer, which has the same token.
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
