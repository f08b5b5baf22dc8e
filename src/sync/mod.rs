//! What tasks coordinate with.
