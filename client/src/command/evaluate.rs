use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use equibatch_cli::files;
use serde::Serialize;
use serde_json::json;

use super::{Exit, adjust, prepare::check_images};
use crate::{
    args::Evaluate,
    config::{self, session_options},
    learn::{
        checkpoint::ResumeState,
        evaluate::{EvalSpec, Evaluation, evaluate},
        metrics::Metrics,
        predict::Predictor,
        report::{confusion_plot::ConfusionPlot, evaluation::EvaluationReport, table},
        run::RunFolder,
        text::counted,
        tta,
    },
};
use equibatch_stream::{ClassCounts, Servers, Split};
use equibatch_training::runtime::Runtime;

/// A model to evaluate.
struct Candidate {
    /// Name in the output.
    name: String,
    model: PathBuf,
    /// Folder of the results.
    folder: PathBuf,
    /// Dataset unless --dataset is given: that of its run; empty: the server's only one.
    dataset: String,
    /// Progress of the run that the model is of, if known.
    trained: Option<ResumeState>,
}

/// An evaluated model.
struct Evaluated {
    report: EvaluationReport,
    /// Number of images that replaced undecodable files.
    replaced: usize,
}

/// Evaluates every model, and writes and prints the metrics; several models are also printed side by side.
pub(super) fn run(args: &Evaluate) -> Result<Exit> {
    let candidates = candidates(args)?;
    let runtime = Runtime::load_for(args.execution.device, args.execution.threads)?;
    let servers = config::servers(&args.server)?;
    let mut evaluated = vec![];
    for candidate in &candidates {
        let result = evaluate_model(args, &runtime, &servers, candidate)?;
        write_files(args, candidate, &result.report)?;
        evaluated.push((candidate, result));
    }
    let mut out = io::stdout().lock();
    if args.json {
        let models = evaluated
            .iter()
            .map(|(candidate, evaluated)| (candidate.name.clone(), json!(evaluated.report)));
        let models: serde_json::Map<_, _> = models.collect();
        let metrics = json!({ "split": args.split, "tta": args.tta.is_some(), "models": models });
        serde_json::to_writer_pretty(&mut out, &metrics)?;
        writeln!(out)?;
        return Ok(Exit::Done);
    }
    let mut how = String::new();
    if args.tta.is_some() {
        how += ", with test-time augmentation";
    }
    if let Some(prior) = &args.adjust.prior.prior {
        how += &format!(", with class frequencies {prior}");
    }
    for (candidate, evaluated) in &evaluated {
        writeln!(out, "{} on the {} images{how}\n", candidate.name, args.split)?;
        writeln!(out, "{}", evaluated.report.text())?;
        writeln!(out, "{}", table::confusion(&evaluated.report.metrics))?;
        if evaluated.replaced > 0 {
            let files = counted(evaluated.replaced, "broken file");
            writeln!(out, "{files} replaced by other images of the same class\n")?;
        }
        let folder = candidate.folder.display();
        writeln!(
            out,
            "written: {folder}/evaluation-{0}.json and .html, {folder}/confusion-{0}.png and .svg\n",
            suffix(args)
        )?;
    }
    if evaluated.len() > 1 {
        let named = evaluated
            .iter()
            .map(|(candidate, evaluated)| table::NamedMetrics {
                name: candidate.name.clone(),
                metrics: evaluated.report.metrics.clone(),
            });
        writeln!(out, "side by side, on the {} images{how}\n", args.split)?;
        let training = training_images(args, &servers, &candidates[0]);
        let models: Vec<_> = named.collect();
        writeln!(out, "{}", table::side_by_side(&models, training.as_deref()))?;
    }
    Ok(Exit::Done)
}

fn candidates(args: &Evaluate) -> Result<Vec<Candidate>> {
    let mut candidates = vec![];
    for path in args.runs.iter().chain(&args.run) {
        let (run, config) = RunFolder::open(path)?;
        let name = last_component(path);
        candidates.push(Candidate {
            name,
            model: run.model_path(),
            folder: path.clone(),
            trained: Some(run.progress(&config)),
            dataset: config.dataset,
        });
    }
    for path in &args.model {
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let (name, folder) = (last_component(path), folder.to_path_buf());
        let run = RunFolder::open(&folder).ok();
        let run = run.filter(|(run, _)| [run.model_path(), run.best_model_path()].contains(path));
        let trained = run.map(|(run, config)| run.progress(&config));
        candidates.push(Candidate {
            name,
            model: path.clone(),
            folder,
            trained,
            dataset: String::new(),
        });
    }
    Ok(candidates)
}

