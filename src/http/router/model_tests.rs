//! Routers of routers against a list that is looked through.

use crate::http::tests::{ask, body};
use crate::http::{Error, Next, Request, Router};
use http::{HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use proptest::sample::select;

/// One segment of a pattern: a text, or a parameter. Parameters are named by their depth, so that
/// no two patterns conflict.
type Segments = Vec<Option<&'static str>>;

#[derive(Clone, Debug)]
struct Spec {
    routes: Vec<(Segments, Method)>,
    fallback: bool,
    layers: usize,
    state: bool,
    /// Nested under these segments, or merged where there are none.
    inner: Vec<(Segments, Spec)>,
}

fn segments(least: usize) -> impl Strategy<Value = Segments> {
    proptest::collection::vec(select(vec![Some("a"), Some("b"), None]), least..3)
}

fn spec() -> impl Strategy<Value = Spec> {
    let level = || {
        let method = select(vec![Method::GET, Method::POST, Method::HEAD]);
        let routes = proptest::collection::vec((segments(0), method), 0..4);
        (routes, proptest::bool::weighted(0.3), 0..3_usize, any::<bool>())
    };
    let leaf = level().prop_map(|(routes, fallback, layers, state)| Spec {
        routes,
        fallback,
        layers,
        state,
        inner: Vec::new(),
    });
    leaf.prop_recursive(3, 8, 3, move |inner| {
        let inner = proptest::collection::vec((segments(0), inner), 0..3);
        (level(), inner).prop_map(|((routes, fallback, layers, state), inner)| Spec {
            routes,
            fallback,
            layers,
            state,
            inner,
        })
    })
}

/// What answers, and what holds for it.
#[derive(Clone, Debug, PartialEq)]
struct Flat {
    segments: Segments,
    method: Method,
    id: usize,
    /// The outermost first.
    layers: Vec<usize>,
    state: Option<usize>,
}

#[derive(Default)]
struct Model {
    routes: Vec<Flat>,
    fallbacks: Vec<Flat>,
    ids: usize,
    broken: bool,
}

impl Model {
    fn id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    /// The router of `spec` below `outer`, and its routes into the list.
    fn build(&mut self, spec: &Spec, outer: &Flat) -> Router {
        let mut here = outer.clone();
        let mut router = Router::new();
        if spec.state {
            let id = self.id();
            here.state = Some(id);
            router = router.with_state(id);
        }
        for _ in 0..spec.layers {
            let id = self.id();
            here.layers.push(id);
            router = router.layer(move |mut req: Request, next: Next| {
                let trace = req.extensions_mut().get_or_insert_default::<Vec<usize>>();
                trace.push(id);
                async move {
                    let mut answer = next.run(req).await;
                    answer.headers_mut().append("x-layer", HeaderValue::from(id));
                    answer
                }
            });
        }
        let depth = outer.segments.len();
        for (segments, method) in &spec.routes {
            let id = self.id();
            let mut flat = Flat { method: method.clone(), id, ..here.clone() };
            flat.segments.extend(segments);
            self.broken |= self
                .routes
                .iter()
                .any(|other| other.segments == flat.segments && other.method == flat.method);
            let params = names(&flat.segments);
            self.routes.push(flat);
            let pattern = match &*pattern(segments, depth) {
                "" => "/".to_owned(),
                pattern => pattern.to_owned(),
            };
            router =
                router.route(method.clone(), &pattern, move |req| say(id, params.clone(), req));
        }
        if spec.fallback {
            let id = self.id();
            let flat = Flat { id, ..here.clone() };
            self.broken |= self.fallbacks.iter().any(|other| other.segments == flat.segments);
            let params = names(&flat.segments);
            self.fallbacks.push(flat);
            router = router.fallback(move |req| say(id, params.clone(), req));
        }
        for (prefix, inner) in &spec.inner {
            let mut outer = here.clone();
            outer.segments.extend(prefix);
            let inner = self.build(inner, &outer);
            router = match &*pattern(prefix, depth) {
                "" => router.merge(inner),
                prefix => router.nest(prefix, inner),
            };
        }
        router
    }

    /// What answers: its text where a handler does, its status where none does, and the layers.
    fn answer(&self, method: &Method, path: &str) -> (StatusCode, String, Vec<usize>) {
        let parts: Vec<_> = path[1..].split('/').collect();
        let found: Vec<_> = best(&self.routes, |flat| matches_whole(&flat.segments, path));
        if let Some(first) = found.first() {
            let of = |method: &Method| found.iter().find(|flat| flat.method == *method);
            let head = if *method == Method::HEAD { of(&Method::GET) } else { None };
            return match of(method).or(head) {
                Some(flat) => (StatusCode::OK, text(flat, &parts), flat.layers.clone()),
                None => {
                    let all = |at: &usize| {
                        found.iter().all(|flat| flat.layers.get(*at) == first.layers.get(*at))
                    };
                    let common = (0..first.layers.len()).take_while(all);
                    let layers = common.map(|at| first.layers[at]).collect();
                    match *method {
                        Method::OPTIONS => (StatusCode::NO_CONTENT, String::new(), layers),
                        _ => (StatusCode::METHOD_NOT_ALLOWED, String::new(), layers),
                    }
                }
            };
        }
        let nested = |flat: &Flat| {
            let n = flat.segments.len();
            n == 0 || (parts.len() >= n && matches(&flat.segments, &parts[..n]))
        };
        let fits = self.fallbacks.iter().filter(|flat| nested(flat));
        let longest = fits.map(|flat| flat.segments.len()).max();
        let nested = |flat: &Flat| Some(flat.segments.len()) == longest && nested(flat);
        match best(&self.fallbacks, nested).first() {
            Some(flat) => (StatusCode::OK, text(flat, &parts), flat.layers.clone()),
            None => (StatusCode::NOT_FOUND, String::new(), Vec::new()),
        }
    }
}

fn pattern(segments: &Segments, depth: usize) -> String {
    let segments = segments.iter().enumerate();
    segments
        .map(|(at, segment)| match segment {
            Some(text) => format!("/{text}"),
            None => format!("/{{p{}}}", depth + at),
        })
        .collect()
}

fn names(segments: &Segments) -> Vec<String> {
    let params = segments.iter().enumerate().filter(|(_, segment)| segment.is_none());
    params.map(|(at, _)| format!("p{at}")).collect()
}

/// The handler of the real router.
async fn say(id: usize, params: Vec<String>, req: Request) -> Result<String, Error> {
    let mut said = format!("{id} {:?}", req.state::<usize>().ok());
    for name in params {
        said += &format!(" {}", req.param::<String>(&name)?);
    }
    let trace = req.extensions().get::<Vec<usize>>().cloned().unwrap_or_default();
    Ok(format!("{said} {trace:?}"))
}

/// What it says, by the model.
fn text(flat: &Flat, parts: &[&str]) -> String {
    let mut said = format!("{} {:?}", flat.id, flat.state);
    for (segment, part) in flat.segments.iter().zip(parts) {
        if segment.is_none() {
            said += &format!(" {part}");
        }
    }
    format!("{said} {:?}", flat.layers)
}

fn matches_whole(segments: &Segments, path: &str) -> bool {
    match segments.is_empty() {
        true => path == "/",
        false => matches(segments, &path[1..].split('/').collect::<Vec<_>>()),
    }
}

fn matches(segments: &Segments, parts: &[&str]) -> bool {
    let fits = |(segment, part): (&Option<&str>, &&str)| match segment {
        Some(text) => text == part,
        None => !part.is_empty(),
    };
    segments.len() == parts.len() && segments.iter().zip(parts).all(fits)
}

/// Those of the best pattern: a text goes before a parameter.
fn best(flats: &[Flat], matches: impl Fn(&Flat) -> bool) -> Vec<&Flat> {
    let rank = |flat: &Flat| -> Vec<u8> {
        flat.segments.iter().map(|segment| u8::from(segment.is_none())).collect()
    };
    let found: Vec<_> = flats.iter().filter(|flat| matches(flat)).collect();
    let best = found.iter().map(|flat| rank(flat)).min();
    found.into_iter().filter(|flat| Some(rank(flat)) == best).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn routers_answer_as_the_list_does(
        spec in spec(),
        paths in proptest::collection::vec(
            proptest::collection::vec(select(vec!["a", "b", "c", ""]), 1..5), 1..12),
    ) {
        let mut model = Model::default();
        let root = Flat {
            segments: Vec::new(), method: Method::GET, id: 0, layers: Vec::new(), state: None,
        };
        let router = model.build(&spec, &root);
        let app = router.into_app();
        prop_assert_eq!(app.is_err(), model.broken, "{:?}", app);
        let Ok(app) = app else { return Ok(()) };
        // What the root's layers stand around even where nothing answers.
        let around: Vec<_> = (0..spec.layers).map(|at| at + 1 + usize::from(spec.state)).collect();
        for path in paths {
            let path = format!("/{}", path.join("/"));
            for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
                let (status, text, layers) = model.answer(&method, &path);
                let layers = if status == StatusCode::NOT_FOUND { &around } else { &layers };
                let mut answer = ask(&app, method.as_str(), &path);
                prop_assert_eq!(answer.status(), status, "{} {}", method, path);
                let seen = answer.headers_mut().get_all("x-layer").iter();
                let seen: Vec<_> = seen.map(|id| id.to_str().unwrap().parse().unwrap()).collect();
                prop_assert_eq!(seen.iter().rev().collect::<Vec<&usize>>(), layers.iter().collect::<Vec<_>>());
                if status == StatusCode::OK {
                    prop_assert_eq!(body(answer), text, "{} {}", method, path);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn every_pattern_is_served_or_refused(
        patterns in proptest::collection::vec("/[/{}*a.]{0,9}", 1..4),
        path in "/[/{}*ab.]{0,9}",
    ) {
        let mut tree = matchit::Router::new();
        let mut router = Router::new();
        for pattern in &patterns {
            let _ = tree.insert(pattern, pattern);
            router = router.get(pattern, |_| async { "" });
        }
        let app = router.into_app();
        if let (Ok(_), Ok(found)) = (&app, tree.at(&path)) {
            let keys: Vec<_> = found.params.iter().map(|(key, _)| key.to_owned()).collect();
            let site = super::site::Site::new(found.value, Vec::new()).unwrap();
            let names: Vec<_> = site.names().map(str::to_owned).collect();
            prop_assert_eq!(names, keys, "{:?} {}", patterns, path);
        }
    }
}
