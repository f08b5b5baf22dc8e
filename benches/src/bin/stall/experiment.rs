//! The experiments, by name.

use crate::options::Plan;
use crate::runtime::Runtime;
use crate::sample::Sample;
use crate::{Failure, WORKERS, beside, crowd, ms, victims};

/// Whose lateness is measured beside blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Heartbeat,
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Experiment {
    /// Blocks of so many ms, again and again, of so many tasks at a time.
    Beside { seen: Seen, blocked: usize, ms: u64 },
    /// A task is spawned by one that blocks then, while so many other workers are blocked.
    Victim { busy: usize },
    /// The first block that a runtime meets.
    First,
    /// Twice as many blocks of 1 s at once as there are workers.
    Crowd,
}

/// How long the blocks last that come again and again.
const BLOCKS: [u64; 5] = [1, 3, 9, 30, 300];

impl Experiment {
    /// All, in the order of the rows.
    pub(crate) fn all() -> Vec<Self> {
        let beside = [1, WORKERS].into_iter().flat_map(|blocked| {
            [Seen::Heartbeat, Seen::Echo].into_iter().flat_map(move |seen| {
                BLOCKS.into_iter().map(move |ms| Self::Beside { seen, blocked, ms })
            })
        });
        let victims = [0, WORKERS - 1].map(|busy| Self::Victim { busy });
        beside.chain(victims).chain([Self::First, Self::Crowd]).collect()
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Beside { seen, blocked, ms } => {
                let seen = match seen {
                    Seen::Heartbeat => "heartbeat",
                    Seen::Echo => "echo",
                };
                let blocked = if blocked == 1 { "one" } else { "all" };
                format!("{seen}, {blocked} blocked, {ms} ms")
            }
            Self::Victim { busy: 0 } => "spawned before a block of 100 ms, others idle".into(),
            Self::Victim { .. } => "spawned before a block of 100 ms, none idle".into(),
            Self::First => "the first block of all, 60 ms".into(),
            Self::Crowd => format!("{} blocks of 1 s at once", 2 * WORKERS),
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|experiment| experiment.name() == name)
    }

    /// How many processes measure it in a round.
    pub(crate) fn processes(self, plan: Plan) -> u64 {
        if self == Self::First { plan.firsts } else { 1 }
    }

    /// Measures in this process, which is that of this number in its round.
    pub(crate) fn run<R: Runtime>(self, plan: Plan, number: u64) -> Result<Sample, Failure> {
        match self {
            Self::Beside { seen, blocked, ms: block } => {
                beside::blocks::<R>(seen, blocked, ms(block), plan.time)
            }
            Self::Victim { busy } => victims::victims::<R>(busy, plan.victims),
            Self::First => beside::first::<R>(number),
            Self::Crowd => crowd::crowd::<R>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_finds_what_its_parent_names() {
        let all = Experiment::all();
        assert_eq!(all.len(), 24);
        for experiment in all {
            assert_eq!(Experiment::of_name(&experiment.name()), Some(experiment));
        }
    }
}
