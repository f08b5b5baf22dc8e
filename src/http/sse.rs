//! Events that a server sends as they happen (HTML standard, "Server-sent events").

use super::response::{IntoResponse, Response};
use crate::time::{Instant, Sleep, sleep, sleep_until};
use bytes::Bytes;
use futures_core::Stream;
use http::header::{self, HeaderValue};
use http_body::Frame;
use serde::Serialize;
use std::convert::Infallible;
use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a stream of events is quiet before a comment is sent, unless it says otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An answer of events, sent as a stream makes them.
///
/// While the stream is quiet, a comment goes out every 15 s, so that the machines between do not
/// give the connection up. When the client is gone, the stream is dropped: at once where the
/// client's side was reset, else after a comment or an event or two that could not be delivered.
/// A client that reads slowly makes the stream wait.
///
/// # Examples
///
/// ```
/// use futures::stream;
/// use mainspring::http::{Router, Sse, SseEvent};
///
/// let app = Router::new().get("/ticks", |_| async {
///     Sse::new(stream::iter(1..=3).map(|n| SseEvent::new().event("tick").data(n.to_string())))
/// });
/// # use futures::StreamExt;
/// # let _ = app;
/// ```
#[must_use = "it is an answer, to be returned by a handler"]
pub struct Sse<S> {
    events: S,
    keep_alive: Option<Duration>,
}

impl<S: Stream<Item = SseEvent> + Send + 'static> Sse<S> {
    /// Sends what `events` makes, until its end.
    pub fn new(events: S) -> Self {
        Self { events, keep_alive: Some(KEEP_ALIVE) }
    }

    /// How long the stream may be quiet before a comment is sent; by default 15 s, at least 1 ms.
    pub fn keep_alive(mut self, quiet: Duration) -> Self {
        self.keep_alive = Some(quiet.max(Duration::from_millis(1)));
        self
    }

    /// Sends no comments. A client that is gone without a word is then found out by the next
    /// events, or never.
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }
}

impl<S: Stream<Item = SseEvent> + Send + 'static> IntoResponse for Sse<S> {
    fn into_response(self) -> Response {
        let body = Events {
            events: Box::pin(self.events),
            keep_alive: self.keep_alive,
            spoke: None,
            alarm: None,
        };
        Response::stream(body)
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))
            .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
    }
}

impl<S> fmt::Debug for Sse<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").field("keep_alive", &self.keep_alive).finish_non_exhaustive()
    }
}

/// One event of an [`Sse`].
///
/// Text can end no field that it is not meant to end: data is sent line by line, and a line break
/// in any other field becomes a space.
///
/// # Examples
///
/// ```
/// use mainspring::http::SseEvent;
///
/// let event = SseEvent::new().id("7").event("note").data("two\nlines");
/// assert_eq!(event.to_string(), "id: 7\nevent: note\ndata: two\ndata: lines\n\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an event is sent only by the stream of an Sse"]
pub struct SseEvent {
    /// Whole lines.
    fields: String,
}

impl SseEvent {
    /// An event without fields. Browsers hand on those only that have data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds data. Its lines may end by LF, CR LF or CR; the client gets them with LF. Data that is
    /// added again begins a new line.
    pub fn data(mut self, data: impl AsRef<str>) -> Self {
        let mut rest = data.as_ref();
        while let Some(at) = rest.find(['\r', '\n']) {
            self.line("data", &rest[..at]);
            let pair = rest[at..].starts_with("\r\n");
            rest = &rest[at + 1 + usize::from(pair)..];
        }
        self.line("data", rest);
        self
    }

