//! A task with a name, or with data of its user's.

use super::current;
use super::origin::Origin;
use crate::hooks::{Extension, UserData};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// The most bytes of a name that are kept.
const LONGEST_NAME: usize = 255;

/// What a task is to have besides its future: a name, and data of the user's.
///
/// Such a task costs one allocation more than others, which pay nothing for it. Values that change
/// with the code that runs are better kept in a [`LocalKey`](super::LocalKey).
///
/// # Examples
///
/// ```
/// use mainspring::task;
///
/// struct Tenant(u32);
///
/// # mainspring::block_on(async {
/// let task = task::Builder::new().name("import").data(Tenant(7)).spawn(async {
///     assert_eq!(task::name().as_deref(), Some("import"));
///     // What it spawns has the same data, but no name.
///     let child = mainspring::spawn(async { task::data::<Tenant>().unwrap().0 });
///     child.await.unwrap()
/// });
/// assert_eq!(task.await.unwrap(), 7);
/// # });
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until spawn() is called"]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    data: Option<UserData>,
}

impl Builder {
    /// A task without a name, whose data are those of the task that spawns it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task, for hooks, reports and [`name`]; by default it has none.
    ///
    /// Names need not be unique. Of a name over 255 bytes what comes after that is cut off, at the
    /// boundary of a character.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(cut(name.into()));
        self
    }

    /// Hangs `value` on the task, and on all that are spawned while it runs, unless these set their
    /// own; a second call replaces the first value.
    ///
    /// Hooks get at it by [`TaskInfo::data`](crate::hooks::TaskInfo::data), the tasks themselves by
    /// [`data`]. It is shared, not copied, and dropped when no task, waker or handle of these tasks
    /// is left, on whichever thread that happens.
    pub fn data<D: Any + Send + Sync>(mut self, value: D) -> Self {
        self.data = Some(Arc::new(value));
        self
    }

    /// What a cell keeps of this.
    pub(crate) fn origin(self, location: &'static Location<'static>) -> Origin {
        let Self { name, data } = self;
        if name.is_none() && data.is_none() {
            return Origin::from(location);
        }
        let data = data.or_else(current::inherited);
        Origin::extended(Extension { location, name, data })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("data", &self.data.is_some())
            .finish()
    }
}

fn cut(name: Cow<'static, str>) -> Cow<'static, str> {
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let end = name.floor_char_boundary(LONGEST_NAME);
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(&name[..end]),
        Cow::Owned(name) => Cow::Owned(name[..end].to_string()),
    }
}

/// The name of the task that is being polled on this thread, if there is one and it has a name.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let task = mainspring::task::Builder::new().name("worker 3").spawn(async {
///     mainspring::task::name()
/// });
/// assert_eq!(task.await.unwrap().as_deref(), Some("worker 3"));
/// assert_eq!(mainspring::task::name(), None);
/// # });
/// ```
pub fn name() -> Option<Cow<'static, str>> {
    current::with(|header| header.origin.extension()?.name.clone()).flatten()
}

/// The user data of the task that is being polled on this thread, if it has any and that is a `D`.
///
/// See [`Builder::data`].
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let task = mainspring::task::Builder::new().data(7u32).spawn(async {
///     mainspring::spawn(async { mainspring::task::data::<u32>().map(|data| *data) }).await
/// });
/// assert_eq!(task.await.unwrap().unwrap(), Some(7), "inherited");
/// # });
/// ```
pub fn data<D: Any + Send + Sync>() -> Option<Arc<D>> {
    current::inherited()?.downcast().ok()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    #[test]
    fn a_name_is_cut_between_characters() {
        static LONG: LazyLock<String> = LazyLock::new(|| "\u{e9}".repeat(200));
        for name in [Cow::Borrowed(LONG.as_str()), Cow::Owned(LONG.clone())] {
            let cut = cut(name);
            assert_eq!(cut.len(), 254);
            assert!(cut.chars().all(|c| c == '\u{e9}'));
        }
        assert_eq!(cut("x".repeat(255).into()).len(), 255);
        assert_eq!(cut("x".repeat(256).into()).len(), 255);
    }
}
