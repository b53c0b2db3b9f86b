//! Conversion of the arguments of `explain` and `preview` to a stream.

use super::error::{Error, invalid};
use crate::args;
use equibatch_engine::{
    augment::Recipe,
    dataset::Split,
    pipeline::{Position, Start, StreamSpec},
    tensor::{ElementType, Layout},
};
use equibatch_tools::stats::Policy;

impl TryFrom<&args::BatchSelector> for StreamSpec {
    type Error = Error;

    /// The stream of a client that requests these parameters and otherwise the defaults, with u8 tensors in NHWC order.
    fn try_from(args: &args::BatchSelector) -> Result<Self, Error> {
        let split = Split::from_name(&args.part)
            .ok_or_else(|| invalid("--part", &args.part, "expected train, valid or test"))?;
        let policy: Policy = args
            .balance
            .parse()
            .map_err(|reason| invalid("--balance", &args.balance, reason))?;
        let recipe: Recipe = args.recipe.parse().map_err(Error::Recipe)?;
        let mut spec = Self::of("", split)
            .seed(args.seed)
            .epochs(args.epoch.saturating_add(1))
            .batch_size(args.batch_size)
            .image_size(args.size)
            .element_type(ElementType::U8)
            .start(Start {
                position: Position {
                    epoch: args.epoch.into(),
                    step: args.step,
                },
                ..Start::default()
            });
        spec.tensor.layout = Layout::Nhwc;
        if split == Split::Train {
            spec = spec.balance(policy.balance().clone()).recipe(recipe);
        }
        Ok(spec)
    }
}
