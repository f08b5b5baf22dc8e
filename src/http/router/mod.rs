//! From method and path to handler.

mod app;
mod error;
mod fixed;
#[cfg(all(test, not(loom)))]
mod model_tests;
mod site;
#[cfg(all(test, not(loom)))]
mod tests;

pub use app::App;
pub use error::{RouteError, RouteProblem};
pub(super) use site::Matched;

use super::blocking::Blocking;
use super::metrics::RouteMetrics;
use super::middleware::Middleware;
use super::request::Request;
use super::response::IntoResponse;
use super::service::Service;
use http::Method;
use site::State;
use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// Routes and their handlers, while they are collected.
///
/// # Patterns
///
/// A pattern is a path whose segments may hold a parameter: `/users/{id}`, `/files/{name}.txt`,
/// and at the end `{*rest}` for everything that follows. `{{` and `}}` stand for braces. A static
/// segment goes before a parameter, whatever the order of the calls. Paths are compared as they
/// come, byte by byte, so that `ä` is written `%C3%A4`; parameters are decoded when they are read.
///
/// # What has no handler
///
/// HEAD is served by the route for GET where there is none of its own. OPTIONS is answered with
/// 204, any other method that a pattern has no handler for with 405, both with `Allow`. What
/// matches no pattern goes to the fallback, by default 404.
///
/// # Routers of routers
///
/// [`nest`](Self::nest) puts the routes of a router under a prefix, [`merge`](Self::merge) adds
/// them as they are. What was said of a router ([`layer`](Self::layer),
/// [`with_state`](Self::with_state), [`metrics`](Self::metrics)) holds for all of its routes, for
/// those of routers that it took in, and for no others; the order of the calls does not matter.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Error, Request, Router};
///
/// let users = Router::new()
///     .get("/", |_| async { "all of them" })
///     .get("/{id}", |req: Request| async move { req.param::<String>("id") });
/// let app = Router::new()
///     .get("/", |_req| async { "hello" })
///     .get("/square/{n}", |req: Request| async move {
///         let n: u32 = req.param("n")?;
///         Ok::<_, Error>((u64::from(n) * u64::from(n)).to_string())
///     })
///     .post("/echo", |mut req: Request| async move { req.bytes().await })
///     .nest("/users", users)
///     .into_app()?;
/// # let _ = app;
/// # Ok::<(), mainspring::http::RouteError>(())
/// ```
#[derive(Default)]
pub struct Router {
    routes: Vec<Entry>,
    fallback: Option<Entry>,
    /// Those of routers that were taken in: what answers the rest under a prefix, which is the
    /// entry's pattern.
    fallbacks: Vec<Entry>,
    scope: Scope,
    /// The first mistake that no entry shows.
    problem: Option<RouteError>,
}

/// A handler, on its way into the tree.
struct Entry {
    pattern: String,
    method: Method,
    service: Arc<dyn Service>,
    /// The pool runs it.
    blocking: bool,
    /// The outermost first.
    layers: Vec<Arc<dyn Middleware>>,
    /// The innermost first.
    states: Vec<State>,
    metrics: Option<RouteMetrics>,
}

