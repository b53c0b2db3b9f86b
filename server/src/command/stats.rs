use anyhow::anyhow;
use equibatch_server::{
    args::Stats,
    dataset::Split,
    stats::{self, Options},
    terminal,
};

use super::{pool, print, survey};
use crate::exit::{Failure, INPUT, USAGE};

/// Says what is in a folder.
pub(crate) fn stats(args: &Stats) -> Result<(), Failure> {
    let options = Options::try_from(args).map_err(|error| USAGE.failure(error))?;
    let dataset = survey(&args.dir, &args.reading)?;
    if dataset.samples.is_empty() {
        let error = anyhow!("no usable image in the class folders of {}", args.dir.display());
        return Err(INPUT.failure(error.context("nothing to count; `server verify` says what is wrong")));
    }
    let images: u32 = dataset.counts(Split::Train).iter().sum();
    let bar = terminal::bar(u64::from(images), "decoding");
    let stats = pool(&args.reading)?
        .install(|| stats::stats(&dataset, &options, &|| bar.inc(1)))
        .map_err(|error| USAGE.failure(anyhow::Error::from(error).context("--balance")))?;
    bar.finish_and_clear();
    print(&stats, args.json, stats::text)
}
