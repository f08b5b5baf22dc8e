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
        let names: Box<[Box<str>]> = names(pattern)?
            .into_iter()
            .map(|name| name.strip_prefix('*').unwrap_or(&name).into())
            .collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(RouteProblem::SameName(name.to_string()));
            }
        }
        Ok(Self { names, states: states.into() })
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
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

/// Whether a parameter of the pattern takes everything that follows.
pub(super) fn catches_all(pattern: &str) -> bool {
    names(pattern).is_ok_and(|names| names.iter().any(|name| name.starts_with('*')))
}

/// The names of the parameters, as the tree reads them: braces come in pairs from the left. What is
/// not a well-formed parameter the tree refuses.
fn names(pattern: &str) -> Result<Vec<String>, RouteProblem> {
    let (mut names, mut open) = (Vec::new(), None::<String>);
    let mut rest = pattern.chars().peekable();
    while let Some(char) = rest.next() {
        let literal = match char {
            '{' | '}' => rest.next_if_eq(&char).is_some(),
            _ => true,
        };
        match (&mut open, char) {
            (None, '{') if !literal => open = Some(String::new()),
            (Some(_), '}') if !literal => names.extend(open.take()),
            (Some(name), _) => name.push(char),
            (None, _) if in_paths(char) => {}
            (None, _) => return Err(RouteProblem::InNoPath(char)),
        }
    }
    Ok(names)
}

/// Whether the server takes requests with this character in their path.
fn in_paths(char: char) -> bool {
    char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%[]{}|^".contains(char)
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::in_paths;
    use crate::http::codec::{Decoder, Limits};

    #[test]
    fn what_may_stand_in_a_path_is_what_the_server_takes() {
        for char in (0..=0x7f_u8).map(char::from).filter(|&char| char != '?') {
            let head = format!("GET /{char} HTTP/1.1\r\nHost: a\r\n\r\n");
            let decoded = Decoder::new().decode(head.as_bytes(), &Limits::default()).map(|_| ());
            assert_eq!(in_paths(char), decoded.is_ok(), "{char:?}");
        }
        assert!(!in_paths('?') && !in_paths('ä'));
    }
}
