//! A value that one sets and others wait for.

use super::OnceCell;
use crate::primitives::const_fn;
use std::fmt;

/// A value that is set once, and that tasks wait for.
///
/// Where [`OnceCell`] has those who ask make the value, here somebody else brings it. It stays, and
/// all see the same one. It needs no runtime.
///
/// # Examples
///
/// ```
/// use mainspring::sync::SetOnce;
///
/// static PORT: SetOnce<u16> = SetOnce::new();
///
/// # mainspring::block_on(async {
/// std::thread::spawn(|| PORT.set(8080));
/// assert_eq!(PORT.wait().await, &8080);
/// # });
/// ```
pub struct SetOnce<T> {
    // INVARIANT: reserved, so that nobody makes the value, or full.
    cell: OnceCell<T>,
}

impl<T> SetOnce<T> {
    const_fn! {
        /// Makes one without a value.
        #[must_use]
        pub fn new() -> Self {
            Self { cell: OnceCell::reserved() }
        }
    }

    /// Sets the value, and wakes all that wait for it, in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`SetOnceError`] gives the value back when there is one already.
    ///
    /// # Examples
    ///
    /// ```
    /// let once = mainspring::sync::SetOnce::new();
    /// assert!(once.set(1).is_ok());
    /// assert_eq!(once.set(2).unwrap_err().into_inner(), 2);
    /// assert_eq!(once.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetOnceError<T>> {
        self.cell.complete(value).map_err(SetOnceError)
    }

    /// The value, if it was set.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.cell.get()
    }

    /// Whether the value was set.
    #[inline]
    #[must_use]
    pub fn initialized(&self) -> bool {
        self.cell.initialized()
    }

    /// Waits until the value is set.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let once = mainspring::sync::SetOnce::new();
    /// once.set("here").unwrap();
    /// assert_eq!(once.wait().await, &"here");
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait(&self) -> &T {
        self.cell.wait().await
    }

    /// The value, if it was set.
    pub fn into_inner(self) -> Option<T> {
        self.cell.into_inner()
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for SetOnce<T> {
    fn from(value: T) -> Self {
        Self { cell: OnceCell::from(value) }
    }
}

/// One with a clone of the value, or without one.
impl<T: Clone> Clone for SetOnce<T> {
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: PartialEq> PartialEq for SetOnce<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for SetOnce<T> {}

impl<T: fmt::Debug> fmt::Debug for SetOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetOnce").field("value", &self.get()).finish_non_exhaustive()
    }
}

/// There is a value already; the one that was not set is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetOnceError<T>(pub T);

impl<T> SetOnceError<T> {
    /// The value that was not set.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetOnceError(..)")
    }
}

impl<T> fmt::Display for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value was set already, and is set once only")
    }
}

impl<T> std::error::Error for SetOnceError<T> {}
