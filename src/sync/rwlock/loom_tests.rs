//! Models of a lock for readers and writers. Its semaphore has models of its own; these check that
//! the permits stand for the right to use the value.

use super::{RwLock, RwLockWriteGuard};
use crate::primitives::{Arc, UnsafeCell, thread};
use crate::sync::loom_tests::{give_up, model};
use loom::future::block_on;

/// A cell of loom, which notices a write beside any other use.
type Value = UnsafeCell<u32>;

fn read(value: &Value) -> u32 {
    // SAFETY: the caller has the lock for reading.
    value.with(|value| unsafe { *value })
}

fn write(value: &Value) {
    // SAFETY: the caller has the lock for writing.
    value.with_mut(|value| unsafe { *value += 1 });
}

fn spawn<R: 'static>(
    lock: &Arc<RwLock<Value>>,
    f: impl FnOnce(&RwLock<Value>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let lock = lock.clone();
    thread::spawn(move || f(&lock))
}

#[test]
fn loom_rwlock_readers_meet_a_writer_and_one_that_gives_up() {
    model(2, || {
        let lock = Arc::new(RwLock::with_max_readers(UnsafeCell::new(0), 2));
        let writer = spawn(&lock, |lock| {
            drop(give_up(lock.write()));
            write(&block_on(lock.write()));
        });
        let reader = spawn(&lock, |lock| read(&block_on(lock.read())));
        assert!(read(&block_on(lock.read())) <= 1);
        assert!(reader.join().unwrap() <= 1);
        writer.join().unwrap();
        assert_eq!(read(&lock.try_write().unwrap()), 1);
    });
}

#[test]
fn loom_rwlock_downgrade_meets_a_writer_and_a_reader_that_gives_up() {
    model(3, || {
        let lock = Arc::new(RwLock::with_max_readers(UnsafeCell::new(0), 2));
        let guard = lock.try_write().unwrap();
        let writer = spawn(&lock, |lock| write(&block_on(lock.write())));
        let quitter = spawn(&lock, |lock| give_up(lock.read()).map(|value| read(&value)));
        write(&guard);
        let guard = RwLockWriteGuard::downgrade(guard);
        assert_eq!(read(&guard), 1, "no writer came in between");
        drop(guard);
        writer.join().unwrap();
        assert!(quitter.join().unwrap().is_none_or(|seen| seen == 1 || seen == 2));
        assert_eq!(read(&lock.try_write().unwrap()), 2);
    });
}

#[test]
fn loom_rwlock_two_write_and_one_gives_up() {
    model(3, || {
        let lock = Arc::new(RwLock::with_max_readers(UnsafeCell::new(0), 2));
        let other = spawn(&lock, |lock| write(&block_on(lock.write())));
        drop(give_up(lock.write()));
        write(&block_on(lock.write()));
        other.join().unwrap();
        assert_eq!(read(&lock.try_read().unwrap()), 2);
    });
}
