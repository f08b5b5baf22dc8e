//! Waiting for descriptors.

mod source;

pub(crate) use source::{Moved, Source};
