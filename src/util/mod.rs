//! Small structures that several rooms share.

mod list;
mod wake_list;

pub(crate) use list::{List, Node};
pub(crate) use wake_list::{WakeList, wake_quietly};
