//! What several adapters share: channels and locks of crates that go with more than one runtime.

mod assert_send;
mod async_crates;
mod local_sync;
mod yielding;

pub(crate) use assert_send::AssertSend;
pub(crate) use async_crates::{AsyncChannel, AsyncLock};
pub(crate) use local_sync::LocalSync;
pub(crate) use yielding::WakeAndPend;
