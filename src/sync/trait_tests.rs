//! Which auto traits the public types of this room have: a table, so that none changes unseen.

use super::mutex::{
    Lock, LockOwned, MappedMutexGuard, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard,
    TryLockError,
};
use super::rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
use super::semaphore::{Acquire, AcquireOwned, Closed, OwnedPermit, Permit, TryAcquireError};
use super::{
    Barrier, BarrierWaitResult, CancelToken, CapacityLimiter, Condvar, Event, Mutex, Notify,
    OnceCell, RwLock, Semaphore, SetOnce, barrier, broadcast, cancel, condvar, event, limiter,
    notify, once, oneshot, rwlock, watch,
};
use std::cell::Cell;
use std::future::Ready;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

/// A question about a type: does it have the trait that `M` stands for?
struct Probe<T, M>(PhantomData<(T, M)>);

/// Answers with as few references as the call has, hence first.
trait Yes {
    fn has(&self) -> bool {
        true
    }
}

/// Answers with one reference more, hence only where the type has not the trait.
trait No {
    fn has(&self) -> bool {
        false
    }
}

struct IsSend;
struct IsSync;
struct IsUnpin;
struct IsUnwindSafe;
struct IsRefUnwindSafe;

impl<T: Send> Yes for Probe<T, IsSend> {}
impl<T: Sync> Yes for Probe<T, IsSync> {}
impl<T: Unpin> Yes for Probe<T, IsUnpin> {}
impl<T: UnwindSafe> Yes for Probe<T, IsUnwindSafe> {}
impl<T: RefUnwindSafe> Yes for Probe<T, IsRefUnwindSafe> {}
impl<T, M> No for &Probe<T, M> {}

macro_rules! has {
    ($ty:ty: $marker:ident) => {
        (&Probe::<$ty, $marker>(PhantomData)).has()
    };
}

macro_rules! table {
    ($($ty:ty: $send:literal $sync:literal $unpin:literal $unwind:literal;)*) => {
        $(
            let found = [
                has!($ty: IsSend),
                has!($ty: IsSync),
                has!($ty: IsUnpin),
                has!($ty: IsUnwindSafe),
            ];
            assert_eq!(found, [$send, $sync, $unpin, $unwind], stringify!($ty));
        )*
    };
}

/// Can be sent but not shared.
type SendOnly = Cell<u32>;
/// Can be shared but not sent.
type SyncOnly = std::sync::MutexGuard<'static, u32>;
/// Can be neither.
type Neither = Rc<u32>;

type Running<T> = cancel::RunUntilCancelled<Ready<T>, cancel::CancelledOwned>;

