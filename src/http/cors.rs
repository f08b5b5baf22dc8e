//! Which pages of other origins may use a server (Fetch standard, "CORS protocol").

use super::middleware::{Middleware, Next};
use super::request::Request;
use super::response::Response;
use super::service::ResponseFuture;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// Which pages of other origins may use a server, and how much of it: the settings of a
/// [`CorsLayer`].
///
/// It allows nothing until it is told to. What is not allowed is answered all the same, but
/// without the fields by which a browser lets the page see the answer: this keeps no client out
/// that is not a browser.
///
/// # Examples
///
/// ```
/// use http::{Method, header};
/// use mainspring::http::{Cors, Router};
/// use std::time::Duration;
///
/// let cors = Cors::new()
///     .allow_origin("https://example.com")
///     .allow_methods([Method::PUT, Method::DELETE])
///     .allow_headers([header::CONTENT_TYPE])
///     .allow_credentials(true)
///     .max_age(Duration::from_secs(600))
///     .build()?;
/// let app = Router::new().get("/key/{item}", |_| async { "found" }).layer(cors);
/// # let _ = app;
/// # Ok::<(), mainspring::http::CorsError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "settings do nothing until build() is called"]
pub struct Cors {
    any_origin: bool,
    origins: Vec<String>,
    judge: Option<Judge>,
    any_method: bool,
    methods: Vec<Method>,
    any_header: bool,
    headers: Vec<HeaderName>,
    expose: Vec<HeaderName>,
    credentials: bool,
    max_age: Option<Duration>,
}

type Judge = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Cors {
    /// Allows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows the pages of `origin`, in the form in which browsers send it: scheme, host, and port
    /// where it is not the scheme's own, as in `https://example.com`. May be called for several;
    /// `*` allows all. `null` is what pages send that have no origin: those in files, and every
    /// page that another has put into a sandbox, so that allowing it allows nearly all.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        match origin {
            "*" => self.any_origin = true,
            _ => self.origins.push(origin.to_owned()),
        }
        self
    }

    /// Allows the pages of every origin for which `judge` says so; it is asked about `null`, too.
    /// The last call counts.
    pub fn allow_origin_if(mut self, judge: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Allows further methods; GET, HEAD and POST need not be allowed.
    pub fn allow_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.extend(methods);
        self
    }

    /// Allows every method.
    pub fn allow_any_method(mut self) -> Self {
        self.any_method = true;
        self
    }

    /// Allows further header fields of requests. A `Content-Type` other than that of forms and
    /// text needs it.
    pub fn allow_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers.extend(names);
        self
    }

    /// Allows every header field of requests but `Authorization`, which must be allowed by name.
    pub fn allow_any_header(mut self) -> Self {
        self.any_header = true;
        self
    }

    /// Shows further header fields of answers to the page.
    pub fn expose_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.expose.extend(names);
        self
    }

    /// Allows requests with cookies and the like; by default not.
    pub fn allow_credentials(mut self, yes: bool) -> Self {
        self.credentials = yes;
        self
    }

    /// How long a browser may remember what is allowed, in whole seconds. Browsers take 5 s where
    /// nothing is said, and have upper bounds of their own.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Makes the middleware.
    ///
    /// # Errors
    ///
    /// A wildcard together with credentials, which browsers refuse, or an origin that no browser
    /// sends.
    pub fn build(self) -> Result<CorsLayer, CorsError> {
        for origin in &self.origins {
            if !is_origin(origin) {
                return Err(CorsError::NoOrigin(origin.clone()));
            }
        }
        let wild = [
            ("origins", self.any_origin),
            ("methods", self.any_method),
            ("headers", self.any_header),
        ];
        if let Some((what, _)) = wild.iter().find(|(_, any)| *any && self.credentials) {
            return Err(CorsError::WildWithCredentials(what));
        }
        let names =
            |any: bool, names: &[HeaderName]| list(any, names.iter().map(HeaderName::as_str));
        Ok(CorsLayer {
            rules: Arc::new(Rules {
                methods: list(self.any_method, self.methods.iter().map(Method::as_str)),
                headers: names(self.any_header, &self.headers),
                expose: names(false, &self.expose),
                max_age: self.max_age.map(|age| age.as_secs().into()),
                any_origin: self.any_origin,
                origins: self.origins,
                judge: self.judge,
                credentials: self.credentials,
            }),
        })
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors").field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// A field's value: the names, behind `*` where all are meant.
fn list<'a>(any: bool, names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let all: Vec<_> = any.then_some("*").into_iter().chain(names).collect();
    // Made of tokens, so it is a value.
    if all.is_empty() { None } else { HeaderValue::from_str(&all.join(", ")).ok() }
}

