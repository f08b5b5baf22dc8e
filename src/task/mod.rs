//! The task cell.
