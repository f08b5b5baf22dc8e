//! What several adapters share: channels and locks of crates that go with more than one runtime.

mod assert_send;

pub(crate) use assert_send::AssertSend;
