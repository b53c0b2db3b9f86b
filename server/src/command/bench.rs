use std::io::{self, Write as _};

use super::exit::{Failure, INPUT, SYSTEM, USAGE};
use crate::{
    args::Bench,
    bench::{self, Error, Options},
};

/// Runs the benchmarks and prints the report.
pub(crate) fn bench(args: &Bench) -> Result<(), Failure> {
    let options = Options::try_from(args).map_err(|error| USAGE.failure(error))?;
    let report = bench::run(&options).map_err(|error| match error {
        Error::Dataset { .. } | Error::Decode(_) => INPUT.failure(error),
        _ => SYSTEM.failure(error),
    })?;
    let text = if args.json {
        format!("{}\n", report.json())
    } else {
        report.to_string()
    };
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| SYSTEM.failure(error))
}
