//! A crate that depends on the core alone, as an embedder would.
