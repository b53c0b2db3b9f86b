//! Sums over an epoch.

use std::time::Duration;

use equibatch_stream::Batch;
use serde::{Deserialize, Serialize};

use crate::learn::learner::StepReport;

/// Sums over the steps of an epoch. Part of a checkpoint, so that a resumed run records whole epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::learn) struct EpochSums {
    pub(super) images: usize,
    pub(super) replaced: usize,
    pub(super) waited: Duration,
    pub(super) took: Duration,
    pub(super) learning_rate: f64,
    /// Skipped steps.
    pub(super) skipped: u64,
    /// Sum and number of the gradient norms.
    norms: (f64, u32),
}

impl EpochSums {
    pub(in crate::learn) fn add(
        &mut self,
        batch: &Batch,
        report: StepReport,
        (waited, took): (Duration, Duration),
    ) {
        self.images += batch.labels.len();
        self.replaced += batch.replacements.len();
        self.waited += waited;
        self.took += took;
        self.learning_rate = report.learning_rate;
        self.skipped += u64::from(report.is_skipped);
        if let Some(norm) = report.gradient_norm {
            self.norms = (self.norms.0 + norm, self.norms.1 + 1);
        }
    }

    /// Whether no step was added.
    pub(in crate::learn) fn is_empty(&self) -> bool {
        self.images == 0
    }

    /// Mean gradient norm of all steps.
    pub(super) fn gradient_norm(&self) -> Option<f64> {
        let (sum, count) = self.norms;
        (count > 0).then(|| sum / f64::from(count))
    }
}
