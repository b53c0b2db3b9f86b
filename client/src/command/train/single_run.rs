//! Training of one run, new or from its checkpoint.

use std::{
    fs, io,
    num::NonZeroU64,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context as _, Result};
use equibatch_cli::files::{self, cannot_write};

use super::messages::{load_message, start_message};
use crate::{
    args::{DisplayArgs, Train},
    command::{
        Exit, find_lr,
        plan::RunPlan,
        prepare::{Prepared, TrainContext, prepare},
        report, signals,
    },
    config::{self, UsageError, check_precision, new_folder, resume_conflicts, training_options},
    learn::{
        checkpoint::{Checkpoint, ResumeState},
        fit::{EpochWriter, Fit, FitOutcome},
        learner::Learner,
        membership::Membership,
        metrics::Metric,
        progress::{Output, ProgressReporter, RunsProgress},
        report::table::percent,
        run::{self, RunConfig, RunFolder},
        run_log::{ClassSampling, Session, StepLog},
        tensorboard::TensorBoard,
        text::counted,
    },
};
use equibatch_stream::{DatasetDescription, Split, StreamDescription};
use equibatch_training::{runtime::Runtime, schedule::LearningRates};

/// Trains runs.
pub(in crate::command) struct Trainer {
    pub(in crate::command) context: TrainContext,
    /// Set by a signal handler to stop after the current step.
    pub(in crate::command) stop: Arc<AtomicBool>,
    /// Batches to prefetch.
    pub(in crate::command) prefetch: usize,
    /// Where messages are printed.
    pub(in crate::command) output: Output,
    /// Progress of all runs, shown instead of that of each.
    pub(in crate::command) runs: Option<RunsProgress>,
}

/// Settings of a run that do not affect its results.
pub(in crate::command) struct RunSettings<'a> {
    /// Folder to name for --resume if interrupted: that of the run or its experiment.
    pub(in crate::command) whole: &'a Path,
    /// Path of a copy of the final checkpoint.
    pub(in crate::command) save: Option<&'a Path>,
    /// Displayed metrics.
    pub(in crate::command) shown: &'a DisplayArgs,
    /// Interval of checkpoints in steps, in addition to the end of each epoch.
    pub(in crate::command) checkpoint_every: Option<NonZeroU64>,
}

/// A run before its first step, before anything is written.
struct NewRun {
    learner: Learner,
    description: DatasetDescription,
    stream: StreamDescription,
    found: Option<find_lr::LrSearch>,
}

impl Trainer {
    /// Loads the runtime and connects to the servers. Messages are printed to `output`.
    pub(in crate::command) fn new(args: &Train, output: Output) -> Result<Self> {
        // Loaded first, so that a missing library is reported before anything is downloaded.
        let context = TrainContext {
            runtime: Runtime::load_for(args.execution.device, args.execution.threads)?,
            options: training_options(&args.execution, args.operators),
            servers: config::servers(&args.server)?,
            hub: args.setup.network.hub(),
        };
        Ok(Self {
            context,
            stop: signals::stop()?,
            prefetch: args.prefetch.get(),
            output,
            runs: None,
        })
    }

    /// Trains a new run in `folder`, or in a new folder below runs/, which is removed again if training fails before its first step.
    pub(in crate::command) fn start(
        &self,
        plan: &RunPlan,
        folder: Option<&Path>,
        whole: Option<&Path>,
    ) -> Result<Exit> {
        if let Some(folder) = folder {
            RunFolder::check_free(folder)?;
        }
        let NewRun {
            mut learner,
            description,
            stream,
            found,
        } = self.init(plan)?;
        let config = &learner.progress().config;
        let default_folder = || new_folder(&format!("{}-{}", config.dataset, config.balance));
        let run = RunFolder::create(&folder.map_or_else(default_folder, Path::to_path_buf), config)?;
        let settings = RunSettings {
            whole: whole.unwrap_or(run.path()),
            save: plan.save.as_deref(),
            shown: &plan.shown,
            checkpoint_every: plan.config.policy.checkpoint_every,
        };
        warn_if_not_written(&run, ClassSampling::new(&description, &stream).write(run.path()));
        // With this checkpoint the run can be resumed.
        let snapshot = learner.snapshot().map_err(anyhow::Error::from);
        let saved = snapshot.and_then(|snapshot| {
            run.save_checkpoint(&snapshot.checkpoint)?;
            Ok(EpochWriter::of_written(snapshot))
        });
        let trained = saved.and_then(|writer| {
            found.map_or(Ok(()), |found| found.write(run.path()).map(drop))?;
            self.train((&run, writer), &mut learner, &description, &settings)
        });
        if trained.is_err() && learner.progress().steps == 0 {
            run.discard();
        }
        trained
    }

