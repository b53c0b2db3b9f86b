//! The training loop.
//!
//! # Layout
//!
//! - [`Fit`]: trains on batches; evaluates and saves every epoch.
//! - [`observer`]: callbacks during training.
//! - [`images`]: the batch stream.
//! - [`policy`]: which checkpoints are kept and when to stop early, as a function of metrics.
//! - `epoch`: sums over an epoch; `writer`: writes its files.
//! - `head`: trains a head on features that are computed once; `norms`: estimates running statistics again.

pub(super) mod epoch;
mod head;
pub mod images;
mod norms;
pub mod observer;
pub mod policy;
mod writer;

use std::{
    num::NonZeroU64,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::{Duration, Instant},
};

pub use self::observer::{EpochRecord, Observer, StepEvent};
pub use self::writer::EpochWriter;
use super::{
    card::Preprocessing,
    evaluate::{self, EvalSpec, evaluate_metrics},
    interpret::{EvaluatedSplit, TOP_LOSSES},
    learner::{self, Learner, Snapshot, StepReport},
    metrics::{MetricAccumulator, Metrics},
    run::{self, RunFolder},
};
use equibatch_cli::files::WriteError;
use equibatch_stream as stream;
use equibatch_stream::{Batch, BottleneckReport, Servers, Split};

/// Why training failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server failed; all completed steps are saved.
    #[error("training stopped after {after}; continue with --resume {}", run.display())]
    Stopped {
        /// The last completed step: `epoch E step S`.
        after: String,
        /// The run's folder.
        run: PathBuf,
        /// The failure.
        #[source]
        source: stream::Error,
    },
    /// The stream does not match the run's configuration.
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
    /// The evaluation of the model.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file of the run.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitOutcome {
    /// All epochs are done.
    Finished,
    /// The stop flag was set; a checkpoint was saved.
    Interrupted,
}

/// A training loop before it runs.
#[derive(Debug)]
pub struct Fit<'a> {
    /// The servers.
    pub servers: &'a Servers,
    /// The model.
    pub learner: &'a mut Learner,
    /// Folder of the run.
    pub run: &'a RunFolder,
    /// Number of batches to prefetch.
    pub prefetch: usize,
    /// Whether the dataset has validation images.
    pub has_valid: bool,
    /// Interval in steps at which checkpoints are saved besides the end of each epoch; counted over all epochs.
    pub checkpoint_every: Option<NonZeroU64>,
    /// Stop flag: if set, training stops after the current step.
    pub stop: &'a AtomicBool,
    /// Writes the files of an epoch while the next one is trained; those of the last epoch may not be written when the loop ends.
    pub writer: &'a mut EpochWriter,
    /// The evaluation of the last epoch of the configuration, for the report; remains as it is if that epoch is not evaluated.
    pub last_evaluation: &'a mut Option<EvaluatedSplit>,
}

