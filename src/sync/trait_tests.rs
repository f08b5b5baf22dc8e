//! Which auto traits the public types of this room have: a table, so that none changes unseen.

use super::semaphore::{Acquire, AcquireOwned, Closed, OwnedPermit, Permit, TryAcquireError};
use super::{CancelToken, Event, Semaphore, cancel, event, oneshot};
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
        Running<SendOnly>:               true  false false false;
        Running<Neither>:                false false false false;
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
    let semaphore = Semaphore::new(0);
    assert!(semaphore.try_acquire().unwrap_err().to_string().contains("no permit is free"));
    semaphore.close();
    assert!(semaphore.try_acquire().unwrap_err().to_string().contains("closed"));
}
