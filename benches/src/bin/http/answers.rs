//! What every server answers, beside the status, the length and the date.

use serde::Serialize;

/// The path, and what is answered to a `GET` of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static str,
}

/// A short text that is ready.
pub(crate) const PLAIN: Answer =
    Answer { path: "/", content_type: "text/plain; charset=utf-8", body: "Hello, World!" };

/// [`Message`], made and serialised anew for each request.
pub(crate) const JSON: Answer = Answer {
    path: "/json",
    content_type: "application/json",
    body: r#"{"message":"Hello, World!"}"#,
};

#[derive(Debug, Serialize)]
pub(crate) struct Message {
    message: &'static str,
}

impl Message {
    pub(crate) fn new() -> Self {
        Self { message: PLAIN.body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_what_is_expected_of_it() {
        assert_eq!(serde_json::to_string(&Message::new()).unwrap(), JSON.body);
    }
}
