//! The locks, their guards, and who waits for them.

use super::{
    IsRefUnwindSafe, IsSend, IsSync, IsUnpin, IsUnwindSafe, Neither, No, Probe, SendOnly, SyncOnly,
    Yes,
};
use crate::sync::mutex::{
    Lock, LockOwned, MappedMutexGuard, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard,
    TryLockError,
};
use crate::sync::rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
use crate::sync::{Condvar, Mutex, RwLock, condvar, rwlock};
use std::marker::PhantomData;

/// How guards of mutexes relate to their value: as a `&mut` to it does.
#[test]
fn a_mutex_and_its_guards_are_as_the_table_says() {
    table! {
        // type                                        Send  Sync  Unpin UnwindSafe
        // It is shared by those who use the value in turns: that it can be sent is enough.
        Mutex<u32>:                                    true  true  true  true;
        Mutex<SendOnly>:                               true  true  true  true;
        Mutex<SyncOnly>:                               false false true  true;
        Mutex<Neither>:                                false false true  true;
        // After a panic the value may be half changed, so what leads to it is not `UnwindSafe`.
        Lock<'static, SendOnly>:                       true  true  false false;
        Lock<'static, SyncOnly>:                       false false false false;
        LockOwned<SendOnly>:                           true  true  false false;
        LockOwned<Neither>:                            false false false false;
        MutexGuard<'static, u32>:                      true  true  true  false;
        MutexGuard<'static, SendOnly>:                 true  false true  false;
        MutexGuard<'static, SyncOnly>:                 false false true  false;
        MutexGuard<'static, Neither>:                  false false true  false;
        OwnedMutexGuard<u32>:                          true  true  true  false;
        OwnedMutexGuard<SendOnly>:                     true  false true  false;
        OwnedMutexGuard<SyncOnly>:                     false false true  false;
        OwnedMutexGuard<Neither>:                      false false true  false;
        // A part of the value, and nothing of the rest.
        MappedMutexGuard<'static, u32>:                true  true  true  false;
        MappedMutexGuard<'static, SendOnly>:           true  false true  false;
        MappedMutexGuard<'static, SyncOnly>:           false true  true  false;
        MappedMutexGuard<'static, Neither>:            false false true  false;
        // A part of the value, and a share of all of it.
        OwnedMappedMutexGuard<u32, u32>:               true  true  true  false;
        OwnedMappedMutexGuard<u32, SendOnly>:          true  false true  false;
        OwnedMappedMutexGuard<u32, SyncOnly>:          false true  true  false;
        OwnedMappedMutexGuard<u32, Neither>:           false false true  false;
        OwnedMappedMutexGuard<SendOnly, u32>:          true  true  true  false;
        OwnedMappedMutexGuard<SyncOnly, u32>:          false false true  false;
        OwnedMappedMutexGuard<Neither, u32>:           false false true  false;
        TryLockError:                                  true  true  true  true;
    }
    assert!(!has!(Mutex<u32>: IsRefUnwindSafe));
}

#[test]
fn a_lock_for_readers_and_its_guards_are_as_the_table_says() {
    table! {
        // type                                        Send  Sync  Unpin UnwindSafe
        // Readers share the value, writers send it.
        RwLock<u32>:                                   true  true  true  true;
        RwLock<SendOnly>:                              true  false true  true;
        RwLock<SyncOnly>:                              false false true  true;
        RwLock<Neither>:                               false false true  true;
        rwlock::Read<'static, u32>:                    true  true  false false;
        rwlock::Read<'static, SendOnly>:               false false false false;
        rwlock::Write<'static, u32>:                   true  true  false false;
        rwlock::Write<'static, SendOnly>:              false false false false;
        rwlock::ReadOwned<u32>:                        true  true  false false;
        rwlock::ReadOwned<SendOnly>:                   false false false false;
        rwlock::WriteOwned<u32>:                       true  true  false false;
        rwlock::WriteOwned<SendOnly>:                  false false false false;
        // As a `&` to the value.
        RwLockReadGuard<'static, u32>:                 true  true  true  true;
        RwLockReadGuard<'static, SendOnly>:            false false true  false;
        RwLockReadGuard<'static, SyncOnly>:            true  true  true  true;
        RwLockReadGuard<'static, Neither>:             false false true  true;
        // As a `&mut` that becomes a `&` wherever it is.
        RwLockWriteGuard<'static, u32>:                true  true  true  false;
        RwLockWriteGuard<'static, SendOnly>:           false false true  false;
        RwLockWriteGuard<'static, SyncOnly>:           false false true  false;
        RwLockWriteGuard<'static, Neither>:            false false true  false;
        // As a `&mut` that stays one.
        RwLockMappedWriteGuard<'static, u32>:          true  true  true  false;
        RwLockMappedWriteGuard<'static, SendOnly>:     true  false true  false;
        RwLockMappedWriteGuard<'static, SyncOnly>:     false true  true  false;
        RwLockMappedWriteGuard<'static, Neither>:      false false true  false;
        // With a share of the whole value.
        OwnedRwLockReadGuard<u32>:                     true  true  true  false;
        OwnedRwLockReadGuard<u32, SendOnly>:           false false true  false;
        OwnedRwLockReadGuard<u32, SyncOnly>:           true  true  true  false;
        OwnedRwLockReadGuard<SendOnly, u32>:           false false true  false;
        OwnedRwLockReadGuard<SyncOnly, u32>:           false false true  false;
        OwnedRwLockWriteGuard<u32>:                    true  true  true  false;
        OwnedRwLockWriteGuard<SendOnly>:               false false true  false;
        OwnedRwLockWriteGuard<SyncOnly>:               false false true  false;
        OwnedRwLockMappedWriteGuard<u32, u32>:         true  true  true  false;
        OwnedRwLockMappedWriteGuard<u32, SendOnly>:    true  false true  false;
        OwnedRwLockMappedWriteGuard<u32, SyncOnly>:    false true  true  false;
        OwnedRwLockMappedWriteGuard<u32, Neither>:     false false true  false;
        OwnedRwLockMappedWriteGuard<SendOnly, u32>:    false false true  false;
        OwnedRwLockMappedWriteGuard<SyncOnly, u32>:    false false true  false;
    }
    assert!(!has!(RwLock<u32>: IsRefUnwindSafe));
}

