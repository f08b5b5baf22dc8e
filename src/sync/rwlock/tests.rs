use super::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
use crate::coop;
use crate::sync::test_kit::Task;
use futures::executor::block_on;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

static STATIC: RwLock<u32> = RwLock::new(7);

#[test]
fn many_read_or_one_writes() {
    let lock = RwLock::new(1);
    let one = block_on(lock.read());
    let two = lock.try_read().unwrap();
    assert!(lock.try_write().is_err());
    assert_eq!(*one + *two, 2);
    drop((one, two));
    let mut write = block_on(lock.write());
    *write += 1;
    assert!(std::ptr::eq(RwLockWriteGuard::rwlock(&write), &lock));
    assert!(lock.try_read().is_err() && lock.try_write().is_err());
    drop(write);
    assert_eq!(*lock.try_read().unwrap(), 2);
    *lock.try_write().unwrap() += 1;
    assert_eq!(*lock.blocking_read(), 3);
    assert_eq!(*STATIC.try_read().unwrap(), 7);
}

#[test]
fn the_value_is_reached_without_locking_by_one_who_has_the_lock_alone() {
    let mut lock = RwLock::from(String::from("a"));
    lock.get_mut().push('b');
    assert_eq!(lock.into_inner(), "ab");
    assert_eq!(*RwLock::<u32>::default().try_read().unwrap(), 0);
    let lock: Arc<RwLock<[u32]>> = Arc::new(RwLock::new([1, 2]));
    lock.try_write().unwrap()[0] = 5;
    assert_eq!(*lock.try_read_owned().unwrap(), [5, 2]);
}

#[test]
fn there_are_no_more_readers_than_allowed() {
    let lock = RwLock::with_max_readers(0, 2);
    let readers = [(); 2].map(|()| lock.try_read().unwrap());
    assert!(lock.try_read().is_err());
    let third = Task::waiting(lock.read());
    drop(readers);
    drop(third.woken());
    assert!(lock.try_write().is_ok());
    let alone = RwLock::with_max_readers(0, 1);
    drop(RwLockWriteGuard::downgrade(alone.try_write().unwrap()));
    assert!(alone.try_write().is_ok());
    assert!(catch_unwind(|| RwLock::with_max_readers(0, 0)).is_err());
    assert!(catch_unwind(|| RwLock::with_max_readers(0, RwLock::<u32>::MAX_READERS + 1)).is_err());
}

#[test]
fn readers_that_come_later_wait_for_the_writer() {
    let lock = RwLock::new(0);
    let reading = lock.try_read().unwrap();
    let writer = Task::waiting(lock.write());
    let late = Task::waiting(lock.read());
    assert!(lock.try_read().is_err());
    let second = Task::waiting(lock.write());
    drop(reading);
    assert_eq!((late.bell.rings(), second.bell.rings()), (0, 0));
    drop(writer.woken());
    let late = late.woken();
    assert_eq!(second.bell.rings(), 0);
    drop(late);
    drop(second.woken());
}

