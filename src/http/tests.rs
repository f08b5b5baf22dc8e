//! Requests, responses and routes, as handlers and their callers see them.

use super::codec::{BodyLength, Decoder, Event, Limits};
use super::incoming::Incoming;
use super::*;
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderValue, Method, StatusCode, Version, header};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) fn request(head: &str, body: &'static str) -> Request {
    let mut decoder = Decoder::new();
    match decoder.decode(head.as_bytes(), &Limits::default()) {
        Ok((_, Event::Head(head))) => {
            assert_ne!(head.body(), BodyLength::Chunked);
            Request::new(head, Incoming::Full(Bytes::from_static(body.as_bytes())))
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn get(target: &str) -> Request {
    request(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), "")
}

pub(super) fn ask(service: &impl Service, method: &str, target: &str) -> Response {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    service.call(request(&head, "")).now_or_never().expect("a ready answer")
}

pub(super) fn body(mut response: Response) -> String {
    String::from_utf8(response.take_body().into_bytes().to_vec()).unwrap()
}

#[test]
fn a_request_shows_its_head() {
    let req = request(
        "PUT /a%20b?c=d&e=%C3%A4 HTTP/1.1\r\nHost: x:1\r\nX-A: 1\r\nx-a: 2\r\nBytes: \u{e4}\r\n\r\n",
        "",
    );
    assert_eq!(req.method(), Method::PUT);
    assert_eq!(req.version(), Version::HTTP_11);
    assert_eq!((req.path(), req.query_str()), ("/a%20b", Some("c=d&e=%C3%A4")));
    assert_eq!(req.target(), "/a%20b?c=d&e=%C3%A4");
    assert_eq!(req.uri().query(), Some("c=d&e=%C3%A4"));
    assert_eq!(req.header("HOST"), Some("x:1"));
    assert_eq!(req.header("x-A"), Some("1"));
    assert_eq!(req.header("none"), None);
    assert_eq!(req.header_bytes("bytes"), Some("\u{e4}".as_bytes()));
    let all: Vec<_> = req.headers().get_all("x-a").iter().collect();
    assert_eq!(all, ["1", "2"]);
    assert_eq!(req.headers().len(), 4);
    let absolute = get("http://example.com:8080/p?q");
    assert_eq!((absolute.path(), absolute.uri().host()), ("/p", Some("example.com")));
}

#[test]
fn queries() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Query {
        ms: u32,
        name: Option<String>,
    }
    let query = get("/?ms=5&name=a+b%21").query::<Query>().unwrap();
    assert_eq!(query, Query { ms: 5, name: Some("a b!".into()) });
    for bad in ["/", "/?ms=", "/?ms=-1", "/?name=a"] {
        let answer = get(bad).query::<Query>().unwrap_err().into_response();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert!(body(answer).starts_with(r#"{"error":"invalid query: "#));
    }
    assert!(get("/").query::<BTreeMap<String, String>>().unwrap().is_empty());
}

#[test]
fn bodies() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\
                Content-Type: application/json; charset=utf-8\r\n\r\n";
    let post = |body| request(head, body);
    let mut req = post("[1, 2]");
    assert_eq!(req.json::<Vec<u8>>().now_or_never().unwrap().unwrap(), [1, 2]);
    assert_eq!(req.text().now_or_never().unwrap().unwrap(), "[1, 2]", "it can be read again");
    for (bad, status) in [("[1,", 400), ("", 400), ("[1] x", 400), ("[-1]", 422), ("{}", 422)] {
        let error = post(bad).json::<Vec<u8>>().now_or_never().unwrap().unwrap_err();
        assert_eq!(Error::from(error).status(), status, "{bad}");
    }
    let mut req = get("/");
    *req.body_mut() = Incoming::Full(Bytes::from_static(b"\xff"));
    assert_eq!(req.text().now_or_never().unwrap(), Err(BodyError::NotUtf8));
    assert_eq!(req.text_now(), Err(BodyError::NotUtf8));
    assert_eq!(post("[1]").json_now::<Vec<u8>>().unwrap(), [1]);
    assert_eq!(post("a").text_now().unwrap(), "a");
    let mut taken = post("abc");
    assert_eq!(taken.body().chunk().now_or_never().unwrap().unwrap().unwrap(), "abc");
    assert_eq!(taken.bytes_now(), Err(BodyError::Taken));
    assert_eq!(taken.body().chunk().now_or_never().unwrap(), Some(Err(BodyError::Taken)));
    let channel = std::sync::Arc::default();
    assert_eq!(Incoming::Partial(Vec::new(), channel).collected(), Err(BodyError::NotRead));
    assert_eq!(BodyError::TooLarge.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// A page of another origin may send what is refused here without being asked
/// (Fetch standard, "CORS-safelisted request-header").
#[test]
fn json_must_be_said_to_be_json() {
    for (content_type, status) in [
        ("", 415),
        ("Content-Type: text/plain", 415),
        ("Content-Type: text/plain; application/json", 415),
        ("Content-Type: text/json", 415),
        ("Content-Type: application/x-www-form-urlencoded", 415),
        ("Content-Type: application/jsonl", 415),
        ("Content-Type: json", 415),
        ("Content-Type:", 415),
        ("Content-Type: application/json", 200),
        ("Content-Type: Application/JSON ;charset=utf-8", 200),
        ("Content-Type: application/problem+json", 200),
    ] {
        let line = if content_type.is_empty() { "" } else { "\r\n" };
        let head =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{content_type}{line}\r\n");
        let found = request(&head, "[1]").json::<Vec<u8>>().now_or_never().unwrap();
        let now = request(&head, "[1]").json_now::<Vec<u8>>();
        for found in [found, now] {
            let answer = found.map(|_| "").into_response();
            assert_eq!(answer.status().as_u16(), status, "{content_type}");
        }
    }
}

#[test]
fn answers_of_every_kind() {
    let kinds = [
        ("a".into_response(), "text/plain; charset=utf-8", "a"),
        ("a".to_owned().into_response(), "text/plain; charset=utf-8", "a"),
        (b"a".to_vec().into_response(), "application/octet-stream", "a"),
        (Bytes::from_static(b"a").into_response(), "application/octet-stream", "a"),
        (Json(vec!["a"]).into_response(), "application/json", r#"["a"]"#),
        (Ok::<_, StatusCode>("a").into_response(), "text/plain; charset=utf-8", "a"),
    ];
    for (answer, content_type, text) in kinds {
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.header("Content-Type"), Some(content_type));
        assert_eq!(body(answer), text);
    }
    assert_eq!((StatusCode::CREATED, "a").into_response().status(), StatusCode::CREATED);
    let not_json = Json(BTreeMap::from([(vec![1], 1)])).into_response();
    assert_eq!(not_json.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = Error::new(StatusCode::CONFLICT, "say \"no\"\n").into_response();
    assert_eq!(body(error), r#"{"error":"say \"no\"\n"}"#);
    let mut changed = "a".into_response();
    changed.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert_eq!(changed.header("content-type"), Some("text/html"));
}

#[test]
fn errors_of_what_handlers_await() {
    let error = |result: Result<(), Error>| result.unwrap_err().into_response();
    let rt = crate::LocalRuntime::builder().build().unwrap();
    let (timed, panicked, aborted) = rt.block_on(async {
        let never = std::future::pending::<()>();
        let timed = crate::time::timeout(std::time::Duration::ZERO, never).await;
        let panicked = crate::spawn(async { panic!("secret") }).await;
        let task = crate::spawn(std::future::pending::<()>());
        task.abort();
        (timed, panicked, task.await)
    });
    assert_eq!(error(timed.map_err(Error::from)).status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(error(aborted.map_err(Error::from)).status(), StatusCode::SERVICE_UNAVAILABLE);
    let answer = error(panicked.map_err(Error::from));
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body(answer), r#"{"error":"the work failed"}"#);
    let busy = error(Err(crate::task::Busy(5).into()));
    assert_eq!((busy.status().as_u16(), busy.header("retry-after")), (503, Some("1")));
    for (millis, seconds) in [(0, "1"), (1000, "1"), (1001, "2")] {
        let wait = std::time::Duration::from_millis(millis);
        let later = Error::new(StatusCode::TOO_MANY_REQUESTS, "").with_retry_after(wait);
        assert_eq!(later.into_response().header("retry-after"), Some(seconds));
    }
}

#[test]
fn a_field_cannot_end_its_line() {
    for bad in ["a\r\nb: c", "a\nb", "a\rb", "a\0b"] {
        assert!(HeaderValue::from_str(bad).is_err(), "{bad:?}");
        assert!(header::HeaderName::from_bytes(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn public_types_go_where_handlers_go() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<Request>();
    shared::<App>();
    shared::<Router>();
    shared::<RouteMetrics>();
    shared::<Next>();
    shared::<Error>();
    shared::<JsonError>();
    shared::<Cors>();
    shared::<CorsLayer>();
    shared::<Body>();
    shared::<SseEvent>();
    sent::<Response>();
    sent::<Sse<Body>>();
}
