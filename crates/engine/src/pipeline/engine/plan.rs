//! Validation and planning of requests.

use std::sync::Arc;

use super::Engine;
use crate::{
    decode::DecodeOptions,
    pipeline::{
        Description, Error, Limits, StreamId, StreamSpec,
        coalescer::StreamKey,
        description::Background,
        mixing::Plans,
        position::StreamIdentity,
        sample_renderer::{Decoder, SampleRenderer},
    },
};

/// A valid request, planned.
#[derive(Debug)]
pub(in crate::pipeline) struct PlannedStream {
    pub(in crate::pipeline) description: Description,
    pub(in crate::pipeline) plans: Plans,
    pub(in crate::pipeline) renderer: SampleRenderer,
}

impl PlannedStream {
    /// Equal for streams that can share batches.
    pub(super) fn key(&self) -> StreamKey {
        let Description { spec, spec_hash, .. } = &self.description;
        StreamKey {
            dataset: self.renderer.decoder.dataset,
            spec: *spec_hash,
            seed: spec.seed,
            shard: spec.shard,
        }
    }
}

impl Engine {
    /// Validates a request and plans its epochs; reads no image.
    pub(in crate::pipeline) fn plan(
        &self,
        mut spec: StreamSpec,
        limits: &Limits,
    ) -> Result<PlannedStream, Error> {
        spec.validate(limits)?;
        spec.balance = spec.balance.over(spec.epochs);
        let (index, served) = self.find(&spec.dataset, |_| true)?;
        let dataset = served.dataset();
        if let Some(expected) = spec.expected_fingerprint.filter(|f| *f != dataset.fingerprint) {
            let (dataset, found) = (dataset.name.clone(), dataset.fingerprint);
            return Err(Error::Fingerprint {
                dataset,
                expected,
                found,
            });
        }
        let members = Arc::clone(served.members(spec.split));
        if members.iter().all(Vec::is_empty) {
            return Err(Error::EmptySplit {
                dataset: dataset.name.clone(),
                split: spec.split,
            });
        }
        let plans = Plans::new(&spec, &members)?;
        let plan = &plans.balanced;
        let background = plans.background.as_ref().map(|background| Background {
            draws_per_class: background.draws_per_class().to_vec(),
            mean_mixed_weight: spec.recipe.mean_weight_in_natural(spec.tensor.size),
        });
        let description = Description {
            id: StreamId::new(),
            spec_hash: spec.hash(),
            steps_per_epoch: plan.steps_per_epoch(),
            images_per_epoch: plan.images_per_epoch(),
            quotas: plan.quotas().clone(),
            background,
            served: Arc::clone(served),
            spec,
        };
        let spec = &description.spec;
        spec.start.check(&StreamIdentity {
            seed: spec.seed,
            spec_hash: description.spec_hash,
            fingerprint: dataset.fingerprint,
            epochs: spec.epochs,
            steps: description.steps_per_epoch,
        })?;
        let renderer = self.renderer(index, &description, members);
        Ok(PlannedStream {
            description,
            plans,
            renderer,
        })
    }

    fn renderer(&self, index: usize, description: &Description, members: Arc<[Vec<u32>]>) -> SampleRenderer {
        let spec = description.spec.clone();
        let scanned = description.served.dataset().options;
        SampleRenderer {
            decoder: Decoder {
                dataset: index as u32,
                source: Arc::clone(&self.source),
                cache: Arc::clone(&self.cache),
                encoded: Arc::clone(&self.encoded),
                options: DecodeOptions {
                    orientation: scanned.orientation,
                    limits: scanned.limits,
                },
                files: Arc::clone(&self.memory.files),
                memory: Arc::clone(&self.memory.rest),
                short_side: spec.canonical_short_side(),
            },
            served: Arc::clone(&description.served),
            spec,
            members,
            counters: Arc::default(),
        }
    }
}
