//! Routes, routers in routers, and what holds for them.

use crate::http::tests::{ask, body, request};
use crate::http::{
    App, BadParam, Error, MissingState, Next, Request, Response, RouteError, RouteMetrics,
    RouteProblem, Router, Service,
};
use futures::FutureExt;
use http::{HeaderValue, Method, StatusCode};

fn app() -> App {
    Router::new()
        .get("/", |_| async { "root" })
        .get("/users/{id}", |req: Request| async move {
            Ok::<_, Error>(req.param::<u64>("id")?.to_string())
        })
        .put("/users/{id}", |_| async { "put" })
        .get("/users/me", |_| async { "me" })
        .get("/a/{x}/b/{y}", |req: Request| async move {
            Ok::<_, BadParam>(req.param::<String>("y")? + &req.param::<String>("x")?)
        })
        .get("/files/{*rest}", |req: Request| async move { req.param::<String>("rest") })
        .get("/img/{name}.png", |req: Request| async move { req.param::<String>("name") })
        .get("/{{literal}}/{p}", |req: Request| async move { req.param::<String>("p") })
        .post("/only", |_| async { StatusCode::ACCEPTED })
        .head("/headed", |_| async { (StatusCode::ACCEPTED, "") })
        .get("/headed", |_| async { "" })
        .get("/unknown/{p}", |req: Request| async move { req.param::<String>("q") })
        .into_app()
        .unwrap()
}

#[test]
fn routes_and_parameters() {
    let app = app();
    for (target, text) in [
        ("/", "root"),
        ("/?q", "root"),
        ("/users/7", "7"),
        ("/users/me", "me"),
        ("/a/1/b/2", "21"),
        ("/a/x%20y/b/%2F", "/x y"),
        ("/files/a/b.txt", "a/b.txt"),
        ("/img/cat.png", "cat"),
        ("/{literal}/v", "v"),
        ("http://host/users/8?x", "8"),
    ] {
        let answer = ask(&app, "GET", target);
        assert_eq!((answer.status(), &*body(answer)), (StatusCode::OK, text), "{target}");
    }
    for (target, status) in [
        ("/users/x", 400),
        ("/users/%ff", 400),
        ("/users", 404),
        ("/users/", 404),
        ("/unknown/x", 500),
        ("//", 404),
    ] {
        assert_eq!(ask(&app, "GET", target).status(), status, "{target}");
    }
}

#[test]
fn methods() {
    let app = app();
    assert_eq!(body(ask(&app, "PUT", "/users/1")), "put");
    assert_eq!(ask(&app, "HEAD", "/").status(), StatusCode::OK);
    assert_eq!(ask(&app, "HEAD", "/headed").status(), StatusCode::ACCEPTED);
    for (method, target, allow) in [
        ("DELETE", "/users/1", "GET, PUT, HEAD, OPTIONS"),
        ("GET", "/only", "POST, OPTIONS"),
        ("HEAD", "/only", "POST, OPTIONS"),
        ("POST", "/headed", "HEAD, GET, OPTIONS"),
        ("BREW", "/", "GET, HEAD, OPTIONS"),
    ] {
        let answer = ask(&app, method, target);
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {target}");
        assert_eq!(answer.header("allow"), Some(allow));
        assert_eq!(body(answer), format!(r#"{{"error":"{method} is not allowed here"}}"#));
    }
    for (target, allow) in [("/users/1", "GET, PUT, HEAD, OPTIONS"), ("/only", "POST, OPTIONS")] {
        let answer = ask(&app, "OPTIONS", target);
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (StatusCode::NO_CONTENT, Some(allow))
        );
    }
    assert_eq!(ask(&app, "OPTIONS", "*").status(), StatusCode::NO_CONTENT);
    assert_eq!(ask(&app, "OPTIONS", "/none").status(), StatusCode::NOT_FOUND);
    let own = Router::new().options("/", |_| async { "own" }).get("/", |_| async { "" });
    assert_eq!(body(ask(&own.into_app().unwrap(), "OPTIONS", "/")), "own");
    let request = request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "");
    assert_eq!(app.call(request).now_or_never().unwrap().status(), StatusCode::NOT_FOUND);
}

