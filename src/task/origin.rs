//! Where a task comes from, in one word.

use super::current;
use crate::hooks::{Extension, UserData};
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// The line that spawned a task; or, for a task with a name or user data, an extension that has all
/// of it. A task without pays for the word alone.
///
/// INVARIANT: without [`EXTENDED`] in its address it is a `&'static Location`; with it, it is a
/// strong count of an `Arc<Extension>` as `Arc::into_raw` gives it, and that bit added.
pub(crate) struct Origin(NonNull<()>);

/// In the address of an extension; both kinds are aligned, so that it is free.
const EXTENDED: usize = 1;

const _: () = assert!(align_of::<Location<'static>>() > EXTENDED);
const _: () = assert!(align_of::<Extension>() > EXTENDED);

// SAFETY: it is one of a reference and an `Arc`, of types that are `Send` and `Sync`.
unsafe impl Send for Origin {}
// SAFETY: as above.
unsafe impl Sync for Origin {}

/// A task without a name; its user data are those of the task that runs.
impl From<&'static Location<'static>> for Origin {
    #[inline]
    fn from(location: &'static Location<'static>) -> Self {
        match current::inherited() {
            None => Self::alone(location),
            data @ Some(_) => Self::extended(Extension { location, name: None, data }),
        }
    }
}

impl Origin {
    /// A task without a name and without user data, whoever spawns it.
    pub(crate) fn alone(location: &'static Location<'static>) -> Self {
        Self(NonNull::from(location).cast())
    }

    #[cold]
    pub(super) fn extended(extension: Extension) -> Self {
        let raw = Arc::into_raw(Arc::new(extension)).cast_mut().cast::<()>();
        let tagged = raw.map_addr(|address| address | EXTENDED);
        // SAFETY: an `Arc`'s pointer is never null, and a bit was added to it.
        Self(unsafe { NonNull::new_unchecked(tagged) })
    }

    #[inline]
    pub(super) fn is_extended(&self) -> bool {
        self.0.addr().get() & EXTENDED != 0
    }

    /// The pointer that `Arc::into_raw` gave, if there is one.
    #[inline]
    fn raw_extension(&self) -> Option<*const Extension> {
        self.is_extended().then(|| {
            let untagged = self.0.as_ptr().map_addr(|address| address & !EXTENDED);
            untagged.cast_const().cast()
        })
    }

    #[inline]
    pub(super) fn extension(&self) -> Option<&Extension> {
        // SAFETY: by the invariant it is an `Arc`'s, whose count is ours for as long as `self` is.
        self.raw_extension().map(|raw| unsafe { &*raw })
    }

    /// The extension, for somebody who keeps it longer than the task lives.
    #[cold]
    fn share(raw: *const Extension) -> Arc<Extension> {
        // SAFETY: by the invariant there is a count behind the pointer; one is added for the new one.
        unsafe {
            Arc::increment_strong_count(raw);
            Arc::from_raw(raw)
        }
    }

    pub(super) fn shared_extension(&self) -> Option<Arc<Extension>> {
        self.raw_extension().map(Self::share)
    }

    #[inline]
    pub(super) fn data(&self) -> Option<&UserData> {
        self.extension()?.data.as_ref()
    }

    pub(super) fn location(&self) -> &'static Location<'static> {
        match self.extension() {
            Some(extension) => extension.location,
            // SAFETY: by the invariant it is such a reference.
            None => unsafe { self.0.cast::<Location<'static>>().as_ref() },
        }
    }
}

impl Drop for Origin {
    #[inline]
    fn drop(&mut self) {
        if let Some(raw) = self.raw_extension() {
            // SAFETY: by the invariant the count is ours, and this is its end.
            drop(unsafe { Arc::from_raw(raw) });
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({}, {:?})", self.location(), self.extension())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_and_an_extension_is_freed_with_its_last_user() {
        let here = Location::caller();
        let plain = Origin::from(here);
        assert!(plain.extension().is_none() && plain.shared_extension().is_none());
        assert_eq!(plain.location(), here);

        let data: UserData = Arc::new(5u8);
        let kept = Arc::clone(&data);
        let extension = Extension { location: here, name: Some("x".into()), data: Some(data) };
        let origin = Origin::extended(extension);
        assert_eq!(origin.location(), here);
        let shared = origin.shared_extension().unwrap();
        drop(origin);
        assert_eq!((shared.name.as_deref(), Arc::strong_count(&kept)), (Some("x"), 2));
        drop(shared);
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
