//! What the options of the commands that look at folders mean.

use std::num::NonZeroU32;

use super::{Error, fraction, threads};
use crate::{
    args::{self, Reading},
    dataset::{Orientation, ScanOptions, SplitMethod},
    stats,
    tensor::TensorSpec,
};

impl TryFrom<&Reading> for ScanOptions {
    type Error = Error;

    fn try_from(args: &Reading) -> Result<Self, Error> {
        let _in_range = threads(args.threads)?;
        Ok(Self {
            valid_fraction: fraction("--valid-fraction", args.valid_fraction)?,
            split_seed: args.split_seed,
            split_method: match args.split {
                args::Split::Stratified => SplitMethod::Stratified,
                args::Split::Random => SplitMethod::Random,
            },
            orientation: if args.ignore_orientation {
                Orientation::Ignore
            } else {
                Orientation::Apply
            },
            ..Self::default()
        })
    }
}

impl TryFrom<&args::Stats> for stats::Options {
    type Error = Error;

    fn try_from(args: &args::Stats) -> Result<Self, Error> {
        let wrong = |option, value: &dyn ToString, reason| Error::Value {
            option,
            value: value.to_string(),
            reason,
        };
        if !(1..=TensorSpec::MAX_SIZE).contains(&args.image_size) {
            return Err(wrong(
                "--image-size",
                &args.image_size,
                "it must be from 1 to 4096",
            ));
        }
        let policy = |name: &String| {
            let parsed = name.parse::<stats::Policy>();
            parsed.map_err(|reason| wrong("--balance", name, reason))
        };
        Ok(Self {
            image_size: args.image_size,
            batch_size: NonZeroU32::new(args.batch_size)
                .ok_or_else(|| wrong("--batch-size", &0, "it must be at least 1"))?,
            policies: if args.balance.is_empty() {
                stats::Policy::defaults()
            } else {
                args.balance.iter().map(policy).collect::<Result<_, _>>()?
            },
            pixels: !args.no_pixels,
        })
    }
}
