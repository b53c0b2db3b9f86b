//! Training of a head on the features of a frozen body, which are computed once and kept.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    task::Poll,
    time::{Duration, Instant},
};

use super::{Error, Fit, FitOutcome, Observer, StepEvent, epoch::EpochSums, images};
use crate::learn::{
    checkpoint::ResumeState,
    learner::{FeatureBatch, HeadLearner},
    metrics::{argmax, cross_entropy},
    run::HeadSteps,
};
use equibatch_stream::{Batch, BatchRequest, BottleneckReport, Split};
use equibatch_training::runtime::{Function, Tensor};

/// Most memory for features, in bytes.
const MOST_BYTES: u64 = 8 << 30;
/// Evaluations on the validation images over all steps, and how many without improvement end training.
const EVALUATIONS: u64 = 40;
const PATIENCE: u64 = 10;

/// Features of the images of all epochs.
struct Features {
    batches: Vec<FeatureBatch>,
    /// The run after its last batch.
    progress: ResumeState,
    verdict: Option<BottleneckReport>,
}

/// How good a head is on the validation images; the greater, the better.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Score {
    balanced_accuracy: f64,
    /// Negative mean over the classes of their mean cross entropy.
    balanced_loss: f64,
}

impl Fit<'_> {
    /// Computes features, trains the head on them, and evaluates and saves the model. An interrupted run starts anew when it is resumed.
    pub(super) fn run_head(
        mut self,
        steps: HeadSteps,
        observer: &mut dyn Observer,
    ) -> Result<FitOutcome, Error> {
        let mut body = self.learner.body()?;
        let Some(features) = self.features(&mut body, observer)? else {
            return Ok(FitOutcome::Interrupted);
        };
        let valid = if self.has_valid && steps == HeadSteps::Auto {
            self.valid_features(&mut body)?
        } else {
            vec![]
        };
        drop(body);
        let total = self.learner.progress().config.training_steps();
        let mut head = self.learner.head(total)?;
        let mut progress = features.progress;
        let mut best: Option<(Score, BTreeMap<String, Tensor>)> = None;
        let mut since_best = 0;
        let interval = (total / EVALUATIONS).max(1);
        for (step, batch) in (0..total).zip(features.batches.iter().cycle()) {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(FitOutcome::Interrupted);
            }
            let started = Instant::now();
            let report = head.step(batch, step)?;
            progress.smoothed_loss.add(report.loss);
            progress.epoch.learning_rate = report.learning_rate;
            progress.epoch.took += started.elapsed();
            observer.step(&StepEvent {
                epoch: step / features.batches.len() as u64,
                steps: step + 1,
                total_steps: total,
                images: batch.labels.len(),
                report,
                smoothed_loss: progress.smoothed_loss.value().unwrap_or(report.loss),
                waited: Duration::ZERO,
                took: started.elapsed(),
            });
            if valid.is_empty() || !(step + 1).is_multiple_of(interval) {
                continue;
            }
            let score = score(&head, &valid, progress.config.classes.len())?;
            since_best += 1;
            if best.as_ref().is_none_or(|(best, _)| score > *best) {
                best = Some((score, head.state()?));
                since_best = 0;
            }
            if since_best == PATIENCE {
                break;
            }
        }
        let state = match best {
            Some((_, state)) => state,
            None => head.state()?,
        };
        self.learner.put_head(state, progress)?;
        observer.epoch(&self.finish_epoch(features.verdict)?);
        Ok(FitOutcome::Finished)
    }

    /// The features of the images of all epochs; `None` if the stop flag was set meanwhile.
    fn features(&self, body: &mut Function, observer: &mut dyn Observer) -> Result<Option<Features>, Error> {
        let mut progress = self.learner.progress().clone();
        let (epochs, steps) = (progress.config.epochs, progress.config.total_steps());
        let images = steps * u64::from(progress.config.images_per_step());
        let mut stream = images::open(self.servers, &progress, epochs, self.prefetch)?;
        observer.stream_opened(stream.transports());
        let mut features = Features {
            batches: vec![],
            progress: progress.clone(),
            verdict: None,
        };
        let mut sums = EpochSums::default();
        while progress.steps < steps {
            let started = Instant::now();
            let batch = match images::next(&mut stream, self.stop) {
                Poll::Ready(Ok(Some(batch))) => batch,
                Poll::Ready(Ok(None)) => return Err(self.ended_early().into()),
                Poll::Ready(Err(source)) => return Err(source.into()),
                Poll::Pending => return Ok(None),
            };
            sums.waited += started.elapsed();
            images::check_order(self.servers, &progress, &batch)?;
            let kept = kept(body, &batch)?;
            check_size(kept.features.len() as u64 * steps)?;
            features.batches.push(kept);
            sums.images += batch.labels.len();
            sums.replaced += batch.replaced;
            sums.took += started.elapsed();
            progress.steps += 1;
            progress.position = Some(batch.next.clone());
            observer.features(sums.images, images as usize);
            if batch.step + 1 == progress.config.steps_per_epoch {
                features.verdict = stream.end_epoch(batch.epoch);
            }
        }
        progress.epoch = sums;
        Ok(Some(Features { progress, ..features }))
    }

    /// The features of the validation images.
    fn valid_features(&self, body: &mut Function) -> Result<Vec<FeatureBatch>, Error> {
        let config = &self.learner.progress().config;
        let request = BatchRequest {
            normalization: Some((config.mean, config.std)),
            wire: config.wire,
            expected_fingerprint: config.fingerprint.clone(),
            ..BatchRequest::evaluation(
                &config.dataset,
                Split::Valid,
                config.batch_size,
                config.image_size,
            )
        };
        let mut stream = self.servers.stream(&request, self.prefetch)?;
        let mut batches = vec![];
        while let Some(batch) = stream.next_batch()? {
            batches.push(kept(body, &batch)?);
        }
        Ok(batches)
    }
}

