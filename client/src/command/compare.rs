use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use equibatch_cli::files;

use super::{
    Exit,
    plan::{Plan, beginning},
    prepare::{Means, ask_for_images, check_images},
    signals,
    train::Trainer,
};
use crate::{
    args::{Compare, Train},
    config::{self, UsageError, contradictions, put_over, session_options, training_options},
    learn::{
        checkpoint::CHECKPOINT,
        compare::{
            Arm, ArmPredictions, Comparison, Holdout, HoldoutImage, Repeat, TopPrediction, TrainedArm, page,
            table,
        },
        evaluate::{EvalSpec, OnSample, evaluate_each},
        metrics::RarestClasses,
        pixels::picture,
        predict::Predictor,
        predictions::Predictions,
        progress::Output,
        report::confusion_plot::ConfusionPlot,
        run::{self, RunConfig, RunFolder},
        text::counted,
    },
};
use equibatch_stream::{DatasetDescription, Servers, Split};
use equibatch_training::runtime::Runtime;

/// Trains every arm with every seed, judges each on the same images, and compares. What was done before in the same folder is not done
/// again.
pub(super) fn run(args: &Compare) -> Result<Exit> {
    check(args)?;
    let (_, mut settled) = beginning(&args.train.setup)?;
    put_over(&args.train, &mut settled);
    config::check_precision(settled.precision, args.train.execution.device)?;
    config::check_head(&settled)?;
    let trainer = Trainer {
        means: Means {
            runtime: Runtime::load_for(args.train.execution.device)?,
            options: training_options(&args.train.execution, args.train.operators),
            servers: config::servers(&args.train.server)?,
            hub: args.train.setup.network.hub(),
        },
        stop: signals::stop()?,
        prefetch: args.train.prefetch.get(),
        output: Output::Stderr,
    };
    let servers = &trainer.means.servers;
    ask_for_images(servers, &mut settled)?;
    let images = images_per_epoch(args, &settled, servers)?;
    settled.images_per_epoch = Some(images);
    trainer.output.print_line(&format!(
        "every way of training takes {} steps of {} images an epoch (--images-per-epoch {images})",
        images / u64::from(settled.images_per_step()),
        settled.images_per_step()
    ));
    let description = servers.describe(&settled.dataset)?;
    let rarest = rarest(&description, args.split)?;
    let has_new_images = description.images(Split::Test) > 0;
    let folder = folder(args, &settled);
    let mut arms: Vec<TrainedArm> = vec![];
    arms.extend(args.arms.iter().map(|arm| TrainedArm {
        arm: arm.clone(),
        repeats: vec![],
    }));
    for seed in (0..u64::from(args.repeats)).map(|repeat| settled.seed.wrapping_add(repeat)) {
        for trained in &mut arms {
            let run = folder.join(format!("{}-{seed}", trained.arm).replace(':', "-"));
            let train = arguments(args, &settled, (&trained.arm, seed), &run);
            let Some(predictions) = repeat(args.split, &train, &run, &trainer)? else {
                let shown = folder.display();
                Output::Stderr.print_line(&format!("interrupted; the same command goes on, in {shown}"));
                return Ok(Exit::Interrupted);
            };
            trained.repeats.push(Repeat {
                seed,
                run,
                predictions,
            });
        }
    }
    let classes: Vec<String> = description.classes.into_iter().map(|class| class.name).collect();
    let mut comparison = Comparison::new(&arms, &classes, &rarest)?;
    if args.split != Split::Test && has_new_images {
        comparison.holdout = Some(new_images(&arms, args, &trainer)?);
    }
    write_files(&folder, &comparison, &settled.dataset)?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &comparison)?;
        writeln!(out)?;
    } else {
        let shown = folder.display();
        writeln!(
            out,
            "{}\nwritten: {shown}/compare.html, {shown}/compare.json and pictures",
            table::text(&comparison)
        )?;
    }
    Ok(Exit::Done)
}

