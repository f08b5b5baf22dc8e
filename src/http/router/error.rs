//! What can be wrong with routes.

use http::Method;
use std::fmt;

/// A pattern that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// The pattern as it was given, behind the prefixes under which it was nested.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: RouteProblem,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteProblem {
    /// It does not begin with `/`.
    NoSlash,
    /// It is a prefix, and ends with `/`.
    EndsWithSlash,
    /// Its parameters are malformed.
    Malformed(String),
    /// This character stands in it, which comes in no path as it is.
    InNoPath(char),
    /// Two of its parameters have this name.
    SameName(String),
    /// It has a handler for this method already.
    Twice(Method),
    /// Two routers that are merged both say what answers the rest of these paths.
    TwoFallbacks,
    /// It matches the same paths as another pattern.
    Conflict {
        /// The other pattern.
        with: String,
    },
}

impl RouteProblem {
    pub(super) fn of(self, pattern: &str) -> RouteError {
        RouteError { pattern: pattern.to_owned(), problem: self }
    }
}

impl From<matchit::InsertError> for RouteProblem {
    fn from(error: matchit::InsertError) -> Self {
        match error {
            matchit::InsertError::Conflict { with } => Self::Conflict { with },
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.pattern;
        match &self.problem {
            RouteProblem::NoSlash => write!(f, "route `{pattern}` must begin with `/`"),
            RouteProblem::EndsWithSlash => {
                write!(f, "prefix `{pattern}` must not end with `/`: to add no prefix, merge")
            }
            RouteProblem::Malformed(reason) => write!(f, "route `{pattern}`: {reason}"),
            RouteProblem::InNoPath(char) => write!(
                f,
                "route `{pattern}`: `{char}` comes in no path as it is: write it percent-encoded, \
                 and leave the query to the handler"
            ),
            RouteProblem::SameName(name) => {
                write!(f, "route `{pattern}` has two parameters named `{name}`")
            }
            RouteProblem::Twice(method) => {
                write!(f, "route `{pattern}` has two handlers for {method}")
            }
            RouteProblem::TwoFallbacks => {
                write!(f, "`{pattern}` has two fallbacks: merge routers of which one has none")
            }
            RouteProblem::Conflict { with } => {
                write!(f, "route `{pattern}` matches the same paths as `{with}`")
            }
        }
    }
}

impl std::error::Error for RouteError {}