    /// Adds a value as JSON, as data.
    ///
    /// # Errors
    ///
    /// The value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, serde_json::Error> {
        Ok(self.data(serde_json::to_string(value)?))
    }

    /// Names the kind of event; without it, it is a `message`.
    pub fn event(mut self, name: impl AsRef<str>) -> Self {
        self.line("event", &one_line(name.as_ref()));
        self
    }

    /// Says where a client that comes again is to go on: it sends the last id that it has got as
    /// `Last-Event-ID`. (A client would pass over an id with a NUL, so that becomes a space too.)
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        self.line("id", &one_line(id.as_ref()));
        self
    }

    /// How long the client is to wait before it comes again after the connection is lost.
    pub fn retry(mut self, wait: Duration) -> Self {
        self.line("retry", &wait.as_millis().to_string());
        self
    }

    /// Adds a comment, which no client shows.
    pub fn comment(mut self, text: impl AsRef<str>) -> Self {
        self.line("", &one_line(text.as_ref()));
        self
    }

    fn line(&mut self, name: &str, value: &str) {
        // Writing into a string does not fail.
        let _ = writeln!(self.fields, "{name}: {value}");
    }
}

impl fmt::Display for SseEvent {
    /// The event as it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields)?;
        f.write_char('\n')
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n', '\0'], " ")
}

/// The body of an [`Sse`].
struct Events<S> {
    events: Pin<Box<S>>,
    keep_alive: Option<Duration>,
    /// When something was last sent.
    spoke: Option<Instant>,
    /// Goes off at the end of a quiet time, or earlier: it is set anew only when it has.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream<Item = SseEvent>> http_body::Body for Events<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if let Poll::Ready(event) = this.events.as_mut().poll_next(cx) {
            let Some(event) = event else { return Poll::Ready(None) };
            if this.keep_alive.is_some() {
                this.spoke = Some(Instant::now());
            }
            let mut text = event.fields;
            text.push('\n');
            return Poll::Ready(Some(Ok(Frame::data(text.into()))));
        }
        let Some(quiet) = this.keep_alive else { return Poll::Pending };
        loop {
            let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(quiet)));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            let due = this.spoke.map_or(now, |spoke| spoke + quiet);
            if due > now {
                alarm.set(sleep_until(due));
                continue;
            }
            this.spoke = Some(now);
            alarm.set(sleep(quiet));
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a client makes of a stream, by the standard: (event, data, last id) of each.
    fn parse(text: &str) -> Vec<(String, String, String)> {
        let (mut events, mut id) = (Vec::new(), String::new());
        let (mut name, mut data) = (String::new(), String::new());
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        for line in lines.split_terminator('\n') {
            if line.is_empty() {
                if let Some(data) = data.strip_suffix('\n') {
                    events.push((std::mem::take(&mut name), data.to_owned(), id.clone()));
                }
                (name, data) = (String::new(), String::new());
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value.to_owned(),
                "data" => data += &format!("{value}\n"),
                "id" if !value.contains('\0') => id = value.to_owned(),
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn nothing_can_be_injected(
            data in proptest::collection::vec("[ab: \r\n\0é]{0,12}", 1..3),
            name in "[ab: \r\n\0é]{0,12}",
            id in "[ab: \r\n\0é]{0,12}",
        ) {
            let mut event = SseEvent::new().comment(&id).event(&name).id(&id).retry(Duration::MAX);
            for data in &data {
                event = event.data(data);
            }
            let text = [event.to_string(), SseEvent::new().data("next").to_string()].concat();
            let lines = |data: &String| data.replace("\r\n", "\n").replace('\r', "\n");
            let data = data.iter().map(lines).collect::<Vec<_>>().join("\n");
            prop_assert_eq!(parse(&text), [
                (one_line(&name), data, one_line(&id)),
                (String::new(), "next".into(), one_line(&id)),
            ]);
        }
    }

    #[test]
    fn fields() {
        let event = SseEvent::new().retry(Duration::from_millis(1500)).comment("a\nb");
        assert_eq!(event.to_string(), "retry: 1500\n: a b\n\n");
        let event = SseEvent::new().json(&[1, 2]).unwrap();
        assert_eq!(event.to_string(), "data: [1,2]\n\n");
        assert!(SseEvent::new().json(&std::collections::BTreeMap::from([((), 1)])).is_err());
    }
}
