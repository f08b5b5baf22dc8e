//! Places in a channel that were taken before there is a message.

use super::Sender;
use super::chan::Chan;
use std::fmt;
use std::iter::FusedIterator;
use std::mem::ManuallyDrop;

/// A place in the channel, for one message; it comes from [`Sender::reserve`].
///
/// Dropped unused, it gives the place to whoever waits longest.
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<'a, T> {
    chan: &'a Chan<T>,
}

/// Several places in the channel, one by one; it comes from [`Sender::reserve_many`].
///
/// Dropped, it gives back the places that were not taken out.
#[must_use = "permits that are dropped give their places back"]
pub struct PermitIterator<'a, T> {
    chan: &'a Chan<T>,
    n: usize,
}

/// A place in the channel that owns its [`Sender`]; it comes from [`Sender::reserve_owned`].
///
/// Dropped unused, it gives the place to whoever waits longest.
#[must_use = "a permit that is dropped gives its place back"]
pub struct OwnedPermit<T> {
    // INVARIANT: `Some` until the permit is used up.
    sender: Option<Sender<T>>,
}

impl<'a, T> Permit<'a, T> {
    /// A permit for a place that was taken.
    #[inline]
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        Self { chan }
    }

    /// Sends a message in the place. It does not wait, and does not fail.
    ///
    /// After [`Receiver::close`](super::Receiver::close) the message still arrives. If the receiver
    /// is gone, nobody can receive it, and it is dropped here and now.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(1);
    /// let permit = sender.reserve().await?;
    /// assert!(sender.try_send("no room").is_err());
    /// permit.send("kept a place");
    /// assert_eq!(receiver.recv().await, Some("kept a place"));
    /// # Ok::<(), mainspring::sync::mpsc::SendError<()>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn send(self, message: T) {
        let this = ManuallyDrop::new(self);
        let mut message = Some(message);
        this.chan.send_reserved(&mut message);
        drop(message);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.chan.give_back(1);
    }
}

impl<'a, T> PermitIterator<'a, T> {
    /// Permits for `n` places that were taken.
    pub(super) fn new(chan: &'a Chan<T>, n: usize) -> Self {
        Self { chan, n }
    }
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.n = self.n.checked_sub(1)?;
        Some(Permit::new(self.chan))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n, Some(self.n))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> FusedIterator for PermitIterator<'_, T> {}

impl<T> Drop for PermitIterator<'_, T> {
    fn drop(&mut self) {
        self.chan.give_back(self.n);
    }
}

impl<T> OwnedPermit<T> {
    /// A permit for a place that was taken.
    pub(super) fn new(sender: Sender<T>) -> Self {
        Self { sender: Some(sender) }
    }

    /// Sends a message in the place, as [`Permit::send`] does, and gives back the sender.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(1);
    /// let permit = sender.reserve_owned().await?;
    /// let sender = permit.send(1);
    /// assert_eq!(receiver.recv().await, Some(1));
    /// # drop(sender);
    /// # Ok::<(), mainspring::sync::mpsc::SendError<()>>(())
    /// # }).unwrap();
    /// ```
    pub fn send(mut self, message: T) -> Sender<T> {
        let sender = self.take();
        let mut message = Some(message);
        sender.chan().send_reserved(&mut message);
        drop(message);
        sender
    }

    /// Gives back the place and the sender.
    pub fn release(mut self) -> Sender<T> {
        let sender = self.take();
        sender.chan().give_back(1);
        sender
    }

    /// Whether the place is in the channel that `other` has one in.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.same_channel_as(other.sender.as_ref())
    }

    /// Whether the place is in the channel that `sender` sends into.
    #[must_use]
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.same_channel_as(Some(sender))
    }

    fn same_channel_as(&self, other: Option<&Sender<T>>) -> bool {
        self.sender.as_ref().zip(other).is_some_and(|(own, other)| own.same_channel(other))
    }

    fn take(&mut self) -> Sender<T> {
        let Some(sender) = self.sender.take() else { unreachable!("a permit is used once") };
        sender
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.chan().give_back(1);
        }
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIterator").field("n", &self.n).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
