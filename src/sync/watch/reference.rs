//! A snapshot of the value.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The value as it was when it was looked at. It holds no lock (see the [module](super)).
///
/// # Examples
///
/// ```
/// let (sender, receiver) = mainspring::sync::watch::channel(1);
/// let before = receiver.borrow();
/// sender.send(2)?;
/// assert_eq!((*before, *receiver.borrow()), (1, 2));
/// # Ok::<(), mainspring::sync::watch::SendError<i32>>(())
/// ```
pub struct Ref<T> {
    value: Arc<T>,
    has_changed: bool,
}

impl<T> Ref<T> {
    pub(super) fn new(value: Arc<T>, has_changed: bool) -> Self {
        Self { value, has_changed }
    }

    /// Whether the receiver had not seen this value before. For a sender: never.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// The value, as it is shared with other snapshots and with the channel.
    #[must_use]
    pub fn into_arc(self) -> Arc<T> {
        self.value
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), has_changed: self.has_changed }
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ref").field(&self.value).finish()
    }
}

impl<T: fmt::Display> fmt::Display for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}
