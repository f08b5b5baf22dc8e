//! From method and path to handler.

use super::request::Request;
use super::response::{IntoResponse, Response};
use super::service::{ResponseFuture, Service};
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;

/// Routes and their handlers, while they are collected.
///
/// A pattern is a path whose segments may hold a parameter: `/users/{id}`, `/files/{name}.txt`,
/// and at the end `{*rest}` for everything that follows. `{{` and `}}` stand for braces. A static
/// segment goes before a parameter, whatever the order of the calls. Paths are compared as they
/// come, byte by byte; parameters are decoded when they are read.
///
/// HEAD is served by the route for GET where there is none of its own. What matches no pattern
/// goes to the fallback, by default 404; a pattern without the method answers 405 with `Allow`.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Error, Request, Router};
///
/// let app = Router::new()
///     .get("/", |_req| async { "hello" })
///     .get("/square/{n}", |req: Request| async move {
///         let n: u32 = req.param("n")?;
///         Ok::<_, Error>((u64::from(n) * u64::from(n)).to_string())
///     })
///     .post("/echo", |mut req: Request| async move { req.bytes().await })
///     .into_app()?;
/// # let _ = app;
/// # Ok::<(), mainspring::http::RouteError>(())
/// ```
#[derive(Default)]
pub struct Router {
    routes: Vec<(String, Method, Box<dyn Service>)>,
    fallback: Option<Box<dyn Service>>,
}

macro_rules! by_method {
    ($($(#[$meta:meta])* $name:ident = $method:ident;)*) => {$(
        $(#[$meta])*
        pub fn $name<H, Fut>(self, pattern: &str, handler: H) -> Self
        where
            H: Fn(Request) -> Fut + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            Fut::Output: IntoResponse,
        {
            self.route(Method::$method, pattern, handler)
        }
    )*};
}

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    by_method! {
        /// Answers GET, and HEAD without the body.
        get = GET;
        /// Answers HEAD by itself instead of by the handler for GET.
        head = HEAD;
        /// Answers POST.
        post = POST;
        /// Answers PUT.
        put = PUT;
        /// Answers PATCH.
        patch = PATCH;
        /// Answers DELETE.
        delete = DELETE;
        /// Answers OPTIONS.
        options = OPTIONS;
    }

    /// Answers `method` on paths of this pattern.
    ///
    /// A mistake in the pattern, or a second handler for the same, is told by
    /// [`into_app`](Self::into_app).
    pub fn route<H, Fut>(mut self, method: Method, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoResponse,
    {
        self.routes.push((pattern.to_owned(), method, Box::new(handler)));
        self
    }

    /// Answers what matches no pattern. The last call counts.
    pub fn fallback<H, Fut>(mut self, handler: H) -> Self
    where
        H: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoResponse,
    {
        self.fallback = Some(Box::new(handler));
        self
    }

    /// The routes, checked and ready to serve.
    ///
    /// # Errors
    ///
    /// The first pattern that does not begin with `/`, is malformed, or collides with another.
    pub fn into_app(self) -> Result<App, RouteError> {
        let mut routes: Vec<Route> = Vec::new();
        for (pattern, method, handler) in self.routes {
            let problem = |problem| RouteError { pattern: pattern.clone(), problem };
            let at = routes.iter().position(|route| *route.path.pattern == *pattern);
            let route = match at {
                Some(at) => &mut routes[at],
                None => {
                    let path = PathPattern::new(&pattern).map_err(problem)?;
                    routes.push(Route { path: Arc::new(path), methods: Vec::new(), allow: None });
                    routes.last_mut().expect("one was pushed")
                }
            };
            if route.methods.iter().any(|(is, _)| *is == method) {
                return Err(problem(RouteProblem::Twice(method)));
            }
            route.methods.push((method, handler));
        }
        let mut tree = matchit::Router::new();
        for mut route in routes {
            route.allow = route.allow();
            let pattern = route.path.pattern.to_string();
            tree.insert(pattern.clone(), route).map_err(|error| {
                let problem = match error {
                    matchit::InsertError::Conflict { with } => RouteProblem::Conflict { with },
                    other => RouteProblem::Malformed(other.to_string()),
                };
                RouteError { pattern, problem }
            })?;
        }
        Ok(App { tree, fallback: self.fallback })
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|(pattern, method, _)| format!("{method} {pattern}")))
            .finish()
    }
}

