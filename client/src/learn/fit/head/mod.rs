//! Training of a head on the features of a frozen body, which are computed once and kept.

mod last_layer;
mod lbfgs;
mod linear;
mod logistic;

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    task::Poll,
    time::{Duration, Instant},
};

use super::{Error, Fit, FitOutcome, Observer, StepEvent, epoch::EpochSums, images};
use crate::learn::{
    card::Preprocessing,
    checkpoint::ResumeState,
    learner::{self, FeatureBatch, HeadLearner},
    metrics::{SmoothedLoss, argmax, cross_entropy},
    run::{HeadFit, HeadSteps},
};
use equibatch_stream::{Batch, BatchRequest, BottleneckReport, Split};
use equibatch_training::{
    program::LastLayer,
    runtime::{Function, Tensor},
};

/// Most memory for features, in bytes.
const MOST_BYTES: u64 = 8 << 30;

/// Tensors of a head by name.
type State = BTreeMap<String, Tensor>;

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
    /// Computes features, fits the head to them, and evaluates and saves the model. An interrupted run starts anew when it is resumed.
    pub(super) fn run_head(
        &mut self,
        steps: HeadSteps,
        observer: &mut dyn Observer,
    ) -> Result<FitOutcome, Error> {
        let mut body = self.learner.body()?;
        let Some(features) = self.features(&mut body, observer)? else {
            return Ok(FitOutcome::Interrupted);
        };
        let Features {
            batches,
            mut progress,
            verdict,
        } = features;
        let fit = progress.config.head_fit;
        let head = self.learner.head(1)?;
        let linear = match fit {
            HeadFit::All => self.linear(steps, &head, &batches)?,
            HeadFit::Scales | HeadFit::TauNorm => None,
        };
        let is_chosen = fit == HeadFit::TauNorm || steps == HeadSteps::Auto && linear.is_none();
        let valid = if self.has_valid && is_chosen {
            self.valid_features(&mut body)?
        } else {
            vec![]
        };
        drop(body);
        let fitted = match fit {
            HeadFit::All => match linear {
                Some(layer) => self.fit_linear(&head, &layer, &batches, &mut progress)?,
                None => {
                    let start = |steps| self.learner.head(steps);
                    self.fit_steps(&start, (&batches, &valid), &mut progress, observer)?
                }
            },
            HeadFit::Scales => {
                let mut function = head.function(head.state()?)?;
                let [batches, valid] = [&batches, &valid].map(|of| outputs(&mut function, of));
                let start = |steps| self.learner.class_scales(steps);
                let fitted = self.fit_steps(&start, (&batches?, &valid?), &mut progress, observer)?;
                let layer = self.learner.last_layer()?;
                let before = head.state()?;
                fitted.map(|scales| last_layer::scaled(before, &layer, scales))
            }
            HeadFit::TauNorm => {
                let layer = self.learner.last_layer()?;
                let state = self.choose_tau(&head, &layer, &valid)?;
                let rows = rows(&mut head.function(state.clone())?, &batches)?;
                let losses = rows.iter().map(|(logits, label)| cross_entropy(logits, *label));
                progress
                    .smoothed_loss
                    .add(losses.sum::<f64>() / rows.len().max(1) as f64);
                Some(state)
            }
        };
        let Some(state) = fitted else {
            return Ok(FitOutcome::Interrupted);
        };
        self.learner.put_head(state, progress)?;
        observer.epoch(&self.finish_epoch(verdict)?);
        Ok(FitOutcome::Finished)
    }

    /// Trains the head that `start` returns for a number of steps on the features of `batches`, repeatedly: once, or for several numbers of steps, and
    /// returns the state that is best on `valid`; `None` if the stop flag was set meanwhile. Each head completes its cycle, because one that is
    /// taken from the middle, at a high learning rate, depends on its last batches.
    fn fit_steps(
        &self,
        start: &dyn Fn(u64) -> Result<HeadLearner, learner::Error>,
        (batches, valid): (&[FeatureBatch], &[FeatureBatch]),
        progress: &mut ResumeState,
        observer: &mut dyn Observer,
    ) -> Result<Option<State>, Error> {
        let steps = progress.config.head_steps.unwrap_or(HeadSteps::Auto);
        let cycles = steps.cycles(batches.len() as u64, !valid.is_empty());
        let total_steps: u64 = cycles.iter().sum();
        let mut done = 0;
        let mut best: Option<(Score, State)> = None;
        for cycle in cycles {
            let mut head = start(cycle)?;
            let mut smoothed_loss = SmoothedLoss::default();
            for (step, batch) in (0..cycle).zip(batches.iter().cycle()) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let started = Instant::now();
                let report = head.step(batch, step)?;
                smoothed_loss.add(report.loss);
                done += 1;
                progress.epoch.learning_rate = report.learning_rate;
                progress.epoch.took += started.elapsed();
                observer.step(&StepEvent {
                    epoch: step / batches.len() as u64,
                    steps: done,
                    total_steps,
                    images: batch.labels.len(),
                    report,
                    smoothed_loss: smoothed_loss.value().unwrap_or(report.loss),
                    waited: Duration::ZERO,
                    took: started.elapsed(),
                });
            }
            let state = head.state()?;
            let score = Score::of(&rows(&mut head.function(state.clone())?, valid)?);
            if best.as_ref().is_none_or(|(best, _)| score > *best) {
                best = Some((score, state));
                progress.smoothed_loss = smoothed_loss;
            }
        }
        Ok(best.map(|(_, state)| state))
    }

    /// The head whose weights of each class are divided by their norm to the power of the τ that is best on `valid`.
    fn choose_tau(
        &self,
        head: &HeadLearner,
        layer: &LastLayer,
        valid: &[FeatureBatch],
    ) -> Result<State, Error> {
        let mut best: Option<(Score, State)> = None;
        for tau in (0..=20).map(|tenths| f64::from(tenths) / 10.0) {
            let state = last_layer::normalised(head.state()?, layer, tau);
            let score = Score::of(&rows(&mut head.function(state.clone())?, valid)?);
            if best.as_ref().is_none_or(|(best, _)| score > *best) {
                best = Some((score, state));
            }
        }
        Ok(match best {
            Some((_, state)) => state,
            None => head.state()?,
        })
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
            sums.replaced += batch.replacements.len();
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
            recipe: Preprocessing::of(config).recipe(),
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
    let features = features.map_err(learner::Error::from)?;
    let features = features.into_iter().flatten();
    Ok(FeatureBatch {
        features: features.flat_map(f32::to_le_bytes).collect(),
        epoch: batch.epoch,
        labels: batch.labels.clone(),
        mixed: batch.mixed.clone(),
    })
}

