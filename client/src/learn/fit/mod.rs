//! The training loop.
//!
//! # Layout
//!
//! - [`Fit`]: batches in, epochs judged and saved.
//! - [`observer`]: what is told while it runs.
//! - [`images`]: the batches that a run learns from.
//! - [`policy`]: what is kept and when to stop, decided from figures alone.
//! - `epoch`: what adds up over an epoch.

pub(super) mod epoch;
pub mod images;
pub mod observer;
pub mod policy;

use std::{
    num::NonZeroU64,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::{Duration, Instant},
};

pub use self::observer::{EpochRecord, Observer, StepEvent};
use self::policy::Action;
use super::{
    card::Preprocessing,
    evaluate::{self, Subject, evaluate},
    learner::{self, Learner, StepReport},
    metrics::Figures,
    run::{self, RunFolder},
};
use equibatch_stream as stream;
use equibatch_stream::{Batch, BottleneckReport, Servers, Split};

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
    /// After how many steps to save a checkpoint, besides the end of each epoch; counted over all epochs.
    pub checkpoint_every: Option<NonZeroU64>,
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
        if self.learner.progress().awaits_evaluation() {
            observer.epoch(&self.finish_epoch(None)?);
        }
        if self.is_finished() {
            return Ok(Outcome::Finished);
        }
        let progress = self.learner.progress();
        let epochs = progress.config.epochs;
        let mut stream = images::open(self.servers, progress, epochs, self.prefetch)?;
        observer.batches_come_by(stream.transports());
        loop {
            let started = Instant::now();
            let batch = match images::next(&mut stream, self.stop) {
                Poll::Ready(Ok(Some(batch))) => batch,
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(source)) => return Err(self.stopped(source)?),
                Poll::Pending => return self.interrupted(),
            };
            let waited = started.elapsed();
            images::check_order(self.servers, self.learner.progress(), &batch)?;
            let next = images::ahead(&mut stream, self.learner);
            let report = self.learner.step_ahead(&batch, next)?;
            let times = (waited, started.elapsed());
            self.learner.add_up(&batch, report, times);
            observer.step(&self.event(&batch, report, times));
            self.save_if_due()?;
            if batch.step + 1 == self.learner.progress().config.steps_per_epoch {
                let verdict = stream.end_epoch(batch.epoch);
                observer.epoch(&self.finish_epoch(verdict)?);
            }
            if self.is_finished() {
                break;
            }
            if self.stop.load(Ordering::Relaxed) {
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
        self.learner.progress().is_over()
    }

    fn event(&self, batch: &Batch, report: StepReport, (waited, took): (Duration, Duration)) -> StepEvent {
        let progress = self.learner.progress();
        StepEvent {
            epoch: (progress.steps - 1) / progress.config.steps_per_epoch,
            steps: progress.steps,
            total_steps: progress.config.total_steps(),
            images: batch.labels.len(),
            report,
            smoothed_loss: progress.smoothed_loss.value().unwrap_or(report.loss),
            waited,
            took,
        }
    }

    /// Evaluates, records and saves. If the evaluation fails because the server is gone, the steps are saved all the same, and the epoch is
    /// evaluated when the run goes on. A run that is killed in between does all of this again, and alike: the checkpoint comes last.
    fn finish_epoch(&mut self, verdict: Option<BottleneckReport>) -> Result<EpochRecord, Error> {
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
        let record = self.record(valid, verdict);
        self.run.append_metrics(&record)?;
        self.run.write(&self.run.model_path(), &model)?;
        if let Some(source) = failure {
            return Err(self.stopped(source)?);
        }
        let actions = self.learner.close_epoch(record.valid.as_ref());
        let checkpoint = self.learner.checkpoint()?;
        let mut kept = None;
        for action in actions {
            match action {
                Action::SaveBest => {
                    self.run.write(&self.run.best_model_path(), &model)?;
                    self.run
                        .write(&self.run.best_checkpoint_path(), &checkpoint.to_bytes())?;
                }
                Action::Keep { epoch } => {
                    self.run.keep_checkpoint(epoch, &checkpoint)?;
                    kept = Some(epoch);
                }
                Action::Drop { epoch } => self.run.drop_checkpoint(epoch)?,
                Action::Stop => {}
            }
        }
        match kept {
            Some(epoch) => self.run.continue_from_kept(epoch)?,
            None => self.run.save_checkpoint(&checkpoint)?,
        }
        Ok(record)
    }

    fn record(&self, valid: Option<Figures>, verdict: Option<BottleneckReport>) -> EpochRecord {
        let progress = self.learner.progress();
        let epoch = &progress.epoch;
        let seconds = epoch.took.as_secs_f64();
        EpochRecord {
            epoch: progress.steps / progress.config.steps_per_epoch,
            steps: progress.steps,
            train_loss: progress.smoothed_loss.value().unwrap_or(0.0),
            valid,
            learning_rate: epoch.learning_rate,
            gradient_norm: epoch.gradient_norm(),
            skipped_steps: progress.config.precision.is_scaled().then_some(epoch.skipped),
            loss_scale: progress.loss_scale_in_use(),
            seconds,
            images_per_second: epoch.images as f64 / seconds,
            wait_share: epoch.waited.as_secs_f64() / seconds,
            bottleneck: verdict.map(|verdict| verdict.bottleneck.to_string()),
            bottleneck_share: verdict.map(|verdict| verdict.share),
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

    fn save_if_due(&self) -> Result<(), Error> {
        let steps = self.learner.progress().steps;
        match self.checkpoint_every {
            Some(every) if steps.is_multiple_of(every.get()) => self.save(),
            _ => Ok(()),
        }
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
