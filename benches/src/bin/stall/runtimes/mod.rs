//! The runtimes, in the order of the columns.

mod mainspring;
mod smol;
mod tokio;

use self::mainspring::{Unwatched, Watched};
use self::smol::Smol;
#[cfg(tokio_unstable)]
use self::tokio::Eager;
use self::tokio::{Default, Tokio};
use crate::Failure;
use crate::experiment::Experiment;
use crate::options::Plan;
use crate::sample::Sample;

type Measure = fn(Experiment, Plan, u64) -> Result<Sample, Failure>;

/// A runtime as the program knows it: by name.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Measures in this process.
    pub(crate) measure: Measure,
}

/// All of this build.
pub(crate) const ALL: &[Entry] = &[
    Entry { name: "mainspring", measure: Experiment::run::<mainspring::Mainspring<Watched>> },
    Entry {
        name: "mainspring_no_sentry",
        measure: Experiment::run::<mainspring::Mainspring<Unwatched>>,
    },
    Entry { name: "tokio", measure: Experiment::run::<Tokio<Default>> },
    #[cfg(tokio_unstable)]
    Entry { name: "tokio_eager", measure: Experiment::run::<Tokio<Eager>> },
    Entry { name: "smol", measure: Experiment::run::<Smol> },
];
