//! Which auto traits the public types of this room have: a table, so that none changes unseen.

use super::semaphore::{Acquire, AcquireOwned, Closed, OwnedPermit, Permit, TryAcquireError};
use super::{Event, Semaphore, event, mpsc, oneshot};
use std::cell::Cell;
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
/// Can be neither.
type Neither = Rc<u32>;

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
    }
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
fn errors_say_what_happened() {
    let (sender, mut receiver) = oneshot::channel::<u32>();
    assert!(receiver.try_recv().unwrap_err().to_string().contains("no value was sent yet"));
    drop(sender);
    assert!(receiver.try_recv().unwrap_err().to_string().contains("no value will come"));
    assert!(oneshot::RecvError.to_string().contains("dropped without sending"));
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
