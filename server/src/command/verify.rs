use anyhow::anyhow;
use equibatch_cli::terminal;
use equibatch_tools::verify::{self, FixOptions, FixOutcome, VerifyOptions, VerifyReport};
use serde::Serialize;

use super::exit::{DATA, Failure, INPUT, SYSTEM, USAGE};
use super::{pool, print, scan_lenient};
use crate::args::Verify;

/// The printed report.
#[derive(Serialize)]
struct VerifyOutput {
    #[serde(flatten)]
    report: VerifyReport,
    #[serde(flatten)]
    outcome: FixOutcome,
}

/// Verifies a data set, and deletes, moves or converts files as requested.
pub(crate) fn verify(args: &Verify) -> Result<(), Failure> {
    let options = VerifyOptions::from(args);
    let fix_options = FixOptions::try_from(args).map_err(|error| USAGE.failure(error))?;
    let dataset = scan_lenient(&args.dir, &args.scan)?;
    verify::check_folders(&dataset.root, &fix_options).map_err(|error| USAGE.failure(error))?;
    let pool = pool(&args.scan)?;

    let files = dataset.samples.len() + dataset.quarantine.len();
    let bar = terminal::bar(files as u64, "verifying");
    let report = pool.install(|| verify::verify(&dataset, &options, &|| bar.inc(1)));
    bar.finish_and_clear();
    if report.files == 0 {
        return Err(INPUT.failure(anyhow!(
            "no images in the class folders of {}",
            args.dir.display()
        )));
    }
    let bar = terminal::bar(report.images as u64, "writing");
    let outcome = pool.install(|| verify::fix(&dataset, &report, &fix_options, &|| bar.inc(1)));
    bar.finish_and_clear();

    let failed = outcome
        .actions
        .iter()
        .filter(|action| action.error.is_some())
        .count();
    let remaining = outcome.remaining;
    print(&VerifyOutput { report, outcome }, args.json, |output| {
        verify::text(&output.report, &output.outcome)
    })?;
    match (failed, remaining) {
        (0, 0) => Ok(()),
        (0, remaining) => Err(DATA.failure(anyhow!("{remaining} findings remain"))),
        (failed, _) => Err(SYSTEM.failure(anyhow!("{failed} files could not be deleted, moved or written"))),
    }
}
