//! The timer wheel, a pure data structure.