/// Whether a browser may send this (RFC 6454, section 6.2): scheme and host in lower case, a port
/// where it is not the scheme's own, and no path.
fn is_origin(text: &str) -> bool {
    let serialised = text.split_once("://").is_some_and(|(scheme, authority)| {
        let plain = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase();
        // A colon within brackets is part of an address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        !scheme.is_empty()
            && !host.is_empty()
            && text.bytes().all(plain)
            && !authority.contains(['/', '?', '#', '@', ',', '*'])
            && port.is_none_or(|port| is_said_port(scheme, port))
    });
    serialised || text == "null"
}

/// Whether this stands in an origin as its port: without needless digits, and not the scheme's own.
fn is_said_port(scheme: &str, port: &str) -> bool {
    let own = match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    };
    port.parse::<u16>().is_ok_and(|number| number != own && number.to_string() == port)
}

/// Settings that browsers would not act on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorsError {
    /// All of these are allowed, and credentials too.
    WildWithCredentials(&'static str),
    /// This is not an origin.
    NoOrigin(String),
}

impl fmt::Display for CorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WildWithCredentials(what) => {
                write!(f, "all {what} cannot be allowed together with credentials: name them")
            }
            Self::NoOrigin(text) => write!(
                f,
                "`{text}` is not an origin: give scheme and host in lower case, a port only where it \
                 is not the scheme's own, and no path, as in `https://example.com`"
            ),
        }
    }
}

impl std::error::Error for CorsError {}

/// A [`Middleware`] that answers what browsers ask before they let a page use the server, and marks
/// the answers that the page may see; made by [`Cors::build`].
#[derive(Clone)]
pub struct CorsLayer {
    rules: Arc<Rules>,
}

struct Rules {
    any_origin: bool,
    origins: Vec<String>,
    judge: Option<Judge>,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    credentials: bool,
}

impl Middleware for CorsLayer {
    fn call(&self, request: Request, next: Next) -> ResponseFuture {
        let rules = Arc::clone(&self.rules);
        let origin = rules.allowed_origin(&request);
        let asks_first = *request.method() == Method::OPTIONS
            && request.header_bytes("origin").is_some()
            && request.header_bytes("access-control-request-method").is_some();
        if asks_first {
            let mut answer = Response::new(StatusCode::NO_CONTENT);
            rules.answer_preflight(origin, answer.headers_mut());
            return Box::pin(ready(answer));
        }
        let answer = next.run(request);
        Box::pin(async move {
            let mut answer = answer.await;
            rules.mark(origin, answer.headers_mut());
            answer
        })
    }
}

