use std::{fmt, sync::Arc};

use regex::Regex;

use super::Error;
use crate::nn::{LayerGroup, Parameter};

/// Settings of the parameters that a predicate selects. If a parameter is in several groups, the last one that sets a value decides.
#[derive(Clone)]
pub struct ParameterGroup {
    /// The regular expression, if the group has one.
    pattern: Option<String>,
    is_member: Arc<dyn Fn(&Parameter) -> bool + Send + Sync>,
    lr_scale: Option<f64>,
    weight_decay: Option<f32>,
    frozen: Option<bool>,
}

impl ParameterGroup {
    /// The parameters with names that match a regular expression anywhere. At least one must.
    ///
    /// # Errors
    /// [`Error::Group`] if the expression is invalid.
    pub fn matching(pattern: &str) -> Result<Self, Error> {
        Self::of(|_| false).selecting(pattern)
    }

    /// These settings for the parameters of [`Self::matching`].
    pub(crate) fn selecting(self, pattern: &str) -> Result<Self, Error> {
        let regex = Regex::new(pattern).map_err(|error| Error::Group {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            pattern: Some(pattern.to_owned()),
            is_member: Arc::new(move |parameter| regex.is_match(&parameter.name)),
            ..self
        })
    }

    /// The parameters that a predicate selects.
    pub fn of(is_member: impl Fn(&Parameter) -> bool + Send + Sync + 'static) -> Self {
        Self {
            pattern: None,
            is_member: Arc::new(is_member),
            lr_scale: None,
            weight_decay: None,
            frozen: None,
        }
    }

    /// Multiplies the learning rate. The group's rate is an input of the program, `learning_rate.i` for group i.
    #[must_use]
    pub fn lr_scale(mut self, scale: f64) -> Self {
        self.lr_scale = Some(scale);
        self
    }

    /// Sets the weight decay, instead of the optimizer's.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// Whether the parameters keep their values.
    #[must_use]
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.frozen = Some(frozen);
        self
    }

    /// One group per layer group, each with a learning rate of its own (discriminative learning rates).
    #[must_use]
    pub fn layers() -> Vec<Self> {
        let layers = |group| Self::of(move |parameter| parameter.group == group).lr_scale(1.0);
        LayerGroup::ALL.map(layers).to_vec()
    }
}

impl fmt::Debug for ParameterGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterGroup")
            .field("pattern", &self.pattern)
            .field("lr_scale", &self.lr_scale)
            .field("weight_decay", &self.weight_decay)
            .field("frozen", &self.frozen)
            .finish_non_exhaustive()
    }
}

/// A learning rate input of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRate {
    /// Name of the input.
    pub input: String,
    /// Factor of the schedule's learning rate.
    pub scale: f64,
}

/// Settings of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Settings {
    /// The group that sets the learning rate.
    pub(super) rate: Option<usize>,
    pub(super) weight_decay: Option<f32>,
    pub(super) is_frozen: bool,
}

/// A parameter that is trained.
#[derive(Clone, Debug)]
pub(super) struct Trained {
    pub(super) parameter: Parameter,
    pub(super) settings: Settings,
}

/// The trained ones of a model's parameters, in the same order.
///
/// # Errors
/// [`Error::Group`] if a regular expression matches no parameter, [`Error::Spec`] if all parameters are frozen.
pub(super) fn trained(groups: &[ParameterGroup], parameters: &[Parameter]) -> Result<Vec<Trained>, Error> {
    let mut settings = vec![Settings::default(); parameters.len()];
    for (index, group) in groups.iter().enumerate() {
        let mut is_empty = true;
        for (parameter, settings) in parameters.iter().zip(&mut settings) {
            if !(group.is_member)(parameter) {
                continue;
            }
            is_empty = false;
            settings.rate = group.lr_scale.map(|_| index).or(settings.rate);
            settings.weight_decay = group.weight_decay.or(settings.weight_decay);
            settings.is_frozen = group.frozen.unwrap_or(settings.is_frozen);
        }
        if let (true, Some(pattern), [first, .., last]) = (is_empty, &group.pattern, parameters) {
            let reason = format!(
                "no parameter name matches; there are {} parameters, from {} to {}",
                parameters.len(),
                first.name,
                last.name
            );
            return Err(Error::Group {
                pattern: pattern.clone(),
                reason,
            });
        }
    }
    let trained = parameters.iter().zip(settings);
    let trained = trained.filter(|(_, settings)| !settings.is_frozen);
    let trained: Vec<Trained> = trained
        .map(|(parameter, settings)| Trained {
            parameter: parameter.clone(),
            settings,
        })
        .collect();
    if trained.is_empty() {
        return Err(Error::Spec {
            field: "the number of trained parameters",
            found: 0,
            expected: "at least 1: not all may be frozen",
        });
    }
    Ok(trained)
}

/// The learning rates of `groups`; with `None`, that of the parameters whose groups set none, if `has_other`.
pub(super) fn learning_rates(
    groups: &[ParameterGroup],
    has_other: bool,
) -> impl Iterator<Item = (Option<usize>, LearningRate)> {
    let other = has_other.then(|| {
        let input = "learning_rate".to_owned();
        (None, LearningRate { input, scale: 1.0 })
    });
    let scaled = groups.iter().enumerate().filter_map(|(index, group)| {
        let input = format!("learning_rate.{index}");
        let scale = group.lr_scale?;
        Some((Some(index), LearningRate { input, scale }))
    });
    other.into_iter().chain(scaled)
}
