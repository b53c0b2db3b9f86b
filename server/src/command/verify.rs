use anyhow::anyhow;
use equibatch_cli::terminal;
use equibatch_server::args::Verify;
use equibatch_tools::verify::{self, Mending, Options, Outcome, Report};
use serde::Serialize;

use super::{pool, print, scan_lenient};
use crate::exit::{DATA, Failure, INPUT, SYSTEM, USAGE};

/// What is printed.
#[derive(Serialize)]
struct Verdict {
    #[serde(flatten)]
    report: Report,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Looks for what is wrong with a folder, and mends what it is told to.
pub(crate) fn verify(args: &Verify) -> Result<(), Failure> {
    let options = Options::try_from(args).map_err(|error| USAGE.failure(error))?;
    let mending = Mending::try_from(args).map_err(|error| USAGE.failure(error))?;
    let dataset = scan_lenient(&args.dir, &args.reading)?;
    verify::check_folders(&dataset.root, &mending).map_err(|error| USAGE.failure(error))?;
    let pool = pool(&args.reading)?;

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
    let outcome = pool.install(|| verify::mend(&dataset, &report, &mending, &|| bar.inc(1)));
    bar.finish_and_clear();

    let failed = outcome.deeds.iter().filter(|deed| deed.error.is_some()).count();
    let remaining = outcome.remaining;
    print(&Verdict { report, outcome }, args.json, |verdict| {
        verify::text(&verdict.report, &verdict.outcome)
    })?;
    match (failed, remaining) {
        (0, 0) => Ok(()),
        (0, remaining) => Err(DATA.failure(anyhow!("{remaining} findings remain"))),
        (failed, _) => Err(SYSTEM.failure(anyhow!("{failed} files could not be deleted, moved or written"))),
    }
}
