use super::{Error, Fit};
use crate::learn::card::Preprocessing;
use equibatch_stream::{Balance, BatchRequest};

/// Most batches that statistics are estimated from.
///
/// # Source
///
/// Detectron2's precise batch norm (`TEST.PRECISE_BN.NUM_ITER`).
const MOST_BATCHES: u64 = 200;

impl Fit<'_> {
    /// Estimates the running statistics of trained batch norms again, from full batches of training images in their natural frequencies, shuffled and
    /// without augmentation.
    pub(super) fn reestimate_norms(&mut self) -> Result<(), Error> {
        let Some(mut estimator) = self.learner.norm_estimator()? else {
            return Ok(());
        };
        let config = &self.learner.progress().config;
        let request = BatchRequest {
            balance: Some(Balance::Natural),
            images_per_epoch: None,
            recipe: Preprocessing::of(config).recipe(),
            batch_size: config.batch_size,
            expected_fingerprint: config.fingerprint.clone(),
            ..config.images(1)
        };
        let mut stream = self.servers.stream(&request, self.prefetch)?;
        let batches = stream.description().steps_per_epoch.min(MOST_BATCHES);
        let mut done = 0;
        while done < batches {
            let Some(batch) = stream.next_batch()? else { break };
            estimator.add(&batch.tensor, batch.labels.len())?;
            done += 1;
        }
        if done > 0 {
            self.learner.put_norms(&estimator)?;
        }
        Ok(())
    }
}