/// Refuses what a comparison decides itself.
fn check(args: &Compare) -> Result<(), UsageError> {
    let refused = |text: &str| Err(UsageError(text.to_owned()));
    let train = &args.train;
    if train.setup.images.balance.is_some() {
        return refused("--balance is what is compared: name the ways of training with --arms");
    }
    if train.setup.objective.class_weights.is_some() {
        return refused("--class-weights is compared as well: it is the arm `weighted`");
    }
    if train.experiment.is_some() || train.stage.is_some() {
        return refused(
            "a comparison is of runs of one stage: name what to begin with by --load or --weights",
        );
    }
    if train.resume.is_some() {
        return refused("a comparison goes on by itself: run it again with the same --out");
    }
    if train.save.is_some() {
        return refused("--save is for one training: each run's checkpoint is in its folder");
    }
    let repeated = |(place, arm): (usize, &Arm)| args.arms[..place].contains(arm);
    if args.arms.len() < 2 || args.arms.iter().enumerate().any(repeated) {
        return refused("--arms needs two or more different ways of training");
    }
    Ok(())
}

/// The classes with the fewest training images.
fn rarest(description: &DatasetDescription, split: Split) -> Result<RarestClasses, UsageError> {
    if description.images(split) == 0 {
        return Err(UsageError(format!(
            "the dataset has no {split} images to judge on"
        )));
    }
    let classes = description.classes.iter();
    let trained = classes.map(|class| (class.name.as_str(), class.images(Split::Train.name()).into()));
    RarestClasses::of(trained).ok_or_else(|| UsageError("the dataset has no images to train on".to_owned()))
}

/// Images of an epoch, the same for all arms, so that none is better for taking more steps: what was typed, or the most that the balance of
/// any arm makes of the images.
fn images_per_epoch(args: &Compare, settled: &RunConfig, servers: &Servers) -> Result<u64> {
    if let Some(images) = settled.images_per_epoch {
        return Ok(images);
    }
    let mut most = 0;
    for arm in &args.arms {
        let mut config = RunConfig {
            balance: arm.balance.clone(),
            ..settled.clone()
        };
        most = ask_for_images(servers, &mut config)?.images_per_epoch.max(most);
    }
    Ok(most)
}

/// The folder of the comparison: the same for the same command, so that it goes on where it stopped.
fn folder(args: &Compare, settled: &RunConfig) -> PathBuf {
    let named = args.train.out.clone();
    named.unwrap_or_else(|| {
        Path::new("runs").join(format!("{}-compare", settled.dataset).replace(['/', '\\'], "-"))
    })
}

/// What would be typed to train one arm once.
fn arguments(args: &Compare, settled: &RunConfig, (arm, seed): (&Arm, u64), run: &Path) -> Train {
    let mut train = args.train.clone();
    let images = &mut train.setup.images;
    images.dataset = Some(settled.dataset.clone());
    images.balance = Some(arm.balance.clone());
    images.seed = Some(seed);
    images.images_per_epoch = settled.images_per_epoch;
    // As the server understands it, so that it can be compared with what an earlier run has noted.
    images.recipe = Some(settled.recipe.clone());
    train.setup.objective.class_weights = Some(arm.class_weights);
    (train.out, train.resume) = if run.join(CHECKPOINT).exists() {
        (None, Some(run.to_path_buf()))
    } else {
        (Some(run.to_path_buf()), None)
    };
    train
}

/// What the model of one training says of every image; `None` where the training was interrupted.
fn repeat(split: Split, args: &Train, run: &Path, trainer: &Trainer) -> Result<Option<Predictions>> {
    let path = run.join(format!("outcomes-{split}.safetensors"));
    if let Ok(bytes) = fs::read(&path) {
        let (kept, config) = RunFolder::open(run)?;
        let differences = contradictions(args, &config);
        if !differences.is_empty() {
            let path = run.to_path_buf();
            return Err(run::Error::Mismatch { path, differences }.into());
        }
        let servers = &trainer.means.servers;
        check_images(servers, run, &kept.progress(&config), &config.dataset)?;
        return Ok(Some(Predictions::from_bytes(&bytes, &path)?));
    }
    trainer.output.print_line("");
    let exit = match &args.resume {
        Some(path) => trainer.resume(args, path)?,
        None => trainer.start(&Plan::typed(args)?, args.out.as_deref(), None)?,
    };
    if exit != Exit::Done {
        return Ok(None);
    }
    let predictions = judge(split, run, args, trainer)?;
    let shown = path.display();
    files::replace(&path, &predictions.to_bytes()).with_context(|| format!("cannot write {shown}"))?;
    Ok(Some(predictions))
}

