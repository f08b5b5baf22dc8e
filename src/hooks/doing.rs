//! What a task is doing, for those who ask while it is stuck.

/// Tells what a task is doing, in words for a person.
///
/// Asked from another thread while the task goes on, or does not: so it takes no lock that the task may
/// hold.
pub(crate) trait Doing: Send + Sync {
    /// What it is doing now, and what to do where that blocks; `None` if it is nothing that has a name.
    fn tell(&self) -> Option<String>;
}
