//! Who runs, and when: the scheduler of one thread, and that of several.

mod bell;
mod counters;
mod ends;
mod fairness;
pub(crate) mod host;
mod idle;
mod keeps;
pub(crate) mod local;
mod local_shard;
mod local_time;
mod local_watch;
#[cfg(test)]
mod no_executor;
mod relief;
mod reports;
mod rescuer;
mod rescuers;
mod root;
mod rounds;
mod runner;
mod seat;
pub(crate) mod seeded;
pub(crate) mod sentry;
mod shard;
mod shards;
mod spent;
mod staff;
mod tally;
#[cfg(feature = "tracing")]
mod trace;
mod watch;
mod worker;
pub(crate) mod workers;

#[cfg(all(test, loom))]
mod loom_ends_tests;
#[cfg(all(test, loom))]
mod loom_rescue_tests;
#[cfg(all(test, loom))]
mod loom_shards_tests;
#[cfg(all(test, loom))]
mod loom_tests;
