//! What the options of the commands that look at folders mean.

use std::{collections::BTreeSet, num::NonZeroU32};

use super::{Error, fraction, threads, wrong};
use crate::{
    args::{self, Reading},
    dataset::{Orientation, ScanOptions, SplitMethod},
    stats,
    tensor::TensorSpec,
    verify::{self, Conversion, Kind, Mending, Removal},
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

impl TryFrom<&args::Verify> for verify::Options {
    type Error = Error;

    fn try_from(args: &args::Verify) -> Result<Self, Error> {
        if args.similar > Self::MAX_DISTANCE {
            return Err(wrong("--similar", &args.similar, "it must be from 0 to 11"));
        }
        Ok(Self {
            min_side: args.min_size,
            near: (!args.exact).then_some(args.similar),
        })
    }
}

impl TryFrom<&args::Verify> for Mending {
    type Error = Error;

    fn try_from(args: &args::Verify) -> Result<Self, Error> {
        if !(1..=100).contains(&args.quality) {
            return Err(wrong("--quality", &args.quality, "it must be from 1 to 100"));
        }
        let converts = args.out.is_some() || args.in_place;
        match args.max_size {
            Some(0) => return Err(wrong("--max-size", &0, "it must be at least 1")),
            Some(size) if !converts => {
                return Err(wrong(
                    "--max-size",
                    &size,
                    "say where to: --out DIR, or --in-place",
                ));
            }
            _ => {}
        }
        let is_taken = args.delete || args.quarantine.is_some() || args.out.is_some();
        if let (false, Some(kind)) = (is_taken, args.kinds.first()) {
            return Err(wrong(
                "--kinds",
                kind,
                "say what becomes of them: --delete, --quarantine DIR, or --out DIR",
            ));
        }
        let kinds = if args.kinds.is_empty() {
            BTreeSet::from([Kind::Broken])
        } else {
            args.kinds
                .iter()
                .map(|name| kind(name))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            removal: match &args.quarantine {
                Some(folder) => Removal::Quarantine(folder.clone()),
                None if args.delete => Removal::Delete,
                None => Removal::Keep,
            },
            kinds,
            conversion: match &args.out {
                Some(folder) => Conversion::Out(folder.clone()),
                None if args.in_place => Conversion::InPlace,
                None => Conversion::Keep,
            },
            max_side: args.max_size,
            quality: args.quality,
            dry_run: args.dry_run,
        })
    }
}

fn kind(name: &str) -> Result<Kind, Error> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    kind.filter(|kind| *kind != Kind::Unreadable).ok_or_else(|| {
        wrong(
            "--kinds",
            &name,
            "it must be broken, refused, extension, tiny, blank, duplicate or near",
        )
    })
}