/// A pattern that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// The pattern as it was given.
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
    /// Its parameters are malformed.
    Malformed(String),
    /// It has a handler for this method already.
    Twice(Method),
    /// It matches the same paths as another pattern.
    Conflict {
        /// The other pattern.
        with: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.pattern;
        match &self.problem {
            RouteProblem::NoSlash => write!(f, "route `{pattern}` must begin with `/`"),
            RouteProblem::Malformed(reason) => write!(f, "route `{pattern}`: {reason}"),
            RouteProblem::Twice(method) => {
                write!(f, "route `{pattern}` has two handlers for {method}")
            }
            RouteProblem::Conflict { with } => {
                write!(f, "route `{pattern}` matches the same paths as `{with}`")
            }
        }
    }
}

impl std::error::Error for RouteError {}

/// A router that serves.
pub struct App {
    tree: matchit::Router<Route>,
    fallback: Option<Box<dyn Service>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl Service for App {
    fn call(&self, mut request: Request) -> ResponseFuture {
        let path = request.path();
        let Ok(found) = self.tree.at(path) else {
            return match &self.fallback {
                Some(fallback) => fallback.call(request),
                None => answer(Response::error(StatusCode::NOT_FOUND, "not found")),
            };
        };
        let route = found.value;
        if !found.params.is_empty() {
            let offset = |value: &str| value.as_ptr() as usize - path.as_ptr() as usize;
            let spans = found.params.iter().map(|(_, v)| (offset(v), offset(v) + v.len()));
            let spans = spans.map(|(start, end)| (start as u16, end as u16)).collect();
            request.set_matched(Matched { path: route.path.clone(), spans });
        }
        match route.handler(request.method()) {
            Some(handler) => handler.call(request),
            None => answer(route.refusal(request.method())),
        }
    }
}

fn answer(response: Response) -> ResponseFuture {
    Box::pin(ready(response))
}

struct Route {
    path: Arc<PathPattern>,
    methods: Vec<(Method, Box<dyn Service>)>,
    allow: Option<HeaderValue>,
}

impl Route {
    #[inline]
    fn handler(&self, method: &Method) -> Option<&dyn Service> {
        let of = |method: &Method| self.methods.iter().find(|(is, _)| is == method);
        let found = match of(method) {
            None if *method == Method::HEAD => of(&Method::GET),
            found => found,
        };
        found.map(|(_, handler)| &**handler)
    }

    /// What the route allows, as it stands in a field.
    fn allow(&self) -> Option<HeaderValue> {
        let has = |method| self.methods.iter().any(|(is, _)| *is == method);
        let mut names: Vec<_> = self.methods.iter().map(|(method, _)| method.as_str()).collect();
        if has(Method::GET) && !has(Method::HEAD) {
            names.push("HEAD");
        }
        HeaderValue::from_str(&names.join(", ")).ok()
    }

    #[cold]
    fn refusal(&self, method: &Method) -> Response {
        let refusal = Response::error(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!("{method} is not allowed here"),
        );
        match &self.allow {
            Some(allow) => refusal.with_header(header::ALLOW, allow.clone()),
            None => refusal,
        }
    }
}

/// A pattern and the names of its parameters, in their order.
#[derive(Debug)]
struct PathPattern {
    pattern: Box<str>,
    names: Vec<Box<str>>,
}

impl PathPattern {
    fn new(pattern: &str) -> Result<Self, RouteProblem> {
        if !pattern.starts_with('/') {
            return Err(RouteProblem::NoSlash);
        }
        // What is not a well-formed parameter is refused by the tree.
        let unescaped = pattern.replace("{{", "").replace("}}", "");
        let names = unescaped.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        let names = names.map(|(name, _)| name.trim_start_matches('*').into()).collect();
        Ok(Self { pattern: pattern.into(), names })
    }
}

/// Which pattern a request's path matched, and where its parameters lie in the path.
#[derive(Debug)]
pub(super) struct Matched {
    path: Arc<PathPattern>,
    spans: Vec<(u16, u16)>,
}

impl Matched {
    pub(super) fn param<'path>(&self, name: &str, path: &'path str) -> Option<&'path str> {
        let at = self.path.names.iter().position(|is| **is == *name)?;
        let &(start, end) = self.spans.get(at)?;
        path.get(usize::from(start)..usize::from(end))
    }
}
