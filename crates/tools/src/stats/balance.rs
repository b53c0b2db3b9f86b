use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use serde::Serialize;

use super::StatsOptions;
use equibatch_engine::{
    dataset::{Dataset, Split},
    sampling::{Balance, Error, LastBatch, Order, Plan, PlanSpec, Quotas},
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
        Ok(Self {
            name: name.to_owned(),
            balance: name.parse()?,
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One epoch of the train split under a policy, including a partial last batch. A schedule has several: one for each run of epochs with equal draws.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyStats {
    /// Policy name.
    pub policy: String,
    /// The first and the last epoch with these draws, if the policy is a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<(u64, u64)>,
    /// Images drawn.
    pub images_per_epoch: u64,
    /// Batches, including a partial last one.
    pub steps_per_epoch: u64,
    /// Fraction of the training images that is drawn at least once, from 0 to 1.
    pub coverage: f64,
    /// Epochs until every image has been drawn, counted from epoch 0; `None` if some never are.
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
        let balance = policy.balance.clone();
        let plan = Plan::new(PlanSpec {
            members: Arc::clone(&members),
            balance: match options.epochs {
                Some(epochs) => balance.over(epochs.get()),
                None => balance,
            },
            images_per_epoch: None,
            batch_size: options.batch_size.get(),
            last_batch: LastBatch::Keep,
            order: Order::Shuffled,
            seed: 0,
        })?;
        let runs = runs(plan.quotas(), options.epochs);
        let of_epochs = |epochs: Option<(u64, u64)>| of_plan(policy, (&plan, epochs), dataset, &members);
        Ok(runs.into_iter().map(of_epochs).collect::<Vec<_>>())
    };
    let policies: Result<Vec<_>, Error> = options.policies.iter().map(policy).collect();
    Ok(policies?.concat())
}

/// The first and the last of each run of epochs with equal draws; `None` if those of all epochs are equal.
fn runs(quotas: &Quotas, epochs: Option<NonZeroU32>) -> Vec<Option<(u64, u64)>> {
    let (Some(_), Some(epochs)) = (quotas.change(), epochs) else {
        return vec![None];
    };
    let mut runs: Vec<(u64, u64)> = vec![(0, 0)];
    let mut draws = quotas.in_epoch(0);
    for epoch in 1..u64::from(epochs.get()) {
        let next = quotas.in_epoch(epoch);
        if next == draws {
            runs.last_mut().expect("not empty").1 = epoch;
        } else {
            runs.push((epoch, epoch));
        }
        draws = next;
    }
    runs.into_iter().map(Some).collect()
}

/// Epochs until each image of these classes has been drawn; `None` if some never are.
fn epochs_to_cover(quotas: &Quotas, counts: &[u64]) -> Option<u64> {
    let is_covered = |epochs: u64| {
        let mut drawn = quotas.before_epoch(epochs).into_iter().zip(counts);
        drawn.all(|(drawn, &count)| drawn >= u128::from(count))
    };
    // After the change, a class is drawn equally often in each epoch, if at all.
    let change = quotas.change().map_or(0, |change| change.last);
    let last = change + counts.iter().max().copied().unwrap_or(0);
    if !is_covered(last) {
        return None;
    }
    let (mut before, mut covered) = (0, last);
    while covered - before > 1 {
        let middle = before + (covered - before) / 2;
        if is_covered(middle) {
            covered = middle;
        } else {
            before = middle;
        }
    }
    Some(covered)
}

/// Within a class every image is drawn once before any is drawn again, so that the counts determine the draws of each image.
fn of_plan(
    policy: &Policy,
    (plan, epochs): (&Plan, Option<(u64, u64)>),
    dataset: &Dataset,
    members: &[Vec<u32>],
) -> PolicyStats {
    let counts: Vec<u64> = members.iter().map(|members| members.len() as u64).collect();
    let draws = plan.quotas().in_epoch(epochs.map_or(0, |(first, _)| first));
    let classes = dataset.classes.iter().zip(&counts).zip(draws);
    let classes: Vec<ClassDraws> = classes
        .map(|((name, &count), draws)| ClassDraws {
            name: name.clone(),
            draws,
            least: draws.checked_div(count).unwrap_or(0),
            most: if count == 0 { 0 } else { draws.div_ceil(count) },
            seen: draws.min(count),
        })
        .collect();
    let seen: u64 = classes.iter().map(|class| class.seen).sum();
    PolicyStats {
        policy: policy.to_string(),
        epochs,
        images_per_epoch: plan.images_per_epoch(),
        steps_per_epoch: plan.steps_per_epoch(),
        coverage: seen as f64 / counts.iter().sum::<u64>() as f64,
        epochs_to_cover: epochs_to_cover(plan.quotas(), &counts),
        classes,
    }
}
