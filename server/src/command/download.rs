use anyhow::anyhow;
use equibatch_cli::terminal;
use equibatch_tools::download::{self, ClassList, DownloadReport};

use super::exit::{DATA, Failure, INPUT, SYSTEM, UNAVAILABLE, USAGE};
use super::print;
use crate::{args::Download, config::DownloadConfig};

/// Downloads images into class folders.
pub(crate) fn download(args: &Download) -> Result<(), Failure> {
    let DownloadConfig { lists, options } =
        DownloadConfig::try_from(args).map_err(|error| USAGE.failure(error))?;
    let read = lists
        .iter()
        .map(|(path, class)| ClassList::read(class, path, options.max_pics));
    let lists: Vec<ClassList> = read
        .collect::<Result<_, _>>()
        .map_err(|error| INPUT.failure(error))?;
    let lines: usize = lists.iter().map(|list| list.urls.len()).sum();
    let bar = terminal::bar(lines as u64, "fetching");
    let report = download::download(&lists, &options, &|| bar.inc(1));
    bar.finish_and_clear();
    let report = report.map_err(|error| SYSTEM.failure(error))?;
    print(&report, args.json, download::text)?;
    outcome(&report)
}

fn outcome(report: &DownloadReport) -> Result<(), Failure> {
    let failed = report.failures.len();
    let available: usize = report
        .classes
        .iter()
        .map(|class| class.fetched + class.present)
        .sum();
    match (failed, available) {
        (0, _) => Ok(()),
        (_, 0) => Err(UNAVAILABLE.failure(anyhow!("none of {failed} images could be fetched"))),
        (failed, _) => Err(DATA.failure(anyhow!(
            "{failed} images could not be fetched; run the command again to retry them"
        ))),
    }
}
