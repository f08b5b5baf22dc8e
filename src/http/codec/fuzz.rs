//! What the fuzzers and the tests drive: the decoder under every split, and the promises that must
//! hold for any bytes.

use super::{BodyLength, Decoder, Error, Event, Limits, encode, head, quick};

/// An event without its borrow; neighbouring pieces of data are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Head { line: String, fields: Vec<(Vec<u8>, Vec<u8>)>, body: BodyLength, flags: [bool; 3] },
    Data(Vec<u8>),
    End,
    Refused(Error),
}

/// Small enough for a fuzzer to reach them.
pub(crate) const SMALL: Limits = Limits { head: 512, fields: 8, target: 64, body: 256 };

/// Everything the decoder says about the bytes of `pieces`, given one after the other.
pub(crate) fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Vec<Seen> {
    let mut decoder = Decoder::new();
    let mut pending = Vec::new();
    let mut seen = Vec::new();
    for piece in pieces {
        pending.extend_from_slice(piece);
        let mut used = 0;
        loop {
            let before = used;
            match decoder.decode(&pending[used..], limits) {
                Ok((n, event)) => {
                    used += n;
                    match event {
                        Event::More => break,
                        Event::End => seen.push(Seen::End),
                        Event::Data(data) => {
                            assert!(!data.is_empty(), "a piece of data holds something");
                            match seen.last_mut() {
                                Some(Seen::Data(all)) => all.extend_from_slice(data),
                                _ => seen.push(Seen::Data(data.to_vec())),
                            }
                        }
                        Event::Head(head) => {
                            assert!(used > before, "a head has bytes");
                            seen.push(Seen::Head {
                                line: format!(
                                    "{} {} [{}] [{:?}] {:?}",
                                    head.method(),
                                    head.target(),
                                    head.path(),
                                    head.query(),
                                    head.version()
                                ),
                                fields: head
                                    .fields()
                                    .map(|(name, value)| (name.to_vec(), value.to_vec()))
                                    .collect(),
                                body: head.body(),
                                flags: [
                                    head.keep_alive(),
                                    head.leaves_http(),
                                    head.expects_continue(),
                                ],
                            });
                        }
                    }
                }
                Err(error) => {
                    let again = decoder.decode(&pending[used..], limits);
                    assert!(matches!(again, Err(same) if same == error), "a refusal stays");
                    seen.push(Seen::Refused(error));
                    return seen;
                }
            }
        }
        pending.drain(..used);
        // What is kept is a head, a trailer section, or a CR that may begin an empty line.
        assert!(pending.len() <= limits.head_bytes().max(1), "{} bytes kept", pending.len());
    }
    seen
}

/// One request head: whatever is accepted is sound, and every split says the same.
pub(crate) fn head(data: &[u8]) {
    readers(data, &SMALL);
    readers(data, &Limits::default());
    let whole = events([data], &SMALL);
    assert_eq!(whole, events(data.chunks(1), &SMALL), "byte by byte");
    if let [Seen::Head { line, fields, .. }, ..] = &whole[..] {
        let mut hosts = 0;
        for (name, value) in fields {
            assert!(http::HeaderName::from_bytes(name).is_ok(), "{name:?}");
            assert!(http::HeaderValue::from_bytes(value).is_ok(), "{value:?}");
            assert!(!value.iter().any(|&b| (b < b' ' && b != b'\t') || b == 0x7f), "{value:?}");
            hosts += usize::from(name.eq_ignore_ascii_case(b"host"));
        }
        assert!(hosts <= 1 && (hosts == 1 || line.ends_with("HTTP/1.0")));
        let target = line.split(' ').nth(1).unwrap_or_default();
        assert!(target.len() <= SMALL.target);
        assert!(http::Uri::try_from(target).is_ok(), "{target:?}");
    }
}

/// What heads are made of, and what makes them unusual.
const PIECES: [&[u8]; 64] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"get ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"/",
    b"/a",
    b"?",
    b"*",
    b"http://a/b",
    b"a:1",
    b"#",
    b"%2f",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b" HTTP/1.2\r\n",
    b" HTTP/2.0\r\n",
    b" HTTP/1.1\n",
    b" http/1.1\r\n",
    b"Host",
    b"hOST",
    b"Content-Length",
    b"content-lengtH",
    b"Transfer-Encoding",
    b"TRANSFER-ENCODING",
    b"Connection",
    b"Expect",
    b"Upgrade",
    b"X-a",
    b"Ho\x13t",
    b": ",
    b":",
    b" : ",
    b":  ",
    b":\t",
    b"a",
    b"a.b:80",
    b"[::1]:8",
    b"12",
    b"+1",
    b"0",
    b"99999999999999999999",
    b"chunked",
    b"gzip, chunked",
    b"close",
    b"keep-alive, x",
    b"100-continue",
    b"\xe9",
    b"\x7f",
    b"\0",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b",",
    b"\r\n ",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"X: y\r\n",
    b"Connection: close\r\n",
];

