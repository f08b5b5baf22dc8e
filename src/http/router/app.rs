//! The router as it serves: a tree from paths to handlers.

use super::error::{RouteError, RouteProblem};
use super::fixed::Fixed;
use super::site::{Matched, Site, catches_all};
use super::{Entry, Scope};
use crate::http::doing::{Kind, NewSigns, Sign, Signs, Told};
use crate::http::metrics::Meter;
use crate::http::middleware::wrap;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::service::{ResponseFuture, Service};
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use std::fmt;
use std::future::ready;
use std::sync::Arc;

/// A router that serves.
pub struct App {
    routes: Vec<Route>,
    /// Where in `routes` those without parameters are.
    fixed: Fixed,
    /// Where the others are, and those, too, as they decide what a path matches.
    tree: matchit::Router<usize>,
    /// What answers the rest under the prefixes of nested routers that say so.
    nested: matchit::Router<Handler>,
    /// Segments of the longest of those prefixes.
    deepest: usize,
    fallback: Handler,
    signs: Signs,
}

impl App {
    /// Puts the tree together.
    pub(super) fn new(
        entries: Vec<Entry>,
        fallbacks: Vec<Entry>,
        outermost: Scope,
    ) -> Result<Self, RouteError> {
        let mut routes: Vec<(String, Vec<Entry>)> = Vec::new();
        for entry in entries {
            if !entry.pattern.starts_with('/') {
                return Err(RouteProblem::NoSlash.of(&entry.pattern));
            }
            match routes.iter_mut().find(|(pattern, _)| *pattern == entry.pattern) {
                None => routes.push((entry.pattern.clone(), vec![entry])),
                Some((pattern, same)) => {
                    if same.iter().any(|other| other.method == entry.method) {
                        return Err(RouteProblem::Twice(entry.method).of(pattern));
                    }
                    same.push(entry);
                }
            }
        }
        let (mut tree, mut signs) = (matchit::Router::new(), NewSigns::default());
        let (mut fixed, mut all) = (Vec::new(), Vec::new());
        for (pattern, entries) in routes {
            let at = all.len();
            all.push(Route::new(&pattern, entries, &mut signs)?);
            tree.insert(&*pattern, at).map_err(|error| RouteProblem::from(error).of(&pattern))?;
            if !pattern.contains(['{', '}']) {
                fixed.push((pattern.into_bytes().into_boxed_slice(), at));
            }
        }
        let (mut nested, mut deepest) = (matchit::Router::new(), 0);
        let mut fallback = None;
        for entry in fallbacks {
            let prefix = entry.pattern.clone();
            if catches_all(&prefix) {
                let reason = "a prefix cannot take everything that follows";
                return Err(RouteProblem::Malformed(reason.to_owned()).of(&prefix));
            }
            let handler = entry.into_handler(None, signs.add(&prefix, Kind::Fallback))?;
            if prefix.is_empty() {
                if fallback.replace(handler).is_some() {
                    return Err(RouteProblem::TwoFallbacks.of("/"));
                }
                continue;
            }
            deepest = deepest.max(prefix.matches('/').count());
            nested.insert(&*prefix, handler).map_err(|error| {
                let problem = match RouteProblem::from(error) {
                    RouteProblem::Conflict { with } if with == prefix => RouteProblem::TwoFallbacks,
                    other => other,
                };
                problem.of(&prefix)
            })?;
        }
        let fallback = match fallback {
            Some(fallback) => fallback,
            None => {
                let entry = Entry::new(String::new(), Method::OPTIONS, Arc::new(NotFound));
                entry.within(&outermost).into_handler(None, signs.add("", Kind::Fallback))?
            }
        };
        Ok(Self {
            routes: all,
            fixed: Fixed::new(fixed),
            tree,
            nested,
            deepest,
            fallback,
            signs: signs.finish(),
        })
    }

    /// What answers a path that is not among the fixed ones.
    fn find(&self, method: &Method, path: &str) -> (&Handler, Option<Matched>) {
        match self.tree.at(path) {
            Ok(found) => {
                let handler = self.routes[*found.value].handler(method);
                (handler, handler.matched(path, &found.params))
            }
            Err(_) => self.fallback(path),
        }
    }

    /// The fallback of the longest prefix.
    #[cold]
    fn fallback(&self, path: &str) -> (&Handler, Option<Matched>) {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let ends: Vec<_> = ends.skip(1).take(self.deepest).collect();
        for end in ends.into_iter().rev() {
            if let Ok(found) = self.nested.at(&path[..end]) {
                return (found.value, found.value.matched(path, &found.params));
            }
        }
        (&self.fallback, self.fallback.matched(path, &matchit::Params::new()))
    }
}

impl App {
    #[inline]
    fn answer(&self, mut request: Request, told: Option<&Told>) -> ResponseFuture {
        let (handler, matched) = match self.fixed.find(request.path_bytes()) {
            // A static segment goes before a parameter, so nothing else can match.
            Some(at) => {
                let handler = self.routes[at].handler(request.method());
                (handler, handler.matched_fixed())
            }
            None => self.find(request.method(), request.path()),
        };
        if let Some(matched) = matched {
            request.set_matched(matched);
        }
        if let Some(told) = told {
            told.route(handler.sign);
        }
        match &handler.meter {
            None => handler.service.call(request),
            Some(meter) => meter.measure(|| handler.service.call(request)),
        }
    }
}