#[test]
fn auto_traits_are_as_the_table_says() {
    table! {
        // type                          Send  Sync  Unpin UnwindSafe
        Event:                           true  true  true  true;
        event::Wait<'static>:            true  true  false false;
        Semaphore:                       true  true  true  true;
        Permit<'static>:                 true  true  true  true;
        OwnedPermit:                     true  true  true  true;
        Acquire<'static>:                true  true  false false;
        AcquireOwned:                    true  true  false false;
        Closed:                          true  true  true  true;
        TryAcquireError:                 true  true  true  true;
        oneshot::Sender<u32>:            true  true  true  true;
        oneshot::Receiver<u32>:          true  true  true  true;
        // A value is moved, never shared: that it can be sent is enough.
        oneshot::Sender<SendOnly>:       true  true  true  true;
        oneshot::Receiver<SendOnly>:     true  true  true  true;
        oneshot::Sender<Neither>:        false false true  true;
        oneshot::Receiver<Neither>:      false false true  true;
        CancelToken:                     true  true  true  true;
        cancel::Cancelled<'static>:      true  true  false false;
        cancel::CancelledOwned:          true  true  false false;
        cancel::DropGuard:               true  true  true  true;
        cancel::DropGuardRef<'static>:   true  true  true  true;
        watch::Sender<u32>:              true  true  true  true;
        watch::Receiver<u32>:            true  true  true  true;
        watch::Ref<u32>:                 true  true  true  true;
        watch::Changed<'static>:         true  true  false false;
        // A value is shared by all who look at it: it must be fit for that.
        watch::Sender<SendOnly>:         false false true  true;
        watch::Receiver<SendOnly>:       false false true  true;
        watch::Ref<SendOnly>:            false false true  false;
        watch::Sender<Neither>:          false false true  true;
        watch::Receiver<Neither>:        false false true  true;
        watch::Ref<Neither>:             false false true  true;
        watch::SendError<SendOnly>:      true  false true  true;
        watch::SendError<Neither>:       false false true  true;
        watch::RecvError:                true  true  true  true;
        broadcast::Sender<u32>:          true  true  true  true;
        broadcast::WeakSender<u32>:      true  true  true  true;
        broadcast::Receiver<u32>:        true  true  true  true;
        broadcast::Recv<'static, u32>:   true  true  false false;
        // A message is cloned by several receivers at once.
        broadcast::Sender<SendOnly>:     false false true  true;
        broadcast::WeakSender<SendOnly>: false false true  true;
        broadcast::Receiver<SendOnly>:   false false true  true;
        broadcast::Recv<'static, SendOnly>: false false false false;
        broadcast::Sender<Neither>:      false false true  true;
        broadcast::Receiver<Neither>:    false false true  true;
        broadcast::SendError<SendOnly>:  true  false true  true;
        broadcast::SendError<Neither>:   false false true  true;
        broadcast::RecvError:            true  true  true  true;
        broadcast::TryRecvError:         true  true  true  true;
        Running<SendOnly>:               true  false false false;
        Running<Neither>:                false false false false;
        oneshot::RecvError:              true  true  true  true;
        oneshot::TryRecvError:           true  true  true  true;
        Notify:                          true  true  true  true;
        notify::Notified<'static>:       true  true  false false;
        notify::OwnedNotified:           true  true  false false;
        Barrier:                         true  true  true  true;
        barrier::Wait<'static>:          true  true  false false;
        BarrierWaitResult:               true  true  true  true;
        // All see the same value: who shares the cell shares it.
        OnceCell<u32>:                   true  true  true  true;
        OnceCell<SendOnly>:              true  false true  true;
        OnceCell<SyncOnly>:              false false true  true;
        OnceCell<Neither>:               false false true  true;
        &'static OnceCell<Neither>:      false false true  true;
        once::SetError<u32>:             true  true  true  true;
        once::SetError<SendOnly>:        true  false true  true;
        SetOnce<u32>:                    true  true  true  true;
        SetOnce<SendOnly>:               true  false true  true;
        SetOnce<SyncOnly>:               false false true  true;
        SetOnce<Neither>:                false false true  true;
        once::SetOnceError<SendOnly>:    true  false true  true;
        CapacityLimiter:                 true  true  true  true;
        limiter::LimiterToken<'static>:  true  true  true  true;
        limiter::OwnedLimiterToken:      true  true  true  true;
        limiter::Acquire<'static>:       true  true  false false;
        limiter::AcquireOwned:           true  true  false false;
        limiter::Borrower:               true  true  true  true;
        limiter::LimiterStatistics:      true  true  true  true;
        limiter::AcquireError:           true  true  true  true;
        limiter::TryAcquireError:        true  true  true  true;
    }
    // A cell shows its value, so it is safe to share past a panic only where the value is.
    assert!(has!(OnceCell<u32>: IsRefUnwindSafe) && has!(SetOnce<u32>: IsRefUnwindSafe));
    assert!(!has!(OnceCell<SendOnly>: IsRefUnwindSafe));
    assert!(!has!(OnceCell<&'static mut u32>: IsUnwindSafe));
    assert!(has!(Notify: IsRefUnwindSafe) && has!(CapacityLimiter: IsRefUnwindSafe));
    assert!(has!(Event: IsRefUnwindSafe) && has!(Semaphore: IsRefUnwindSafe));
    assert!(has!(oneshot::Receiver<u32>: IsRefUnwindSafe));
    assert!(!has!(SendOnly: IsRefUnwindSafe), "the probe knows a no");
}

#[test]
fn every_type_has_a_debug_form() {
    let event = Event::new();
    let semaphore = std::sync::Arc::new(Semaphore::new(3));
    let (sender, receiver) = oneshot::channel::<Neither>();
    let owned = semaphore.clone().try_acquire_owned().unwrap();
    let shown = format!(
        "{event:?} {:?} {semaphore:?} {:?} {:?} {owned:?} {:?} {sender:?} {receiver:?}",
        event.wait(),
        semaphore.acquire(),
        semaphore.try_acquire().unwrap(),
        semaphore.clone().acquire_owned(),
    );
    for part in [
        "Event { is_set: false, .. } Wait {",
        "Semaphore { available_permits: 1, is_closed: false, .. } Acquire { n: 1, .. }",
        "Permit { num_permits: 1, .. } OwnedPermit { num_permits: 1, .. } AcquireOwned {",
        "Sender { is_closed: false, .. } Receiver { is_done: false, .. }",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn tokens_and_channels_of_many_have_debug_forms() {
    let token = CancelToken::new();
    let (sender, mut receiver) = broadcast::channel::<Neither>(1);
    let (latest, mut seen) = watch::channel::<Neither>(Rc::new(7));
    let shown = format!(
        "{token:?} {:?} {:?} {:?} {:?} {:?} {sender:?} {:?} {receiver:?} {latest:?} {seen:?} {:?}",
        token.cancelled(),
        token.clone().cancelled_owned(),
        token.run_until_cancelled(std::future::ready(())),
        token.drop_guard_ref(),
        CancelToken::new().drop_guard(),
        sender.downgrade(),
        latest.borrow(),
    );
    for part in [
        "CancelToken { is_cancelled: false, .. } Cancelled { .. } CancelledOwned { .. }",
        "RunUntilCancelled { .. } DropGuardRef { token: Some(CancelToken",
        "Sender { is_closed: false, .. } WeakSender { strong_count: 1, .. } Receiver { len: 0, .. }",
        "Sender { is_closed: false, .. } Receiver { has_changed: Ok(false), .. } Ref(7)",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert_eq!(format!("{:?} {:?}", receiver.recv(), seen.changed()), "Recv { .. } Changed { .. }");
}

#[test]
fn every_type_that_is_made_of_waiters_has_a_debug_form() {
    let notify = std::sync::Arc::new(Notify::new());
    let barrier = Barrier::new(3);
    let limiter = std::sync::Arc::new(CapacityLimiter::new(3));
    let shown = format!(
        "{notify:?} {:?} {:?} {barrier:?} {:?} {:?} {:?} {limiter:?} {:?} {:?} {:?} {:?}",
        notify.notified(),
        notify.clone().notified_owned(),
        barrier.wait(),
        OnceCell::from(7),
        SetOnce::from(7),
        limiter.acquire(),
        limiter.clone().acquire_owned(),
        limiter.try_acquire_on_behalf_of(1).unwrap(),
        limiter.clone().try_acquire_owned_on_behalf_of(2).unwrap(),
    );
    for part in [
        "Notify { is_kept: false, .. } Notified { notify: Notify {",
        "OwnedNotified { notify: Notify {",
        "Barrier { size: 3, arrived: 0, .. } Wait { barrier: Some(Barrier {",
        "OnceCell { value: Some(7), .. } SetOnce { value: Some(7), .. }",
        "CapacityLimiter { borrowed_tokens: 2, total_tokens: 3, .. } Acquire { borrower: None, .. }",
        "AcquireOwned { borrower: None, .. } LimiterToken { borrower: Borrower(borrower 1), .. }",
        "OwnedLimiterToken { borrower: Borrower(borrower 2), .. }",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn errors_of_what_is_set_once_and_of_limiters_say_what_happened() {
    let cell = OnceCell::from(1);
    let error = cell.set(2).unwrap_err();
    assert!(error.to_string().contains("has a value already"));
    assert_eq!(format!("{error:?}"), "AlreadyInitialized(..)");
    let error = once::SetError::Initializing(2);
    assert!(error.to_string().contains("wait for it"));
    assert_eq!(format!("{error:?}"), "Initializing(..)");
    let error = SetOnce::from(1).set(2).unwrap_err();
    assert!(error.to_string().contains("set already"));
    assert_eq!(format!("{error:?}"), "SetOnceError(..)");
    let limiter = CapacityLimiter::new(1);
    assert!(limiter.try_acquire().unwrap_err().to_string().contains("try_acquire_on_behalf_of"));
    assert!(limiter::AcquireError::NotInTask.to_string().contains("with acquire_on_behalf_of"));
    let _token = limiter.try_acquire_on_behalf_of(7).unwrap();
    let error = limiter.try_acquire_on_behalf_of(7).unwrap_err();
    assert!(error.to_string().starts_with("borrower 7 holds a token of this limiter already"));
    let error = limiter.try_acquire_on_behalf_of(8).unwrap_err();
    assert!(error.to_string().contains("no token is free"));
}

#[test]
fn errors_say_what_happened() {
    let (sender, mut receiver) = oneshot::channel::<u32>();
    assert!(receiver.try_recv().unwrap_err().to_string().contains("no value was sent yet"));
    drop(sender);
    assert!(receiver.try_recv().unwrap_err().to_string().contains("no value will come"));
    assert!(oneshot::RecvError.to_string().contains("dropped without sending"));
    let error = watch::Sender::new(1).send(2).unwrap_err();
    assert!(error.to_string().contains("no receivers") && error.0 == 2);
    assert!(watch::RecvError.to_string().contains("no other value will come"));
    let (sender, mut receiver) = broadcast::channel(1);
    let error = broadcast::Sender::new(1).send(2).unwrap_err();
    assert!(error.to_string().contains("no receivers") && error.0 == 2);
    assert!(receiver.try_recv().unwrap_err().to_string().contains("no message was sent yet"));
    assert!(sender.send(1).is_ok() && sender.send(2).is_ok());
    assert!(receiver.try_recv().unwrap_err().to_string().contains("missed 1 messages"));
    assert!(broadcast::RecvError::Closed.to_string().contains("no other message will come"));
    let semaphore = Semaphore::new(0);
    assert!(semaphore.try_acquire().unwrap_err().to_string().contains("no permit is free"));
    semaphore.close();
    assert!(semaphore.try_acquire().unwrap_err().to_string().contains("closed"));
}

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
