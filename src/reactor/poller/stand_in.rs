//! What loom sees of a wait.

use super::EVENTS;
use loom::sync::{Condvar, Mutex};
use mio::{Events, Token};
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(in crate::reactor) use mio::Registry;

pub(in crate::reactor) const REARMS: bool = false;

/// Timeouts up to this are taken to be over at once; longer ones never end.
const SOON: Duration = Duration::from_secs(60);

/// A wait that only its alarm ends, so that a lost wake is a deadlock, which loom reports. Each
/// wait takes what has rung before, as one in the kernel does.
#[derive(Debug)]
pub(crate) struct Poller {
    bell: Arc<Bell>,
    /// Always empty.
    events: Events,
}

#[derive(Debug)]
pub(crate) struct Alarm(Arc<Bell>);

#[derive(Debug)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Poller {
    pub(in crate::reactor) fn new(_: Token) -> io::Result<(Self, Registry, Alarm)> {
        let bell = Arc::new(Bell { rung: Mutex::new(false), ring: Condvar::new() });
        let registry = mio::Poll::new()?.registry().try_clone()?;
        let alarm = Alarm(Arc::clone(&bell));
        Ok((Self { bell, events: Events::with_capacity(EVENTS) }, registry, alarm))
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let mut rung = self.bell.rung.lock().unwrap();
        while !*rung && timeout.is_none_or(|timeout| timeout > SOON) {
            rung = self.bell.ring.wait(rung).unwrap();
        }
        *rung = false;
        Ok(())
    }

    /// A host's look at the descriptor, which takes nothing: sleeps until it is readable.
    #[cfg(test)]
    pub(crate) fn watch(&self) {
        let mut rung = self.bell.rung.lock().unwrap();
        while !*rung {
            rung = self.bell.ring.wait(rung).unwrap();
        }
    }

    pub(in crate::reactor) fn events(&self) -> &Events {
        &self.events
    }
}

impl Alarm {
    pub(crate) fn ring(&self) -> io::Result<()> {
        *self.0.rung.lock().unwrap() = true;
        self.0.ring.notify_one();
        Ok(())
    }
}
