//! What a connection is doing, for those who look at its task while it is stuck in a handler.
//!
//! A connection keeps a number up to date by [`Told`] that says in whose code it is, around each call that
//! may block: for most requests that is two stores. The number is an index into what the router knows of
//! its routes, which does not change while it serves, so that any thread can read it at any time.
//!
//! What is told is the innermost route that the [`App`](super::App) knows, by its whole pattern. Of a
//! service that is no `App` it is the method, also if that has an `App` inside.

use super::service::Service;
use crate::task::{Activity, Legend};
use http::Method;
use std::fmt;
use std::sync::Arc;

/// In the number while a connection is in the code of a handler. Without it the rest says in whose it was
/// last, and may be again for the same request.
const INSIDE: u32 = 1 << 31;

/// Methods by their place here, for services that say no more. 0 is no request.
const METHODS: [Option<&str>; 10] = [
    None,
    Some("GET"),
    Some("HEAD"),
    Some("POST"),
    Some("PUT"),
    Some("PATCH"),
    Some("DELETE"),
    Some("OPTIONS"),
    Some("CONNECT"),
    Some("TRACE"),
];
/// Any other method.
const OTHER: u32 = METHODS.len() as u32;
/// The number of the first route.
const ROUTES: u32 = 16;

/// Where a connection says what it is doing.
pub struct Told(Arc<Activity>);

impl Told {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self(activity)
    }

    /// The code of a service begins, which has this method to answer.
    #[inline]
    pub(super) fn method(&self, method: &Method) {
        self.0.say(INSIDE | number(method));
    }

    /// The code of a route begins.
    #[inline]
    pub(super) fn route(&self, sign: Sign) {
        self.0.say(sign.0);
    }

    /// The code goes on in which the connection was last.
    #[inline]
    pub(super) fn resume(&self) {
        self.0.say(self.0.said() | INSIDE);
    }

    /// It has returned.
    #[inline]
    pub(super) fn pause(&self) {
        self.0.say(self.0.said() & !INSIDE);
    }
}

fn number(method: &Method) -> u32 {
    match *method {
        Method::GET => 1,
        Method::HEAD => 2,
        Method::POST => 3,
        Method::PUT => 4,
        Method::PATCH => 5,
        Method::DELETE => 6,
        Method::OPTIONS => 7,
        Method::CONNECT => 8,
        Method::TRACE => 9,
        _ => OTHER,
    }
}

/// The number of a route, as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign(u32);

/// What is known of the handlers of a router, each at its number.
#[derive(Clone, Default)]
pub struct Signs(Arc<[Signed]>);

/// The same while they are collected.
#[derive(Default)]
pub(super) struct NewSigns(Vec<Signed>);

/// What a handler answers.
struct Signed {
    pattern: Box<str>,
    kind: Kind,
}

/// What kind of a handler it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A future.
    Async(Method),
    /// One that the pool runs, so that only what lies around it runs here.
    Blocking(Method),
    /// What methods are answered with that have no handler.
    Refusal,
    /// What answers the rest under a prefix.
    Fallback,
}

impl NewSigns {
    pub(super) fn add(&mut self, pattern: &str, kind: Kind) -> Sign {
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(ROUTES);
        self.0.push(Signed { pattern: pattern.into(), kind });
        // Of more routes than there are numbers, those that have none are not told of.
        Sign(if number < INSIDE { INSIDE | number } else { 0 })
    }

    pub(super) fn finish(self) -> Signs {
        Signs(self.0.into())
    }
}

/// What the connections of a server say, by the routes that its service has.
pub(super) fn legend(service: &dyn Service) -> Arc<Legend> {
    let signs = service.signs();
    Legend::new(move |number| signs.read(number))
}

impl Signs {
    fn read(&self, number: u32) -> Option<String> {
        let number = number.checked_sub(INSIDE)?;
        if let Some(route) = number.checked_sub(ROUTES) {
            return self.0.get(route as usize).map(Signed::to_string);
        }
        const CURE: &str = "use spawn_blocking for what blocks";
        match METHODS.get(number as usize) {
            Some(method) => method.map(|method| format!("{method}: {CURE}")),
            None => Some(format!("a request: {CURE}")),
        }
    }
}

/// With the cure, where it blocks.
impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.pattern;
        match &self.kind {
            Kind::Async(method) => {
                let cure = match *method {
                    Method::GET => "get_blocking",
                    Method::POST => "post_blocking",
                    Method::PUT => "put_blocking",
                    Method::PATCH => "patch_blocking",
                    Method::DELETE => "delete_blocking",
                    _ => "route_blocking",
                };
                write!(f, "{method} {pattern}: use {cure} for handlers that block")
            }
            Kind::Blocking(method) => {
                write!(f, "{method} {pattern}: use spawn_blocking for what blocks in its layers")
            }
            Kind::Refusal => {
                write!(f, "other {pattern}: use spawn_blocking for what blocks in its layers")
            }
            Kind::Fallback if pattern.is_empty() => {
                f.write_str("the fallback: use spawn_blocking for what blocks")
            }
            Kind::Fallback => {
                write!(f, "the fallback of {pattern}: use spawn_blocking for what blocks")
            }
        }
    }
}
