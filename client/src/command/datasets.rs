use std::io::{self, Write as _};

use anyhow::Result;

use super::Exit;
use crate::{args::Datasets, config};

/// Prints the server's datasets: splits, classes and counts, and the files that are never served.
pub(super) fn run(args: &Datasets) -> Result<Exit> {
    let servers = config::servers(&args.server)?;
    let mut out = io::stdout().lock();
    for summary in servers.datasets()? {
        let description = servers.describe(&summary.name)?;
        writeln!(
            out,
            "{}  (fingerprint {})",
            description.name,
            &description.fingerprint.get(..12).unwrap_or_default()
        )?;
        let longest = description
            .classes
            .iter()
            .map(|class| class.name.chars().count())
            .max()
            .unwrap_or(0);
        for class in &description.classes {
            let counts = description.splits.iter().map(|split| {
                format!(
                    "{split} {:>6}",
                    class.images_per_split.get(split).copied().unwrap_or(0)
                )
            });
            writeln!(
                out,
                "  {:<longest$}  {}",
                class.name,
                counts.collect::<Vec<_>>().join("  ")
            )?;
        }
        for (path, reason) in &description.quarantined {
            writeln!(out, "  not served: {path}: {reason}")?;
        }
    }
    Ok(Exit::Done)
}
