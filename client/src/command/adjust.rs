//! `--prior`, `--temperature` and `--threshold`.

use anyhow::Result;

use crate::{
    args::AdjustArgs,
    learn::{
        adjustments::{self, Adjustments, TemperatureChoice, ThresholdChoice},
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
/// they are needed. Returns the temperature and the threshold.
pub(super) fn adjust(
    args: &AdjustArgs,
    (name, predictor): (&str, &mut Predictor),
    images: Option<(&Servers, &str)>,
    batch_size: u32,
) -> Result<Adjustments> {
    if let Some(prior) = &args.prior.prior {
        predictor.adjust(prior, args.prior.tau)?;
    }
    let card = predictor.card().clone();
    let mut valid = Predictions::default();
    if let Some((servers, dataset)) = images.filter(|_| needs_images(args)) {
        let spec = EvalSpec {
            dataset,
            split: Split::Valid,
            batch_size,
            preprocessing: &card.preprocessing,
            classes: &card.classes,
        };
        valid = evaluate(servers, (name, predictor.classifier()), &spec)?.predictions;
    }
    let mut fitted = Adjustments::default();
    if let Some(choice) = args.temperature {
        let temperature = adjustments::temperature(choice, &valid)?;
        predictor.set_temperature(temperature);
        fitted.temperature = Some(temperature);
        valid = valid.at_temperature(temperature.value);
    }
    if let Some(choice) = args.threshold {
        let of = (&*card.classes, &card.class_shares);
        let threshold = adjustments::threshold(choice, of, &valid)?;
        predictor.set_threshold(threshold.clone());
        fitted.threshold = Some(threshold);
    }
    Ok(fitted)
}
