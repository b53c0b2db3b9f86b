use anyhow::anyhow;
use equibatch_cli::terminal;
use equibatch_engine::dataset::{Split, Warning};
use equibatch_tools::stats::{self, StatsOptions};

use super::exit::{Failure, INPUT, USAGE};
use super::{pool, print, scan_lenient};
use crate::args::Stats;

/// Whether the images are directly in the root folder.
fn has_images_in_root(warning: &Warning) -> bool {
    matches!(warning, Warning::StrayImages { folder, .. } if folder == ".")
}

/// Prints statistics of a data set.
pub(crate) fn stats(args: &Stats) -> Result<(), Failure> {
    let options = StatsOptions::try_from(args).map_err(|error| USAGE.failure(error))?;
    let dataset = scan_lenient(&args.dir, &args.scan)?;
    if dataset.samples.is_empty() {
        let dir = args.dir.display();
        let error = anyhow!("no usable image in the class folders of {dir}");
        let hint = if dataset.warnings.iter().any(has_images_in_root) {
            "no class folders: the images are directly in this folder; name the folder above it, with one subfolder per class"
        } else {
            "nothing to count; run `server verify` to see why"
        };
        return Err(INPUT.failure(error.context(hint)));
    }
    let images: u32 = dataset.counts(Split::Train).iter().sum();
    let bar = terminal::bar(u64::from(images), "decoding");
    let stats = pool(&args.scan)?
        .install(|| stats::stats(&dataset, &options, &|| bar.inc(1)))
        .map_err(|error| USAGE.failure(anyhow::Error::from(error).context("--balance")))?;
    bar.finish_and_clear();
    print(&stats, args.json, stats::text)
}
