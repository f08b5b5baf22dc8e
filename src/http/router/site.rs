//! What a request knows of the route that it matched.

use super::error::RouteProblem;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A value that handlers share; found by its type.
pub(super) type State = Arc<dyn Any + Send + Sync>;

/// What is the same for all requests of one handler: the names of the parameters in its pattern,
/// and the states that its routers have, the inner router's first.
pub(super) struct Site {
    names: Box<[Box<str>]>,
    states: Box<[State]>,
}

impl Site {
    pub(super) fn new(pattern: &str, states: Vec<State>) -> Result<Self, RouteProblem> {
        // What is not a well-formed parameter is refused by the tree.
        let unescaped = pattern.replace("{{", "").replace("}}", "");
        let names = unescaped.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        let names: Box<[Box<str>]> =
            names.map(|(name, _)| name.trim_start_matches('*').into()).collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(RouteProblem::SameName(name.to_string()));
            }
        }
        Ok(Self { names, states: states.into() })
    }

    /// Whether its requests have something to ask it.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.names.is_empty() && self.states.is_empty()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The route that a request matched, and where the parameters lie in its path.
#[derive(Debug)]
pub(in crate::http) struct Matched {
    site: Arc<Site>,
    spans: Vec<(u16, u16)>,
}

impl Matched {
    pub(super) fn new(site: &Arc<Site>, spans: Vec<(u16, u16)>) -> Self {
        Self { site: Arc::clone(site), spans }
    }

    pub(in crate::http) fn param<'path>(&self, name: &str, path: &'path str) -> Option<&'path str> {
        let at = self.site.names.iter().position(|is| **is == *name)?;
        let &(start, end) = self.spans.get(at)?;
        path.get(usize::from(start)..usize::from(end))
    }

    pub(in crate::http) fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let state = self.site.states.iter().find(|state| state.is::<T>())?;
        Arc::clone(state).downcast().ok()
    }
}