/// The features of a batch.
fn kept(body: &mut Function, batch: &Batch) -> Result<FeatureBatch, Error> {
    let features = body.run(&batch.tensor, batch.labels.len());
    let features = features.map_err(crate::learn::learner::Error::from)?;
    let features = features.into_iter().flatten();
    Ok(FeatureBatch {
        features: features.flat_map(f32::to_le_bytes).collect(),
        labels: batch.labels.clone(),
        mixed: batch.mixed.clone(),
    })
}

/// Checks the memory that the features of all epochs need.
fn check_size(bytes: u64) -> Result<(), Error> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let reason = format!(
        "--head-steps: the features of all epochs need {} GiB of memory, at most {} are allowed; use fewer --epochs or --images-per-epoch",
        bytes.div_ceil(1 << 30),
        MOST_BYTES >> 30
    );
    Err(crate::learn::learner::Error::Setting { reason }.into())
}

/// The score of a head on validation images.
fn score(head: &HeadLearner, valid: &[FeatureBatch], classes: usize) -> Result<Score, Error> {
    let mut function = head.function()?;
    let mut rows = vec![];
    for batch in valid {
        let outputs = function.run(&batch.features, batch.labels.len());
        let outputs = outputs.map_err(crate::learn::learner::Error::from)?;
        rows.extend(outputs.into_iter().next().unwrap_or_default());
    }
    let labels = valid.iter().flat_map(|batch| &batch.labels);
    Ok(Score::of(
        rows.chunks_exact(classes).zip(labels.copied()),
        classes,
    ))
}

impl Score {
    /// Of logits with their labels.
    fn of<'a>(rows: impl Iterator<Item = (&'a [f32], u32)>, classes: usize) -> Self {
        // Images, hits and sum of the cross entropy by class.
        let mut sums = vec![(0.0, 0.0, 0.0); classes];
        for (logits, label) in rows {
            let label = label as usize;
            let (images, hits, loss) = &mut sums[label];
            *images += 1.0;
            *hits += f64::from(u8::from(argmax(logits) == label));
            *loss += cross_entropy(logits, label);
        }
        sums.retain(|(images, ..)| *images > 0.0);
        let mean =
            |of: fn(&(f64, f64, f64)) -> f64| sums.iter().map(of).sum::<f64>() / sums.len().max(1) as f64;
        Self {
            balanced_accuracy: mean(|(images, hits, _)| hits / images),
            balanced_loss: -mean(|(images, _, loss)| loss / images),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_weighs_classes_equally_and_compares_losses_of_equal_accuracies() {
        let score =
            |rows: &[([f32; 2], u32)]| Score::of(rows.iter().map(|(row, label)| (&row[..], *label)), 2);
        let rare_missed = score(&[([1.0, 0.0], 0), ([1.0, 0.0], 0), ([1.0, 0.0], 1)]);
        let rare_found = score(&[([0.0, 1.0], 0), ([1.0, 0.0], 0), ([0.0, 1.0], 1)]);
        assert_eq!(rare_missed.balanced_accuracy, 0.5);
        assert!(rare_found > rare_missed, "{rare_found:?} {rare_missed:?}");
        let surer = score(&[([0.0, 1.0], 0), ([2.0, 0.0], 0), ([0.0, 1.0], 1)]);
        assert!(surer > rare_found, "{surer:?} {rare_found:?}");
        // Without an image of a class, the mean is that of the others.
        assert_eq!(score(&[([1.0, 0.0], 0)]).balanced_accuracy, 1.0);
    }

    #[test]
    fn too_many_features_are_refused() {
        assert!(check_size(MOST_BYTES).is_ok());
        let message = check_size(MOST_BYTES + 1).expect_err("too many").to_string();
        assert!(
            message.contains("9 GiB") && message.contains("--images-per-epoch"),
            "{message}"
        );
    }
}
