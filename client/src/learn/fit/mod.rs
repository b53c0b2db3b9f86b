//! The training loop.
//!
//! # Layout
//!
//! - [`Fit`]: batches in, epochs judged and saved.
//! - [`observer`]: what is told while it runs.
//! - `epoch`: what adds up over an epoch.

mod epoch;
pub mod observer;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use self::epoch::Epoch;
pub use self::observer::{EpochRecord, Observer, StepEvent};
use super::{
    card::Preprocessing,
    evaluate::{self, Subject, evaluate},
    learner::{self, Learner, StepReport},
    metrics::Figures,
    run::{self, RunFolder},
};
use crate::stream::{self, Batch, BatchRequest, BatchStream, Servers, Split};

/// How long a wait for a batch may go on before the order to stop is looked for.
const ATTENTION: Duration = Duration::from_millis(200);

/// What can go wrong while a model is trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server went away; what was learnt is saved.
    #[error("training stopped after {after}; continue with --resume {}", run.display())]
    Stopped {
        /// The last step done, in words.
        after: String,
        /// The run's folder.
        run: PathBuf,
        /// What happened.
        #[source]
        source: stream::Error,
    },
    /// The server streams something else than the run was started with.
    #[error("cannot train on {address}: {reason}")]
    Mismatch {
        /// The server.
        address: String,
        /// What differs.
        reason: String,
    },
    /// The server.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// The model.
    #[error(transparent)]
    Learner(#[from] learner::Error),
    /// The judging of the model.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] run::Error),
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// It was asked to stop, and saved where it stood.
    Interrupted,
}

/// A training about to run.
#[derive(Debug)]
pub struct Fit<'a> {
    /// The servers.
    pub servers: &'a Servers,
    /// The model.
    pub learner: &'a mut Learner,
    /// Where results go.
    pub run: &'a RunFolder,
    /// Batches to keep ready.
    pub prefetch: usize,
    /// Whether the dataset has validation images.
    pub has_valid: bool,
    /// Set from elsewhere to stop after the current step.
    pub stop: &'a AtomicBool,
}

