//! A host, as tests play it.

use mainspring::{Budget, LocalRuntime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::Duration;

pub(crate) fn runtime() -> LocalRuntime {
    LocalRuntime::builder().build().unwrap()
}

pub(crate) fn is_readable(rt: &LocalRuntime) -> bool {
    waits(rt, Some(Duration::ZERO))
}

/// A host's wait: whether the descriptor became readable.
pub(crate) fn waits(rt: &LocalRuntime, limit: Option<Duration>) -> bool {
    let fd = rt.as_fd();
    let limit = limit.map(|limit| Timespec::try_from(limit).unwrap());
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, limit.as_ref()).unwrap() > 0
}

/// Turns until there is nothing more to do.
pub(crate) fn drain(rt: &LocalRuntime) -> usize {
    let mut polled = 0;
    loop {
        let report = rt.turn(Budget::new()).unwrap();
        polled += report.polled;
        if !report.has_more {
            return polled;
        }
    }
}

/// A host that watches the descriptor and nothing else.
pub(crate) fn host_until(rt: &LocalRuntime, done: impl Fn() -> bool) {
    while !done() {
        waits(rt, None);
        rt.turn(Budget::new()).unwrap();
    }
}
