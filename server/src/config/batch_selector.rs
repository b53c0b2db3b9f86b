//! Conversion of the arguments of `explain` and `preview` to a stream.

use super::Error;
use crate::args;
use equibatch_engine::{
    augment::Recipe,
    dataset::Split,
    pipeline::{Canonical, Position, Shard, Start, StreamSpec, Stride},
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout, Normalization, TensorSpec},
};
use equibatch_tools::stats::Policy;

impl TryFrom<&args::BatchSelector> for StreamSpec {
    type Error = Error;

    /// The stream of a client that requests these parameters and otherwise the defaults, with u8 tensors in NHWC order.
    fn try_from(args: &args::BatchSelector) -> Result<Self, Error> {
        let invalid = |option, value: &str, reason| Error::Value {
            option,
            value: value.to_owned(),
            reason,
        };
        let split = Split::from_name(&args.part)
            .ok_or_else(|| invalid("--part", &args.part, "expected train, valid or test"))?;
        let policy: Policy = args
            .balance
            .parse()
            .map_err(|reason| invalid("--balance", &args.balance, reason))?;
        let recipe: Recipe = args.recipe.parse().map_err(Error::Recipe)?;
        let is_train = split == Split::Train;
        Ok(Self {
            dataset: String::new(),
            split,
            seed: args.seed,
            epochs: args.epoch.saturating_add(1),
            start: Start {
                position: Position {
                    epoch: args.epoch.into(),
                    step: args.step,
                },
                ..Start::default()
            },
            shard: Shard::WHOLE,
            stride: Stride::ALL,
            batch_size: args.batch_size,
            balance: if is_train {
                policy.balance().clone()
            } else {
                Balance::Natural
            },
            images_per_epoch: None,
            order: if is_train {
                Order::Shuffled
            } else {
                Order::Sequential
            },
            last_batch: if is_train {
                LastBatch::Drop
            } else {
                LastBatch::Keep
            },
            recipe: if is_train { recipe } else { Recipe::none() },
            canonical: Canonical::ShortSide,
            tensor: TensorSpec {
                size: args.size,
                element_type: ElementType::U8,
                layout: Layout::Nhwc,
                normalization: Normalization::IMAGENET,
            },
            expected_fingerprint: None,
            weight: 1,
            reports: false,
        })
    }
}