/// The features of a batch as numbers.
fn elements(batch: &FeatureBatch) -> Vec<f32> {
    let elements = batch.features.as_chunks().0.iter();
    elements.map(|bytes| f32::from_le_bytes(*bytes)).collect()
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
    Err(learner::Error::Setting { reason }.into())
}

/// The first output of a function of features, as features.
fn outputs(function: &mut Function, batches: &[FeatureBatch]) -> Result<Vec<FeatureBatch>, Error> {
    let of = |batch: &FeatureBatch| {
        let outputs = function.run(&batch.features, batch.labels.len());
        let outputs = outputs.map_err(learner::Error::from)?;
        let first = outputs.into_iter().next().unwrap_or_default().into_iter();
        Ok(FeatureBatch {
            features: first.flat_map(f32::to_le_bytes).collect(),
            ..batch.clone()
        })
    };
    batches.iter().map(of).collect()
}

/// Logits of a head and label of each image.
fn rows(head: &mut Function, batches: &[FeatureBatch]) -> Result<Vec<(Vec<f32>, usize)>, Error> {
    let mut rows = vec![];
    for batch in batches {
        let outputs = head.run(&batch.features, batch.labels.len());
        let logits = outputs
            .map_err(learner::Error::from)?
            .into_iter()
            .next()
            .unwrap_or_default();
        let classes = (logits.len() / batch.labels.len().max(1)).max(1);
        let labels = batch.labels.iter().map(|&label| label as usize);
        rows.extend(logits.chunks_exact(classes).map(<[f32]>::to_vec).zip(labels));
    }
    Ok(rows)
}

impl Score {
    /// Of logits and label of each image.
    fn of(rows: &[(Vec<f32>, usize)]) -> Self {
        // Images, hits and sum of the cross entropy by class.
        let mut sums: BTreeMap<usize, (f64, f64, f64)> = BTreeMap::new();
        for (logits, label) in rows {
            let (images, hits, loss) = sums.entry(*label).or_default();
            *images += 1.0;
            *hits += f64::from(u8::from(argmax(logits) == *label));
            *loss += cross_entropy(logits, *label);
        }
        let mean =
            |of: fn(&(f64, f64, f64)) -> f64| sums.values().map(of).sum::<f64>() / sums.len().max(1) as f64;
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
        let score = |rows: &[([f32; 2], usize)]| {
            let rows = rows.iter().map(|(logits, label)| (logits.to_vec(), *label));
            Score::of(&rows.collect::<Vec<_>>())
        };
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
