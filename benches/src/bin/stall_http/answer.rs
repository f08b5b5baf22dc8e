//! The two handlers, and what they answer.

use serde::Serialize;
use std::time::Duration;

/// How long both take.
pub(crate) const TIME: Duration = Duration::from_secs(1);

/// The handler that awaits.
pub(crate) const WAITS: &str = "async_1";
/// The handler that blocks its thread.
pub(crate) const BLOCKS: &str = "mix_s_1";

/// The same for both, as `examples/serve` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    endpoint: &'static str,
    index: u64,
}

impl Answer {
    pub(crate) fn of(endpoint: &'static str, index: u64) -> Self {
        Self { endpoint, index }
    }

    /// What a handler must not do, done on purpose.
    pub(crate) fn after_a_block(index: u64) -> Self {
        std::thread::sleep(TIME);
        Self::of(BLOCKS, index)
    }
}
