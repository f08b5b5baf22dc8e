//! The rows of HTTP/1 mistakes that others made, each refused; and every split the same.

use super::fuzz::{self, SMALL, Seen, events};
use super::{BodyLength, Error, Limits, encode};
use http::StatusCode;
use proptest::prelude::*;

/// A request with `lines` between a good request line with Host and the empty line.
fn get(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

/// The refusal that `bytes` meet, whole and byte by byte.
#[track_caller]
fn refusal(bytes: &[u8]) -> Option<Error> {
    refusal_within(bytes, &Limits::default())
}

#[track_caller]
fn refusal_within(bytes: &[u8], limits: &Limits) -> Option<Error> {
    let whole = events([bytes], limits);
    assert_eq!(whole, events(bytes.chunks(1), limits), "{:?}", String::from_utf8_lossy(bytes));
    whole.into_iter().find_map(|seen| match seen {
        Seen::Refused(error) => Some(error),
        _ => None,
    })
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, error: Error) {
    let bytes = bytes.as_ref();
    assert_eq!(refusal(bytes), Some(error), "{:?}", String::from_utf8_lossy(bytes));
}

#[track_caller]
fn accepted(bytes: impl AsRef<[u8]>) -> Vec<Seen> {
    let bytes = bytes.as_ref();
    assert_eq!(refusal(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
    let seen = events([bytes], &Limits::default());
    assert!(!seen.is_empty(), "incomplete: {:?}", String::from_utf8_lossy(bytes));
    seen
}

#[test]
fn a_plain_request_is_one_event() {
    let seen = accepted(
        "GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com:80\r\nX-Thing:  two words \t\r\nEmpty:\r\n\r\n",
    );
    let [Seen::Head { line, fields, body, flags }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(line, r#"GET /a/b?c=d&e [/a/b] [Some("c=d&e")] HTTP/1.1"#);
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (std::str::from_utf8(n).unwrap(), std::str::from_utf8(v).unwrap()))
        .collect();
    assert_eq!(fields, [("Host", "example.com:80"), ("X-Thing", "two words"), ("Empty", "")]);
    assert_eq!(*body, BodyLength::Empty);
    assert_eq!(*flags, [true, false, false]);
}

#[test]
fn content_length() {
    for bad in [
        "",
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5,5",
        "5, 5",
        "5;",
        "5.0",
        "٣",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        refused(get(&format!("Content-Length: {bad}\r\n")), Error::ContentLength);
    }
    refused(get("Content-Length: 5\r\nContent-Length: 5\r\n"), Error::ContentLength);
    refused(get("Content-Length: 0\r\ncontent-length: 5\r\n"), Error::ContentLength);
    refused(get("Content-Length: 2097153\r\n"), Error::BodyTooLarge);
    refused(get("Content-Length: 18446744073709551615\r\n"), Error::BodyTooLarge);
    let seen = accepted([&get("Content-Length: 005\r\n")[..], b"helloGET"].concat());
    assert_eq!(seen[1..], [Seen::Data(b"hello".to_vec()), Seen::End]);
}

#[test]
fn length_with_transfer_encoding() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: foo\r\nContent-Length: 0\r\n",
    ] {
        refused(get(lines), Error::LengthAndCoding);
    }
}

#[test]
fn transfer_encoding() {
    for bad in [
        "",
        "chunked, chunked",
        "chunked, gzip",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "chunked gzip",
        "\"chunked\"",
        "chunked\u{b}",
    ] {
        let error = refusal(&get(&format!("Transfer-Encoding: {bad}\r\n"))).unwrap();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    for unknown in ["gzip", "xchunked", "chunkedx", "chunkedchunked", "identity", "gzip, chunked"] {
        refused(get(&format!("Transfer-Encoding: {unknown}\r\n")), Error::UnknownCoding);
    }
    refused(
        get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        Error::TransferEncoding,
    );
    refused(
        get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        Error::TransferEncoding,
    );
    refused(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Error::TransferEncoding,
    );
    accepted([&get("transfer-encoding: CHUNKED\r\n")[..], b"0\r\n\r\n"].concat());
    assert_eq!(Error::UnknownCoding.status(), StatusCode::NOT_IMPLEMENTED);
}

#[test]
fn lines_and_fields() {
    refused(get("Name : v\r\n"), Error::FieldName);
    refused(get("Na me: v\r\n"), Error::FieldName);
    refused(get(": v\r\n"), Error::FieldName);
    refused(get("v\r\n"), Error::FieldName);
    refused(get(" folded\r\n"), Error::FieldName);
    refused(get("A: b\r\n folded\r\n"), Error::FieldName);
    refused(get("A: b\r\n\tfolded\r\n"), Error::FieldName);
    refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Error::FieldName);
    refused("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", Error::FieldName);
    refused(get("A: b\nC: d\r\n"), Error::BareLf);
    refused("GET / HTTP/1.1\nHost: a\r\n\r\n", Error::BareLf);
    refused("GET / HTTP/1.1\r\nHost: a\n\n", Error::BareLf);
    refused("GET / HTTP/1.1\r\nHost: a\r\n\n", Error::BareLf);
    refused("GET / HTTP/1.1\r\nHost: a\n\r\n", Error::BareLf);
    refused("GET / HTTP/1.1\r\nHost: a\r\nEmpty:\n\r\n", Error::BareLf);
    for control in ["\0", "\r", "\u{1}", "\u{b}", "\u{7f}", "\u{1b}"] {
        for lines in [
            format!("A: b{control}c\r\n"),
            format!("A{control}: b\r\n"),
            format!("A: {control}\r\n"),
        ] {
            let error = refusal(&get(&lines)).unwrap_or_else(|| panic!("{lines:?}"));
            assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{lines:?}");
        }
    }
    accepted(get("A: tab\there, and \"quotes\"\r\nB: \u{e4}\r\n"));
}

#[test]
fn request_lines() {
    for bad in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /",
        "GET / ",
        "GET",
        "GET / HTTP/1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/11",
        "GET / HTTP /1.1",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "\u{16}\u{3}\u{1} / HTTP/1.1",
        "GET /\rHTTP/1.1",
    ] {
        refused(format!("{bad}\r\nHost: a\r\n\r\n"), Error::RequestLine);
    }
    for later in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1"] {
        refused(format!("GET / {later}\r\nHost: a\r\n\r\n"), Error::Version);
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Error::Version);
    let seen = accepted("GET / HTTP/1.9\r\nHost: a\r\n\r\n");
    assert!(matches!(&seen[..], [Seen::Head { line, .. }] if line.ends_with("HTTP/1.1")));
    accepted("BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn empty_lines_before_a_request() {
    accepted("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let two = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(accepted(two).len(), 2);
    refused("\r\n".repeat(9), Error::RequestLine);
    refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareLf);
    refused("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::RequestLine);
}

#[test]
fn hosts() {
    refused("GET / HTTP/1.1\r\n\r\n", Error::Host);
    refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Error::Host);
    refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Error::Host);
    for bad in ["a b", "a, b", "user@a", "a/b", "http://a", "a:b", "a:70000", "[::1"] {
        refused(format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n"), Error::Host);
    }
    accepted("GET / HTTP/1.0\r\n\r\n");
    accepted("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    // An absolute target does not stand in for the field.
    refused("GET http://a/ HTTP/1.1\r\n\r\n", Error::Host);
}

#[test]
fn target_forms() {
    for bad in [
        "GET *",
        "GET a",
        "GET a:80",
        "GET /#f",
        "GET /\u{e4}",
        "GET /a\\b",
        "GET /<",
        "GET ftp://a/",
        "GET http://",
        "GET http:///x",
        "GET http://u@a/",
        "GET http://:80/",
        "GET ?a",
        "OPTIONS a",
        "OPTIONS *x",
        "CONNECT /",
        "CONNECT *",
        "CONNECT a",
        "CONNECT a:",
        "CONNECT :80",
        "CONNECT http://a:80",
        "CONNECT a%41:80",
        "GET http://a%41/",
    ] {
        refused(format!("{bad} HTTP/1.1\r\nHost: a\r\n\r\n"), Error::Target);
    }
    for (good, path, query) in [
        ("GET /", "/", None),
        ("GET //a", "//a", None),
        ("GET /?", "/", Some("")),
        ("GET /a?b?c", "/a", Some("b?c")),
        ("GET http://b", "/", None),
        ("GET HTTP://b:80/c?d", "/c", Some("d")),
        ("GET http://b?d", "/", Some("d")),
        ("GET https://[::1]/", "/", None),
        ("OPTIONS *", "*", None),
        ("OPTIONS /", "/", None),
        ("OPTIONS http://b", "*", None),
        ("CONNECT a:443", "", None),
    ] {
        let seen = accepted(format!("{good} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let Seen::Head { line, .. } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!(*line, format!("{good} [{path}] [{query:?}] HTTP/1.1"));
    }
}

#[test]
fn limits() {
    let line =
        |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 1));
    accepted(line(8 * 1024));
    refused(line(8 * 1024 + 1), Error::TargetTooLong);
    // A first line without an end is its target's fault.
    refused("GET /".to_owned() + &"a".repeat(40_000), Error::TargetTooLong);
    let fields = |n: usize| get(&"A: b\r\n".repeat(n - 1));
    accepted(fields(100));
    refused(fields(101), Error::TooManyFields);
    let padded =
        |total: usize| get(&format!("A: {}\r\n", "a".repeat(total - get("A: \r\n").len())));
    assert_eq!(padded(32 * 1024).len(), 32 * 1024);
    accepted(padded(32 * 1024));
    refused(padded(32 * 1024 + 1), Error::HeadTooLarge);
    refused(get(&"A: b\r\n".repeat(10_000)), Error::HeadTooLarge);
    for (error, status) in [
        (Error::TargetTooLong, StatusCode::URI_TOO_LONG),
        (Error::TooManyFields, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (Error::HeadTooLarge, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (Error::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE),
        (Error::Version, StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        (Error::Host, StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(error.status(), status);
    }
}

fn chunked(body: &str) -> Vec<u8> {
    [&get("Transfer-Encoding: chunked\r\n")[..], body.as_bytes()].concat()
}

#[test]
fn chunks() {
    let seen = accepted(chunked(
        "5\r\nhello\r\n00A\r\n, wonderfu\r\n1;a;b=c;d=\"e\\\"\" ; f\r\nl\r\n0\r\n\r\n",
    ));
    assert_eq!(seen[1..], [Seen::Data(b"hello, wonderful".to_vec()), Seen::End]);
    for bad in [
        "+5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5_0\r\n",
        " 5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "\r\n",
        ";a\r\n",
        "g\r\n",
        "00000000000000005\r\nhello\r\n",
        "fffffffffffffffff\r\n",
        "5\rhello\r\n",
        "5\0\r\nhello\r\n",
        "5\r\nhelloX",
        "5\r\nhello\rX",
        "5\r\nhello0\r\n\r\n",
        "5;\r\nhello\r\n",
        "5;a=\r\nhello\r\n",
        "5;a b\r\n",
        "5;a=\"\r\n",
        "5;a=\"b\"c\r\n",
        "5;\u{1}\r\nhello\r\n",
        "5;a \r\n",
        "5;a=b \r\n",
    ] {
        let error = refusal(&chunked(bad)).unwrap_or_else(|| panic!("{bad:?}"));
        assert_eq!(error, Error::Chunk, "{bad:?}");
    }
    for bare in ["5\nhello\r\n", "5;a\nhello\r\n", "5\r\nhello\n", "0\r\n\n", "0\r\nA: b\n\r\n"] {
        refused(chunked(bare), Error::BareLf);
    }
    refused(chunked("200001\r\n"), Error::BodyTooLarge);
    refused(chunked("ffffffffffffffff\r\n"), Error::BodyTooLarge);
    let small = Limits { body: 8, ..Limits::default() };
    assert_eq!(refusal_within(&chunked("8\r\n12345678\r\n0\r\n\r\n"), &small), None);
    assert_eq!(
        refusal_within(&chunked("8\r\n12345678\r\n1\r\n"), &small),
        Some(Error::BodyTooLarge)
    );
}

#[test]
fn extensions_and_trailers_are_bounded() {
    accepted(chunked(&format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(16_000))));
    refused(chunked(&format!("1;{}", "a".repeat(17_000))), Error::ExtensionsTooLarge);
    let many = "1;aaaaaaaaaaaaaaaaaaa\r\na\r\n".repeat(1_000);
    refused(chunked(&many), Error::ExtensionsTooLarge);

    let seen = accepted(chunked(
        "0\r\nA: b\r\nContent-Length: 7\r\nTransfer-Encoding: gzip\r\nHost: c\r\n\r\nGET",
    ));
    assert_eq!(seen[1..], [Seen::End], "what trailers say about framing is not heard");
    for bad in [
        "A : b\r\n\r\n",
        " A: b\r\n\r\n",
        "A\r\n\r\n",
        "A: \0\r\n\r\n",
        "A: b\r\n c\r\n\r\n",
        "\rA: b\r\n\r\n",
    ] {
        refused(chunked(&format!("0\r\n{bad}")), Error::Trailers);
    }
    refused(chunked(&format!("0\r\n{}", "A: b\r\n".repeat(10_000))), Error::TrailersTooLarge);
    refused(chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(101))), Error::TrailersTooLarge);
}

#[test]
fn persistence() {
    for (version, lines, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let seen = accepted(format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        let Seen::Head { flags, .. } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!(flags[0], keep_alive, "{version} {lines:?}");
    }
    for (head, leaves) in [
        (get("Upgrade: websocket\r\nConnection: upgrade\r\n"), true),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_vec(), true),
        (get(""), false),
    ] {
        let seen = accepted(head);
        assert!(
            matches!(seen[0], Seen::Head { flags: [_, is, _], .. } if is == leaves),
            "{seen:?}"
        );
    }
}

#[test]
fn continue_is_for_bodies_and_for_http_1_1() {
    for (version, lines, expects) in [
        ("1.1", "Expect: 100-Continue\r\nContent-Length: 3\r\n", true),
        ("1.1", "Expect: 100-continue\r\n", false),
        ("1.1", "Expect: something\r\nContent-Length: 3\r\n", false),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 3\r\n", false),
    ] {
        let seen = accepted(format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert!(
            matches!(seen[0], Seen::Head { flags: [_, _, is], .. } if is == expects),
            "{seen:?}"
        );
    }
}

#[test]
fn a_pipeline_is_read_to_its_first_mistake() {
    let stream =
        [&get("")[..], &chunked("3\r\nabc\r\n0\r\n\r\n"), b"BAD\r\n\r\n", &get("")].concat();
    let seen = events([&stream[..]], &Limits::default());
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert_eq!(seen[4], Seen::Refused(Error::RequestLine));
    fuzz::request_stream(&[b"\x01\x02\x03\x05\x07\x0b\x0d\x11", &stream[..]].concat());
}

#[test]
fn a_dripping_peer_is_not_scanned_again_and_again() {
    let head = get(&format!("A: {}\r\n", "a".repeat(32_000)));
    let mut decoder = super::Decoder::new();
    for end in 1..head.len() {
        let decoded = decoder.decode(&head[..end], &Limits::default());
        assert!(matches!(decoded, Ok((0, super::Event::More))));
        assert_eq!(decoder.scanned(), end, "where the next look begins");
    }
    // And a look begins there, or it would find this end.
    let mut scanned = 6;
    assert_eq!(super::find_empty_line(b"a\r\n\r\nb", &mut scanned), Ok(None));
}

fn request_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(get("")),
        Just(get("Content-Length: 4\r\n")),
        Just(get("Transfer-Encoding: chunked\r\n")),
        Just(b"4\r\nabcd\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        Just(b"0\r\nA: b\r\n\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"POST /x HTTP/1.0\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
        "[ -~]{0,12}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_says_the_same(cuts in any::<[u8; 8]>(), stream in request_bytes()) {
        fuzz::request_stream(&[&cuts[..], &stream].concat());
        fuzz::head(&stream);
        fuzz::chunked(&stream);
    }

    #[test]
    fn two_readers_say_the_same(
        before in proptest::collection::vec(any::<u8>(), 0..4),
        lines in proptest::collection::vec((22u8..33, 33u8..38, 38u8..54, 0u8..20), 0..28),
        after in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let line = |(a, b, c, end): (u8, u8, u8, u8)| [a, b, c, if end == 0 { 56 } else { 57 }];
        let lines: Vec<_> = lines.into_iter().flat_map(line).collect();
        fuzz::heads(&[&before[..], &[61], &lines, &[57], &after].concat());
    }

    #[test]
    fn chunks_come_back(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        fuzz::chunked(&body);
    }

    #[test]
    fn chunk_sizes_are_hexadecimal(size in 1usize..) {
        let mut out = Vec::new();
        encode::chunk_start(size, &mut out);
        prop_assert_eq!(out, format!("{size:x}\r\n").into_bytes());
    }
}

#[test]
fn small_limits_bite() {
    // With Host, as many fields as may be, and one more.
    for limits in [SMALL, Limits { fields: 20, ..SMALL }, Limits { fields: 30, ..SMALL }] {
        let lines = |count| get(&"a: b\r\n".repeat(count));
        assert_eq!(refusal_within(&lines(limits.fields - 1), &limits), None);
        assert_eq!(refusal_within(&lines(limits.fields), &limits), Some(Error::TooManyFields));
    }
    assert_eq!(refusal_within(&get("Content-Length: 257\r\n"), &SMALL), Some(Error::BodyTooLarge));
}

/// The reader of usual heads has to say the same as the general one, which reads a head whose first
/// byte has come alone.
#[test]
fn usual_heads_with_any_byte_changed_say_the_same() {
    let heads = [
        "GET / HTTP/1.1\r\nHost: a.b:80\r\n\r\n",
        "POST /a?b=c?d HTTP/1.1\r\nhost: a\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
        "PUT /x HTTP/1.1\r\nHost: [::1]:8\r\nTransfer-Encoding: chunked\r\nX: \u{e9} y\r\n\r\n",
        "HEAD /? HTTP/1.1\r\nConnection: close, x\r\nHost: a%2fb\r\nUpgrade: h2c\r\n\r\n",
    ];
    for head in heads.map(str::as_bytes) {
        assert!(matches!(fuzz::events([head], &fuzz::SMALL)[..], [fuzz::Seen::Head { .. }, ..]));
        for at in 0..head.len() {
            for byte in 0..=255 {
                let mut changed = head.to_vec();
                changed[at] = byte;
                fuzz::head(&changed);
            }
            for byte in [b' ', b'\t', b'\r', b'\n', b':', b'a', 0] {
                let inserted = [&head[..at], &[byte], &head[at..]].concat();
                fuzz::head(&inserted);
            }
            fuzz::head(&[&head[..at], &head[at + 1..]].concat());
        }
    }
}

#[test]
fn usual_answers_are_written_as_others() {
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    let fields = http::HeaderMap::new();
    for content_type in [&encode::TEXT, &encode::JSON, &encode::BYTES] {
        for length in [0, 9, 10, 999, 16 * 1024] {
            let (mut usual, mut other) = (b"before".to_vec(), b"before".to_vec());
            encode::usual(content_type, length, date, &mut usual);
            let head = encode::ResponseHead {
                status: http::StatusCode::OK,
                fields: &fields,
                content_type: Some(content_type),
                framing: encode::Framing::Length(length as u64),
                persistence: encode::Persistence::Implied,
                date,
            };
            head.encode(&mut other);
            assert_eq!(String::from_utf8(usual).unwrap(), String::from_utf8(other).unwrap());
        }
    }
}
