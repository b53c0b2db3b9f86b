//! Class priors: the class frequencies that a model's probabilities assume, and those where it is used.
//!
//! A model trained on classes with shares `s`, weighted by `w`, learns `p(class | image) ∝ p(image | class) s w`. If classes have the frequencies
//! `t` where the model is used, `ln t − ln (s w)` added to its logits corrects that.
//!
//! # Source
//!
//! Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, Neural Computation 2002; Menon et al., Long-tail Learning
//! via Logit Adjustment, ICLR 2021.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Class frequencies where a model is used.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// All classes are equally frequent.
    Uniform,
    /// Those of the training images.
    Train,
    /// Given ones, by class name; the other classes share what is left.
    Given(Vec<(String, f64)>),
}

/// What a model was trained on, by class in label order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassShares {
    /// Number of training images.
    pub images: Vec<u32>,
    /// Share of what the loss was computed of: of the stream times the class weights. Adds up to 1.
    pub trained: Vec<f64>,
    /// Class frequencies that the model's probabilities assume: those of `trained`, unless the loss or the model was adjusted. Adds up to 1.
    pub assumed: Vec<f64>,
}

impl ClassShares {
    /// The shares of a run whose stream has these sums of label weights by class (its draws, unless natural images are mixed with those of the
    /// balance), with these class weights (empty: none) and this τ of [`Loss::logit_adjust`](super::targets::Loss). If they change by epoch, they
    /// are those of the last epoch, which the head was trained on last; the loss is adjusted to those of each epoch.
    #[must_use]
    pub fn of(images: Vec<u32>, label_weights: &[f64], weights: &[f32], tau: f32) -> Self {
        let weight = |class: usize| weights.get(class).map_or(1.0, |&weight| f64::from(weight));
        // A class that is never shown counts as drawn once, so that its logarithm is finite.
        let shown = |&label_weight: &f64| if label_weight > 0.0 { label_weight } else { 1.0 };
        let shown = label_weights.iter().map(shown).enumerate();
        let trained = normalised(shown.map(|(class, shown)| shown * weight(class)));
        let assumed = normalised(trained.iter().map(|share| share.powf(1.0 - f64::from(tau))));
        Self {
            images,
            trained,
            assumed,
        }
    }

    /// Both class frequencies: those of what the loss was computed of, and those that the probabilities assume. `None` if they are unknown; of more than
    /// ten classes the range.
    #[must_use]
    pub fn described(&self, classes: &[String]) -> Option<String> {
        let of = |shares: &[f64]| {
            if classes.len() > NAMED {
                let least = shares.iter().copied().fold(f64::MAX, f64::min);
                let most = shares.iter().copied().fold(0.0, f64::max);
                return format!("{least:.4} to {most:.4} of {} classes", classes.len());
            }
            let named = classes
                .iter()
                .zip(shares)
                .map(|(class, share)| format!("{class} {share:.4}"));
            named.collect::<Vec<String>>().join(", ")
        };
        let is_known = !classes.is_empty()
            && [&self.trained, &self.assumed]
                .iter()
                .all(|of| of.len() == classes.len());
        is_known.then(|| {
            format!(
                "class frequencies: trained on {}; adjusted to {}",
                of(&self.trained),
                of(&self.assumed)
            )
        })
    }

    /// `τ ln s` for each class, for a loss that is adjusted by it; empty if τ is 0.
    #[must_use]
    pub fn loss_offsets(&self, tau: f32) -> Vec<f32> {
        if tau == 0.0 {
            return vec![];
        }
        let offset = |share: &f64| (f64::from(tau) * share.ln()) as f32;
        self.trained.iter().map(offset).collect()
    }
}

/// Most classes whose frequencies are listed.
const NAMED: usize = 10;