impl Service for App {
    fn call(&self, request: Request) -> ResponseFuture {
        self.answer(request, None)
    }

    fn call_told(&self, request: Request, told: &Told) -> ResponseFuture {
        self.answer(request, Some(told))
    }

    fn signs(&self) -> Signs {
        self.signs.clone()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// A service within its layers, and what its requests are told.
pub(super) struct Handler {
    service: Arc<dyn Service>,
    site: Arc<Site>,
    meter: Option<Arc<Meter>>,
    /// What a connection says that is in it.
    sign: Sign,
}

impl Handler {
    /// What a request is told that was found by its path alone.
    #[inline]
    fn matched_fixed(&self) -> Option<Matched> {
        (!self.site.is_plain()).then(|| Matched::new(&self.site, Vec::new()))
    }

    /// What a request is told, and where the values of parameters lie in its path.
    #[inline]
    fn matched(&self, path: &str, params: &matchit::Params<'_, '_>) -> Option<Matched> {
        if self.site.is_plain() {
            return None;
        }
        let offset = |value: &str| value.as_ptr() as usize - path.as_ptr() as usize;
        let spans = params.iter().map(|(_, v)| (offset(v), offset(v) + v.len()));
        let spans = spans.map(|(start, end)| (start as u16, end as u16)).collect();
        Some(Matched::new(&self.site, spans))
    }
}

impl Entry {
    /// Its handler; `method` is what it is counted under.
    fn into_handler(self, method: Option<&Method>, sign: Sign) -> Result<Handler, RouteError> {
        let site = Site::new(&self.pattern, self.states);
        let site = site.map_err(|problem| problem.of(&self.pattern))?;
        let meter = self.metrics.map(|metrics| metrics.add(method, &self.pattern));
        let service = wrap(&self.layers, self.service);
        Ok(Handler { service, site: Arc::new(site), meter, sign })
    }
}

struct Route {
    methods: Vec<(Method, Handler)>,
    /// Answers methods that have no handler.
    refusal: Handler,
}

impl Route {
    fn new(pattern: &str, entries: Vec<Entry>, signs: &mut NewSigns) -> Result<Self, RouteError> {
        let methods: Vec<_> = entries.iter().map(|entry| entry.method.clone()).collect();
        let refusal = Arc::new(Refusal { allow: allow(&methods) });
        let mut around = Entry::new(pattern.to_owned(), Method::OPTIONS, refusal);
        around.join(&entries);
        let refusal = around.into_handler(None, signs.add(pattern, Kind::Refusal))?;
        let with_method = |entry: Entry| {
            let method = entry.method.clone();
            let kind = if entry.blocking { Kind::Blocking } else { Kind::Async };
            let sign = signs.add(pattern, kind(method.clone()));
            entry.into_handler(Some(&method), sign).map(|handler| (method, handler))
        };
        let methods = entries.into_iter().map(with_method).collect::<Result<_, _>>()?;
        Ok(Self { methods, refusal })
    }

    #[inline]
    fn handler(&self, method: &Method) -> &Handler {
        let of = |method: &Method| self.methods.iter().find(|(is, _)| is == method);
        let found = match of(method) {
            None if *method == Method::HEAD => of(&Method::GET),
            found => found,
        };
        found.map_or(&self.refusal, |(_, handler)| handler)
    }
}

/// What a route allows, as it stands in a field.
fn allow(methods: &[Method]) -> Option<HeaderValue> {
    let mut names: Vec<_> = methods.iter().map(Method::as_str).collect();
    if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
        names.push("HEAD");
    }
    if !methods.contains(&Method::OPTIONS) {
        names.push("OPTIONS");
    }
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// Says what a route allows: as the answer to OPTIONS, as a refusal to others.
struct Refusal {
    allow: Option<HeaderValue>,
}

impl Service for Refusal {
    fn call(&self, request: Request) -> ResponseFuture {
        let mut answer = match request.method() {
            &Method::OPTIONS => Response::new(StatusCode::NO_CONTENT),
            method => Response::error(
                StatusCode::METHOD_NOT_ALLOWED,
                &format!("{method} is not allowed here"),
            ),
        };
        if let Some(allow) = &self.allow {
            answer.headers_mut().insert(header::ALLOW, allow.clone());
        }
        Box::pin(ready(answer))
    }
}

/// The fallback of those who have none.
struct NotFound;

impl Service for NotFound {
    fn call(&self, request: Request) -> ResponseFuture {
        // `OPTIONS *` asks whether the server lives (RFC 9110, section 9.3.7).
        let answer = match request.path() {
            "*" => Response::new(StatusCode::NO_CONTENT),
            _ => Response::error(StatusCode::NOT_FOUND, "not found"),
        };
        Box::pin(ready(answer))
    }
}