impl Rules {
    /// What to answer as the allowed origin, if it is.
    fn allowed_origin(&self, request: &Request) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = request.header("origin")?;
        let known = self.origins.iter().any(|allowed| allowed == origin);
        let allowed = known || self.judge.as_ref().is_some_and(|judge| judge(origin));
        if allowed { HeaderValue::from_str(origin).ok() } else { None }
    }

    fn answer_preflight(&self, origin: Option<HeaderValue>, fields: &mut HeaderMap) {
        let allowed = origin.is_some();
        self.mark_origin(origin, fields);
        let said = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
            (header::ACCESS_CONTROL_MAX_AGE, &self.max_age),
        ];
        for (name, value) in said {
            if let (Some(value), true) = (value, allowed) {
                fields.insert(name, value.clone());
            }
        }
    }

    /// Marks an answer to the request itself.
    fn mark(&self, origin: Option<HeaderValue>, fields: &mut HeaderMap) {
        if let (Some(expose), true) = (&self.expose, origin.is_some()) {
            fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        self.mark_origin(origin, fields);
    }

    fn mark_origin(&self, origin: Option<HeaderValue>, fields: &mut HeaderMap) {
        if !self.any_origin {
            // A cache must not give the answer for one origin to another, nor the one without.
            add_vary_origin(fields);
        }
        if let Some(origin) = origin {
            fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if self.credentials {
                let yes = HeaderValue::from_static("true");
                fields.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
    }
}

fn add_vary_origin(fields: &mut HeaderMap) {
    let names = fields
        .get_all(header::VARY)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let mut names = names.map(<[u8]>::trim_ascii);
    if !names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin")) {
        fields.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

impl fmt::Debug for CorsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorsLayer").field("origins", &self.rules.origins).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::http::tests::request;
    use crate::http::{App, IntoResponse, Router, Service};
    use futures::FutureExt;

    const PAGE: &str = "https://example.com";

    fn app(cors: Cors) -> App {
        let router = Router::new()
            .get("/", |_| async { "hello" })
            .put("/", |_| async { "put" })
            .get("/vary", |_| async {
                let vary = HeaderValue::from_static("Accept, origin");
                "".into_response().with_header(header::VARY, vary)
            });
        router.layer(cors.build().unwrap()).into_app().unwrap()
    }

    fn ask(app: &App, method: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        let fields: String =
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        app.call(request(&head, "")).now_or_never().unwrap()
    }

    fn preflight(app: &App, path: &str, origin: &str) -> Response {
        ask(app, "OPTIONS", path, &[("Origin", origin), ("Access-Control-Request-Method", "PUT")])
    }

    /// The fields of the protocol, without their common prefix.
    fn said(answer: &mut Response) -> Vec<(String, String)> {
        let fields = answer.headers_mut().iter();
        let mut said: Vec<_> = fields
            .filter_map(|(name, value)| {
                let name = name.as_str();
                let name =
                    name.strip_prefix("access-control-").or((name == "vary").then_some("vary"))?;
                Some((name.to_owned(), value.to_str().unwrap().to_owned()))
            })
            .collect();
        said.sort();
        said
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn a_named_origin_with_credentials() {
        let app = app(Cors::new()
            .allow_origin("http://localhost:3000")
            .allow_origin(PAGE)
            .allow_methods([Method::PUT, Method::DELETE])
            .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
            .expose_headers([header::ETAG])
            .allow_credentials(true)
            .max_age(Duration::from_millis(600_900)));
        let mut answer = preflight(&app, "/", PAGE);
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            said(&mut answer),
            pairs(&[
                ("allow-credentials", "true"),
                ("allow-headers", "content-type, authorization"),
                ("allow-methods", "PUT, DELETE"),
                ("allow-origin", PAGE),
                ("max-age", "600"),
                ("vary", "Origin"),
            ])
        );
        let marked = pairs(&[
            ("allow-credentials", "true"),
            ("allow-origin", PAGE),
            ("expose-headers", "etag"),
            ("vary", "Origin"),
        ]);
        // The page may see errors, too.
        for (method, path, status) in [("GET", "/", 200), ("POST", "/", 405), ("GET", "/none", 404)]
        {
            let mut answer = ask(&app, method, path, &[("Origin", PAGE)]);
            assert_eq!((answer.status().as_u16(), said(&mut answer)), (status, marked.clone()));
        }
    }

    #[test]
    fn others_are_told_nothing_but_what_caches_need() {
        let app =
            app(Cors::new().allow_origin(PAGE).allow_methods([Method::PUT]).max_age(Duration::MAX));
        let vary = pairs(&[("vary", "Origin")]);
        for origin in [
            "https://example.org",
            "https://example.com.evil.org",
            "http://example.com",
            "null",
            "HTTPS://EXAMPLE.COM",
        ] {
            let mut answer = preflight(&app, "/", origin);
            assert_eq!(
                (answer.status().as_u16(), said(&mut answer)),
                (204, vary.clone()),
                "{origin}"
            );
            let mut answer = ask(&app, "GET", "/", &[("Origin", origin)]);
            assert_eq!(
                (answer.status().as_u16(), said(&mut answer)),
                (200, vary.clone()),
                "{origin}"
            );
        }
        assert_eq!(said(&mut ask(&app, "GET", "/", &[])), vary);
        // Said already.
        assert_eq!(said(&mut ask(&app, "GET", "/vary", &[])), pairs(&[("vary", "Accept, origin")]));
        // An OPTIONS that asks for something else is the router's.
        let mut answer = ask(&app, "OPTIONS", "/", &[("Origin", PAGE)]);
        assert_eq!(answer.header("allow"), Some("GET, PUT, HEAD, OPTIONS"));
        assert_eq!(said(&mut answer), pairs(&[("allow-origin", PAGE), ("vary", "Origin")]));
    }

    #[test]
    fn everybody() {
        let app = app(Cors::new()
            .allow_origin("*")
            .allow_any_method()
            .allow_any_header()
            .allow_headers([header::AUTHORIZATION]));
        assert_eq!(
            said(&mut preflight(&app, "/", "null")),
            pairs(&[
                ("allow-headers", "*, authorization"),
                ("allow-methods", "*"),
                ("allow-origin", "*"),
            ])
        );
        assert_eq!(said(&mut ask(&app, "GET", "/", &[])), pairs(&[("allow-origin", "*")]));
    }

    #[test]
    fn a_judge() {
        let app = app(Cors::new()
            .allow_origin_if(|origin| origin.ends_with(".example.com"))
            .allow_credentials(true));
        let mut answer = ask(&app, "GET", "/", &[("Origin", "https://a.example.com")]);
        assert_eq!(
            said(&mut answer),
            pairs(&[
                ("allow-credentials", "true"),
                ("allow-origin", "https://a.example.com"),
                ("vary", "Origin"),
            ])
        );
        assert_eq!(
            said(&mut ask(&app, "GET", "/", &[("Origin", "https://b")])),
            pairs(&[("vary", "Origin")])
        );
    }

    #[test]
    fn settings_that_browsers_refuse() {
        let wild = |cors: Cors| cors.allow_credentials(true).build().unwrap_err();
        assert_eq!(wild(Cors::new().allow_origin("*")), CorsError::WildWithCredentials("origins"));
        assert_eq!(wild(Cors::new().allow_any_method()), CorsError::WildWithCredentials("methods"));
        assert_eq!(wild(Cors::new().allow_any_header()), CorsError::WildWithCredentials("headers"));
        for bad in [
            "example.com",
            "https://example.com/",
            "https://Example.com",
            "https://a b",
            "https://*.a",
            "",
            "https://",
            "a\r\nb: c",
            "https://example.com:443",
            "http://example.com:80",
            "http://example.com:",
            "http://example.com:x",
            "http://example.com:08080",
            "http://example.com:99999",
            "http://[::1]:80",
        ] {
            let error = Cors::new().allow_origin(bad).build().unwrap_err();
            assert_eq!(error, CorsError::NoOrigin(bad.into()));
        }
        for good in [
            "null",
            "http://example.com:443",
            "http://localhost:3000",
            "http://[::1]",
            "http://[::1]:3000",
            "moz-extension://0a-1b",
        ] {
            assert!(Cors::new().allow_origin(good).build().is_ok(), "{good}");
        }
    }
}