#[test]
fn fallbacks() {
    let app = Router::new()
        .get("/a", |_| async { "a" })
        .fallback(|req: Request| async move { req.path().to_owned() })
        .into_app()
        .unwrap();
    assert_eq!(body(ask(&app, "GET", "/b")), "/b");
    assert_eq!(ask(&app, "POST", "/a").status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn bad_routes_are_told() {
    let problem = |patterns: &[&str]| {
        let router =
            patterns.iter().fold(Router::new(), |router, p| router.get(p, |_| async { "" }));
        router.into_app().unwrap_err()
    };
    assert_eq!(problem(&["a"]).problem, RouteProblem::NoSlash);
    assert_eq!(problem(&[""]).problem, RouteProblem::NoSlash);
    assert_eq!(problem(&["/a", "/a"]).problem, RouteProblem::Twice(Method::GET));
    assert_eq!(
        problem(&["/{a}", "/{b}"]),
        RouteError {
            pattern: "/{b}".into(),
            problem: RouteProblem::Conflict { with: "/{a}".into() }
        }
    );
    for (pattern, char) in [("/café", 'é'), ("/a b", ' '), ("/a?b", '?'), ("/{é}/#", '#')] {
        assert_eq!(problem(&[pattern]).problem, RouteProblem::InNoPath(char));
    }
    for malformed in ["/{", "/{}", "/}", "/{a}{b}", "/{*a}/b", "/{*}"] {
        let error = problem(&[malformed]);
        assert!(matches!(error.problem, RouteProblem::Malformed(_)), "{malformed}: {error}");
        assert!(error.to_string().contains(malformed));
    }
}

#[test]
fn bad_nests_are_told() {
    let leaf = || Router::new().get("/x", |_| async { "" });
    let problem = |router: Router| {
        let error = router.into_app().unwrap_err();
        (error.pattern, error.problem)
    };
    for (prefix, expected) in [
        ("api", RouteProblem::NoSlash),
        ("", RouteProblem::NoSlash),
        ("/", RouteProblem::EndsWithSlash),
        ("/api/", RouteProblem::EndsWithSlash),
    ] {
        assert_eq!(problem(Router::new().nest(prefix, leaf())), (prefix.into(), expected.clone()));
        let outer = Router::new().nest("/outer", Router::new().nest(prefix, leaf()));
        assert_eq!(problem(outer), (format!("/outer{prefix}"), expected));
    }
    let twice = leaf().merge(leaf());
    assert_eq!(problem(twice), ("/x".into(), RouteProblem::Twice(Method::GET)));
    let no_slash = Router::new().nest("/a", Router::new().get("x", |_| async { "" }));
    assert_eq!(problem(no_slash), ("x".into(), RouteProblem::NoSlash));
    let same = Router::new().nest("/{id}", Router::new().get("/{id}", |_| async { "" }));
    assert_eq!(problem(same), ("/{id}/{id}".into(), RouteProblem::SameName("id".into())));
    let caught = Router::new().nest("/{*all}", leaf());
    assert!(matches!(problem(caught).1, RouteProblem::Malformed(_)));
    let other = || Router::new().fallback(|_| async { "" });
    assert_eq!(problem(other().merge(other())), ("/".into(), RouteProblem::TwoFallbacks));
    let before = Router::new().merge(other()).fallback(|_| async { "" });
    assert_eq!(problem(before), ("/".into(), RouteProblem::TwoFallbacks), "in any order");
    let replaced = other().fallback(|_| async { "last" }).into_app().unwrap();
    assert_eq!(body(ask(&replaced, "GET", "/x")), "last");
    let caught = Router::new().nest("/{*all}", other());
    assert!(matches!(problem(caught).1, RouteProblem::Malformed(_)));
    let nested = Router::new().nest("/a", other()).nest("/a", other());
    assert_eq!(problem(nested), ("/a".into(), RouteProblem::TwoFallbacks));
}

/// Says which state it sees.
async fn number(req: Request) -> Result<String, Error> {
    Ok(req.state::<u32>()?.to_string())
}

#[test]
fn states_are_found_by_their_type() {
    let inner = Router::new().get("/own", number).with_state(3_u32);
    let app = Router::new()
        .with_state(1_u32)
        .get("/outer", number)
        .with_state(2_u32)
        .with_state("text")
        .nest("/in", inner)
        .nest("/plain", Router::new().get("/{p}", number))
        .fallback(number)
        .into_app()
        .unwrap();
    for (target, text) in [("/outer", "2"), ("/in/own", "3"), ("/plain/x", "2"), ("/none", "2")] {
        assert_eq!(body(ask(&app, "GET", target)), text, "{target}");
    }
    let app = Router::new().get("/", number).with_state(1_u64).into_app().unwrap();
    let answer = ask(&app, "GET", "/");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let text = body(answer);
    assert!(text.contains("no state of type `u32`"), "{text}");
    assert!(matches!(crate::http::tests::get("/").state::<u8>(), Err(MissingState(_))));
}

#[test]
fn a_layer_may_answer_and_change() {
    async fn guard(mut req: Request, next: Next) -> Result<Response, Error> {
        let user = match req.header("x-user") {
            Some(user) => user.to_owned(),
            None => return Err(Error::new(StatusCode::UNAUTHORIZED, "who are you?")),
        };
        req.extensions_mut().insert(user);
        let mut answer = next.run(req).await;
        answer.headers_mut().insert("x-seen", HeaderValue::from_static("yes"));
        Ok(answer)
    }
    let app = Router::new()
        .get("/", |req: Request| async move {
            req.extensions().get::<String>().cloned().unwrap_or_default()
        })
        .layer(guard)
        .into_app()
        .unwrap();
    assert_eq!(ask(&app, "GET", "/").status(), StatusCode::UNAUTHORIZED);
    let known = request("GET / HTTP/1.1\r\nHost: a\r\nX-User: me\r\n\r\n", "");
    let answer = app.call(known).now_or_never().unwrap();
    assert_eq!(answer.header("x-seen"), Some("yes"));
    assert_eq!(body(answer), "me");
}

#[test]
fn routes_are_measured() {
    let (metrics, own) = (RouteMetrics::new(), RouteMetrics::new());
    let app = Router::new()
        .get("/a/{n}", |req: Request| async move { req.param::<u8>("n").map(|n| n.to_string()) })
        .post("/wait", |_| std::future::pending::<StatusCode>())
        .nest("/in", Router::new().get("/x", |_| async { "" }).metrics(&own))
        .metrics(&metrics)
        .into_app()
        .unwrap();
    for target in ["/a/1", "/a/2", "/a/x", "/in/x", "/none"] {
        ask(&app, "GET", target);
    }
    ask(&app, "DELETE", "/a/1");
    let head = "POST /wait HTTP/1.1\r\nHost: a\r\n\r\n";
    let waits = [app.call(request(head, "")), app.call(request(head, ""))];
    let find = |name: &str| {
        let all = metrics.snapshot();
        all.into_iter().find(|route| route.to_string() == name).expect(name)
    };
    let route = find("GET /a/{n}");
    assert_eq!((route.count(), route.errors(), route.in_flight), (3, 1, 0));
    assert_eq!((route.class(2).count(), route.class(4).count()), (2, 1));
    assert!(route.times().max() > std::time::Duration::ZERO);
    assert!(route.times().quantile(0.5) <= route.times().max());
    assert_eq!(find("other /a/{n}").class(4).count(), 1);
    assert_eq!(find("other ").class(4).count(), 1);
    assert_eq!((find("POST /wait").in_flight, find("POST /wait").abandoned), (2, 0));
    drop(waits);
    assert_eq!((find("POST /wait").in_flight, find("POST /wait").abandoned), (0, 2));
    assert_eq!(metrics.snapshot().len(), 5);
    let inner: Vec<_> = own.snapshot().iter().map(|r| (r.to_string(), r.count())).collect();
    assert_eq!(inner, [("other /in/x".to_owned(), 0), ("GET /in/x".to_owned(), 1)]);
}