    fn init(&self, plan: &RunPlan) -> Result<NewRun> {
        let asked = &plan.config.max_lr;
        let mut config = plan.config.clone();
        // A placeholder until the rate is found.
        config.max_lr = LearningRates::with_found(asked, 1e-3);
        let Prepared {
            mut learner,
            description,
            stream,
            load_report,
        } = prepare(&self.context, &plan.origin, config)?;
        check_streams(&description)?;
        if let Some(load_report) = &load_report {
            self.output
                .print_line(&load_message(&learner.progress().config, load_report));
        }
        let mut found = None;
        if plan.find_lr {
            let search = find_lr::run_default_search(&self.context, &mut learner, self.prefetch, &self.stop)?;
            if LearningRates::are_to_be_found(asked) {
                let found = search
                    .suggestions()
                    .context("--max-lr found: give a rate instead, such as the default 3e-3")?;
                learner.set_max_lr(&LearningRates::with_found(asked, found.valley))?;
            }
            found = Some(search);
        }
        learner.set_images(Membership::fetch(&self.context.servers, &description)?);
        // Validates --metrics before anything is written.
        columns(&plan.shown, &learner.progress().config)?;
        Ok(NewRun {
            learner,
            description,
            stream,
            found,
        })
    }

    /// Resumes the run at `path`, whose settings must equal those given.
    pub(in crate::command) fn resume(&self, args: &Train, path: &Path) -> Result<Exit> {
        let (_, config) = RunFolder::open(path)?;
        let differences = resume_conflicts(args, &config);
        if !differences.is_empty() {
            return Err(mismatch(path, differences).into());
        }
        let settings = RunSettings {
            whole: path,
            save: args.save.as_deref(),
            shown: &args.shown,
            checkpoint_every: args.keep.checkpoint_every.or(config.policy.checkpoint_every),
        };
        self.continue_run(path, &settings)
    }

    /// Resumes the run at `path`.
    pub(in crate::command) fn continue_run(&self, path: &Path, settings: &RunSettings<'_>) -> Result<Exit> {
        let (run, config) = RunFolder::open(path)?;
        check_precision(config.precision, self.context.options.device)?;
        let checkpoint: Checkpoint = run.load_checkpoint(&config)?;
        let description = self.context.servers.describe(&config.dataset)?;
        let then = &checkpoint.progress;
        if let Some(changes) = then
            .images
            .changes_since(&then.config, &self.context.servers, &description)?
        {
            let load = run.checkpoint_path();
            let hint = format!(
                "{changes}; start a new run from its weights with --load {}",
                load.display()
            );
            return Err(mismatch(path, hint).into());
        }
        if checkpoint.progress.is_over() {
            self.output
                .print_line(&format!("{}: already complete", path.display()));
            return self.finish(&run, &checkpoint.progress, FitOutcome::Finished, settings);
        }
        check_streams(&description)?;
        run.remove_temporary();
        run.rewind(&checkpoint.progress)?;
        let mut learner = Learner::resume(&self.context.runtime, checkpoint, &self.context.options)?;
        self.train(
            (&run, EpochWriter::default()),
            &mut learner,
            &description,
            settings,
        )
    }

