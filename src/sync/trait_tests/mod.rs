//! Which auto traits the public types of this room have: a table, so that none changes unseen.

use super::semaphore::{Acquire, AcquireOwned, Closed, OwnedPermit, Permit, TryAcquireError};
use super::{
    Barrier, BarrierWaitResult, CancelToken, CapacityLimiter, Event, Notify, OnceCell, Semaphore,
    SetOnce, barrier, broadcast, cancel, event, limiter, mpsc, notify, once, oneshot, watch,
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

mod locks;

/// Can be sent but not shared.
type SendOnly = Cell<u32>;
/// Can be shared but not sent.
type SyncOnly = std::sync::MutexGuard<'static, u32>;
/// Can be neither.
type Neither = Rc<u32>;

type Running<T> = cancel::RunUntilCancelled<Ready<T>, cancel::CancelledOwned>;
/// Can be sent and shared, but must not move once pinned, nor be seen after a panic.
struct Odd {
    _pinned: std::marker::PhantomPinned,
    _seen: PhantomData<&'static mut u32>,
}

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
        mpsc::Sender<u32>:               true  true  true  true;
        mpsc::WeakSender<u32>:           true  true  true  true;
        mpsc::Receiver<u32>:             true  true  true  true;
        mpsc::UnboundedSender<u32>:      true  true  true  true;
        mpsc::WeakUnboundedSender<u32>:  true  true  true  true;
        mpsc::UnboundedReceiver<u32>:    true  true  true  true;
        mpsc::Permit<'static, u32>:      true  true  true  true;
        mpsc::PermitIterator<'static, u32>: true true true true;
        mpsc::OwnedPermit<u32>:          true  true  true  true;
        mpsc::Sending<'static, u32>:     true  true  false false;
        mpsc::Reserve<'static, u32>:     true  true  false false;
        mpsc::ReserveMany<'static, u32>: true  true  false false;
        mpsc::ReserveOwned<u32>:         true  true  false false;
        // Messages too are moved, never shared, but for one that a future shows with `&`.
        mpsc::Sender<SendOnly>:          true  true  true  true;
        mpsc::WeakSender<SendOnly>:      true  true  true  true;
        mpsc::Receiver<SendOnly>:        true  true  true  true;
        mpsc::UnboundedSender<SendOnly>: true  true  true  true;
        mpsc::WeakUnboundedSender<SendOnly>: true true true true;
        mpsc::UnboundedReceiver<SendOnly>: true true  true  true;
        mpsc::Permit<'static, SendOnly>: true  true  true  true;
        mpsc::PermitIterator<'static, SendOnly>: true true true true;
        mpsc::OwnedPermit<SendOnly>:     true  true  true  true;
        mpsc::Sending<'static, SendOnly>: true false false false;
        mpsc::Reserve<'static, SendOnly>: true true  false false;
        mpsc::ReserveMany<'static, SendOnly>: true true false false;
        mpsc::ReserveOwned<SendOnly>:    true  true  false false;
        mpsc::Sender<Neither>:           false false true  true;
        mpsc::WeakSender<Neither>:       false false true  true;
        mpsc::Receiver<Neither>:         false false true  true;
        mpsc::UnboundedSender<Neither>:  false false true  true;
        mpsc::WeakUnboundedSender<Neither>: false false true true;
        mpsc::UnboundedReceiver<Neither>: false false true true;
        mpsc::Permit<'static, Neither>:  false false true  true;
        mpsc::PermitIterator<'static, Neither>: false false true true;
        mpsc::OwnedPermit<Neither>:      false false true  true;
        mpsc::Sending<'static, Neither>: false false false false;
        mpsc::Reserve<'static, Neither>: false false false false;
        mpsc::ReserveMany<'static, Neither>: false false false false;
        mpsc::ReserveOwned<Neither>:     false false false false;
        // Neither `Unpin` nor safe to unwind past by itself.
        mpsc::Receiver<Odd>:             true  true  true  true;
        mpsc::Sender<Odd>:               true  true  true  true;
        mpsc::OwnedPermit<Odd>:          true  true  true  true;
        mpsc::Permit<'static, Odd>:      true  true  true  true;
        mpsc::SendError<SendOnly>:       true  false true  true;
        mpsc::TrySendError<Neither>:     false false true  true;
        mpsc::TryRecvError:              true  true  true  true;
        mpsc::ReserveManyError:          true  true  true  true;
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
    let (messages, inbox) = mpsc::channel::<Neither>(4);
    let (more, more_inbox) = mpsc::unbounded_channel::<Neither>();
    let shown_mpsc = format!(
        "{messages:?} {inbox:?} {more:?} {more_inbox:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        messages.downgrade(),
        more.downgrade(),
        messages.try_reserve().unwrap(),
        messages.try_reserve_many(2).unwrap(),
        messages.clone().try_reserve_owned().unwrap(),
        messages.send(Rc::new(1)),
        messages.reserve(),
        messages.reserve_many(2),
        messages.clone().reserve_owned(),
    );
    for part in [
        "Sender { max_capacity: 4, is_closed: false, .. } Receiver { max_capacity: 4, is_closed",
        "UnboundedSender { is_closed: false, .. } UnboundedReceiver { is_closed: false, .. }",
        "WeakSender { strong_count: 3, .. } WeakUnboundedSender { strong_count: 1, .. } Permit {",
        "PermitIterator { n: 2, .. } OwnedPermit { .. } Sending { is_done: false, .. } Reserve {",
        "ReserveMany { n: 2, .. } ReserveOwned { .. }",
    ] {
        assert!(shown_mpsc.contains(part), "{part} is not in {shown_mpsc}");
    }
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
    let (sender, mut receiver) = mpsc::channel(1);
    assert!(receiver.try_recv().unwrap_err().to_string().contains("is empty, try later"));
    sender.try_send(1).unwrap();
    let full = sender.try_send(2).unwrap_err();
    assert!(full.to_string().contains("no room for a newcomer"));
    assert_eq!((format!("{full:?}"), full.into_inner()), ("Full(..)".into(), 2));
    drop(receiver);
    let closed = mpsc::TrySendError::from(mpsc::SendError(3));
    assert_eq!(sender.try_send(3), Err(closed));
    for text in [closed.to_string(), mpsc::SendError(3).to_string()] {
        assert!(text.contains("closed or gone"), "{text}");
    }
    assert!(mpsc::ReserveManyError::TooMany.to_string().contains("max_capacity"));
    assert!(mpsc::TryRecvError::Disconnected.to_string().contains("no message will come"));
    let semaphore = Semaphore::new(0);
    assert!(semaphore.try_acquire().unwrap_err().to_string().contains("no permit is free"));
    semaphore.close();
    assert!(semaphore.try_acquire().unwrap_err().to_string().contains("closed"));
}
