//! The cases, for the runtime that the parent module names `rt`.

mod net;
mod sync;
mod tasks;
mod time;

use super::{Case, http, rt};
pub(crate) use net::{CASES as NET, HTTP};
pub(crate) use sync::CASES as SYNC;
pub(crate) use tasks::CASES as TASKS;
pub(crate) use time::CASES as TIME;

/// How many tasks are meant by "many".
const MANY: usize = 1000;
