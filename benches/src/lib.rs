//! What the benchmarks share: processes pinned to cores, their CPU time, medians, tables.

pub mod process;
pub mod report;
