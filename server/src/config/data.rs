//! Conversion of the arguments of `download`, `stats` and `verify`.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use clap::ValueEnum as _;

use super::{
    error::{Error, invalid},
    number::{bytes, fraction},
};
use crate::args::{self, SplitArgs};
use equibatch_engine::{
    dataset::{Orientation, ScanOptions, SplitMethod},
    tensor::TensorSpec,
};
use equibatch_tools::{
    download::{self, PrivateAddresses},
    stats,
    verify::{self, Conversion, FindingKind, FixOptions, Removal},
};

impl TryFrom<&SplitArgs> for ScanOptions {
    type Error = Error;

    fn try_from(args: &SplitArgs) -> Result<Self, Error> {
        Ok(Self {
            valid_fraction: fraction("--valid-fraction", args.valid_fraction)?,
            split_seed: args.split_seed,
            split_method: match args.method {
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

impl TryFrom<&args::Stats> for stats::StatsOptions {
    type Error = Error;

    fn try_from(args: &args::Stats) -> Result<Self, Error> {
        if !(1..=TensorSpec::MAX_SIZE).contains(&args.image_size) {
            return Err(invalid(
                "--image-size",
                &args.image_size,
                "expected a number from 1 to 4096",
            ));
        }
        let policy = |name: &String| {
            let policy: stats::Policy = name
                .parse()
                .map_err(|reason| invalid("--balance", name, reason))?;
            check_epochs(&policy, args.epochs)?;
            Ok(policy)
        };
        Ok(Self {
            image_size: args.image_size,
            batch_size: NonZeroU32::new(args.batch_size)
                .ok_or_else(|| invalid("--batch-size", &0, "expected a whole number of at least 1"))?,
            policies: if args.balance.is_empty() {
                stats::Policy::defaults()
            } else {
                args.balance.iter().map(policy).collect::<Result<_, _>>()?
            },
            epochs: args.epochs.and_then(NonZeroU32::new),
            pixels: !args.no_pixels,
        })
    }
}

/// A schedule needs the number of epochs.
pub(super) fn check_epochs(policy: &stats::Policy, epochs: Option<u32>) -> Result<(), Error> {
    if policy.balance().needs_epochs() && epochs.is_none() {
        return Err(invalid(
            "--balance",
            policy,
            "it changes over the epochs of the stream: add --epochs N",
        ));
    }
    Ok(())
}

impl From<&args::Verify> for verify::VerifyOptions {
    fn from(args: &args::Verify) -> Self {
        Self {
            min_side: args.min_size,
            near: (!args.exact).then_some(args.similar),
        }
    }
}

impl TryFrom<&args::Verify> for FixOptions {
    type Error = Error;

    fn try_from(args: &args::Verify) -> Result<Self, Error> {
        let converts = args.out.is_some() || args.in_place;
        if let (false, Some(size)) = (converts, args.max_size) {
            return Err(invalid(
                "--max-size",
                &size,
                "it requires --out DIR or --in-place",
            ));
        }
        let is_used = args.delete || args.quarantine.is_some() || args.out.is_some();
        if let (false, Some(kind)) = (is_used, args.kinds.first()) {
            return Err(invalid(
                "--kinds",
                kind,
                "it requires --delete, --quarantine DIR or --out DIR",
            ));
        }
        let kinds = if args.kinds.is_empty() {
            BTreeSet::from([FindingKind::Broken])
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

fn kind(name: &str) -> Result<FindingKind, Error> {
    let kind = FindingKind::from_str(name, false).ok();
    kind.filter(|kind| *kind != FindingKind::Unreadable)
        .ok_or_else(|| {
            invalid(
                "--kinds",
                &name,
                "expected broken, refused, extension, tiny, blank, duplicate or near",
            )
        })
}

/// The configuration of `download`.
#[derive(Clone, Debug)]
pub struct DownloadConfig {
    /// URL lists and their classes.
    pub lists: Vec<(PathBuf, String)>,
    /// How images are fetched.
    pub options: download::DownloadOptions,
}

impl TryFrom<&args::Download> for DownloadConfig {
    type Error = Error;

    fn try_from(args: &args::Download) -> Result<Self, Error> {
        let mut lists: Vec<(PathBuf, String)> = vec![];
        for text in &args.lists {
            let (path, class) = list(text)?;
            if lists
                .iter()
                .any(|(_, other)| other.to_lowercase() == class.to_lowercase())
            {
                return Err(invalid(
                    "LIST=CLASS",
                    text,
                    "the class already has a list; merge the files",
                ));
            }
            lists.push((path, class));
        }
        let defaults = download::DownloadOptions::new(&args.out);
        Ok(Self {
            lists,
            options: download::DownloadOptions {
                max_pics: args.max_pics,
                jobs: connections("--jobs", args.jobs)?,
                per_host: connections("--per-host", args.per_host)?,
                retries: args.retries,
                timeout: seconds("--timeout", args.timeout)?,
                max_time: seconds("--max-time", args.max_time)?,
                max_bytes: bytes("--max-bytes", &args.max_bytes)?,
                private: match &args.allow_private {
                    None => PrivateAddresses::Refused,
                    Some(addresses) if addresses.is_empty() => PrivateAddresses::Allowed,
                    Some(addresses) => PrivateAddresses::Only(addresses.clone()),
                },
                user_agent: args.user_agent.clone().unwrap_or(defaults.user_agent),
                ..defaults
            },
        })
    }
}

/// Parses `LIST=CLASS`, split at the last `=`.
fn list(text: &str) -> Result<(PathBuf, String), Error> {
    let fail = |reason| invalid("LIST=CLASS", &text, reason);
    let (path, class) = text
        .rsplit_once('=')
        .filter(|(path, class)| !path.is_empty() && !class.is_empty())
        .ok_or_else(|| fail("expected LIST=CLASS"))?;
    if class.starts_with('.') || class.contains(['/', '\\', '\0', ':']) {
        return Err(fail(
            "a class is a folder name, without path separators or a leading dot",
        ));
    }
    if ["train", "valid", "val", "validation", "test"].contains(&class) {
        return Err(fail("a folder of that name is a split, not a class"));
    }
    Ok((PathBuf::from(path), class.to_owned()))
}

fn connections(option: &'static str, value: usize) -> Result<NonZeroUsize, Error> {
    NonZeroUsize::new(value)
        .filter(|value| value.get() <= 1024)
        .ok_or_else(|| invalid(option, &value, "expected a number from 1 to 1024"))
}

fn seconds(option: &'static str, value: f64) -> Result<Duration, Error> {
    if (0.001..=86_400.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(invalid(option, &value, "expected seconds from 0.001 to 86400"))
    }
}
