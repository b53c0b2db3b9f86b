use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use equibatch_cli::files;

use super::{
    Exit,
    plan::{RunPlan, initial_config},
    prepare::{TrainContext, ask_for_images, check_images},
    signals,
    train::Trainer,
};
use crate::{
    args::{Compare, Train},
    config::{self, UsageError, apply_args, resume_conflicts, session_options, training_options},
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

/// Trains every arm with every seed, evaluates all runs on the same images, and compares them. Runs that are complete in the same folder are
/// not repeated.
pub(super) fn run(args: &Compare) -> Result<Exit> {
    check(args)?;
    let (_, mut base_config) = initial_config(&args.train.setup)?;
    apply_args(&args.train, &mut base_config);
    config::check_precision(base_config.precision, args.train.execution.device)?;
    config::check_head(&base_config)?;
    let trainer = Trainer {
        context: TrainContext {
            runtime: Runtime::load_for(args.train.execution.device)?,
            options: training_options(&args.train.execution, args.train.operators),
            servers: config::servers(&args.train.server)?,
            hub: args.train.setup.network.hub(),
        },
        stop: signals::stop()?,
        prefetch: args.train.prefetch.get(),
        output: Output::Stderr,
    };
    let servers = &trainer.context.servers;
    ask_for_images(servers, &mut base_config)?;
    let images = images_per_epoch(args, &base_config, servers)?;
    base_config.images_per_epoch = Some(images);
    trainer.output.print_line(&format!(
        "every method trains for {} steps of {} images per epoch (--images-per-epoch {images})",
        images / u64::from(base_config.images_per_step()),
        base_config.images_per_step()
    ));
    let description = servers.describe(&base_config.dataset)?;
    let rarest_classes = rarest_classes(&description, args.split)?;
    let has_new_images = description.images(Split::Test) > 0;
    let folder = folder(args, &base_config);
    let mut arms: Vec<TrainedArm> = vec![];
    arms.extend(args.arms.iter().map(|arm| TrainedArm {
        arm: arm.clone(),
        repeats: vec![],
    }));
    for seed in (0..u64::from(args.repeats)).map(|repeat| base_config.seed.wrapping_add(repeat)) {
        for trained in &mut arms {
            let run = folder.join(format!("{}-{seed}", trained.arm).replace([':', '>'], "-"));
            let train = arguments(args, &base_config, (&trained.arm, seed), &run);
            let Some(predictions) = repeat(args.split, &train, &run, &trainer)? else {
                let shown = folder.display();
                Output::Stderr.print_line(&format!(
                    "interrupted; run the same command again to continue in {shown}"
                ));
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
    let mut comparison = Comparison::new(&arms, &classes, &rarest_classes)?;
    if args.split != Split::Test && has_new_images {
        comparison.holdout = Some(new_images(&arms, args, &trainer)?);
    }
    write_files(&folder, &comparison, &base_config.dataset)?;
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

/// Refuses arguments that a comparison sets itself.
fn check(args: &Compare) -> Result<(), UsageError> {
    let refused = |text: &str| Err(UsageError(text.to_owned()));
    let train = &args.train;
    if train.setup.images.balance.is_some() {
        return refused("--balance cannot be used with compare: name the methods with --arms");
    }
    if train.setup.objective.class_weights.is_some() {
        return refused("--class-weights cannot be used with compare: use the arm `weighted` of --arms");
    }
    if train.setup.objective.logit_adjust.is_some() {
        return refused("--logit-adjust cannot be used with compare: use the arm `adjusted` of --arms");
    }
    if train.experiment.is_some() || train.stage.is_some() {
        return refused(
            "--experiment and --stage cannot be used with compare: start from --load or --weights",
        );
    }
    if train.resume.is_some() {
        return refused(
            "--resume cannot be used with compare: run the command again with the same --out to continue",
        );
    }
    if train.save.is_some() {
        return refused("--save cannot be used with compare: each run's checkpoint is in its folder");
    }
    let repeated = |(place, arm): (usize, &Arm)| args.arms[..place].contains(arm);
    if args.arms.len() < 2 || args.arms.iter().enumerate().any(repeated) {
        return refused("--arms needs at least two different methods");
    }
    Ok(())
}

/// The classes with the fewest training images.
fn rarest_classes(description: &DatasetDescription, split: Split) -> Result<RarestClasses, UsageError> {
    if description.images(split) == 0 {
        return Err(UsageError(format!(
            "--split {split}: the dataset has no {split} images"
        )));
    }
    let classes = description.classes.iter();
    let trained = classes.map(|class| (class.name.as_str(), class.images(Split::Train.name()).into()));
    RarestClasses::of(trained).ok_or_else(|| UsageError("the dataset has no images to train on".to_owned()))
}

/// Images per epoch, the same for all arms, so that all take the same number of steps: --images-per-epoch, or the largest number of the
/// arms' balance policies.
fn images_per_epoch(args: &Compare, base_config: &RunConfig, servers: &Servers) -> Result<u64> {
    if let Some(images) = base_config.images_per_epoch {
        return Ok(images);
    }
    let mut most = 0;
    for arm in &args.arms {
        let mut config = RunConfig {
            balance: arm.balance.clone(),
            ..base_config.clone()
        };
        most = ask_for_images(servers, &mut config)?.images_per_epoch.max(most);
    }
    Ok(most)
}

/// The folder of the comparison; the same for the same command, so that it can be continued.
fn folder(args: &Compare, base_config: &RunConfig) -> PathBuf {
    let named = args.train.out.clone();
    named.unwrap_or_else(|| {
        Path::new("runs").join(format!("{}-compare", base_config.dataset).replace(['/', '\\'], "-"))
    })
}

/// The arguments of `client train` for one run of an arm.
fn arguments(args: &Compare, base_config: &RunConfig, (arm, seed): (&Arm, u64), run: &Path) -> Train {
    let mut train = args.train.clone();
    let images = &mut train.setup.images;
    images.dataset = Some(base_config.dataset.clone());
    images.balance = Some(arm.balance.clone());
    images.seed = Some(seed);
    images.images_per_epoch = base_config.images_per_epoch;
    // The server's normalised form, for comparison with the configuration of an earlier run.
    images.recipe = Some(base_config.recipe.clone());
    train.setup.objective.class_weights = Some(arm.class_weights);
    train.setup.objective.logit_adjust = Some(arm.logit_adjust);
    (train.out, train.resume) = if run.join(CHECKPOINT).exists() {
        (None, Some(run.to_path_buf()))
    } else {
        (Some(run.to_path_buf()), None)
    };
    train
}

/// Trains and evaluates one run, or reads its stored predictions; `None` if the training was interrupted.
fn repeat(split: Split, args: &Train, run: &Path, trainer: &Trainer) -> Result<Option<Predictions>> {
    let path = run.join(format!("outcomes-{split}.safetensors"));
    if let Ok(bytes) = fs::read(&path) {
        let (kept, config) = RunFolder::open(run)?;
        let differences = resume_conflicts(args, &config);
        if !differences.is_empty() {
            let path = run.to_path_buf();
            return Err(run::Error::Mismatch { path, differences }.into());
        }
        let servers = &trainer.context.servers;
        check_images(servers, run, &kept.progress(&config), &config.dataset)?;
        return Ok(Some(Predictions::from_bytes(&bytes, &path)?));
    }
    trainer.output.print_line("");
    let exit = match &args.resume {
        Some(path) => trainer.resume(args, path)?,
        None => trainer.start(&RunPlan::typed(args)?, args.out.as_deref(), None)?,
    };
    if exit != Exit::Done {
        return Ok(None);
    }
    let predictions = evaluate_run(split, run, args, trainer)?;
    files::write(&path, &predictions.to_bytes())?;
    Ok(Some(predictions))
}

fn evaluate_run(split: Split, run: &Path, args: &Train, trainer: &Trainer) -> Result<Predictions> {
    let mut predictions = Predictions::default();
    predict_split(split, run, args, trainer, &mut |seen| {
        predictions.push(seen.sample, seen.label as u32, seen.logits);
    })?;
    Ok(predictions)
}

/// Runs the model of a run on a split; `each` receives every image with its logits.
fn predict_split(
    split: Split,
    run: &Path,
    args: &Train,
    trainer: &Trainer,
    each: OnSample<'_>,
) -> Result<()> {
    let (run, config) = RunFolder::open(run)?;
    let options = session_options(&args.execution);
    let mut predictor = Predictor::open(&trainer.context.runtime, &run.model_path(), &options)?;
    let card = predictor.card().clone();
    let subject = EvalSpec {
        dataset: &config.dataset,
        split,
        batch_size: config.batch_size,
        preprocessing: &card.preprocessing,
        classes: &card.classes,
    };
    let model = ("the model", predictor.classifier());
    evaluate_each(&trainer.context.servers, model, &subject, each)?;
    Ok(())
}

/// Predictions of the first model of every arm on the test split, which was used neither for training nor for the comparison.
fn new_images(arms: &[TrainedArm], args: &Compare, trainer: &Trainer) -> Result<Holdout> {
    let mut holdout = Holdout::default();
    for trained in arms {
        let Some(first) = trained.repeats.first() else {
            continue;
        };
        let (_, config) = RunFolder::open(&first.run)?;
        let (mut samples, mut predictions) = (vec![], vec![]);
        let is_first = holdout.arms.is_empty();
        predict_split(Split::Test, &first.run, &args.train, trainer, &mut |seen| {
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
            let paths = trainer.context.servers.paths(&config.dataset, &samples)?;
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
    let write = |name: &str, text: &str| files::write(&folder.join(name), text.as_bytes());
    let json = serde_json::to_string_pretty(comparison).expect("a comparison is serialisable");
    write("compare.json", &format!("{json}\n"))?;
    write("compare.html", &page::page(comparison, dataset)?.to_html())?;
    page::chart(comparison)?.save(folder)?;
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
