//! `client train`.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{
    Exit,
    prepare::{Prepared, prepare, saved_as},
    signals,
};
use crate::{
    args::Train,
    config::{self, contradictions, new_run_folder, put_over, training_options},
    learn::{
        atomic,
        fit::{Fit, Outcome},
        learner::Learner,
        metrics::Metric,
        progress::Progress,
        run::{self, RunConfig, RunFolder},
    },
    runtime::{Runtime, SessionOptions},
    stream::{DatasetDescription, Servers, Split},
    weights::{Adoption, HeadFate},
};

/// Trains a new run, or continues one.
pub(super) fn run(args: &Train) -> Result<Exit> {
    // The library first: to learn only after the first download that nothing can run would be a waste.
    let runtime = Runtime::load()?;
    let options = training_options(&args.execution, args.operators);
    let stop = signals::stop()?;
    let servers = config::servers(&args.server)?;
    let (run, mut learner, description) = match &args.resume {
        Some(path) => resume(args, path, &servers, (&runtime, &options))?,
        None => start(args, &servers, (&runtime, &options))?,
    };
    let progress = learner.progress().clone();
    introduce(&run, &progress.config, &description)?;
    let total_steps = progress.config.steps_per_epoch * u64::from(progress.config.epochs);
    let mut outcome = Outcome::Finished;
    if progress.steps >= total_steps {
        writeln!(
            io::stdout().lock(),
            "all {} epochs are done already",
            progress.config.epochs
        )?;
    } else {
        let mut observer = Progress::new(
            total_steps,
            progress.steps,
            Metric::usual(progress.config.classes.len()),
        );
        let fit = Fit {
            servers: &servers,
            learner: &mut learner,
            run: &run,
            prefetch: args.prefetch.get(),
            has_valid: images(&description, Split::Valid) > 0,
            stop: &stop,
        };
        outcome = fit.run(&mut observer)?;
    }
    finish(args, &run, outcome)
}

/// Says what was written, and keeps a copy where one was asked for.
fn finish(args: &Train, run: &RunFolder, outcome: Outcome) -> Result<Exit> {
    let mut out = io::stdout().lock();
    let folder = run.path().display();
    if outcome == Outcome::Interrupted {
        writeln!(out, "\ninterrupted and saved; continue with --resume {folder}")?;
        return Ok(Exit::Interrupted);
    }
    writeln!(
        out,
        "\nwritten: {folder}/model.onnx, {folder}/checkpoint.safetensors, {folder}/metrics.jsonl"
    )?;
    if let Some(path) = &args.save {
        let path = saved_as(path);
        let shown = path.display();
        let bytes = std::fs::read(run.checkpoint_path());
        bytes
            .and_then(|bytes| atomic::replace(&path, &bytes))
            .with_context(|| format!("cannot write {shown}"))?;
        writeln!(out, "saved: {shown}; go on from there with --load {shown}")?;
    }
    Ok(Exit::Done)
}

type Ready = (RunFolder, Learner, DatasetDescription);

fn start(args: &Train, servers: &Servers, (runtime, options): (&Runtime, &SessionOptions)) -> Result<Ready> {
    let Prepared { begun, description } = prepare(&args.setup, servers, |config| put_over(args, config))?;
    let config = begun.config.clone();
    if let Some(adoption) = &begun.adoption {
        adopted(&config, adoption)?;
    }
    let learner = Learner::begin(runtime, begun, options)?;
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
) -> Result<Ready> {
    let (run, config) = RunFolder::open(path)?;
    let mismatch = |differences: String| run::Error::Mismatch {
        path: path.to_path_buf(),
        differences,
    };
    let differences = contradictions(args, &config);
    if !differences.is_empty() {
        return Err(mismatch(differences).into());
    }
    let checkpoint = run.load_checkpoint(&config)?;
    let description = servers.describe(&config.dataset)?;
    if description.fingerprint != config.fingerprint {
        return Err(mismatch(format!("the dataset `{}` has changed since", config.dataset)).into());
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

/// Says what came of the weights.
fn adopted(config: &RunConfig, adoption: &Adoption) -> io::Result<()> {
    let head = match &adoption.head {
        HeadFate::Loaded => "the head is theirs, too".to_owned(),
        HeadFate::New { reason } => format!("the head starts anew ({reason})"),
    };
    writeln!(
        io::stdout().lock(),
        "weights {}: {} tensors; {head}",
        config.before.weights,
        adoption.tensors
    )
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
    let trained = if config.frozen {
        ", its body frozen but for the batch norms,"
    } else {
        ""
    };
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{}{trained} on {}: {} for training, {} for validation; balance {}, {} steps of {} images per epoch, {} epochs; results in {}",
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