    fn train(
        &self,
        (run, mut writer): (&RunFolder, EpochWriter),
        learner: &mut Learner,
        description: &DatasetDescription,
        settings: &RunSettings<'_>,
    ) -> Result<Exit> {
        let progress = learner.progress();
        warn_if_not_written(run, self.session(progress.steps).append(run.path()));
        self.output
            .print_line(&start_message(run, &progress.config, description));
        let columns = columns(settings.shown, &progress.config)?;
        let keeps_features = progress.config.head_steps.is_some();
        let bar = ProgressReporter::new(progress.config.training_steps(), progress.steps, columns)
            .with_output(self.output)
            .within(self.runs.clone());
        let curves = match settings.shown.no_tensorboard {
            true => None,
            false => Some(TensorBoard::create(run.path(), progress.steps + 1)?),
        };
        let mut observer = (StepLog::new(run.path(), bar), curves);
        let mut evaluated = None;
        let fit = Fit {
            servers: &self.context.servers,
            learner,
            run,
            prefetch: self.prefetch,
            has_valid: description.images(Split::Valid) > 0,
            checkpoint_every: settings.checkpoint_every,
            stop: &self.stop,
            writer: &mut writer,
            last_evaluation: &mut evaluated,
        };
        let outcome = fit.run(&mut observer)?;
        if let Some(share) = observer.0.inner().wait_share().filter(|_| !keeps_features) {
            let share = percent(Some(share));
            self.output
                .print_line(&format!("\nwaited for batches {share} of the time"));
        }
        // Meanwhile the last checkpoint is written.
        if outcome == FitOutcome::Finished && description.images(Split::Valid) > 0 {
            writer.wait_for_model();
            let with = (&self.context.runtime, &self.context.options);
            report::draw_top_losses((run, learner), with, (&self.context.servers, evaluated));
        }
        let page = report::write(run, learner.progress().position.clone());
        writer.wait()?;
        let exit = self.finish(run, learner.progress(), outcome, settings)?;
        report::print(page, self.output);
        Ok(exit)
    }

    /// The record of this process, which starts at `from_step`.
    fn session(&self, from_step: u64) -> Session {
        let words = std::env::args_os();
        Session {
            command: words.map(|word| word.to_string_lossy().into_owned()).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: self.context.options.device.to_string(),
            servers: self.context.servers.address().to_owned(),
            from_step,
        }
    }

    /// Prints the files written, and copies the checkpoint to --save.
    fn finish(
        &self,
        run: &RunFolder,
        progress: &ResumeState,
        outcome: FitOutcome,
        settings: &RunSettings<'_>,
    ) -> Result<Exit> {
        let print = |text: &str| self.output.print_line(text);
        if outcome == FitOutcome::Interrupted {
            let whole = settings.whole.display();
            print(&format!(
                "\ninterrupted and saved; continue with --resume {whole}"
            ));
            return Ok(Exit::Interrupted);
        }
        let folder = run.path().display();
        let ResumeState {
            config, policy_state, ..
        } = progress;
        if policy_state.stopped {
            let epochs = counted(policy_state.epochs_since, "epoch");
            print(&format!("\nstopped early: {epochs} without improvement"));
        }
        print(&format!(
            "\nwritten: {folder}/model.onnx, {folder}/checkpoint.safetensors, {folder}/metrics.jsonl"
        ));
        if let (Some(metric), Some((value, epoch))) = (&config.policy.save_best, policy_state.best) {
            print(&format!(
                "best by {metric}: {value:.4} after epoch {epoch}: {folder}/best.onnx, {folder}/best.safetensors"
            ));
        }
        if let Some(path) = settings.save {
            let shown = path.display();
            let bytes = fs::read(run.checkpoint_path()).map_err(cannot_write(path))?;
            files::write(path, &bytes)?;
            print(&format!(
                "saved: {shown}; start another run from it with --load {shown}"
            ));
        }
        Ok(Exit::Done)
    }
}

/// Warns if a file that is used only for the report cannot be written; training continues.
fn warn_if_not_written(run: &RunFolder, written: io::Result<()>) {
    if let Err(error) = written {
        tracing::warn!(run = %run.path().display(), %error, "cannot write a record of the run; its report will be incomplete");
    }
}

/// The metrics to display after every epoch.
fn columns(shown: &DisplayArgs, config: &RunConfig) -> Result<Vec<Metric>, UsageError> {
    let asked = &shown.metrics;
    if asked.is_empty() {
        return Ok(Metric::defaults(config.classes.len()));
    }
    match asked.iter().find(|metric| !metric.exists_for(&config.classes)) {
        None => Ok(asked.clone()),
        Some(metric) => Err(UsageError(format!(
            "--metrics {metric}: no such metric for the classes {}",
            config.classes.join(", ")
        ))),
    }
}

/// Checks that the server allows two streams: validation runs while the training stream is open.
fn check_streams(description: &DatasetDescription) -> Result<(), UsageError> {
    if description.max_streams != 1 || description.images(Split::Valid) == 0 {
        return Ok(());
    }
    Err(UsageError(
        "the server allows this client 1 stream, but training needs 2: one for training and one for validation; raise max-streams of its \
         token, or --max-streams-per-client or --max-streams of the server"
            .to_owned(),
    ))
}

fn mismatch(path: &Path, differences: String) -> run::Error {
    run::Error::Mismatch {
        path: path.to_path_buf(),
        differences,
    }
}
