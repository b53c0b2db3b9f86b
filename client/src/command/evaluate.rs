use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::Exit;
use crate::{
    args::Evaluate,
    config::{self, session_options},
    learn::{
        atomic,
        evaluate::{Judgement, Subject, evaluate},
        predict::Predictor,
        report::{picture, table},
        run::RunFolder,
        tta,
    },
    runtime::Runtime,
    stream::Servers,
};

/// A model to judge.
struct Candidate {
    /// What the reader knows it by.
    name: String,
    model: PathBuf,
    /// Where results go.
    folder: PathBuf,
    /// The dataset that it was trained on, where that is known.
    dataset: Option<String>,
}

/// Judges every candidate, writes its figures and pictures, and shows them; several also side by side.
pub(super) fn run(args: &Evaluate) -> Result<Exit> {
    let candidates = candidates(args)?;
    let runtime = Runtime::load_for(args.execution.device)?;
    let servers = config::servers(&args.server)?;
    let mut judged = vec![];
    for candidate in &candidates {
        let judgement = judge(args, &runtime, &servers, candidate)?;
        write_files(args, candidate, &judgement)?;
        judged.push((candidate, judgement));
    }
    let mut out = io::stdout().lock();
    if args.json {
        let models = judged
            .iter()
            .map(|(candidate, judgement)| (candidate.name.clone(), json!(judgement.figures)));
        let models: serde_json::Map<_, _> = models.collect();
        let figures = json!({ "split": args.split, "tta": args.tta, "models": models });
        serde_json::to_writer_pretty(&mut out, &figures)?;
        writeln!(out)?;
        return Ok(Exit::Done);
    }
    let how = if args.tta {
        ", with test-time augmentation"
    } else {
        ""
    };
    for (candidate, judgement) in &judged {
        writeln!(out, "{} on the {} images{how}\n", candidate.name, args.split)?;
        writeln!(out, "{}", table::classes(&judgement.figures))?;
        writeln!(out, "{}", table::confusion_matrix(&judgement.figures))?;
        if judgement.replaced > 0 {
            writeln!(
                out,
                "{} broken files had another image in their place\n",
                judgement.replaced
            )?;
        }
        let folder = candidate.folder.display();
        writeln!(
            out,
            "written: {folder}/evaluation-{0}.json, {folder}/confusion-{0}.png and .svg\n",
            suffix(args)
        )?;
    }
    if judged.len() > 1 {
        let named = judged.iter().map(|(candidate, judgement)| table::Named {
            name: candidate.name.clone(),
            figures: judgement.figures.clone(),
        });
        writeln!(out, "side by side, on the {} images{how}\n", args.split)?;
        writeln!(out, "{}", table::side_by_side(&named.collect::<Vec<_>>()))?;
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
            dataset: Some(config.dataset),
        });
    }
    for path in &args.model {
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let (name, folder) = (last_component(path), folder.to_path_buf());
        candidates.push(Candidate {
            name,
            model: path.clone(),
            folder,
            dataset: None,
        });
    }
    Ok(candidates)
}

fn last_component(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn judge(args: &Evaluate, runtime: &Runtime, servers: &Servers, candidate: &Candidate) -> Result<Judgement> {
    let mut predictor = Predictor::open(runtime, &candidate.model, &session_options(&args.execution))?;
    let card = predictor.card().clone();
    let subject = Subject {
        dataset: args
            .dataset
            .as_deref()
            .or(candidate.dataset.as_deref())
            .unwrap_or_default(),
        split: args.split,
        batch_size: args.batch_size,
        preprocessing: &card.preprocessing,
        classes: &card.classes,
    };
    let model = (candidate.name.as_str(), predictor.classifier());
    Ok(match args.tta {
        false => evaluate(servers, model, &subject)?,
        true => tta::evaluate(servers, model, &subject, &card.recipe)?,
    })
}

/// What tells the files of one judging from those of another.
fn suffix(args: &Evaluate) -> String {
    format!("{}{}", args.split, if args.tta { "-tta" } else { "" })
}

fn write_files(args: &Evaluate, candidate: &Candidate, judgement: &Judgement) -> Result<()> {
    let path = |name: String| candidate.folder.join(name);
    let figures = json!({ "model": candidate.model, "split": args.split, "tta": args.tta, "figures": judgement.figures });
    let json = path(format!("evaluation-{}.json", suffix(args)));
    let text = serde_json::to_string_pretty(&figures).expect("figures are plain data");
    atomic::replace(&json, format!("{text}\n").as_bytes())
        .with_context(|| format!("cannot write {}", json.display()))?;
    let names: Vec<String> = judgement
        .figures
        .classes
        .iter()
        .map(|class| class.name.clone())
        .collect();
    let title = format!(
        "{}: {} {} images",
        candidate.name, judgement.figures.images, args.split
    );
    for extension in ["png", "svg"] {
        let picture = path(format!("confusion-{}.{extension}", suffix(args)));
        picture::save(&picture, &judgement.matrix, &names, &title)?;
    }
    Ok(())
}
