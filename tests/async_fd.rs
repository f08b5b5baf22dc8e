//! Descriptors that others made.
#![cfg(not(loom))]
#![allow(clippy::disallowed_types)]

#[path = "common/flavours.rs"]
mod flavours;
#[path = "common/watchdog.rs"]
mod watchdog;

use flavours::{Flavour, on_every_flavour};
use futures::poll;
use mainspring::io::{AsyncFd, WouldBlock};
use mainspring::{spawn_local, yield_now};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use watchdog::within;

fn in_runtime<F: Future<Output = ()>>(on: Flavour, test: impl FnOnce() -> F + Send + 'static) {
    within(move || on.block_on(async { test().await }));
}

fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (AsyncFd::new(near), far)
}

/// Lets the kernel be asked.
async fn look() {
    mainspring::time::sleep(std::time::Duration::from_millis(2)).await;
}

fn nothing_is_ready_before_the_kernel_has_said_so(on: Flavour) {
    in_runtime(on, || async {
        let (fd, mut far) = pair();
        let mut readable = pin!(fd.readable());
        assert!(poll!(readable.as_mut()).is_pending());
        look().await;
        assert!(poll!(readable.as_mut()).is_pending());
        far.write_all(b"x").unwrap();
        drop(readable.await.unwrap());
        drop(fd.writable().await.unwrap());
    });
}

fn only_an_attempt_that_would_block_takes_readiness_away(on: Flavour) {
    in_runtime(on, || async {
        let (fd, mut far) = pair();
        far.write_all(b"ab").unwrap();
        let mut buffer = [0; 1];
        // Dropped guards, and attempts that succeed or fail otherwise, change nothing.
        drop(fd.readable().await.unwrap());
        let mut guard = fd.readable().await.unwrap();
        assert_eq!(guard.try_io(|mut fd| fd.read(&mut buffer)).unwrap().unwrap(), 1);
        let failed = guard.try_io(|_| Err::<(), _>(io::Error::from(ErrorKind::InvalidData)));
        assert_eq!(failed.unwrap().unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(guard.get_ref().as_fd().try_clone_to_owned().map(drop).ok(), Some(()));
        let mut guard = fd.readable().await.unwrap();
        assert_eq!(guard.try_io(|mut fd| fd.read(&mut buffer)).unwrap().unwrap(), 1);
        // Now there is nothing left.
        let mut guard = fd.readable().await.unwrap();
        assert_eq!(guard.try_io(|mut fd| fd.read(&mut buffer)).unwrap_err(), WouldBlock);
        let mut readable = pin!(fd.readable());
        assert!(poll!(readable.as_mut()).is_pending());
        far.write_all(b"c").unwrap();
        drop(readable.await.unwrap());
    });
}

fn an_event_after_the_guard_is_not_taken_away_by_it(on: Flavour) {
    in_runtime(on, || async {
        let (fd, mut far) = pair();
        far.write_all(b"a").unwrap();
        let mut old = fd.readable().await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(fd.read_with(|mut fd| fd.read(&mut buffer)).await.unwrap(), 1);
        far.write_all(b"b").unwrap();
        look().await;
        old.clear_ready();
        assert_eq!(fd.read_with(|mut fd| fd.read(&mut buffer)).await.unwrap(), 1);
    });
}

#[test]
fn a_pipe_that_is_full_waits_for_room() {
    in_runtime(Flavour::Local, || async {
        let (fd, mut far) = pair();
        let fd = Rc::new(fd);
        let written = Rc::new(Cell::new(0));
        let writing = spawn_local({
            let (fd, written) = (fd.clone(), written.clone());
            async move {
                while written.get() < 4 << 20 {
                    let count = fd.write_with(|mut fd| fd.write(&[7; 1 << 16])).await.unwrap();
                    written.set(written.get() + count);
                }
            }
        });
        while !writing.is_finished() {
            yield_now().await;
            let mut buffer = vec![0; 1 << 16];
            let _nothing_yet = far.read(&mut buffer);
        }
        assert!(written.get() >= 4 << 20);
    });
}

#[test]
fn several_wait_and_all_are_told() {
    in_runtime(Flavour::Local, || async {
        let (fd, mut far) = pair();
        let fd = Rc::new(fd);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let fd = fd.clone();
                spawn_local(async move { fd.readable().await.map(drop) })
            })
            .collect();
        let last = poll_fn(|cx| fd.poll_readable(cx).map_ok(drop));
        look().await;
        far.write_all(b"x").unwrap();
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        last.await.unwrap();
        poll_fn(|cx| fd.poll_writable(cx).map_ok(drop)).await.unwrap();
    });
}

fn the_end_is_told_and_the_descriptor_comes_back(on: Flavour) {
    in_runtime(on, || async {
        let (fd, far) = pair();
        drop(far);
        assert_eq!(fd.read_with(|mut fd| fd.read(&mut [0; 8])).await.unwrap(), 0);
        let mut near = fd.into_inner();
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
    });
}

fn it_goes_on_in_another_runtime(on: Flavour) {
    within(move || {
        let (fd, mut far) = pair();
        on.block_on(async {
            let mut readable = pin!(fd.readable());
            assert!(poll!(readable.as_mut()).is_pending());
        });
        far.write_all(b"x").unwrap();
        on.block_on(async { drop(fd.readable().await.unwrap()) });
    });
}

/// One number is one entry in the kernel's queue; a copy of the descriptor is another.
#[test]
#[cfg(target_os = "linux")]
fn a_descriptor_is_watched_once_and_a_copy_beside_it() {
    in_runtime(Flavour::Local, || async {
        let (fd, mut far) = pair();
        let mut first = pin!(fd.readable());
        assert!(poll!(first.as_mut()).is_pending());
        let same = AsyncFd::new(fd.as_fd());
        assert_eq!(same.readable().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        drop(same);
        let copy = AsyncFd::new(fd.as_fd().try_clone_to_owned().unwrap());
        let mut second = pin!(copy.readable());
        assert!(poll!(second.as_mut()).is_pending());
        // Watching for the other direction, too, takes nothing from these.
        drop(copy.writable().await.unwrap());
        drop(fd.writable().await.unwrap());
        far.write_all(b"x").unwrap();
        drop((first.await.unwrap(), second.await.unwrap()));
    });
}

#[test]
#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
fn what_cannot_be_watched_is_an_error() {
    in_runtime(Flavour::Local, || async {
        let file = AsyncFd::new(std::os::fd::OwnedFd::from(
            std::fs::File::open("/proc/self/exe").unwrap(),
        ));
        let error = file.readable().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "as epoll_ctl says");
    });
}

#[test]
fn without_a_runtime_nobody_can_wait() {
    within(|| {
        let (fd, _far) = pair();
        let polled = pin!(fd.readable()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err(_))), "no runtime runs here");
    });
}

on_every_flavour! {
    nothing_is_ready_before_the_kernel_has_said_so,
    only_an_attempt_that_would_block_takes_readiness_away,
    an_event_after_the_guard_is_not_taken_away_by_it,
    the_end_is_told_and_the_descriptor_comes_back,
    it_goes_on_in_another_runtime,
}