fn normalised(shares: impl Iterator<Item = f64>) -> Vec<f64> {
    let shares: Vec<f64> = shares.collect();
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

/// Why a model's logits cannot be adjusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--prior {prior}: {reason}")]
pub struct Error {
    prior: String,
    reason: String,
}

impl Prior {
    /// What is added to the logits of a model with these classes and shares: `τ (ln t − ln s)`. Returns the frequencies that the result assumes, too.
    ///
    /// # Errors
    ///
    /// If the model does not say what it was trained on, a class is unknown, or frequencies add up to more than 1 or leave nothing to the others.
    pub fn offsets(
        &self,
        classes: &[String],
        shares: &ClassShares,
        tau: f64,
    ) -> Result<(Vec<f32>, Vec<f64>), Error> {
        let error = |reason: String| Error {
            prior: self.to_string(),
            reason,
        };
        if shares.assumed.len() != classes.len() || shares.images.len() != classes.len() {
            return Err(error(
                "the model does not say what class frequencies it was trained on; it was written by an older version".to_owned(),
            ));
        }
        let wanted = match self {
            Self::Uniform => vec![1.0 / classes.len() as f64; classes.len()],
            Self::Train => normalised(shares.images.iter().map(|&images| f64::from(images.max(1)))),
            Self::Given(given) => fill(classes, given).map_err(error)?,
        };
        let steps = wanted.iter().zip(&shares.assumed);
        let steps: Vec<f64> = steps
            .map(|(wanted, assumed)| tau * (wanted.ln() - assumed.ln()))
            .collect();
        let assumed = normalised(
            shares
                .assumed
                .iter()
                .zip(&steps)
                .map(|(assumed, step)| assumed * step.exp()),
        );
        Ok((steps.into_iter().map(|step| step as f32).collect(), assumed))
    }
}

/// The frequencies of all classes, from those of some.
fn fill(classes: &[String], given: &[(String, f64)]) -> Result<Vec<f64>, String> {
    if let Some((name, _)) = given.iter().find(|(name, _)| !classes.contains(name)) {
        return Err(format!(
            "there is no class `{name}`; the model's are {}",
            classes.join(", ")
        ));
    }
    let sum: f64 = given.iter().map(|(_, share)| share).sum();
    let others = classes.len() - given.len();
    let left = (1.0 - sum) / others as f64;
    if others == 0 && (sum - 1.0).abs() > 1e-6 || others > 0 && left <= 0.0 {
        let expected = if others == 0 { "1" } else { "less than 1" };
        return Err(format!("the frequencies add up to {sum}; expected {expected}"));
    }
    let of = |class: &String| {
        given
            .iter()
            .find(|(name, _)| name == class)
            .map_or(left, |(_, share)| *share)
    };
    Ok(classes.iter().map(of).collect())
}

impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Train => f.write_str("train"),
            Self::Given(given) => {
                let pairs: Vec<String> = given
                    .iter()
                    .map(|(name, share)| format!("{name}={share}"))
                    .collect();
                f.write_str(&pairs.join(","))
            }
        }
    }
}

