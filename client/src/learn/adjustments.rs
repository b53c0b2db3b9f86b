//! What is done to a trained model's logits, and what is fitted to validation images for that: class frequencies, temperature, threshold.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    metrics::{Criterion, Interval, TEMPERATURES, Threshold, fit_temperature},
    predictions::Predictions,
    prior::{ClassShares, Prior},
    text::counted,
};

/// Adjustments of a model, as its metadata `adjustments` have them: `(logits + τ (ln t − ln s)) / T`, and the threshold of the result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adjustments {
    /// Class frequencies that it was adjusted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<AppliedPrior>,
    /// The temperature T by which its logits were divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<FittedTemperature>,
    /// Threshold of a model of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ChosenThreshold>,
}

/// Class frequencies that a model was adjusted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppliedPrior {
    /// As in [`Prior`]'s text.
    pub prior: String,
    /// The τ of [`Prior::offsets`].
    pub tau: f64,
}

impl AppliedPrior {
    /// From the arguments of [`Prior::offsets`].
    #[must_use]
    pub fn of(prior: &Prior, tau: f64) -> Self {
        Self {
            prior: prior.to_string(),
            tau,
        }
    }
}

/// A temperature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTemperature {
    /// The temperature.
    pub value: f64,
    /// Number of validation images that it was fitted to; absent if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
}

/// A threshold and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenThreshold {
    /// Name of the class that is predicted if its probability is at least this large.
    pub class: String,
    /// The probability, between 0 and 1.
    pub probability: f64,
    /// What it was chosen for; absent if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<Criterion>,
    /// Its interval over bootstrap resamples of the validation images; absent if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Number of validation images that it was chosen on; absent if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
}

impl ChosenThreshold {
    /// The threshold by label; `None` if `classes` are not two classes with this one.
    #[must_use]
    pub fn threshold(&self, classes: &[String]) -> Option<Threshold> {
        let label = classes.iter().position(|class| *class == self.class)?;
        (classes.len() == 2).then_some(Threshold {
            label,
            probability: self.probability,
        })
    }
}

/// A temperature as requested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TemperatureChoice {
    /// Fitted to the validation images.
    Fit,
    /// Given.
    Value(f64),
}

impl FromStr for TemperatureChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "fit" {
            return Ok(Self::Fit);
        }
        let value = text.parse().ok().filter(|value| (0.01..=100.0).contains(value));
        let value = value.ok_or_else(|| "expected fit, or a number from 0.01 to 100".to_owned())?;
        Ok(Self::Value(value))
    }
}

/// A threshold as requested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdChoice {
    /// The best on the validation images.
    Best(Criterion),
    /// A given probability.
    Value(f64),
}

impl FromStr for ThresholdChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(value) = text.parse() {
            return probability(value).map(Self::Value);
        }
        let criterion = text
            .parse()
            .map_err(|error| format!("{error}, or a probability between 0 and 1"))?;
        Ok(Self::Best(criterion))
    }
}

/// Checks that a threshold is between 0 and 1.
///
/// # Errors
///
/// If it is not.
pub fn probability(value: f64) -> Result<f64, String> {
    let is_between = value > 0.0 && value < 1.0;
    is_between
        .then_some(value)
        .ok_or_else(|| format!("{value} is not a probability between 0 and 1"))
}

/// Why a temperature or threshold cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model has not two classes.
    #[error("--threshold needs a model of two classes; this one has {0}")]
    Classes(usize),
    /// There are no validation images to fit to.
    #[error("{0} needs validation images{1}; give a number instead")]
    Images(&'static str, &'static str),
}

/// The temperature as requested; `valid` are the predictions for the validation images, if they are needed.
///
/// # Errors
///
/// [`Error::Images`] without images.
pub fn temperature(choice: TemperatureChoice, valid: &Predictions) -> Result<FittedTemperature, Error> {
    let (value, images) = match choice {
        TemperatureChoice::Value(value) => (value, None),
        TemperatureChoice::Fit => {
            let labels = valid.labels.iter().map(|&label| label as usize);
            let fitted = fit_temperature(&valid.rows().zip(labels));
            let value = fitted.ok_or(Error::Images("--temperature fit", ""))?;
            (value, Some(valid.labels.len() as u64))
        }
    };
    Ok(FittedTemperature { value, images })
}

/// The threshold as requested, of the class with fewer training images, or the second one; `valid` are the predictions for the validation
/// images, after all other adjustments, if they are needed.
///
/// # Errors
///
/// [`Error::Classes`] if there are not two classes, [`Error::Images`] if one of them has no validation images.
pub fn threshold(
    choice: ThresholdChoice,
    (classes, shares): (&[String], &ClassShares),
    valid: &Predictions,
) -> Result<ChosenThreshold, Error> {
    if classes.len() != 2 {
        return Err(Error::Classes(classes.len()));
    }
    let label = usize::from(!matches!(*shares.images, [first, second] if first < second));
    let class = classes[label].clone();
    let criterion = match choice {
        ThresholdChoice::Value(probability) => {
            return Ok(ChosenThreshold {
                class,
                probability,
                criterion: None,
                interval: None,
                images: None,
            });
        }
        ThresholdChoice::Best(criterion) => criterion,
    };
    let images = valid.log_odds(label);
    let none = Error::Images("--threshold", " of both classes");
    let probability = criterion.best(&images).ok_or(none)?;
    Ok(ChosenThreshold {
        class,
        probability,
        criterion: Some(criterion),
        interval: criterion.best_interval(&images),
        images: Some(images.len() as u64),
    })
}

