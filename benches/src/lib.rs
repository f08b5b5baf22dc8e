//! Benchmarks of mainspring beside its peers.
