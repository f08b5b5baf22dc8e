//! A value that is set once: made by whoever asks first, or by one for whom others wait.

mod cell;
mod set_once;

pub use cell::{OnceCell, SetError};
pub use set_once::{SetOnce, SetOnceError};

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
