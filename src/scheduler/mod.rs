//! Who runs, and when: the one-thread scheduler.

mod counters;
mod fairness;
pub(crate) mod host;
pub(crate) mod local;
mod local_shard;
mod local_time;
#[cfg(test)]
mod no_executor;
pub(crate) mod seeded;

#[cfg(all(test, loom))]
mod loom_tests;
