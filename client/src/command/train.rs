use std::{
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;

use super::Exit;
use crate::{
    args::Train,
    config::{self, TrainSettings, UsageError, contradictions, new_run_folder, session_options},
    learn::{
        fit::{Fit, Outcome},
        learner::{self, Learner},
        metrics::Metric,
        progress::Progress,
        run::{self, RunConfig, RunFolder},
    },
    runtime::{Runtime, SessionOptions},
    stream::{BatchRequest, DatasetDescription, Servers, Split},
};

/// Trains a new run, or continues one.
pub(super) fn run(args: &Train) -> Result<Exit> {
    // The library first: to learn only after the first download that nothing can run would be a waste.
    let runtime = Runtime::load()?;
    let options = session_options(&args.execution);
    let stop = stop_on_signal()?;
    let servers = config::servers(&args.server)?;
    let (run, mut learner, description) = match &args.resume {
        Some(path) => resume(args, path, &servers, (&runtime, &options))?,
        None => start(args, &servers, (&runtime, &options))?,
    };
    let progress = learner.progress().clone();
    introduce(&run, &progress.config, &description)?;
    let total_steps = progress.config.steps_per_epoch * u64::from(progress.config.epochs);
    if progress.steps >= total_steps {
        writeln!(
            io::stdout().lock(),
            "all {} epochs are done already",
            progress.config.epochs
        )?;
        return Ok(Exit::Done);
    }
    let mut observer = Progress::new(
        total_steps,
        progress.steps,
        Metric::usual(progress.config.classes.len()),
    );
    let has_valid = images(&description, Split::Valid) > 0;
    let fit = Fit {
        servers: &servers,
        learner: &mut learner,
        run: &run,
        prefetch: args.prefetch.get(),
        has_valid,
        stop: &stop,
    };
    let outcome = fit.run(&mut observer)?;
    let mut out = io::stdout().lock();
    let folder = run.path().display();
    match outcome {
        Outcome::Finished => writeln!(
            out,
            "\nwritten: {folder}/model.onnx, {folder}/checkpoint.safetensors, {folder}/metrics.jsonl"
        )?,
        Outcome::Interrupted => {
            writeln!(out, "\ninterrupted and saved; continue with --resume {folder}")?;
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Done)
}

type Prepared = (RunFolder, Learner, DatasetDescription);

fn start(
    args: &Train,
    servers: &Servers,
    (runtime, options): (&Runtime, &SessionOptions),
) -> Result<Prepared> {
    let settings = TrainSettings::from_args(args);
    learner::network(&settings.arch)?;
    let description = servers.describe(args.dataset.as_deref().unwrap_or_default())?;
    let request = BatchRequest {
        seed: settings.seed,
        epochs: settings.epochs,
        balance: Some(settings.balance),
        recipe: settings.recipe,
        ..BatchRequest::evaluation(
            &description.name,
            Split::Train,
            settings.batch_size,
            settings.size,
        )
    };
    // What the stream is like is known only from the stream itself.
    let stream = servers.stream(&request, 1)?.description().clone();
    if stream.steps_per_epoch == 0 {
        let images = stream.images_per_epoch;
        let message = format!(
            "an epoch of {images} images has no full batch; use --batch-size {} or less",
            images.max(2)
        );
        return Err(UsageError(message).into());
    }
    let config = RunConfig {
        dataset: stream.dataset,
        fingerprint: stream.fingerprint,
        classes: stream.classes,
        arch: settings.arch,
        epochs: settings.epochs,
        steps_per_epoch: stream.steps_per_epoch,
        max_lr: settings.max_lr,
        weight_decay: settings.weight_decay,
        batch_size: settings.batch_size,
        image_size: settings.size,
        balance: settings.balance,
        recipe: stream.recipe,
        seed: settings.seed,
        mean: stream.mean,
        std: stream.std,
        canonical_short_side: stream.canonical_short_side,
    };
    let learner = Learner::new(runtime, &config, options)?;
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| new_run_folder(&config.dataset, config.balance));
    Ok((RunFolder::create(&folder, &config)?, learner, description))
}

fn resume(
    args: &Train,
    path: &Path,
    servers: &Servers,
    (runtime, options): (&Runtime, &SessionOptions),
) -> Result<Prepared> {
    let (run, config) = RunFolder::open(path)?;
    let differences = contradictions(args, &config);
    if !differences.is_empty() {
        return Err(run::Error::Mismatch {
            path: path.to_path_buf(),
            differences,
        }
        .into());
    }
    let checkpoint = run.load_checkpoint(&config)?;
    let description = servers.describe(&config.dataset)?;
    if description.fingerprint != config.fingerprint {
        let differences = format!("the dataset `{}` has changed since", config.dataset);
        return Err(run::Error::Mismatch {
            path: path.to_path_buf(),
            differences,
        }
        .into());
    }
    Ok((run, Learner::resume(runtime, checkpoint, options)?, description))
}

fn images(description: &DatasetDescription, split: Split) -> u32 {
    description
        .classes
        .iter()
        .filter_map(|class| class.images_per_split.get(split.name()))
        .sum()
}

fn introduce(run: &RunFolder, config: &RunConfig, description: &DatasetDescription) -> io::Result<()> {
    let classes = description.classes.iter().map(|class| {
        format!(
            "{} {}",
            class
                .images_per_split
                .get(Split::Train.name())
                .copied()
                .unwrap_or(0),
            class.name
        )
    });
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} on {}: {} for training, {} for validation; balance {}, {} steps of {} images per epoch, {} epochs; results in {}",
        config.arch,
        config.dataset,
        classes.collect::<Vec<_>>().join(" and "),
        images(description, Split::Valid),
        config.balance,
        config.steps_per_epoch,
        config.batch_size,
        config.epochs,
        run.path().display()
    )?;
    out.flush()
}

/// A flag that Ctrl-C and SIGTERM raise. A second signal ends the program at once.
fn stop_on_signal() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let signals = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            signals.block_on(async {
                while signal().await.is_ok() {
                    if flag.swap(true, Ordering::Relaxed) {
                        std::process::exit(i32::from(Exit::Interrupted as u8));
                    }
                    let _ = writeln!(
                        io::stderr(),
                        "\nstopping after this step; once more to stop at once"
                    );
                }
            });
        })?;
    Ok(stop)
}

#[cfg(unix)]
async fn signal() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
