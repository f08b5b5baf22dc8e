//! Who runs, and when: the scheduler of one thread, and that of several.

mod counters;
mod fairness;
pub(crate) mod host;
mod idle;
mod keeps;
pub(crate) mod local;
mod local_shard;
mod local_time;
#[cfg(test)]
mod no_executor;
mod root;
pub(crate) mod seeded;
mod shard;
mod shards;
mod worker;
pub(crate) mod workers;

#[cfg(all(test, loom))]
mod loom_ends_tests;
#[cfg(all(test, loom))]
mod loom_shards_tests;
#[cfg(all(test, loom))]
mod loom_tests;
