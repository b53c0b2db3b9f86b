use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use anyhow::Result;
use equibatch_tools::{
    contact_sheet::{ContactSheet, Tile},
    preview::{self, Augmentations},
};

use super::Exit;
use crate::{
    args::ShowBatch,
    config::{self, UsageError},
    learn::pixels::picture,
};
use equibatch_stream::{Balance, Batch, BatchRequest, Position, Split, StreamDescription};

/// Renders a batch from the server, or an image file and its augmentations.
pub(super) fn run(args: &ShowBatch) -> Result<Exit> {
    let sheet = match &args.of {
        Some(path) => {
            let augmentations = Augmentations {
                recipe: args.recipe.as_deref().unwrap_or("fastai"),
                seed: args.seed,
                times: args.times,
                size: args.size,
            };
            preview::augmented(path, &augmentations)?
        }
        None => of_batch(args)?,
    };
    preview::save(&sheet, &args.out)?;
    writeln!(io::stdout().lock(), "written: {}", args.out.display())?;
    Ok(Exit::Done)
}

fn of_batch(args: &ShowBatch) -> Result<ContactSheet> {
    if args.split != Split::Train && args.balance.is_some() {
        let split = args.split;
        let message =
            format!("--balance is for the train split only: the {split} split has every image once");
        return Err(UsageError(message).into());
    }
    if let (Some(balance @ Balance::Schedule { .. }), None) = (&args.balance, args.epochs) {
        let message = format!("--balance {balance} changes over the epochs of the training: add --epochs N");
        return Err(UsageError(message).into());
    }
    let servers = config::servers(&args.server)?;
    let request = BatchRequest {
        seed: args.seed,
        epochs: args.epoch + 1,
        schedule_epochs: args.epochs.map(|epochs| 0..epochs),
        start: Some(Position {
            seed: args.seed,
            epoch: args.epoch.into(),
            step: args.step,
            world: 1,
            ..Position::default()
        }),
        balance: args.balance.clone(),
        recipe: args.recipe.clone().unwrap_or_default(),
        ..BatchRequest::evaluation(&args.dataset, args.split, args.batch_size, args.size)
    };
    // A start beyond the end is refused by the server; the number of steps is known from a stream at the start.
    let first = BatchRequest {
        start: None,
        ..request.clone()
    };
    let steps = servers.stream(&first, 1)?.description().steps_per_epoch;
    if args.step >= steps {
        return Err(UsageError(out_of_range(args.step, steps)).into());
    }
    let mut stream = servers.stream(&request, 1)?;
    let description = stream.description().clone();
    let Some(batch) = stream.next_batch()? else {
        return Err(UsageError(out_of_range(args.step, description.steps_per_epoch)).into());
    };
    let shown = (args.rows as usize).pow(2).min(batch.labels.len());
    let paths = servers.paths(&description.dataset, &batch.samples[..shown])?;
    let bytes = batch.tensor.len() / batch.labels.len().max(1);
    let tile = |(place, tensor): (usize, &[u8])| Tile {
        picture: picture(tensor, args.size, description.mean, description.std),
        lines: std::iter::once(label(&description, &batch, place))
            .chain(paths.get(place).cloned())
            .collect(),
    };
    Ok(ContactSheet {
        title: title(args, &description, &batch, shown),
        columns: ContactSheet::square(shown),
        tiles: batch
            .tensor
            .chunks_exact(bytes.max(1))
            .take(shown)
            .enumerate()
            .map(tile)
            .collect(),
    })
}

fn out_of_range(step: u64, steps: u64) -> String {
    match steps {
        0 => format!("--step {step}: the epoch has no full batch; use a smaller --batch-size"),
        steps => format!("--step {step}: expected a number from 0 to {}", steps - 1),
    }
}

/// The class of an image, or the soft label of a mixed one.
fn label(description: &StreamDescription, batch: &Batch, place: usize) -> String {
    let own = class(description, batch.labels[place]);
    match batch.mixed.as_ref().and_then(|mixed| mixed.get(place)) {
        Some(mixed) => preview::mixed_label(own, class(description, mixed.label), mixed.weight),
        None => own.to_owned(),
    }
}

fn class(description: &StreamDescription, label: u32) -> &str {
    description
        .classes
        .get(label as usize)
        .map_or("?", String::as_str)
}

fn title(args: &ShowBatch, description: &StreamDescription, batch: &Batch, shown: usize) -> Vec<String> {
    let mut classes: BTreeMap<u32, usize> = BTreeMap::new();
    for &label in &batch.labels {
        *classes.entry(label).or_default() += 1;
    }
    let counts: Vec<String> = classes
        .iter()
        .map(|(&label, images)| format!("{images} {}", class(description, label)))
        .collect();
    let how = if args.split == Split::Train {
        let balance = args.balance.clone().unwrap_or_default();
        let recipe = args.recipe.as_deref().unwrap_or("fastai");
        format!(", balance {balance}, recipe {recipe}")
    } else {
        String::new()
    };
    vec![
        format!(
            "{}: {} batch {} of epoch {}, {}",
            description.dataset,
            args.split,
            batch.step,
            batch.epoch,
            counts.join(", ")
        ),
        format!(
            "{shown} of {} images, seed {}{how}",
            batch.labels.len(),
            args.seed
        ),
    ]
}
