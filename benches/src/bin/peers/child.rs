//! The process that measures one workload under one runtime.

use crate::Failure;
use crate::clock;
use crate::metrics::Metrics;
use crate::options::Child;
use std::process;

/// What a child prints whose runtime lacks what the workload needs.
pub(crate) const UNSUPPORTED: &str = "unsupported";

/// Measures and prints; does not come back if it could.
pub(crate) fn run(child: Child) -> Result<(), Failure> {
    clock::pin(child.entry.cpus(child.workload))?;
    (child.entry.start)(child.workload, child.plan);
    println!("{UNSUPPORTED}");
    Ok(())
}

/// Prints what was measured and ends the process, whatever its runtime still has to do.
pub(crate) fn finish(metrics: &Metrics) -> ! {
    print!("{}", metrics.print());
    process::exit(0);
}
