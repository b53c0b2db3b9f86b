use std::io::{self, Write};

use anyhow::Result;
use serde_json::json;

use super::Exit;
use crate::{args::Datasets, config};
use equibatch_stream::DatasetDescription;

/// Prints the datasets of a server: splits, classes, counts and quarantined files.
pub(super) fn run(args: &Datasets) -> Result<Exit> {
    let servers = config::servers(&args.server)?;
    let summaries = servers.datasets()?;
    let described = summaries.iter().map(|summary| servers.describe(&summary.name));
    let described: Vec<DatasetDescription> = described.collect::<Result<_, _>>()?;
    let mut out = io::stdout().lock();
    if args.json {
        let listing: Vec<_> = described.iter().map(listed).collect();
        writeln!(out, "{:#}", json!(listing))?;
        return Ok(Exit::Done);
    }
    for description in &described {
        text(&mut out, description)?;
    }
    Ok(Exit::Done)
}

fn listed(description: &DatasetDescription) -> serde_json::Value {
    let classes: Vec<_> = description
        .classes
        .iter()
        .map(|class| json!({ "name": class.name, "images": class.images_per_split }))
        .collect();
    let quarantined: Vec<_> = description
        .quarantined
        .iter()
        .map(|(path, reason)| json!({ "path": path, "reason": reason }))
        .collect();
    json!({
        "name": description.name,
        "fingerprint": description.fingerprint,
        "splits": description.splits,
        "classes": classes,
        "quarantined": quarantined,
    })
}

fn text(out: &mut impl Write, description: &DatasetDescription) -> io::Result<()> {
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
        let counts = description
            .splits
            .iter()
            .map(|split| format!("{split} {:>6}", class.images(split)));
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
    Ok(())
}
