use std::io::{self, Write};

use anyhow::{Context as _, Result};

use super::Exit;
use crate::{
    args::Predict,
    config::session_options,
    learn::predict::{Prediction, Predictor},
    runtime::Runtime,
};

/// Classifies the files one by one. Unreadable ones are named and the others still classified.
pub(super) fn run(args: &Predict) -> Result<Exit> {
    let runtime = Runtime::load()?;
    let mut predictor = Predictor::open(&runtime, &args.model, &session_options(&args.execution))?;
    let classes = predictor.card().classes.clone();
    let mut out = io::stdout().lock();
    let mut exit = Exit::Done;
    for path in &args.images {
        let name = path.display().to_string();
        match predictor.predict(path)? {
            Ok(prediction) if args.json => json(&mut out, &name, &classes, &prediction)?,
            Ok(prediction) => line(&mut out, &name, &classes, &prediction)?,
            Err(unreadable) => {
                exit = Exit::Data;
                out.flush()?;
                writeln!(io::stderr(), "{:#}", anyhow::Error::from(unreadable))?;
            }
        }
    }
    out.flush().context("cannot write the predictions")?;
    Ok(exit)
}

fn line(out: &mut impl Write, name: &str, classes: &[String], prediction: &Prediction) -> io::Result<()> {
    let all = classes
        .iter()
        .zip(&prediction.probabilities)
        .map(|(class, share)| format!("{class} {:.1} %", share * 100.0));
    writeln!(
        out,
        "{name}: {}  ({})",
        classes[prediction.class],
        all.collect::<Vec<_>>().join(", ")
    )
}

fn json(out: &mut impl Write, name: &str, classes: &[String], prediction: &Prediction) -> io::Result<()> {
    let probabilities: serde_json::Map<String, serde_json::Value> = classes
        .iter()
        .cloned()
        .zip(prediction.probabilities.iter().map(|&share| share.into()))
        .collect();
    let record = serde_json::json!({ "image": name, "class": classes[prediction.class], "probabilities": probabilities });
    writeln!(out, "{record}")
}
