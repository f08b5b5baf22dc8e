//! Where a task comes from, in one word.

use super::activity::Activity;
use super::current;
use crate::hooks::{Extension, UserData};
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// The line that spawned a task; or, for a task with a name or user data, an extension that has all
/// of it; or, for one that says what it is doing, an activity that has the line or the extension. A task
/// without pays for the word alone.
///
/// INVARIANT: without [`TAGS`] in its address it is a `&'static Location`; with [`EXTENDED`] or [`ACTIVE`],
/// it is a strong count of an `Arc<Extension>` or an `Arc<Activity>` as `Arc::into_raw` gives it, and that
/// bit added.
pub(crate) struct Origin(NonNull<()>);

/// In the address of an extension; all kinds are aligned, so that it is free.
const EXTENDED: usize = 1;
/// In the address of an activity.
const ACTIVE: usize = 2;
const TAGS: usize = EXTENDED | ACTIVE;

const _: () = assert!(align_of::<Location<'static>>() > TAGS);
const _: () = assert!(align_of::<Extension>() > TAGS);
const _: () = assert!(align_of::<Activity>() > TAGS);

// SAFETY: it is one of a reference and two `Arc`s, of types that are `Send` and `Sync`.
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

/// A task that says what it is doing, and comes from where the activity does.
impl From<Arc<Activity>> for Origin {
    fn from(activity: Arc<Activity>) -> Self {
        Self::counted(activity, ACTIVE)
    }
}

impl Origin {
    /// A task without a name and without user data, whoever spawns it.
    pub(crate) fn alone(location: &'static Location<'static>) -> Self {
        Self(NonNull::from(location).cast())
    }

    #[cold]
    pub(super) fn extended(extension: Extension) -> Self {
        Self::counted(Arc::new(extension), EXTENDED)
    }

    /// The tag is that of `T`.
    fn counted<T>(value: Arc<T>, tag: usize) -> Self {
        let raw = Arc::into_raw(value).cast_mut().cast::<()>();
        let tagged = raw.map_addr(|address| address | tag);
        // SAFETY: an `Arc`'s pointer is never null, and a bit was added to it.
        Self(unsafe { NonNull::new_unchecked(tagged) })
    }

    /// Whether it is more than a line, so that its end may be that of something else.
    #[inline]
    pub(super) fn is_counted(&self) -> bool {
        self.0.addr().get() & TAGS != 0
    }

    #[inline]
    fn has(&self, tag: usize) -> bool {
        self.0.addr().get() & TAGS == tag
    }

    /// The pointer that `Arc::into_raw` gave, of one that has a tag.
    #[inline]
    fn untagged<T>(&self) -> *const T {
        self.0.as_ptr().map_addr(|address| address & !TAGS).cast_const().cast()
    }

    #[inline]
    fn active(&self) -> Option<&Activity> {
        // SAFETY: by the invariant it is an `Arc`'s, whose count is ours for as long as `self` is.
        self.has(ACTIVE).then(|| unsafe { &*self.untagged() })
    }

    /// The pointer that `Arc::into_raw` gave for the extension, if there is one.
    #[inline]
    fn raw_extension(&self) -> Option<*const Extension> {
        let origin = self.active().map_or(self, |activity| &activity.origin);
        origin.has(EXTENDED).then(|| origin.untagged())
    }

    #[inline]
    pub(super) fn extension(&self) -> Option<&Extension> {
        if !self.is_counted() {
            return None;
        }
        // SAFETY: by the invariant it is an `Arc`'s, whose count is ours for as long as `self` is, or our
        // activity's for as long as that is.
        self.raw_extension().map(|raw| unsafe { &*raw })
    }

    /// What the pointer is to, for somebody who keeps it longer than the task lives.
    ///
    /// # Safety
    ///
    /// `Arc::into_raw` gave the pointer, and the count is there still.
    #[cold]
    unsafe fn share<T>(raw: *const T) -> Arc<T> {
        // SAFETY: the caller's word; a count is added for the new one.
        unsafe {
            Arc::increment_strong_count(raw);
            Arc::from_raw(raw)
        }
    }

    pub(super) fn shared_extension(&self) -> Option<Arc<Extension>> {
        // SAFETY: as in `extension`.
        self.raw_extension().map(|raw| unsafe { Self::share(raw) })
    }

    /// Gives up the count of one that has a tag. By value, so that an origin need not lie in memory.
    ///
    /// # Safety
    ///
    /// The count is the caller's, who does not use it any more.
    #[cold]
    #[inline(never)]
    unsafe fn release(self) {
        let origin = ManuallyDrop::new(self);
        // SAFETY: by the invariant the tag says what it is, and by the caller's word this is its end.
        unsafe {
            match origin.has(ACTIVE) {
                true => drop(Arc::<Activity>::from_raw(origin.untagged())),
                false => drop(Arc::<Extension>::from_raw(origin.untagged())),
            }
        }
    }

    pub(super) fn activity(&self) -> Option<Arc<Activity>> {
        // SAFETY: as in `active`.
        self.has(ACTIVE).then(|| unsafe { Self::share(self.untagged()) })
    }

    #[inline]
    pub(super) fn data(&self) -> Option<&UserData> {
        self.extension()?.data.as_ref()
    }

    pub(super) fn location(&self) -> &'static Location<'static> {
        match (self.active(), self.extension()) {
            (_, Some(extension)) => extension.location,
            (Some(activity), None) => activity.origin.location(),
            // SAFETY: by the invariant it is such a reference.
            (None, None) => unsafe { self.0.cast::<Location<'static>>().as_ref() },
        }
    }
}

impl Drop for Origin {
    #[inline]
    fn drop(&mut self) {
        if self.is_counted() {
            // SAFETY: the count is ours by the invariant, and goes with us.
            unsafe { Self(self.0).release() };
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({}, {:?}, {:?})", self.location(), self.extension(), self.active())
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

    #[cfg(feature = "http")]
    #[test]
    fn an_activity_has_what_the_task_has_besides_and_ends_with_its_last_user() {
        use crate::hooks::Doing;
        use crate::task::Legend;

        let here = Location::caller();
        let legend = Legend::new(|number| (number > 0).then(|| format!("number {number}")));
        let activity = Activity::new(here, legend.clone());
        let plain = Origin::from(Arc::clone(&activity));
        assert!(plain.extension().is_none() && plain.shared_extension().is_none());
        assert!(plain.is_counted() && plain.data().is_none());
        assert_eq!((plain.location(), plain.activity().unwrap().tell()), (here, None));
        activity.say(3);
        assert_eq!(activity.said(), 3);
        assert_eq!(plain.activity().unwrap().tell().as_deref(), Some("number 3"));
        drop((plain, activity));
        assert_eq!(Arc::strong_count(&legend), 1);

        let data: UserData = Arc::new(5u8);
        let kept = Arc::clone(&data);
        let extension = Extension { location: here, name: Some("x".into()), data: Some(data) };
        let activity = Activity::new(Origin::extended(extension), legend.clone());
        let origin = Origin::from(activity);
        assert_eq!((origin.location(), origin.data().is_some()), (here, true));
        let (shared, activity) = (origin.shared_extension().unwrap(), origin.activity());
        drop(origin);
        assert_eq!((shared.name.as_deref(), Arc::strong_count(&kept)), (Some("x"), 2));
        drop(shared);
        assert_eq!(Arc::strong_count(&kept), 2, "the activity's");
        drop(activity);
        assert_eq!((Arc::strong_count(&kept), Arc::strong_count(&legend)), (1, 1));
    }
}