/// Training images of each class, in label order; `None` if the server cannot be queried.
fn training_images(args: &Evaluate, servers: &Servers, candidate: &Candidate) -> Option<Vec<u64>> {
    let description = servers.describe(dataset(args, candidate)).ok()?;
    let of = |class: &ClassCounts| class.images(Split::Train.name()).into();
    Some(description.classes.iter().map(of).collect())
}

/// Name of the dataset to evaluate on; empty: the server's only one.
fn dataset<'a>(args: &'a Evaluate, candidate: &'a Candidate) -> &'a str {
    args.dataset.as_deref().unwrap_or(&candidate.dataset)
}

fn last_component(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn evaluate_model(
    args: &Evaluate,
    runtime: &Runtime,
    servers: &Servers,
    candidate: &Candidate,
) -> Result<Evaluated> {
    let mut predictor = Predictor::open(runtime, &candidate.model, &session_options(&args.execution))?;
    let dataset = dataset(args, candidate);
    let name = candidate.name.as_str();
    let images = Some((servers, dataset));
    adjust::adjust(&args.adjust, (name, &mut predictor), images, args.batch_size)?;
    let card = predictor.card().clone();
    if let Some(share) = card.preprocessing.crop_pct.filter(|share| *share < 1.0) {
        tracing::warn!(
            "{name}: its metadata have crop_pct {share}, but an evaluation uses the whole short side of each image"
        );
    }
    let subject = EvalSpec {
        dataset,
        split: args.split,
        batch_size: args.batch_size,
        preprocessing: &card.preprocessing,
        classes: &card.classes,
    };
    let model = (name, predictor.classifier());
    let evaluation = match args.tta {
        None => evaluate(servers, model, &subject)?,
        Some(views) => tta::evaluate(servers, model, &subject, (views, &card.recipe), &mut |_| {})?,
    };
    if let Some(trained) = &candidate.trained {
        check_images(servers, &candidate.folder, trained, dataset)?;
    }
    let known = card.class_shares.images.iter().map(|&images| images.into());
    let known: Vec<u64> = known.collect();
    let training = if known.is_empty() {
        training_images(args, servers, candidate).unwrap_or_default()
    } else {
        known
    };
    let Evaluation {
        predictions,
        replaced,
    } = evaluation;
    let report = EvaluationReport::new(&predictions, &card.classes, &card.adjustments, training);
    Ok(Evaluated { report, replaced })
}

/// Suffix of the output files.
fn suffix(args: &Evaluate) -> String {
    let options = [
        (args.tta.is_some(), "-tta"),
        (args.adjust.prior.prior.is_some(), "-prior"),
        (args.adjust.temperature.is_some(), "-temperature"),
        (args.adjust.threshold.is_some(), "-threshold"),
    ];
    let suffixes = options
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, suffix)| *suffix);
    format!("{}{}", args.split, suffixes.collect::<String>())
}

/// The file `evaluation-SPLIT.json`.
#[derive(Serialize)]
struct EvaluationFile<'a> {
    model: &'a Path,
    split: Split,
    tta: bool,
    prior: Option<String>,
    tau: f64,
    #[serde(flatten)]
    report: &'a EvaluationReport,
    /// The metrics once more, where versions before had them.
    figures: &'a Metrics,
}

fn write_files(args: &Evaluate, candidate: &Candidate, report: &EvaluationReport) -> Result<()> {
    let path = |name: String| candidate.folder.join(name);
    let evaluation = EvaluationFile {
        model: &candidate.model,
        split: args.split,
        tta: args.tta.is_some(),
        prior: args.adjust.prior.prior.as_ref().map(ToString::to_string),
        tau: args.adjust.prior.tau,
        report,
        figures: &report.metrics,
    };
    let json = path(format!("evaluation-{}.json", suffix(args)));
    let text = serde_json::to_string_pretty(&evaluation).expect("metrics are serialisable");
    files::write(&json, format!("{text}\n").as_bytes())?;
    let metrics = &report.metrics;
    let title = format!("{}: {} {} images", candidate.name, metrics.images, args.split);
    let (page, _) = report.page(&title)?;
    let html = path(format!("evaluation-{}.html", suffix(args)));
    files::write(&html, page.to_html().as_bytes())?;
    for extension in ["png", "svg"] {
        let picture = path(format!("confusion-{}.{extension}", suffix(args)));
        ConfusionPlot::new(metrics, &title).save(&picture)?;
    }
    Ok(())
}