#[test]
fn a_writer_that_gives_up_lets_go_on_who_waited_behind_it() {
    let lock = RwLock::new(0);
    let reading = lock.try_read().unwrap();
    let writer = Task::waiting(lock.write());
    let late = [(); 2].map(|()| Task::waiting(lock.read()));
    drop(writer);
    let late = late.map(Task::woken);
    drop((reading, late));
    // One that was served and not polled gives the lock back too.
    let held = lock.try_write().unwrap();
    let writer = Task::waiting(lock.write());
    let reader = Task::waiting(lock.read());
    drop(held);
    drop(writer);
    drop(reader);
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_downgraded_writer_lets_readers_in_and_no_writer_between() {
    let lock = Arc::new(RwLock::new(0));
    let mut write = lock.try_write().unwrap();
    let reader = Task::waiting(lock.read());
    let writer = Task::waiting(lock.write());
    *write += 1;
    let read = RwLockWriteGuard::downgrade(write);
    let reader = reader.woken();
    assert_eq!((*read, *reader), (1, 1));
    assert_eq!(writer.bell.rings(), 0);
    drop((read, reader));
    drop(writer.woken());

    let write = lock.clone().try_write_owned().unwrap();
    let writer = Task::waiting(lock.write());
    let read = OwnedRwLockWriteGuard::downgrade(write);
    assert_eq!((*read, writer.bell.rings()), (1, 0));
    drop(read);
    drop(writer.woken());
    assert!(lock.try_write().is_ok());
}

#[test]
fn owned_guards_keep_the_lock_alive() {
    let lock = Arc::new(RwLock::new(1));
    let weak = Arc::downgrade(&lock);
    let mut write = block_on(lock.clone().write_owned());
    assert!(lock.clone().try_read_owned().is_err() && lock.clone().try_write_owned().is_err());
    let reader = Task::waiting(lock.clone().read_owned());
    assert!(Arc::ptr_eq(OwnedRwLockWriteGuard::rwlock(&write), &lock));
    drop(lock);
    *write += 1;
    drop(write);
    let read = reader.woken();
    assert_eq!(*read, 2);
    assert_eq!(Arc::as_ptr(OwnedRwLockReadGuard::rwlock(&read)), weak.as_ptr());
    drop(read);
    assert!(weak.upgrade().is_none());
}

#[test]
fn mapped_guards_hold_the_lock() {
    let lock = Arc::new(RwLock::new((1, [Some(2), None])));
    let part = RwLockReadGuard::map(lock.try_read().unwrap(), |all| &all.1);
    let part = RwLockReadGuard::filter_map(part, |part| part[1].as_ref()).unwrap_err();
    let number = RwLockReadGuard::filter_map(part, |part| part[0].as_ref()).unwrap();
    assert!(lock.try_write().is_err() && *number == 2);
    drop(number);

    let part = RwLockWriteGuard::map(lock.try_write().unwrap(), |all| &mut all.1);
    let part = RwLockMappedWriteGuard::filter_map(part, |part| part[1].as_mut()).unwrap_err();
    let mut part = RwLockMappedWriteGuard::map(part, |part| &mut part[0]);
    assert!(lock.try_read().is_err());
    *part = Some(3);
    *RwLockMappedWriteGuard::filter_map(part, Option::as_mut).unwrap() += 1;
    let guard = RwLockWriteGuard::filter_map(lock.try_write().unwrap(), |all| all.1[1].as_mut());
    assert_eq!(guard.unwrap_err().1[0], Some(4));
    let guard = RwLockWriteGuard::filter_map(lock.try_write().unwrap(), |all| all.1[0].as_mut());
    assert_eq!(*guard.unwrap(), 4);

    let part = OwnedRwLockReadGuard::map(lock.clone().try_read_owned().unwrap(), |all| &all.1);
    let part = OwnedRwLockReadGuard::filter_map(part, |part| part[1].as_ref()).unwrap_err();
    let number = OwnedRwLockReadGuard::filter_map(part, |part| part[0].as_ref()).unwrap();
    assert!(lock.try_write().is_err() && *number == 4);
    drop(number);

    let write = lock.clone().try_write_owned().unwrap();
    let write = OwnedRwLockWriteGuard::filter_map(write, |all| all.1[1].as_mut()).unwrap_err();
    let part = OwnedRwLockWriteGuard::map(write, |all| &mut all.1);
    let part = OwnedRwLockMappedWriteGuard::filter_map(part, |part| part[1].as_mut()).unwrap_err();
    let mut part = OwnedRwLockMappedWriteGuard::map(part, |part| &mut part[0]);
    assert!(lock.try_read().is_err());
    *part = Some(5);
    *OwnedRwLockMappedWriteGuard::filter_map(part, Option::as_mut).unwrap() += 1;
    let write = lock.clone().try_write_owned().unwrap();
    let number = OwnedRwLockWriteGuard::filter_map(write, |all| all.1[0].as_mut()).unwrap();
    assert_eq!(*number, 6);
    drop(number);
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_panic_unlocks() {
    let lock = RwLock::new(1);
    let hurt = |f: &dyn Fn()| {
        assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        assert!(lock.try_write().is_ok());
    };
    hurt(&|| {
        let _write = lock.try_write().unwrap();
        panic!("while it is held");
    });
    hurt(&|| drop(RwLockReadGuard::map(lock.try_read().unwrap(), |_| -> &u32 { panic!("map") })));
    hurt(&|| {
        drop(RwLockWriteGuard::map(lock.try_write().unwrap(), |_| -> &mut u32 { panic!("map") }));
    });
}

#[test]
#[should_panic(expected = "a lock was polled after it was ready")]
fn a_read_that_is_over_is_not_polled_again() {
    let lock = RwLock::new(0);
    let mut task = Task::new(lock.read());
    drop(task.poll());
    drop(task.poll());
}

#[test]
fn a_thread_blocks_until_it_has_the_lock_and_a_task_must_not() {
    let lock = Arc::new(RwLock::new(0));
    let held = lock.try_write().unwrap();
    let threads = [(); 2].map(|()| {
        let lock = lock.clone();
        thread::spawn(move || {
            drop(lock.blocking_read());
            *lock.blocking_write() += 1;
        })
    });
    drop(held);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*lock.blocking_read(), 2);
    let _task = coop::start();
    let refused = |f: &dyn Fn()| {
        *catch_unwind(AssertUnwindSafe(f)).unwrap_err().downcast::<String>().unwrap()
    };
    assert!(refused(&|| drop(lock.blocking_read())).contains("await `read()`"));
    assert!(refused(&|| drop(lock.blocking_write())).contains("await `write()`"));
    assert!(lock.try_write().is_ok());
}

#[test]
fn threads_never_see_a_write_half_done() {
    const ROUNDS: usize = 2_000;
    let lock = Arc::new(RwLock::new((0, 0)));
    let threads: Vec<_> = (0..4)
        .map(|me| {
            let lock = lock.clone();
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    // One that gives up, served or not, stands beside the one that waits.
                    let mut quitter = Task::new(lock.write());
                    drop(quitter.poll());
                    let mut next = Task::new(lock.read());
                    drop(next.poll());
                    drop((quitter, next));
                    if (me + round) % 3 > 0 {
                        let read = block_on(lock.read());
                        assert_eq!(read.0, read.1);
                        continue;
                    }
                    let mut write = block_on(lock.write());
                    write.0 += 1;
                    let now = write.0;
                    write.1 += 1;
                    let read = RwLockWriteGuard::downgrade(write);
                    assert_eq!(*read, (now, now), "no writer came in between");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let writes = (0..4).map(|me| (me..me + ROUNDS).filter(|n| n % 3 == 0).count()).sum();
    assert_eq!(*lock.try_read().unwrap(), (writes, writes));
}