impl Adjustments {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and `later` ones of the result. A threshold is of the probabilities for which it was chosen: other ones end it.
    #[must_use]
    pub fn then(&self, later: &Self) -> Self {
        let changes = later.prior.is_some() || later.temperature.is_some();
        let temperature = match (self.temperature, later.temperature) {
            (Some(first), Some(second)) => Some(FittedTemperature {
                value: first.value * second.value,
                ..second
            }),
            (first, second) => second.or(first),
        };
        Self {
            prior: later.prior.clone().or_else(|| self.prior.clone()),
            temperature,
            threshold: later
                .threshold
                .clone()
                .or_else(|| self.threshold.clone().filter(|_| !changes)),
        }
    }

    /// Words for each adjustment.
    #[must_use]
    pub fn described(&self) -> Vec<String> {
        let prior = self.prior.as_ref().map(|applied| match applied.tau {
            1.0 => format!("class frequencies {}", applied.prior),
            tau => format!("class frequencies {} with tau {tau}", applied.prior),
        });
        let temperature = self.temperature.map(|fitted| {
            let (low, high) = TEMPERATURES;
            let is_at_end = fitted.value <= low * 1.001 || fitted.value >= high * 0.999;
            let images = fitted.images.map_or_else(String::new, |images| {
                let end = if is_at_end {
                    ", which do not determine it"
                } else {
                    ""
                };
                format!(" (fitted to {}{end})", counted(images, "validation image"))
            });
            format!("temperature {:.3}{images}", fitted.value)
        });
        let threshold = self.threshold.as_ref().map(|chosen| {
            let mut text = format!("{} from probability {:.3} on", chosen.class, chosen.probability);
            if let (Some(criterion), Some(images)) = (chosen.criterion, chosen.images) {
                text += &format!(" (best {criterion} on {}", counted(images, "validation image"));
                if let Some(interval) = chosen.interval {
                    text += &format!(
                        "; 95 % interval {:.3}–{:.3}, {}",
                        interval.low, interval.high, interval.method
                    );
                }
                text += ")";
            }
            text
        });
        prior.into_iter().chain(temperature).chain(threshold).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> [String; 2] {
        ["birds", "flowers"].map(str::to_owned)
    }

    fn shares(images: [u32; 2]) -> ClassShares {
        ClassShares {
            images: images.to_vec(),
            ..ClassShares::default()
        }
    }

    fn valid() -> Predictions {
        let mut predictions = Predictions::default();
        for (label, odds) in [(0, -1.0), (0, 2.0), (1, -3.0), (1, -2.0), (1, -4.0)] {
            predictions.push(0, label, &[odds, 0.0]);
        }
        predictions
    }

    #[test]
    fn the_class_with_fewer_training_images_gets_the_threshold() {
        for (images, class) in [([16, 160], "birds"), ([160, 16], "flowers"), ([9, 9], "flowers")] {
            let found = threshold(ThresholdChoice::Value(0.3), (&names(), &shares(images)), &valid());
            assert_eq!(found.expect("two classes").class, class, "{images:?}");
        }
    }

    #[test]
    fn a_threshold_is_chosen_on_the_validation_images() {
        let choice = "balanced-accuracy".parse().expect("a choice");
        let of = (&names()[..], &shares([2, 3]));
        let found = threshold(choice, of, &valid()).expect("both classes");
        // The middle of the log-odds -2 and -1.
        assert!(
            (found.probability - 1.0 / (1.0 + 1.5_f64.exp())).abs() < 1e-9,
            "{found:?}"
        );
        assert_eq!(found.images, Some(5));
        let metrics = valid().metrics_at(&names(), found.threshold(&names()));
        assert_eq!(metrics.confusion_matrix, [[2, 0], [0, 3]]);
        let error = threshold(choice, of, &Predictions::default()).expect_err("no images");
        assert!(
            error.to_string().contains("validation images of both classes"),
            "{error}"
        );
        let three = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            threshold(choice, (&three, &shares([1, 2])), &valid()),
            Err(Error::Classes(3))
        );
    }

    #[test]
    fn choices_are_words_or_numbers() {
        assert_eq!("fit".parse(), Ok(TemperatureChoice::Fit));
        assert_eq!("1.5".parse(), Ok(TemperatureChoice::Value(1.5)));
        assert_eq!("0.25".parse(), Ok(ThresholdChoice::Value(0.25)));
        assert_eq!("f1".parse(), Ok(ThresholdChoice::Best(Criterion::F1)));
        for text in ["0", "x", "nan"] {
            assert!(text.parse::<TemperatureChoice>().is_err(), "{text}");
        }
        for text in ["0", "1", "1.5", "nan", "best"] {
            assert!(text.parse::<ThresholdChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn later_adjustments_multiply_temperatures_and_end_a_threshold() {
        let given = |value| Some(FittedTemperature { value, images: None });
        let chosen = threshold(ThresholdChoice::Value(0.3), (&names(), &shares([1, 2])), &valid());
        let first = Adjustments {
            prior: Some(AppliedPrior::of(&Prior::Uniform, 1.0)),
            temperature: given(2.0),
            threshold: chosen.ok(),
        };
        assert_eq!(first.then(&Adjustments::default()), first);
        let later = Adjustments {
            temperature: given(1.5),
            ..Adjustments::default()
        };
        let both = first.then(&later);
        assert_eq!(
            (both.temperature, both.threshold, both.prior),
            (given(3.0), None, first.prior.clone())
        );
        assert_eq!(
            first.described(),
            [
                "class frequencies uniform",
                "temperature 2.000",
                "birds from probability 0.300 on"
            ]
        );
        let text = serde_json::to_string(&first).expect("plain data");
        assert_eq!(serde_json::from_str::<Adjustments>(&text).ok(), Some(first));
        assert_eq!(
            serde_json::to_string(&Adjustments::default()).expect("plain data"),
            "{}"
        );
    }
}
