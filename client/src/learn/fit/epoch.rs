//! What adds up over an epoch.

use std::time::Duration;

use crate::{
    learn::learner::StepReport,
    stream::{Batch, Verdict},
};

/// What adds up over an epoch.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    pub(super) images: usize,
    pub(super) replaced: usize,
    pub(super) waited: Duration,
    pub(super) took: Duration,
    pub(super) learning_rate: f64,
    /// What held it up, as servers and client see it together.
    pub(super) verdict: Option<Verdict>,
    /// Steps that were not taken.
    pub(super) skipped: u64,
    /// Sum and number of the norms of gradients.
    norms: (f64, u32),
}

impl Epoch {
    pub(super) fn add(&mut self, batch: &Batch, report: StepReport, (waited, took): (Duration, Duration)) {
        self.images += batch.labels.len();
        self.replaced += batch.replaced;
        self.waited += waited;
        self.took += took;
        self.learning_rate = report.learning_rate;
        self.skipped += u64::from(report.is_skipped);
        if let Some(norm) = report.gradient_norm {
            self.norms = (self.norms.0 + norm, self.norms.1 + 1);
        }
    }

    /// The mean of all steps.
    pub(super) fn gradient_norm(&self) -> Option<f64> {
        let (sum, count) = self.norms;
        (count > 0).then(|| sum / f64::from(count))
    }
}
