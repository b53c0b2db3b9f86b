use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::Path,
};

use anyhow::anyhow;
use equibatch_engine::pipeline::Explained;
use equibatch_server::args::{Preview, Which};
use equibatch_tools::{
    preview::{self, Augmentations, Error, name, picture},
    sheet::{Cell, Sheet},
};

use super::look;
use crate::exit::{Failure, INPUT, SYSTEM, USAGE};

/// Draws a batch, or an image and its augmentations.
pub(crate) fn preview(args: &Preview) -> Result<(), Failure> {
    let sheet = match (&args.of, &args.dir) {
        (Some(image), _) => of_image(image, args)?,
        (None, Some(dir)) => of_batch(dir, args)?,
        (None, None) => return Err(USAGE.failure(anyhow!("name a folder, or an image with --of"))),
    };
    preview::save(&sheet, &args.out).map_err(|error| SYSTEM.failure(error))?;
    writeln!(io::stdout(), "written: {}", args.out.display()).map_err(|error| SYSTEM.failure(error))
}

fn of_image(path: &Path, args: &Preview) -> Result<Sheet, Failure> {
    let augmentations = Augmentations {
        recipe: &args.which.recipe,
        seed: args.which.seed,
        times: args.times,
        size: args.which.size,
    };
    preview::of_image(path, &augmentations).map_err(|error| match error {
        Error::Read { .. } | Error::Decode { .. } => INPUT.failure(error),
        _ => USAGE.failure(error),
    })
}

fn of_batch(dir: &Path, args: &Preview) -> Result<Sheet, Failure> {
    let Which {
        part,
        epoch,
        step,
        seed,
        balance,
        recipe,
        ..
    } = &args.which;
    let (spec, batch) = look(dir, &args.which)?;
    if batch.is_empty() {
        return Err(USAGE.failure(anyhow!("--step {step}: the epoch has no such batch")));
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
        Some(mixture) => preview::shares(&explained.class, &mixture.class, mixture.weight),
        None => explained.class.clone(),
    };
    let cell = |explained: &Explained| Cell {
        picture: picture(explained.pixels.clone(), spec.tensor.size),
        lines: vec![label(explained), explained.path.clone()],
    };
    Ok(Sheet {
        title: vec![
            format!(
                "{}: {part} batch {step} of epoch {epoch}, {}",
                name(dir),
                counts.join(", ")
            ),
            format!("{shown} of {} images, seed {seed}{how}", batch.len()),
        ],
        columns: Sheet::square(shown),
        cells: batch.iter().take(shown).map(cell).collect(),
    })
}
