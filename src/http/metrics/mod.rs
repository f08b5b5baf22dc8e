//! How long routes take, and how often.

mod histogram;

pub use histogram::Times;

use super::service::ResponseFuture;
use crate::primitives::{AtomicU64, Mutex, Ordering};
use crate::time::Instant;
use histogram::Histogram;
use http::{Method, StatusCode};
use std::fmt;
use std::sync::Arc;

/// Counts and times of routes; cheap to clone, and read while they are written.
///
/// [`Router::metrics`](super::Router::metrics) fills it. Each route takes 8 KiB, whatever it
/// serves; so do a fallback, and what a pattern refuses.
///
/// # Examples
///
/// ```
/// use mainspring::http::{Json, Request, RouteMetrics, Router};
///
/// let metrics = RouteMetrics::new();
/// let shown = metrics.clone();
/// let app = Router::new()
///     .get("/users/{id}", |_| async { "a user" })
///     .get("/performance", move |_| {
///         let routes = shown.snapshot();
///         async move {
///             Json(routes.iter().map(|r| (r.to_string(), r.count())).collect::<Vec<_>>())
///         }
///     })
///     .metrics(&metrics);
/// # let _ = app;
/// ```
#[derive(Clone, Default)]
pub struct RouteMetrics {
    meters: Arc<Mutex<Vec<Arc<Meter>>>>,
}

impl RouteMetrics {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted so far, one for each route, in the order in which they were put together.
    pub fn snapshot(&self) -> Vec<RouteSnapshot> {
        let meters = self.meters.lock().clone();
        meters.iter().map(|meter| meter.snapshot()).collect()
    }

    /// Begins to count a route.
    pub(super) fn add(&self, method: Option<&Method>, pattern: &str) -> Arc<Meter> {
        let meter = Arc::new(Meter::new(method.cloned(), pattern));
        self.meters.lock().push(Arc::clone(&meter));
        meter
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteMetrics").field("routes", &self.meters.lock().len()).finish()
    }
}

/// How often a route answered, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteSnapshot {
    /// What the route answers; nothing for a fallback, and for the methods that a pattern has no
    /// handler for.
    pub method: Option<Method>,
    /// The pattern of the route. That of a fallback is its prefix, empty for the outermost.
    pub pattern: String,
    /// Requests that came and are not answered.
    pub in_flight: u64,
    /// Requests that came and will not be answered: the connection failed, or the handler panicked.
    pub abandoned: u64,
    classes: [Times; CLASSES],
}

impl RouteSnapshot {
    /// How many requests were answered.
    pub fn count(&self) -> u64 {
        self.classes.iter().map(Times::count).sum()
    }

    /// How many were answered with a status from 400 on.
    pub fn errors(&self) -> u64 {
        self.class(4).count() + self.class(5).count()
    }

    /// The times of answers of one class: 2 for the statuses from 200 to 299. There are the
    /// classes 2 to 5; what has another status is counted among those of class 5.
    pub fn class(&self, digit: u16) -> &Times {
        &self.classes[class_index(digit)]
    }

    /// The times of all answers.
    pub fn times(&self) -> Times {
        let mut all = Times::default();
        for class in &self.classes {
            all.add(class);
        }
        all
    }
}

impl fmt::Display for RouteSnapshot {
    /// Method and pattern.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{method} {}", self.pattern),
            None => write!(f, "other {}", self.pattern),
        }
    }
}

/// Status classes that are counted: 2xx to 5xx.
const CLASSES: usize = 4;

fn class_index(digit: u16) -> usize {
    match digit {
        2..=5 => usize::from(digit - 2),
        _ => CLASSES - 1,
    }
}

/// What is counted of one route.
pub(super) struct Meter {
    method: Option<Method>,
    pattern: Box<str>,
    begun: AtomicU64,
    abandoned: AtomicU64,
    answered: AtomicU64,
    classes: [Histogram; CLASSES],
}

impl Meter {
    fn new(method: Option<Method>, pattern: &str) -> Self {
        Self {
            method,
            pattern: pattern.into(),
            begun: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            classes: std::array::from_fn(|_| Histogram::new()),
        }
    }

    /// Calls a service, and counts until it has answered.
    pub(super) fn measure(
        self: &Arc<Self>,
        call: impl FnOnce() -> ResponseFuture,
    ) -> ResponseFuture {
        let running = Running::begin(Arc::clone(self));
        let future = call();
        Box::pin(async move {
            let response = future.await;
            running.end(response.status());
            response
        })
    }

    fn snapshot(&self) -> RouteSnapshot {
        // In this order, so that what ends meanwhile is not subtracted from what had begun.
        let ended = self.answered.load(Ordering::Acquire) + self.abandoned.load(Ordering::Acquire);
        RouteSnapshot {
            method: self.method.clone(),
            pattern: self.pattern.to_string(),
            in_flight: self.begun.load(Ordering::Relaxed).saturating_sub(ended),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            classes: std::array::from_fn(|at| self.classes[at].snapshot()),
        }
    }
}

/// A request that is being answered.
struct Running {
    /// Until it is answered.
    meter: Option<Arc<Meter>>,
    since: Instant,
}

impl Running {
    fn begin(meter: Arc<Meter>) -> Self {
        meter.begun.fetch_add(1, Ordering::Relaxed);
        Self { meter: Some(meter), since: Instant::now() }
    }

    fn end(mut self, status: StatusCode) {
        if let Some(meter) = self.meter.take() {
            meter.classes[class_index(status.as_u16() / 100)].record(self.since.elapsed());
            meter.answered.fetch_add(1, Ordering::Release);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(meter) = &self.meter {
            meter.abandoned.fetch_add(1, Ordering::Release);
        }
    }
}
