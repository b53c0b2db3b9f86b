use std::{fmt, str::FromStr, sync::Arc};

use serde::Serialize;

use super::StatsOptions;
use equibatch_engine::{
    dataset::{Dataset, Split},
    sampling::{Balance, Error, LastBatch, Order, Plan, PlanSpec},
};

/// A balance policy with its name on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    name: String,
    balance: Balance,
}

impl Policy {
    /// The policies that `server stats` evaluates by default.
    ///
    /// # Panics
    ///
    /// Never: all names parse.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        ["natural", "power:0.5", "oversample", "undersample"]
            .map(|name| name.parse().expect("a policy"))
            .to_vec()
    }
}

impl Policy {
    /// The policy.
    #[must_use]
    pub fn balance(&self) -> &Balance {
        &self.balance
    }
}

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().map_err(|_| "expected a number after the colon");
        let balance = match name.split_once(':') {
            None if name == "oversample" => Balance::Oversample,
            None if name == "undersample" => Balance::Undersample,
            None if name == "natural" => Balance::Natural,
            Some(("power", exponent)) => Balance::Power(number(exponent)?),
            Some(("effective", beta)) => Balance::Effective(number(beta)?),
            _ => return Err("expected oversample, undersample, natural, power:X or effective:BETA"),
        };
        Ok(Self {
            name: name.to_owned(),
            balance,
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One epoch of the train split under a policy, including a partial last batch.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyStats {
    /// Policy name.
    pub policy: String,
    /// Images drawn.
    pub images_per_epoch: u64,
    /// Batches, including a partial last one.
    pub steps_per_epoch: u64,
    /// Fraction of the training images that is drawn at least once, from 0 to 1.
    pub coverage: f64,
    /// Epochs until every image has been drawn; `None` if some never are.
    pub epochs_to_cover: Option<u64>,
    /// Draws of each class, by label.
    pub classes: Vec<ClassDraws>,
}

/// Draws of a class in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassDraws {
    /// Class name.
    pub name: String,
    /// Images drawn.
    pub draws: u64,
    /// Draws of the least drawn image.
    pub least: u64,
    /// Draws of the most drawn image.
    pub most: u64,
    /// Images drawn at least once.
    pub seen: u64,
}

/// Plans an epoch under each policy; empty without training images.
pub(super) fn plan(dataset: &Dataset, options: &StatsOptions) -> Result<Vec<PolicyStats>, Error> {
    let members: Arc<[Vec<u32>]> = dataset.members(Split::Train).into();
    if members.iter().all(Vec::is_empty) {
        return Ok(vec![]);
    }
    let policy = |policy: &Policy| {
        let plan = Plan::new(PlanSpec {
            members: Arc::clone(&members),
            balance: policy.balance.clone(),
            images_per_epoch: None,
            batch_size: options.batch_size.get(),
            last_batch: LastBatch::Keep,
            order: Order::Shuffled,
            seed: 0,
        })?;
        Ok(of_plan(policy, &plan, dataset, &members))
    };
    options.policies.iter().map(policy).collect()
}

/// Within a class every image is drawn once before any is drawn again, so that the counts determine the draws of each image.
fn of_plan(policy: &Policy, plan: &Plan, dataset: &Dataset, members: &[Vec<u32>]) -> PolicyStats {
    let counts = || members.iter().map(|members| members.len() as u64);
    let draws = plan.draws_per_class();
    let classes = dataset.classes.iter().zip(counts()).zip(draws);
    let classes: Vec<ClassDraws> = classes
        .map(|((name, count), &draws)| ClassDraws {
            name: name.clone(),
            draws,
            least: draws.checked_div(count).unwrap_or(0),
            most: if count == 0 { 0 } else { draws.div_ceil(count) },
            seen: draws.min(count),
        })
        .collect();
    let seen: u64 = classes.iter().map(|class| class.seen).sum();
    let epochs = counts().zip(draws).filter(|(count, _)| *count > 0);
    PolicyStats {
        policy: policy.to_string(),
        images_per_epoch: plan.images_per_epoch(),
        steps_per_epoch: plan.steps_per_epoch(),
        coverage: seen as f64 / counts().sum::<u64>() as f64,
        epochs_to_cover: epochs
            .map(|(count, &draws)| (draws > 0).then(|| count.div_ceil(draws)))
            .try_fold(1, |most, epochs| epochs.map(|epochs| most.max(epochs))),
        classes,
    }
}
