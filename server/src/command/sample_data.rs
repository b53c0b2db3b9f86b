use std::io::{self, Write as _};

use equibatch_tools::sample_data;

use super::exit::{Failure, SYSTEM, USAGE};
use crate::args::SampleData;

pub(super) fn sample_data(args: &SampleData) -> Result<(), Failure> {
    let options = sample_data::SampleDataOptions::try_from(args).map_err(|error| USAGE.failure(error))?;
    let report = sample_data::generate(&options).map_err(|error| match error {
        sample_data::Error::Write { .. } => SYSTEM.failure(error),
        _ => USAGE.failure(error),
    })?;
    let classes: Vec<String> = report
        .classes
        .iter()
        .map(|class| format!("{} {}", class.count, class.name))
        .collect();
    writeln!(
        io::stdout(),
        "drew {} in {}",
        classes.join(", "),
        report.out.display()
    )
    .map_err(|error| SYSTEM.failure(error))
}
