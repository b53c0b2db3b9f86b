//! What the options of the commands that gather and judge folders mean.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use super::{Error, bytes, fraction, wrong};
use crate::args::{self, ScanArgs};
use equibatch_engine::{
    dataset::{Orientation, ScanOptions, SplitMethod},
    tensor::TensorSpec,
};
use equibatch_tools::{
    download::{self, PrivateAddresses},
    stats,
    verify::{self, Conversion, FindingKind, FixOptions, Removal},
};

impl TryFrom<&ScanArgs> for ScanOptions {
    type Error = Error;

    fn try_from(args: &ScanArgs) -> Result<Self, Error> {
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

impl TryFrom<&args::Stats> for stats::StatsOptions {
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

impl TryFrom<&args::Verify> for verify::VerifyOptions {
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

impl TryFrom<&args::Verify> for FixOptions {
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
    let kind = FindingKind::ALL.into_iter().find(|kind| kind.name() == name);
    kind.filter(|kind| *kind != FindingKind::Unreadable)
        .ok_or_else(|| {
            wrong(
                "--kinds",
                &name,
                "it must be broken, refused, extension, tiny, blank, duplicate or near",
            )
        })
}

/// The images to fetch, and how.
#[derive(Clone, Debug)]
pub struct DownloadConfig {
    /// Files of addresses, and the classes that they are of.
    pub lists: Vec<(PathBuf, String)>,
    /// How they are fetched.
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
                return Err(wrong(
                    "LIST=CLASS",
                    text,
                    "the class has a list already; join the files",
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

/// `LIST=CLASS`, cut at the last `=`: a class has none in its name.
fn list(text: &str) -> Result<(PathBuf, String), Error> {
    let fail = |reason| wrong("LIST=CLASS", &text, reason);
    let (path, class) = text
        .rsplit_once('=')
        .filter(|(path, class)| !path.is_empty() && !class.is_empty())
        .ok_or_else(|| fail("write the file, =, and the class"))?;
    if class.starts_with('.') || class.contains(['/', '\\', '\0', ':']) {
        return Err(fail(
            "a class is the name of a folder, without a path and a dot in front",
        ));
    }
    if ["train", "valid", "val", "validation", "test"].contains(&class) {
        return Err(fail(
            "a folder of that name would be read as a split, not as a class",
        ));
    }
    Ok((PathBuf::from(path), class.to_owned()))
}

fn connections(option: &'static str, value: usize) -> Result<NonZeroUsize, Error> {
    NonZeroUsize::new(value)
        .filter(|value| value.get() <= 1024)
        .ok_or_else(|| wrong(option, &value, "it must be from 1 to 1024"))
}

fn seconds(option: &'static str, value: f64) -> Result<Duration, Error> {
    if (0.001..=86_400.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(wrong(option, &value, "it must be from 0.001 to 86400"))
    }
}
