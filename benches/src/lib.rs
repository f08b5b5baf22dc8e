//! What the benchmarks share: processes pinned to a core, their CPU time, medians, tables.

pub mod process;
pub mod report;
