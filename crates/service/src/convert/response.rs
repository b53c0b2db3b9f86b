//! Converts streams and batches to messages.

use equibatch_engine::{
    augment::Recipe,
    pipeline::{Background, Batch, Description, Replacement},
    sampling::QuotaChange,
    tensor::{ElementType, Layout},
};
use equibatch_proto::v1;

/// The first message of a stream, whose tensors are in `memory` if it is shared.
#[must_use]
pub(crate) fn description(
    description: &Description,
    memory: Option<v1::SharedMemory>,
) -> v1::StreamDescription {
    let spec = &description.spec;
    let dataset = description.served.dataset();
    let (images, side) = (spec.images_per_batch() as u32, spec.tensor.size);
    v1::StreamDescription {
        dataset: dataset.name.clone(),
        split: spec.split.name().to_owned(),
        fingerprint: dataset.fingerprint.0.to_vec().into(),
        spec_hash: description.spec_hash.0.to_vec().into(),
        classes: dataset.classes.clone(),
        steps_per_epoch: description.steps_per_epoch,
        images_per_epoch: description.images_per_epoch,
        draws_per_class: description.quotas.first().to_vec(),
        draws_change: description.quotas.change().map(draws_change),
        background: description.background.as_ref().map(background),
        shape: match spec.tensor.layout {
            Layout::Nchw => vec![images, 3, side, side],
            Layout::Nhwc => vec![images, side, side, 3],
        },
        element_type: match spec.tensor.element_type {
            ElementType::F32 => v1::ElementType::F32.into(),
            ElementType::F16 => v1::ElementType::F16.into(),
            ElementType::U8 => v1::ElementType::U8.into(),
        },
        layout: match spec.tensor.layout {
            Layout::Nchw => v1::Layout::Nchw.into(),
            Layout::Nhwc => v1::Layout::Nhwc.into(),
        },
        normalization: Some(v1::Normalization {
            mean: spec.tensor.normalization.mean.to_vec(),
            std: spec.tensor.normalization.std.to_vec(),
        }),
        recipe: Some(recipe(&spec.recipe)),
        recipe_text: spec.recipe.to_string(),
        epochs: spec.epochs,
        canonical_short_side: spec.canonical_short_side().unwrap_or(0),
        stream_id: description.id.0.to_be_bytes().to_vec().into(),
        memory,
    }
}

fn draws_change(change: &QuotaChange) -> v1::DrawsChange {
    v1::DrawsChange {
        draws_per_class: change.to.clone(),
        first_epoch: change.first as u32,
        last_epoch: change.last as u32,
    }
}

fn background(background: &Background) -> v1::Background {
    v1::Background {
        draws_per_class: background.draws_per_class.clone(),
        mean_mixed_weight: background.mean_mixed_weight,
    }
}

/// As text, valid in a request; an empty message if there is none.
fn recipe(recipe: &Recipe) -> v1::Recipe {
    let is_none = *recipe == Recipe::none();
    v1::Recipe {
        text: if is_none {
            String::new()
        } else {
            recipe.to_string()
        },
        ..v1::Recipe::default()
    }
}

/// The fields of a batch of the described stream other than the tensor.
#[must_use]
pub(crate) fn batch_fields(batch: Batch, description: &Description) -> v1::Batch {
    let replacement = |replacement: Replacement| v1::Replacement {
        slot: replacement.slot as u32,
        broken_sample_id: replacement.broken,
    };
    let mixed = batch.mixed.unwrap_or_default();
    v1::Batch {
        epoch: batch.position.epoch,
        step: batch.position.step,
        next: Some(v1::PositionToken {
            spec_hash: description.spec_hash.0.to_vec().into(),
            fingerprint: description.served.dataset().fingerprint.0.to_vec().into(),
            seed: description.spec.seed,
            epoch: batch.next.epoch,
            step: batch.next.step,
            world: description.spec.shard.world,
        }),
        labels: batch.labels,
        sample_ids: batch.samples,
        replacements: batch.replacements.into_iter().map(replacement).collect(),
        mixed_labels: mixed.iter().map(|mixed| mixed.label).collect(),
        mixed_weights: mixed.iter().map(|mixed| mixed.weight).collect(),
        tensor_crc32c: batch.checksum,
        ..v1::Batch::default()
    }
}
