use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::Exit;
use crate::{
    args::Predict,
    config::{UsageError, session_options},
    learn::{
        adjustments::{self, ThresholdChoice},
        predict::{
            Predictor,
            print::{PrintFormat, Printer},
            source::{self, ImageSource},
        },
        predictions::Predictions,
        progress::Output,
        run::RunFolder,
    },
};
use equibatch_training::runtime::Runtime;

/// Classifies images in batches. Unreadable images are reported, and the others are still classified.
pub(super) fn run(args: &Predict) -> Result<Exit> {
    let sources = sources(args)?;
    let runtime = Runtime::load_for(args.execution.device, args.execution.threads)?;
    let model = if args.model.is_dir() {
        RunFolder::open(&args.model)?.0.model_path()
    } else {
        args.model.clone()
    };
    let mut predictor = Predictor::open(&runtime, &model, &session_options(&args.execution))?;
    if let Some(prior) = &args.prior.prior {
        predictor.adjust(prior, args.prior.tau)?;
    }
    let of_model = predictor.card().preprocessing.crop_pct;
    predictor.crop(args.crop_pct.or(of_model).unwrap_or(1.0));
    if let Some(views) = args.tta {
        predictor = predictor.with_views(views)?;
    }
    if let Some(probability) = args.threshold {
        let card = predictor.card();
        let of = (&*card.classes, &card.class_shares);
        let choice = ThresholdChoice::Value(probability);
        let threshold = adjustments::threshold(choice, of, &Predictions::default())?;
        predictor.set_threshold(threshold);
    }
    let adjustments = &predictor.card().adjustments;
    if !adjustments.is_empty() {
        Output::Stderr.print_line(&format!(
            "the model is adjusted: {}",
            adjustments.described().join("; ")
        ));
        let card = predictor.card();
        let shares = card.class_shares.described(&card.classes);
        if let Some(shares) = shares.filter(|_| adjustments.prior.is_some()) {
            Output::Stderr.print_line(&shares);
        }
    }
    let classes = predictor.card().classes.clone();
    let widest = sources.iter().map(|source| source.name.chars().count()).max();
    let style = if args.json { PrintFormat::Json } else { args.format };
    let out = BufWriter::new(io::stdout().lock());
    let mut printer = Printer::new(out, style, &classes, args.top as usize, widest.unwrap_or(0))?;
    let mut exit = Exit::Done;
    predictor.predict::<anyhow::Error>(&sources, args.batch_size as usize, |source, result| {
        match result {
            Ok(prediction) => printer.prediction(&source.name, &prediction)?,
            Err(unreadable) => {
                exit = Exit::Data;
                printer.failure(&source.name, &format!("{:#}", anyhow::Error::from(unreadable)))?;
            }
        }
        // Flushed per image, so that a reader of a pipe gets results at once.
        Ok(printer.flush()?)
    })?;
    Ok(exit)
}

/// The images to classify.
fn sources(args: &Predict) -> Result<Vec<ImageSource>> {
    let is_stream = |path: &Path| path == Path::new("-");
    let list = args.files_from.as_deref();
    let streams = args.images.iter().filter(|path| is_stream(path)).count();
    if streams + usize::from(list.is_some_and(is_stream)) > 1 {
        return Err(UsageError("standard input (-) can be given only once".to_owned()).into());
    }
    let mut sources = vec![];
    for path in &args.images {
        if is_stream(path) {
            let image = ImageSource::of_stream("-", io::stdin().lock());
            sources.push(image.context("cannot read standard input")?);
        } else {
            sources.extend(source::sources(path)?);
        }
    }
    if let Some(list) = list {
        let listed = if is_stream(list) {
            source::listed(io::stdin().lock())
        } else {
            File::open(list).and_then(|file| source::listed(BufReader::new(file)))
        };
        let listed: Vec<PathBuf> =
            listed.with_context(|| format!("cannot read the list {}", list.display()))?;
        for path in &listed {
            sources.extend(source::sources(path)?);
        }
    }
    if sources.is_empty() {
        return Err(UsageError("--files-from: the list has no images".to_owned()).into());
    }
    Ok(sources)
}