#[test]
fn a_condition_variable_is_as_the_table_says() {
    table! {
        // type                                        Send  Sync  Unpin UnwindSafe
        Condvar:                                       true  true  true  true;
        condvar::Wait<'static, 'static, SendOnly>:     true  true  false false;
        condvar::Wait<'static, 'static, SyncOnly>:     false false false false;
        condvar::WaitOwned<'static, SendOnly>:         true  true  false false;
        condvar::WaitOwned<'static, Neither>:          false false false false;
    }
    assert!(has!(Condvar: IsRefUnwindSafe));
}

#[test]
fn locks_and_guards_show_their_value() {
    let mutex = std::sync::Arc::new(Mutex::new(7));
    let lock = std::sync::Arc::new(RwLock::new(8));
    assert_eq!(format!("{mutex:?} {lock:?}"), "Mutex { value: 7, .. } RwLock { value: 8, .. }");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(format!("{guard} {guard:?} {mutex:?}"), "7 7 Mutex { value: <locked>, .. }");
    let guard = MutexGuard::map(guard, |value| value);
    assert_eq!(format!("{guard} {guard:?}"), "7 7");
    drop(guard);
    let guard = mutex.clone().try_lock_owned().unwrap();
    assert_eq!(format!("{guard} {guard:?}"), "7 7");
    let guard = OwnedMutexGuard::map(guard, |value| value);
    assert_eq!(format!("{guard} {guard:?}"), "7 7");
    drop(guard);
    let (read, owned) = (lock.try_read().unwrap(), lock.clone().try_read_owned().unwrap());
    assert_eq!(format!("{read} {read:?} {owned} {owned:?}"), "8 8 8 8");
    drop((read, owned));
    let write = lock.try_write().unwrap();
    assert_eq!(format!("{write} {write:?} {lock:?}"), "8 8 RwLock { value: <locked>, .. }");
    let write = RwLockWriteGuard::map(write, |value| value);
    assert_eq!(format!("{write} {write:?}"), "8 8");
    drop(write);
    let write = lock.clone().try_write_owned().unwrap();
    assert_eq!(format!("{write} {write:?}"), "8 8");
    let write = OwnedRwLockWriteGuard::map(write, |value| value);
    assert_eq!(format!("{write} {write:?}"), "8 8");
    drop(write);
    let condvar = Condvar::new();
    let shown = format!(
        "{condvar:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        condvar.wait(mutex.try_lock().unwrap()),
        condvar.wait_owned(std::sync::Arc::new(Mutex::new(1)).try_lock_owned().unwrap()),
        mutex.lock(),
        mutex.clone().lock_owned(),
        lock.read(),
        lock.write(),
        lock.clone().read_owned(),
        lock.clone().write_owned(),
    );
    for part in [
        "Condvar { .. } Wait { stage: Holding, .. } WaitOwned { stage: Holding, .. } Lock { .. }",
        "LockOwned { .. } Read { .. } Write { .. } ReadOwned { .. } WriteOwned { .. }",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(TryLockError(()).to_string().contains("try later or wait"));
}
