//! `--prior`, `--temperature` and `--threshold`.

use anyhow::Result;

use crate::{
    args::AdjustArgs,
    learn::{
        adjustments::{self, Adjustments, AppliedPrior, TemperatureChoice, ThresholdChoice},
        evaluate::{EvalSpec, evaluate},
        predict::Predictor,
        predictions::Predictions,
    },
};
use equibatch_stream::{Servers, Split};

/// Whether validation images are needed.
pub(super) fn needs_images(args: &AdjustArgs) -> bool {
    args.temperature == Some(TemperatureChoice::Fit)
        || matches!(args.threshold, Some(ThresholdChoice::Best(_)))
}

/// Adjusts a model, called `name` in errors. Validation images come from `images`, servers and the name of a dataset, which must be given if
/// they are needed. Returns what was done, and the adjusted model's predictions for these images.
pub(super) fn adjust(
    args: &AdjustArgs,
    (name, predictor): (&str, &mut Predictor),
    images: Option<(&Servers, &str)>,
    batch_size: u32,
) -> Result<(Adjustments, Option<Predictions>)> {
    let mut done = Adjustments::default();
    if let Some(prior) = &args.prior.prior {
        predictor.adjust(prior, args.prior.tau)?;
        done.prior = Some(AppliedPrior::of(prior, args.prior.tau));
    }
    let card = predictor.card().clone();
    let mut valid = None;
    if let Some((servers, dataset)) = images.filter(|_| needs_images(args)) {
        let spec = EvalSpec {
            dataset,
            split: Split::Valid,
            batch_size,
            preprocessing: &card.preprocessing,
            classes: &card.classes,
        };
        valid = Some(evaluate(servers, (name, predictor.classifier()), &spec)?.predictions);
    }
    let none = Predictions::default();
    if let Some(choice) = args.temperature {
        let temperature = adjustments::temperature(choice, valid.as_ref().unwrap_or(&none))?;
        predictor.set_temperature(temperature);
        done.temperature = Some(temperature);
        valid = valid.map(|valid| valid.at_temperature(temperature.value));
    }
    if let Some(choice) = args.threshold {
        let of = (&*card.classes, &card.class_shares);
        let threshold = adjustments::threshold(choice, of, valid.as_ref().unwrap_or(&none))?;
        predictor.set_threshold(threshold.clone());
        done.threshold = Some(threshold);
    }
    Ok((done, valid))
}