/// What holds for all of a router.
#[derive(Default)]
struct Scope {
    /// The outermost first.
    layers: Vec<Arc<dyn Middleware>>,
    /// At most one of each type.
    states: Vec<State>,
    metrics: Option<RouteMetrics>,
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

macro_rules! blocking_by_method {
    ($($(#[$meta:meta])* $name:ident = $method:ident;)*) => {$(
        $(#[$meta])*
        pub fn $name<H, R>(self, pattern: &str, handler: H) -> Self
        where
            H: Fn(Request) -> R + Send + Sync + 'static,
            R: IntoResponse,
        {
            self.route_blocking(Method::$method, pattern, handler)
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
        /// Answers OPTIONS by itself, instead of with 204 and `Allow`.
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
        self.routes.push(Entry::new(pattern.to_owned(), method, Arc::new(handler)));
        self
    }

    blocking_by_method! {
        /// Answers GET, and HEAD without the body, by a handler that may block; see
        /// [`route_blocking`](Self::route_blocking).
        get_blocking = GET;
        /// Answers POST by a handler that may block; see [`route_blocking`](Self::route_blocking).
        post_blocking = POST;
        /// Answers PUT by a handler that may block; see [`route_blocking`](Self::route_blocking).
        put_blocking = PUT;
        /// Answers PATCH by a handler that may block; see [`route_blocking`](Self::route_blocking).
        patch_blocking = PATCH;
        /// Answers DELETE by a handler that may block; see [`route_blocking`](Self::route_blocking).
        delete_blocking = DELETE;
    }

    /// Answers `method` on paths of this pattern by a handler that may block its thread: it is
    /// called in the blocking pool of the runtime that serves.
    ///
    /// It is called when the whole body of the request has come, which it gets by
    /// [`Request::bytes_now`] and its like. Layers run outside the pool.
    ///
    /// # Bounds
    ///
    /// As many run as the pool has threads, by default 64, and as many wait as its queue takes, by
    /// default 1,024. Where that is full the answer is 503 with `Retry-After: 1`. A request whose
    /// connection fails while it waits is dropped; once the handler has begun nothing stops it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::{Error, Request, Router};
    /// use std::{thread::sleep, time::Duration};
    ///
    /// fn render(req: Request) -> Result<String, Error> {
    ///     sleep(Duration::from_millis(100));
    ///     Ok(format!("page {}", req.param::<u32>("n")?))
    /// }
    /// let app = Router::new().get_blocking("/report/{n}", render);
    /// # let _ = app;
    /// ```
    pub fn route_blocking<H, R>(mut self, method: Method, pattern: &str, handler: H) -> Self
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let service = Arc::new(Blocking::new(handler));
        let entry = Entry::new(pattern.to_owned(), method, service);
        self.routes.push(Entry { blocking: true, ..entry });
        self
    }

    /// Answers what matches no pattern. The last call counts.
    ///
    /// The fallback of a nested router answers what begins with its prefix and matches no pattern,
    /// that of the longest prefix first; where it has none, the outer router's does, with the outer
    /// router's layers and states.
    pub fn fallback<H, Fut>(mut self, handler: H) -> Self
    where
        H: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoResponse,
    {
        // The method of a fallback means nothing.
        self.fallback = Some(Entry::new(String::new(), Method::OPTIONS, Arc::new(handler)));
        self
    }

    /// Adds the routes of `router` under `prefix`, which may have parameters of its own.
    ///
    /// The pattern `/` of the nested router becomes the prefix itself. Its handlers see the whole
    /// path of the request.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::{BadParam, Request, Router};
    ///
    /// let posts = Router::new().get("/posts/{post}", |req: Request| async move {
    ///     Ok::<_, BadParam>(format!("{} by {}", req.param::<u32>("post")?, req.param::<String>("user")?))
    /// });
    /// let app = Router::new().nest("/users/{user}", posts).into_app()?;
    /// # let _ = app;
    /// # Ok::<(), mainspring::http::RouteError>(())
    /// ```
    pub fn nest(mut self, prefix: &str, router: Router) -> Self {
        if !prefix.starts_with('/') {
            self.problem.get_or_insert(RouteProblem::NoSlash.of(prefix));
        } else if prefix.ends_with('/') {
            self.problem.get_or_insert(RouteProblem::EndsWithSlash.of(prefix));
        }
        self.take_in(prefix, router);
        self
    }

    /// Adds the routes of `router`, and its fallback; two fallbacks are told by
    /// [`into_app`](Self::into_app).
    pub fn merge(mut self, router: Router) -> Self {
        self.take_in("", router);
        self
    }

    fn take_in(&mut self, prefix: &str, router: Router) {
        let Router { routes, fallback, fallbacks, scope, problem } = router;
        for mut entry in routes {
            entry.pattern = match &*entry.pattern {
                "/" if !prefix.is_empty() => prefix.to_owned(),
                // Stays wrong, and is told as it was given.
                wrong if !wrong.starts_with('/') => entry.pattern,
                inner => [prefix, inner].concat(),
            };
            self.routes.push(entry.within(&scope));
        }
        for mut entry in fallback.into_iter().chain(fallbacks) {
            entry.pattern.insert_str(0, prefix);
            self.fallbacks.push(entry.within(&scope));
        }
        if let Some(mut error) = problem {
            error.pattern.insert_str(0, prefix);
            self.problem.get_or_insert(error);
        }
    }

    /// Puts `middleware` around everything that the router answers: its handlers, its fallback,
    /// and what it refuses by itself.
    ///
    /// **The first layer is the outermost**: it sees a request first and its answer last. The
    /// layers of an outer router stand around those of a router that it took in. Where several
    /// routers have handlers for one pattern, a method that none of them has is refused within the
    /// layers that all of them have.
    ///
    /// Costs an allocation for each layer and request.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::{Next, Request, Router};
    ///
    /// async fn log(req: Request, next: Next) -> impl mainspring::http::IntoResponse {
    ///     let target = req.target().to_owned();
    ///     let answer = next.run(req).await;
    ///     println!("{target}: {}", answer.status());
    ///     answer
    /// }
    /// let app = Router::new().get("/", |_| async { "hello" }).layer(log);
    /// # let _ = app;
    /// ```
    pub fn layer(mut self, middleware: impl Middleware) -> Self {
        self.scope.layers.push(Arc::new(middleware));
        self
    }

    /// Makes `state` one of the values that handlers and layers get by
    /// [`Request::state`](super::Request::state).
    ///
    /// There is one of each type in a router, and the last call counts. One of an inner router
    /// hides that of an outer one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::http::{Error, Request, Router};
    ///
    /// struct Greeting(String);
    ///
    /// let app = Router::new().with_state(Greeting("hi".into())).get("/", |req: Request| async move {
    ///     let greeting = req.state::<Greeting>()?;
    ///     Ok::<_, Error>(greeting.0.clone())
    /// });
    /// # let _ = app;
    /// ```
    pub fn with_state<T: Send + Sync + 'static>(self, state: T) -> Self {
        self.with_shared_state(Arc::new(state))
    }

    /// As [`with_state`](Self::with_state), with a value that others have too.
    pub fn with_shared_state<T: Send + Sync + 'static>(mut self, state: Arc<T>) -> Self {
        self.scope.states.retain(|other| (**other).type_id() != TypeId::of::<T>());
        self.scope.states.push(state as Arc<dyn Any + Send + Sync>);
        self
    }

    /// Measures each route, to be read from `metrics`; by default nothing is measured.
    ///
    /// A router that was taken in and has metrics of its own is measured there. The time is that
    /// of the handler within its layers, until it answers; a streamed body comes later. Costs two
    /// readings of the clock and an allocation for each request, and 8 KiB for each route, fallback,
    /// and pattern with what it refuses.
    pub fn metrics(mut self, metrics: &RouteMetrics) -> Self {
        self.scope.metrics = Some(metrics.clone());
        self
    }

    /// The routes, checked and ready to serve.
    ///
    /// # Errors
    ///
    /// The first pattern that does not begin with `/`, is malformed, or collides with another.
    pub fn into_app(self) -> Result<App, RouteError> {
        let Router { routes, fallback, mut fallbacks, scope, problem } = self;
        if let Some(error) = problem {
            return Err(error);
        }
        fallbacks.extend(fallback);
        let within = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.within(&scope));
        App::new(within(routes).collect(), within(fallbacks).collect(), scope)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.routes.iter().map(|entry| format!("{} {}", entry.method, entry.pattern));
        f.debug_list().entries(entries).finish()
    }
}

impl Entry {
    fn new(pattern: String, method: Method, service: Arc<dyn Service>) -> Self {
        let (layers, states) = (Vec::new(), Vec::new());
        Self { pattern, method, service, blocking: false, layers, states, metrics: None }
    }

    /// Puts what holds for a router around what holds for the entry already.
    fn within(mut self, scope: &Scope) -> Self {
        self.layers.splice(0..0, scope.layers.iter().cloned());
        self.states.extend(scope.states.iter().cloned());
        self.metrics = self.metrics.or_else(|| scope.metrics.clone());
        self
    }

    /// Takes over what holds for all of `others`.
    fn join(&mut self, others: &[Entry]) {
        let Some((first, rest)) = others.split_first() else { return };
        let all = |is: &dyn Fn(&Entry) -> bool| rest.iter().all(is);
        let layers = first.layers.iter().enumerate();
        let layers = layers.take_while(|(at, layer)| {
            all(&|other| other.layers.get(*at).is_some_and(|own| Arc::ptr_eq(own, layer)))
        });
        self.layers = layers.map(|(_, layer)| Arc::clone(layer)).collect();
        let states = first.states.iter();
        let states = states
            .filter(|state| all(&|other| other.states.iter().any(|own| Arc::ptr_eq(own, state))));
        self.states = states.cloned().collect();
        self.metrics = first.metrics.clone();
    }
}
