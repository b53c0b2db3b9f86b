use anyhow::anyhow;
use equibatch_cli::terminal;
use equibatch_engine::dataset::{Split, Warning};
use equibatch_server::args::Stats;
use equibatch_tools::stats::{self, Options};

use super::{pool, print, scan_lenient};
use crate::exit::{Failure, INPUT, USAGE};

/// Whether there are images right in the folder that was named.
fn is_of_the_root(warning: &Warning) -> bool {
    matches!(warning, Warning::StrayImages { folder, .. } if folder == ".")
}

/// Says what is in a folder.
pub(crate) fn stats(args: &Stats) -> Result<(), Failure> {
    let options = Options::try_from(args).map_err(|error| USAGE.failure(error))?;
    let dataset = scan_lenient(&args.dir, &args.reading)?;
    if dataset.samples.is_empty() {
        let dir = args.dir.display();
        let error = anyhow!("no usable image in the class folders of {dir}");
        let hint = if dataset.warnings.iter().any(is_of_the_root) {
            "nothing to count: this folder looks like that of one class; name the folder above it, which has one folder for each class"
        } else {
            "nothing to count; `server verify` says what is wrong"
        };
        return Err(INPUT.failure(error.context(hint)));
    }
    let images: u32 = dataset.counts(Split::Train).iter().sum();
    let bar = terminal::bar(u64::from(images), "decoding");
    let stats = pool(&args.reading)?
        .install(|| stats::stats(&dataset, &options, &|| bar.inc(1)))
        .map_err(|error| USAGE.failure(anyhow::Error::from(error).context("--balance")))?;
    bar.finish_and_clear();
    print(&stats, args.json, stats::text)
}
