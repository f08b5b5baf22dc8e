//! Small structures that several rooms share.

mod wake_list;

pub(crate) use wake_list::{WakeList, wake_quietly};