/// A stream of heads in which each byte of `data` is a piece, or says that the last is repeated, or
/// that the next byte stands for itself: what the reader of usual heads takes the general one takes
/// for the same, and every split says the same, at the limits too.
pub(crate) fn heads(data: &[u8]) {
    let (mut stream, mut last): (_, &[u8]) = (Vec::new(), b"");
    let mut bytes = data.iter();
    while let Some(name) = bytes.next() {
        let byte = *name;
        match byte {
            0..64 => last = PIECES[usize::from(byte)],
            64..128 => last = std::slice::from_ref(bytes.next().unwrap_or(name)),
            128..240 => (1..byte - 127).for_each(|_| stream.extend_from_slice(last)),
            240.. => (0..1usize << (byte - 240)).for_each(|_| {
                if stream.len() < 70_000 {
                    stream.extend_from_slice(last);
                }
            }),
        }
        if byte < 128 {
            stream.extend_from_slice(last);
        }
    }
    for limits in [SMALL, Limits::default(), Limits { head: usize::MAX, ..Limits::default() }] {
        for start in [0, stream.len() / 2] {
            readers(&stream[start..], &limits);
        }
        let whole = events([&stream[..]], &limits);
        // The longest in larger pieces, for the time that it takes.
        let piece = 1 + stream.len() / 4096;
        assert_eq!(whole, events(stream.chunks(piece), &limits), "by {piece}");
    }
}

/// What the reader of usual heads takes the general one takes for the same.
fn readers(input: &[u8], limits: &Limits) {
    let input = &input[..input.len().min(limits.head_bytes())];
    if let Some(read) = quick::read(input, limits) {
        let general = head::decode_by_end(input, &mut 0, limits);
        assert_eq!(format!("{:?}", Ok::<_, Error>(Some(read))), format!("{general:?}"));
    }
}

/// A chunked body: every split says the same, and what is encoded is decoded again.
pub(crate) fn chunked(data: &[u8]) {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let stream = [HEAD, data].concat();
    let whole = events([&stream[..]], &SMALL);
    assert_eq!(whole, events(stream.chunks(1), &SMALL), "byte by byte");
    let body: usize = whole
        .iter()
        .map_while(|seen| match seen {
            Seen::Head { .. } => Some(0),
            Seen::Data(data) => Some(data.len()),
            _ => None,
        })
        .sum();
    assert!(body as u64 <= SMALL.body, "{body} bytes of body");

    let size = data.first().map_or(1, |&b| usize::from(b) + 1);
    let mut stream = HEAD.to_vec();
    for piece in data.chunks(size) {
        encode::chunk_start(piece.len(), &mut stream);
        stream.extend_from_slice(piece);
        stream.extend_from_slice(encode::CHUNK_END);
    }
    stream.extend_from_slice(encode::LAST_CHUNK);
    let limits = Limits { body: data.len() as u64, ..SMALL };
    let decoded = events(stream.chunks(size), &limits);
    match (&decoded[1..], data.is_empty()) {
        ([Seen::End], true) => {}
        ([Seen::Data(body), Seen::End], false) => assert_eq!(body, data),
        other => panic!("{other:?}"),
    }
}

/// A connection's worth of requests, cut as the first bytes of `data` say; and what `data` says of
/// heads.
pub(crate) fn request_stream(data: &[u8]) {
    let (cuts, stream) = data.split_at(data.len().min(8));
    let whole = events([stream], &SMALL);
    assert_eq!(whole, events(stream.chunks(1), &SMALL), "byte by byte");
    let mut rest = stream;
    let mut cut = cuts.iter().cycle();
    let pieces = std::iter::from_fn(|| {
        let wanted = cut.next().map_or(1, |&b| usize::from(b).max(1));
        let (piece, left) = rest.split_at(wanted.min(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(whole, events(pieces, &SMALL), "cut by {cuts:?}");
    assert!(whole.len() <= stream.len() + 1, "more events than bytes");
    heads(data);
}
