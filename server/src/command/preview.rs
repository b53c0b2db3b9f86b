use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::Path,
};

use anyhow::anyhow;
use equibatch_engine::pipeline::Explained;
use equibatch_tools::{
    contact_sheet::{ContactSheet, Tile},
    preview::{self, Augmentations, Error, name, picture},
};

use super::exit::{Failure, INPUT, SYSTEM, USAGE};
use super::explain_batch;
use crate::args::{BatchSelector, Preview};

/// Renders a batch, or an image and its augmentations.
pub(crate) fn preview(args: &Preview) -> Result<(), Failure> {
    let sheet = match (&args.of, &args.dir) {
        (Some(image), _) => augmented(image, args)?,
        (None, Some(dir)) => of_batch(dir, args)?,
        (None, None) => return Err(USAGE.failure(anyhow!("expected a folder, or an image with --of"))),
    };
    preview::save(&sheet, &args.out).map_err(|error| SYSTEM.failure(error))?;
    writeln!(io::stdout(), "written: {}", args.out.display()).map_err(|error| SYSTEM.failure(error))
}

fn augmented(path: &Path, args: &Preview) -> Result<ContactSheet, Failure> {
    let augmentations = Augmentations {
        recipe: &args.selector.recipe,
        seed: args.selector.seed,
        times: args.times,
        size: args.selector.size,
    };
    preview::augmented(path, &augmentations).map_err(|error| match error {
        Error::Read { .. } | Error::Decode { .. } => INPUT.failure(error),
        _ => USAGE.failure(error),
    })
}

fn of_batch(dir: &Path, args: &Preview) -> Result<ContactSheet, Failure> {
    let BatchSelector {
        part,
        epoch,
        step,
        seed,
        balance,
        recipe,
        ..
    } = &args.selector;
    let (spec, batch) = explain_batch(dir, &args.selector)?;
    if batch.is_empty() {
        return Err(USAGE.failure(anyhow!("--step {step}: beyond the end of the epoch")));
    }
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for explained in &batch {
        *classes.entry(&explained.class).or_default() += 1;
    }
    let counts: Vec<String> = classes
        .iter()
        .map(|(class, images)| format!("{images} {class}"))
        .collect();
    let how = if part == "train" {
        format!(", balance {balance}, recipe {recipe}")
    } else {
        String::new()
    };
    let shown = (args.rows as usize).pow(2).min(batch.len());
    let label = |explained: &Explained| match &explained.mixture {
        Some(mixture) => preview::mixed_label(&explained.class, &mixture.class, mixture.weight),
        None => explained.class.clone(),
    };
    let tile = |explained: &Explained| Tile {
        picture: picture(explained.pixels.clone(), spec.tensor.size),
        lines: vec![label(explained), explained.path.clone()],
    };
    Ok(ContactSheet {
        title: vec![
            format!(
                "{}: {part} batch {step} of epoch {epoch}, {}",
                name(dir),
                counts.join(", ")
            ),
            format!("{shown} of {} images, seed {seed}{how}", batch.len()),
        ],
        columns: ContactSheet::square(shown),
        tiles: batch.iter().take(shown).map(tile).collect(),
    })
}