impl Fit<'_> {
    /// Trains to the end of the last epoch. After each epoch the model is judged, and saved with a line of metrics.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] where the server went away: the steps done are saved. After any other error the last saved epoch stands.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<Outcome, Error> {
        let mut stream = self.open()?;
        let mut epoch = Epoch::default();
        loop {
            let started = Instant::now();
            let received = loop {
                match stream.next_batch_within(ATTENTION) {
                    Poll::Ready(received) => break received,
                    // A server may be away for minutes.
                    Poll::Pending if self.stop.load(Ordering::Relaxed) => return self.interrupted(),
                    Poll::Pending => {}
                }
            };
            let batch = match received {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(source) => return Err(self.stopped(source)?),
            };
            let waited = started.elapsed();
            self.check_order(&batch)?;
            self.check_labels(&batch)?;
            let report = self.learner.step(&batch)?;
            epoch.add(&batch, report, (waited, started.elapsed()));
            observer.step(&self.event(&batch, report, (waited, started.elapsed())));
            if batch.step + 1 == self.learner.progress().config.steps_per_epoch {
                epoch.verdict = stream.end_epoch(batch.epoch);
                observer.epoch(&self.finish_epoch(&std::mem::take(&mut epoch))?);
            }
            if self.stop.load(Ordering::Relaxed) && !self.is_finished() {
                return self.interrupted();
            }
        }
        if !self.is_finished() {
            let source = stream::Error::Lost {
                address: self.servers.address().to_owned(),
                at: format!("after {}", self.after()),
                reason: "it ended the stream early".to_owned(),
            };
            return Err(self.stopped(source)?);
        }
        Ok(Outcome::Finished)
    }

    fn interrupted(&self) -> Result<Outcome, Error> {
        self.save()?;
        Ok(Outcome::Interrupted)
    }

    fn is_finished(&self) -> bool {
        let progress = self.learner.progress();
        progress.steps >= progress.config.steps_per_epoch * u64::from(progress.config.epochs)
    }

    fn open(&self) -> Result<BatchStream, Error> {
        let progress = self.learner.progress();
        let config = &progress.config;
        let request = BatchRequest {
            seed: config.seed,
            epochs: config.before.epochs + config.epochs,
            start: Some(progress.place()),
            balance: Some(config.balance),
            recipe: config.recipe.clone(),
            wire: config.wire,
            expected_fingerprint: config.fingerprint.clone(),
            reports: true,
            ..BatchRequest::evaluation(
                &config.dataset,
                Split::Train,
                config.batch_size,
                config.image_size,
            )
        };
        let stream = self.servers.stream(&request, self.prefetch)?;
        let description = stream.description();
        let mismatch = |reason: &str| Error::Mismatch {
            address: self.servers.address().to_owned(),
            reason: reason.to_owned(),
        };
        if description.classes != config.classes || description.steps_per_epoch != config.steps_per_epoch {
            return Err(mismatch(
                "it has other classes or another number of images than the run was started with",
            ));
        }
        if description.mean != config.mean || description.std != config.std {
            return Err(mismatch(
                "it normalises images in another way than the run was started with",
            ));
        }
        Ok(stream)
    }

    /// A batch out of order would silently train on other images than the saved position says.
    fn check_order(&self, batch: &Batch) -> Result<(), Error> {
        let progress = self.learner.progress();
        let due = progress.place();
        let expected = (due.epoch, due.step);
        if (batch.epoch, batch.step) == expected && batch.labels.len() == progress.config.batch_size as usize
        {
            return Ok(());
        }
        let reason = format!(
            "batch {} of epoch {} with {} images came where batch {} of epoch {} was due",
            batch.step,
            batch.epoch,
            batch.labels.len(),
            expected.1,
            expected.0
        );
        Err(Error::Mismatch {
            address: self.servers.address().to_owned(),
            reason,
        })
    }

    /// To train on half of a soft label would teach something else than was asked for.
    fn check_labels(&self, batch: &Batch) -> Result<(), Error> {
        if batch.mixed.is_none() {
            return Ok(());
        }
        Err(Error::Mismatch {
            address: self.servers.address().to_owned(),
            reason:
                "its images are mixed, as the recipe says, and this trainer takes one class for each image"
                    .to_owned(),
        })
    }

    fn event(&self, batch: &Batch, report: StepReport, (waited, took): (Duration, Duration)) -> StepEvent {
        let progress = self.learner.progress();
        StepEvent {
            epoch: (progress.steps - 1) / progress.config.steps_per_epoch,
            steps: progress.steps,
            total_steps: progress.config.steps_per_epoch * u64::from(progress.config.epochs),
            images: batch.labels.len(),
            report,
            smoothed_loss: progress.smoothed_loss.value().unwrap_or(report.loss),
            waited,
            took,
        }
    }

    /// Judges, records and saves. Where the judging fails because the server is gone, the epoch is saved all the same.
    fn finish_epoch(&mut self, epoch: &Epoch) -> Result<EpochRecord, Error> {
        let model = self.learner.model()?;
        let judged = if self.has_valid {
            self.judge(&model).map(Some)
        } else {
            Ok(None)
        };
        let (valid, failure) = match judged {
            Ok(valid) => (valid, None),
            Err(Error::Evaluate(evaluate::Error::Stream(source))) => (None, Some(source)),
            Err(error) => return Err(error),
        };
        let record = self.record(epoch, valid);
        self.run.write(&self.run.model_path(), &model)?;
        self.save()?;
        self.run.append_metrics(&record)?;
        match failure {
            None => Ok(record),
            Some(source) => Err(self.stopped(source)?),
        }
    }

    fn record(&self, epoch: &Epoch, valid: Option<Figures>) -> EpochRecord {
        let progress = self.learner.progress();
        let seconds = epoch.took.as_secs_f64();
        EpochRecord {
            epoch: progress.steps / progress.config.steps_per_epoch,
            steps: progress.steps,
            train_loss: progress.smoothed_loss.value().unwrap_or(0.0),
            valid,
            learning_rate: epoch.learning_rate,
            seconds,
            images_per_second: epoch.images as f64 / seconds,
            wait_share: epoch.waited.as_secs_f64() / seconds,
            bottleneck: epoch.verdict.map(|verdict| verdict.bottleneck.to_string()),
            bottleneck_share: epoch.verdict.map(|verdict| verdict.share),
            replaced: epoch.replaced,
        }
    }

    fn judge(&self, model: &[u8]) -> Result<Figures, Error> {
        let config = &self.learner.progress().config;
        let subject = Subject {
            dataset: &config.dataset,
            split: Split::Valid,
            batch_size: config.batch_size,
            preprocessing: &Preprocessing::of(config),
            classes: &config.classes,
        };
        let mut classifier = self.learner.classifier(model)?;
        Ok(evaluate(self.servers, ("the model", &mut classifier), &subject)?.figures)
    }

    fn save(&self) -> Result<(), Error> {
        Ok(self.run.save_checkpoint(&self.learner.checkpoint()?)?)
    }

    /// Saves, so that nothing learnt is lost, and says so.
    fn stopped(&self, source: stream::Error) -> Result<Error, Error> {
        if self.learner.progress().steps == 0 {
            return Ok(source.into());
        }
        self.save()?;
        Ok(Error::Stopped {
            after: self.after(),
            run: self.run.path().to_path_buf(),
            source,
        })
    }

    /// The last step done, in words.
    fn after(&self) -> String {
        let progress = self.learner.progress();
        let last = progress.steps.saturating_sub(1);
        let steps_per_epoch = progress.config.steps_per_epoch.max(1);
        format!(
            "epoch {} step {}",
            last / steps_per_epoch + 1,
            last % steps_per_epoch + 1
        )
    }
}
