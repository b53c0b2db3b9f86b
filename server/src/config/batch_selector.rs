//! Conversion of the arguments of `explain` and `preview` to a stream.

use super::{
    data::check_epochs,
    error::{Error, invalid},
};
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
        check_epochs(&policy, args.epochs)?;
        let last = args.epoch.saturating_add(1);
        if let Some(epochs) = args.epochs.filter(|epochs| *epochs < last) {
            return Err(invalid("--epochs", &epochs, "it must be more than --epoch"));
        }
        let recipe: Recipe = args.recipe.parse().map_err(Error::Recipe)?;
        let mut spec = Self::of("", split)
            .seed(args.seed)
            .epochs(args.epochs.unwrap_or(last))
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
