//! What tasks coordinate with.
//!
//! Nothing here needs a runtime: every future works under any executor, and takes part in the
//! [budget](crate::coop) when a task of this crate polls it. Nothing here has a timeout: wrap the
//! future in one. Dropping a future that waits gives up its place, and loses nothing else.
//!
//! Whoever waits, waits in order: first come, first served. No waker is woken or dropped, and no
//! other code of the user runs, while a lock of this module is held.

pub mod cancel;
pub mod event;
pub mod oneshot;
pub mod semaphore;
mod waiters;

#[doc(inline)]
pub use cancel::CancelToken;
#[doc(inline)]
pub use event::Event;
#[doc(inline)]
pub use semaphore::Semaphore;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod test_kit;
#[cfg(all(test, not(loom)))]
mod trait_tests;

/// What the compiler refuses, and must go on refusing.
///
/// A value that cannot be sent to another thread cannot be sent through a channel to one:
///
/// ```compile_fail,E0277
/// let (sender, receiver) = mainspring::sync::oneshot::channel::<std::rc::Rc<u32>>();
/// std::thread::spawn(move || drop(receiver));
/// # drop(sender);
/// ```
///
/// A channel of values that live long takes none that lives short:
///
/// ```compile_fail,E0597
/// let (sender, receiver) = mainspring::sync::oneshot::channel::<&'static str>();
/// let short = String::from("short");
/// let _ = sender.send(&short);
/// # drop(receiver);
/// ```
///
/// ```compile_fail
/// use mainspring::sync::oneshot::Sender;
/// fn shorten<'a>(sender: Sender<&'static str>) -> Sender<&'a str> {
///     sender
/// }
/// ```
///
/// A permit does not outlive its semaphore:
///
/// ```compile_fail,E0597
/// use mainspring::sync::Semaphore;
/// let _permit = {
///     let semaphore = Semaphore::new(1);
///     semaphore.try_acquire()
/// };
/// ```
///
/// Nor does one who waits outlive the event:
///
/// ```compile_fail,E0505
/// let event = mainspring::sync::Event::new();
/// let wait = event.wait();
/// drop(event);
/// drop(wait);
/// ```
#[cfg(doctest)]
pub struct Refused;
