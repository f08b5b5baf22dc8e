//! The kernel's wait, and what ends it early.
//!
//! loom cannot see into the kernel, so its arm replaces these two types and nothing else: all that
//! is built on them, up to a whole runtime, is checked as it is.

#[cfg(not(loom))]
pub(crate) use kernel::{Alarm, Poller};
#[cfg(loom)]
pub(crate) use stand_in::{Alarm, Poller};

/// Events taken from the kernel in one turn; more wait for the next.
pub(super) const EVENTS: usize = 1024;

#[cfg(not(loom))]
mod kernel {
    use super::EVENTS;
    use mio::{Events, Registry, Token};
    use std::io;
    use std::time::Duration;

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
}

#[cfg(loom)]
mod stand_in {
    use super::EVENTS;
    use loom::sync::{Condvar, Mutex};
    use mio::{Events, Registry, Token};
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

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
}