fn judge(split: Split, run: &Path, args: &Train, trainer: &Trainer) -> Result<Predictions> {
    let mut predictions = Predictions::default();
    look(split, run, args, trainer, &mut |seen| {
        predictions.push(seen.sample, seen.label as u32, seen.logits);
    })?;
    Ok(predictions)
}

/// Shows the images of a split to the model of a run.
fn look(split: Split, run: &Path, args: &Train, trainer: &Trainer, each: OnSample<'_>) -> Result<()> {
    let (run, config) = RunFolder::open(run)?;
    let options = session_options(&args.execution);
    let mut predictor = Predictor::open(&trainer.means.runtime, &run.model_path(), &options)?;
    let card = predictor.card().clone();
    let subject = EvalSpec {
        dataset: &config.dataset,
        split,
        batch_size: config.batch_size,
        preprocessing: &card.preprocessing,
        classes: &card.classes,
    };
    let model = ("the model", predictor.classifier());
    evaluate_each(&trainer.means.servers, model, &subject, each)?;
    Ok(())
}

/// What the first model of every arm makes of the images that nobody was trained or compared on.
fn new_images(arms: &[TrainedArm], args: &Compare, trainer: &Trainer) -> Result<Holdout> {
    let mut holdout = Holdout::default();
    for trained in arms {
        let Some(first) = trained.repeats.first() else {
            continue;
        };
        let (_, config) = RunFolder::open(&first.run)?;
        let (mut samples, mut predictions) = (vec![], vec![]);
        let is_first = holdout.arms.is_empty();
        look(Split::Test, &first.run, &args.train, trainer, &mut |seen| {
            predictions.push(TopPrediction::of(seen.logits));
            if is_first {
                samples.push(seen.sample);
                holdout.images.push(HoldoutImage {
                    path: String::new(),
                    label: seen.label,
                    picture: picture(seen.tensor, config.image_size, config.mean, config.std),
                });
            }
        })?;
        if is_first {
            let paths = trainer.means.servers.paths(&config.dataset, &samples)?;
            for (image, path) in holdout.images.iter_mut().zip(paths) {
                image.path = path;
            }
        }
        holdout.arms.push(ArmPredictions {
            arm: trained.arm.to_string(),
            seed: first.seed,
            predictions,
        });
    }
    Ok(holdout)
}

fn write_files(folder: &Path, comparison: &Comparison, dataset: &str) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let shown = path.display();
        files::replace(&path, text.as_bytes()).with_context(|| format!("cannot write {shown}"))
    };
    let json = serde_json::to_string_pretty(comparison).expect("a comparison is plain data");
    write("compare.json", &format!("{json}\n"))?;
    write("compare.html", &page::page(comparison, dataset)?.to_html())?;
    let saved = page::chart(comparison)?.save(folder);
    saved.map_err(|(path, error)| {
        anyhow::Error::from(error).context(format!("cannot write {}", path.display()))
    })?;
    for arm in &comparison.arms {
        let (images, runs) = (arm.all_repeats.images, counted(arm.seeds.len(), "run"));
        let title = format!("{}: {} of {runs}", arm.name, counted(images, "image"));
        for extension in ["png", "svg"] {
            let name = format!("confusion-{}.{extension}", arm.name).replace(':', "-");
            ConfusionPlot::new(&arm.all_repeats, &title).save(&folder.join(name))?;
        }
    }
    Ok(())
}