impl FromStr for Prior {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "uniform" => return Ok(Self::Uniform),
            "train" => return Ok(Self::Train),
            _ => {}
        }
        let expected =
            || "expected uniform, train, or CLASS=P,... with each P above 0 and at most 1".to_owned();
        let mut given: Vec<(String, f64)> = vec![];
        for pair in text.split(',') {
            let (name, share) = pair.rsplit_once('=').ok_or_else(expected)?;
            let share: f64 = share.parse().map_err(|_| expected())?;
            let is_repeated = given.iter().any(|(other, _)| other == name);
            if !(share > 0.0 && share <= 1.0) || is_repeated {
                return Err(expected());
            }
            given.push((name.to_owned(), share));
        }
        Ok(Self::Given(given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["bird", "fish", "flower"].map(str::to_owned).to_vec()
    }

    fn natural() -> ClassShares {
        ClassShares::of(vec![20, 30, 150], &[20.0, 30.0, 150.0], &[], 0.0)
    }

    #[test]
    fn priors_round_trip_through_text() {
        for text in ["uniform", "train", "bird=0.1,fish=0.2"] {
            assert_eq!(text.parse::<Prior>().expect("a prior").to_string(), text);
        }
        for text in [
            "",
            "even",
            "bird",
            "bird=0",
            "bird=x",
            "bird=0.1,bird=0.2",
            "bird=1.5",
        ] {
            assert!(text.parse::<Prior>().is_err(), "{text}");
        }
    }

    #[test]
    fn class_weights_and_balancing_are_part_of_the_shares() {
        let shares = ClassShares::of(vec![1, 3], &[10.0, 30.0], &[3.0, 1.0], 0.0);
        assert_eq!(shares.trained, [0.5, 0.5]);
        assert_eq!(shares.loss_offsets(1.0), [0.5_f32.ln(); 2]);
    }

    #[test]
    fn an_adjusted_loss_assumes_equal_frequencies() {
        let shares = ClassShares::of(vec![20, 180], &[20.0, 180.0], &[], 1.0);
        assert_eq!(shares.assumed, [0.5, 0.5]);
        let (offsets, _) = Prior::Uniform
            .offsets(&["a".to_owned(), "b".to_owned()], &shares, 1.0)
            .expect("known");
        assert_eq!(offsets, [0.0, 0.0]);
    }

    #[test]
    fn adjusting_to_another_prior_and_back_changes_nothing() {
        let (there, assumed) = Prior::Uniform.offsets(&names(), &natural(), 1.0).expect("known");
        let uniform = ClassShares { assumed, ..natural() };
        let (back, assumed) = Prior::Train.offsets(&names(), &uniform, 1.0).expect("known");
        for (there, back) in there.iter().zip(back) {
            assert!((there + back).abs() < 1e-6, "{there} {back}");
        }
        for (found, expected) in assumed.iter().zip([0.1, 0.15, 0.75]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn both_frequencies_are_described() {
        let shares = ClassShares {
            assumed: vec![0.25, 0.25, 0.5],
            ..natural()
        };
        assert_eq!(
            shares.described(&names()).as_deref(),
            Some(
                "class frequencies: trained on bird 0.1000, fish 0.1500, flower 0.7500; adjusted to bird 0.2500, fish 0.2500, flower 0.5000"
            )
        );
        assert_eq!(ClassShares::default().described(&names()), None);
        let many: Vec<String> = (0..20).map(|class| class.to_string()).collect();
        let shares = ClassShares::of(vec![1; 20], &[1.0; 20], &[], 0.0).described(&many);
        assert!(shares.expect("known").contains("0.0500 to 0.0500 of 20 classes"));
    }

    #[test]
    fn classes_without_a_given_frequency_share_what_is_left() {
        let prior: Prior = "bird=0.5".parse().expect("a prior");
        let (offsets, assumed) = prior.offsets(&names(), &natural(), 1.0).expect("known");
        assert_eq!(
            assumed
                .iter()
                .map(|share| (share * 100.0).round())
                .collect::<Vec<_>>(),
            [50.0, 25.0, 25.0]
        );
        assert!((offsets[0] - (0.5_f32 / 0.1).ln()).abs() < 1e-6);
        for (text, words) in [
            ("cat=0.5", "no class `cat`"),
            ("bird=0.7,fish=0.7", "add up to 1.4"),
            ("bird=1", "less than 1"),
        ] {
            let prior: Prior = text.parse().expect("a prior");
            let error = prior
                .offsets(&names(), &natural(), 1.0)
                .expect_err(text)
                .to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn models_of_older_versions_are_refused() {
        let error = Prior::Uniform
            .offsets(&names(), &ClassShares::default(), 1.0)
            .expect_err("no shares");
        assert!(error.to_string().contains("older version"), "{error}");
    }
}