impl Fit<'_> {
    /// Trains to the end of the last epoch. After each epoch the model is evaluated and a line of metrics is appended; `writer` saves model and
    /// checkpoint while the next epoch is trained.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if the server failed: the completed steps are saved. After any other error the last saved checkpoint remains.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<FitOutcome, Error> {
        let outcome = self.train(observer);
        if !matches!(outcome, Ok(FitOutcome::Finished)) {
            let written = self.writer.wait();
            return outcome.and_then(|outcome| written.map(|()| outcome));
        }
        outcome
    }

    fn train(&mut self, observer: &mut dyn Observer) -> Result<FitOutcome, Error> {
        if self.learner.progress().awaits_evaluation() {
            observer.epoch(&self.finish_epoch(None)?);
        }
        if self.is_finished() {
            return Ok(FitOutcome::Finished);
        }
        if let Some(steps) = self.learner.progress().config.head_steps {
            return self.run_head(steps, observer);
        }
        let progress = self.learner.progress();
        let epochs = progress.config.epochs;
        let mut stream = images::open(self.servers, progress, epochs, self.prefetch)?;
        observer.stream_opened(stream.transports());
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
            self.learner.add_to_epoch(&batch, report, times);
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
            let ended_early = self.ended_early();
            return Err(self.stopped(ended_early)?);
        }
        Ok(FitOutcome::Finished)
    }

    fn ended_early(&self) -> stream::Error {
        stream::Error::Lost {
            address: self.servers.address().to_owned(),
            at: format!("after {}", self.after()),
            reason: "the server ended the stream early".to_owned(),
        }
    }

    fn interrupted(&mut self) -> Result<FitOutcome, Error> {
        self.save()?;
        Ok(FitOutcome::Interrupted)
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

    /// Evaluates and records the epoch, and starts to save it. If the evaluation fails because of the server, the steps are saved and the epoch
    /// is evaluated on resume.
    fn finish_epoch(&mut self, verdict: Option<BottleneckReport>) -> Result<EpochRecord, Error> {
        if self.learner.progress().config.reestimate_norms {
            self.reestimate_norms()?;
        }
        // Before the state is copied again, into the same memory.
        self.writer.wait()?;
        let mut snapshot = self.learner.snapshot_into(self.writer.take_written())?;
        let evaluated = if self.has_valid {
            self.evaluate_model(&snapshot).map(Some)
        } else {
            Ok(None)
        };
        let (valid, failure) = match evaluated {
            Ok(valid) => (valid, None),
            Err(Error::Evaluate(evaluate::Error::Stream(source))) => (None, Some(source)),
            Err(error) => return Err(error),
        };
        let record = self.record(valid, verdict);
        self.run.append_metrics(&record)?;
        if let Some(source) = failure {
            snapshot.with_model(|model| self.run.save_model(model))??;
            return Err(self.stopped(source)?);
        }
        let actions = self.learner.close_epoch(record.valid.as_ref());
        snapshot.checkpoint.progress = self.learner.progress().clone();
        self.writer.start(self.run, snapshot, actions)?;
        Ok(record)
    }

    fn record(&self, valid: Option<Metrics>, verdict: Option<BottleneckReport>) -> EpochRecord {
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
            damaged: self.servers.take_damaged(),
        }
    }

    fn evaluate_model(&mut self, snapshot: &Snapshot) -> Result<Metrics, Error> {
        let progress = &snapshot.checkpoint.progress;
        let config = &progress.config;
        let spec = EvalSpec {
            dataset: &config.dataset,
            split: Split::Valid,
            batch_size: config.batch_size,
            preprocessing: &Preprocessing::of(config),
            classes: &config.classes,
        };
        let is_last = progress.steps >= config.total_steps();
        let mut validator = self.learner.validator(snapshot)?;
        let model = ("the model", &mut validator);
        if !is_last {
            return Ok(evaluate_metrics(self.servers, model, &spec)?);
        }
        let evaluated = EvaluatedSplit::of(self.servers, model, &spec, TOP_LOSSES)?;
        let mut accumulator = MetricAccumulator::new(spec.classes.len());
        evaluated.predictions.add_to(&mut accumulator);
        *self.last_evaluation = Some(evaluated);
        Ok(accumulator.metrics(spec.classes))
    }

    fn save_if_due(&mut self) -> Result<(), Error> {
        let steps = self.learner.progress().steps;
        match self.checkpoint_every {
            Some(every) if steps.is_multiple_of(every.get()) => self.save(),
            _ => Ok(()),
        }
    }

    fn save(&mut self) -> Result<(), Error> {
        self.writer.wait()?;
        Ok(self.run.save_checkpoint(&self.learner.checkpoint()?)?)
    }

    /// Saves a checkpoint, and returns the error to report.
    fn stopped(&mut self, source: stream::Error) -> Result<Error, Error> {
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

    /// The last completed step: `epoch E step S`.
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
