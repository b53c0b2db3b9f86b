//! Validated configuration: command-line arguments converted to typed settings with all defaults.

use equibatch_engine::{
    augment, byte_size,
    dataset::{Orientation, ScanOptions, SplitMethod},
    memory::available,
    pipeline::{EngineConfig, Limits},
    tensor::TensorSpec,
};
use equibatch_tools::sample_data::{self, ClassSpec};
use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    args::{SampleData, Serve, Split},
    service::{AccessFiles, ServiceConfig, TlsFiles, socket::Address},
    telemetry,
};

mod batch_selector;
mod bench;
mod data;

pub use data::DownloadConfig;

/// The configuration of `serve`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listening addresses.
    pub listen: Vec<Address>,
    /// The datasets; names are unique.
    pub datasets: Vec<DatasetConfig>,
    /// How their folders are scanned.
    pub scan: ScanOptions,
    /// Settings of the batch engine.
    pub engine: EngineConfig,
    /// Host and port of the admin endpoint.
    pub admin: Option<(String, u16)>,
    /// Authentication: TLS files and the token file.
    pub access: AccessFiles,
    /// Limits and timeouts of connections and streams.
    pub service: ServiceConfig,
}

/// A folder and the dataset name that clients request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetConfig {
    /// The name.
    pub name: String,
    /// The folder.
    pub root: PathBuf,
}

/// A usage error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid value.
    #[error("{option} {value:?}: {reason}")]
    Value {
        /// The flag, such as `--listen`.
        option: &'static str,
        /// The value as given.
        value: String,
        /// What is accepted.
        reason: &'static str,
    },
    /// An invalid recipe.
    #[error("--recipe")]
    Recipe(#[source] augment::Error),
    /// Two datasets of the same name.
    #[error("--data: two datasets are named {0:?}; give them different names with NAME=DIR")]
    DuplicateName(String),
    /// An invalid log filter.
    #[error(transparent)]
    Log(Box<telemetry::Error>),
    /// `--classes` and `--counts` differ in length.
    #[error("--classes has {classes} names, but --counts has {counts} numbers: give one number per class")]
    Counts {
        /// Number of names.
        classes: usize,
        /// Number of counts.
        counts: usize,
    },
}

impl Error {
    /// The flag at fault.
    #[must_use]
    pub fn option(&self) -> &'static str {
        match self {
            Self::Value { option, .. } => option,
            Self::DuplicateName(_) => "--data",
            Self::Counts { .. } => "--counts",
            Self::Recipe(_) => "--recipe",
            Self::Log(_) => "--log",
        }
    }
}

impl TryFrom<&Serve> for Config {
    type Error = Error;

    fn try_from(args: &Serve) -> Result<Self, Error> {
        telemetry::check_filter(&args.log).map_err(|error| Error::Log(Box::new(error)))?;
        let defaults = EngineConfig::default();
        let (memory_bytes, cache_bytes, encoded_cache_bytes) = memory(args)?;
        let admin = args.admin.as_deref().map(|text| host_and_port("--admin", text));
        Ok(Self {
            listen: addresses(&args.listen, &args.socket_mode)?,
            datasets: datasets(&args.data)?,
            scan: ScanOptions {
                valid_fraction: fraction("--valid-fraction", args.valid_fraction)?,
                split_seed: args.split_seed,
                split_method: match args.split {
                    Split::Stratified => SplitMethod::Stratified,
                    Split::Random => SplitMethod::Random,
                },
                orientation: if args.ignore_orientation {
                    Orientation::Ignore
                } else {
                    Orientation::Apply
                },
                ..ScanOptions::default()
            },
            engine: EngineConfig {
                threads: threads(args.threads).unwrap_or(defaults.threads),
                memory_bytes,
                cache_bytes,
                encoded_cache_bytes,
                stream_bytes: bytes("--stream-bytes", &args.stream_bytes)?,
                max_broken: fraction("--max-broken", args.max_broken)?,
                limits: Limits {
                    batch_bytes: batch_bytes(&args.max_batch_bytes)?,
                    image_size: image_size(args.max_image_size)?,
                    batch_size: args.max_batch_size,
                    world: args.max_world,
                    epochs: args.max_epochs,
                    open_streams: args.max_streams,
                    ..defaults.limits
                },
                ..defaults
            },
            admin: admin.transpose()?,
            access: AccessFiles {
                tls: tls(args),
                tokens: args.tokens.clone(),
            },
            service: ServiceConfig {
                shutdown_grace: Duration::from_secs(args.shutdown_grace),
                connections: args.max_connections,
                share_memory: !args.no_shared_memory,
                handshake_timeout: Duration::from_secs(args.preface_timeout),
                idle_timeout: (args.idle_timeout > 0).then(|| Duration::from_secs(args.idle_timeout)),
                reader_timeout: (args.reader_timeout > 0).then(|| Duration::from_secs(args.reader_timeout)),
                streams_per_client: args.max_streams_per_client,
                ..ServiceConfig::default()
            },
        })
    }
}

impl TryFrom<&SampleData> for sample_data::SampleDataOptions {
    type Error = Error;

    fn try_from(args: &SampleData) -> Result<Self, Error> {
        let defaults = Self::new(&args.dir);
        let names = if args.classes.is_empty() {
            defaults.classes.iter().map(|class| class.name.clone()).collect()
        } else {
            args.classes.clone()
        };
        let counts = if args.counts.is_empty() && args.classes.is_empty() {
            defaults.classes.iter().map(|class| class.count).collect()
        } else {
            args.counts.clone()
        };
        if names.len() != counts.len() {
            return Err(Error::Counts {
                classes: names.len(),
                counts: counts.len(),
            });
        }
        Ok(Self {
            classes: names
                .into_iter()
                .zip(counts)
                .map(|(name, count)| ClassSpec::new(name, count))
                .collect(),
            test_count: args.test_count,
            seed: args.seed,
            ..defaults
        })
    }
}

fn invalid(option: &'static str, value: &dyn ToString, reason: &'static str) -> Error {
    Error::Value {
        option,
        value: value.to_string(),
        reason,
    }
}

fn datasets(texts: &[String]) -> Result<Vec<DatasetConfig>, Error> {
    let mut datasets: Vec<DatasetConfig> = Vec::with_capacity(texts.len());
    for text in texts {
        let dataset = dataset(text)?;
        if datasets.iter().any(|other| other.name == dataset.name) {
            return Err(Error::DuplicateName(dataset.name));
        }
        datasets.push(dataset);
    }
    Ok(datasets)
}

/// Parses `NAME=DIR` or `DIR`. A folder whose path contains `=` needs an explicit name.
fn dataset(text: &str) -> Result<DatasetConfig, Error> {
    let fail = |reason| Error::Value {
        option: "--data",
        value: text.to_owned(),
        reason,
    };
    let (name, root) = match text.split_once('=') {
        Some((name, root)) => (name.to_owned(), root),
        None => {
            // `.` and `a/..` take the name of the folder that they resolve to.
            let path = Path::new(text)
                .canonicalize()
                .unwrap_or_else(|_| PathBuf::from(text));
            let name = path.file_name().and_then(|name| name.to_str());
            (
                name.ok_or_else(|| fail("the folder has no name of its own; use NAME=DIR"))?
                    .to_owned(),
                text,
            )
        }
    };
    if name.is_empty() || root.is_empty() {
        return Err(fail("expected NAME=DIR or DIR"));
    }
    Ok(DatasetConfig {
        name,
        root: PathBuf::from(root),
    })
}

fn addresses(texts: &[String], mode: &str) -> Result<Vec<Address>, Error> {
    let mode = u32::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| Error::Value {
            option: "--socket-mode",
            value: mode.to_owned(),
            reason: "expected octal permission bits, such as 600 or 660",
        })?;
    texts.iter().map(|text| address(text, mode)).collect()
}

/// Parses `unix:PATH` or `[HOST]:PORT`. A missing host is the loopback address, so that exposing the server takes an explicit host.
fn address(text: &str, mode: u32) -> Result<Address, Error> {
    let fail = |reason| Error::Value {
        option: "--listen",
        value: text.to_owned(),
        reason,
    };
    if let Some(path) = text.strip_prefix("unix:") {
        // `unix:///path` is the gRPC name syntax.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(fail("expected unix:PATH"));
        }
        let path = PathBuf::from(path);
        return Ok(Address::Unix { path, mode });
    }
    let (host, port) = host_and_port("--listen", text)?;
    Ok(Address::Tcp { host, port })
}

/// Parses `[HOST]:PORT`; a missing host is the loopback address.
fn host_and_port(option: &'static str, text: &str) -> Result<(String, u16), Error> {
    let fail = |reason| Error::Value {
        option,
        value: text.to_owned(),
        reason,
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(|| fail("expected HOST:PORT"))?;
    let port = port
        .parse()
        .map_err(|_| fail("expected a port from 0 to 65535"))?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let host = if host.is_empty() {
        IpAddr::V4(Ipv4Addr::LOCALHOST).to_string()
    } else {
        host.to_owned()
    };
    Ok((host, port))
}

/// `None` is the default; clap accepts no 0.
fn threads(typed: Option<usize>) -> Option<NonZeroUsize> {
    typed.and_then(NonZeroUsize::new)
}

/// The TLS files; clap accepts certificate and key only together.
fn tls(args: &Serve) -> Option<TlsFiles> {
    Some(TlsFiles {
        certificate: args.tls_cert.clone()?,
        key: args.tls_key.clone()?,
        client_ca: args.tls_client_ca.clone(),
    })
}

/// Least memory for batches and decoders, in bytes.
const LEAST_MEMORY: u64 = 64 << 20;

/// Returns the memory budget, and of it the sizes of the decoded and of the encoded cache, all in bytes.
fn memory(args: &Serve) -> Result<(u64, u64, u64), Error> {
    let files = bytes("--encoded-cache-bytes", &args.encoded_cache_bytes)?;
    let images = args.cache_bytes.as_ref().map(|text| bytes("--cache-bytes", text));
    let images = images.transpose()?;
    let caches = images.unwrap_or(0).saturating_add(files);
    let total = match &args.memory_bytes {
        Some(text) => {
            let total = bytes("--memory-bytes", text)?;
            if total < caches.saturating_add(LEAST_MEMORY) {
                let reason = "expected at least --cache-bytes plus --encoded-cache-bytes plus 64MiB";
                return Err(invalid("--memory-bytes", text, reason));
            }
            total
        }
        None => (available() / 4 * 3).max(caches.saturating_add(1 << 30)),
    };
    let by_default = || {
        let total = total - files;
        total.saturating_sub(3 << 30).clamp(total / 4, total / 2)
    };
    Ok((total, images.unwrap_or_else(by_default), files))
}

fn fraction(option: &'static str, value: f64) -> Result<f64, Error> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Value {
            option,
            value: value.to_string(),
            reason: "expected a number from 0 to 1",
        })
    }
}

fn image_size(value: u32) -> Result<u32, Error> {
    if (1..=TensorSpec::MAX_SIZE).contains(&value) {
        return Ok(value);
    }
    Err(Error::Value {
        option: "--max-image-size",
        value: value.to_string(),
        reason: "expected a number from 1 to 4096",
    })
}

/// Parses `--max-batch-bytes`. gRPC frames a message with a 32-bit length; 16 MiB are reserved for the fields beside the tensor.
fn batch_bytes(text: &str) -> Result<u64, Error> {
    let option = "--max-batch-bytes";
    let value = bytes(option, text)?;
    if (1..=u64::from(u32::MAX) - (16 << 20)).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Value {
            option,
            value: text.to_owned(),
            reason: "expected a size from 1 byte to 4GiB less 16MiB",
        })
    }
}

fn bytes(option: &'static str, text: &str) -> Result<u64, Error> {
    byte_size::bytes(text).ok_or_else(|| Error::Value {
        option,
        value: text.to_owned(),
        reason: byte_size::SPELLING,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    fn config(args: &[&str]) -> Result<Config, Error> {
        let all = ["server", "serve"].iter().chain(args);
        let Command::Serve(serve) = Arguments::try_parse_from(all).unwrap().command else {
            panic!("serve")
        };
        Config::try_from(&*serve)
    }

    #[test]
    fn a_dataset_without_a_name_takes_that_of_its_folder() {
        let config = config(&["--data", "flowers=/srv/a=b", "--data", "/srv/birds/"]).unwrap();
        let names: Vec<_> = config
            .datasets
            .iter()
            .map(|d| (d.name.as_str(), d.root.to_str().unwrap()))
            .collect();
        assert_eq!(names, [("flowers", "/srv/a=b"), ("birds", "/srv/birds/")]);
    }

    #[test]
    fn an_address_without_a_host_is_loopback() {
        for (text, host, port) in [
            (":50051", "127.0.0.1", 50051),
            ("[::1]:1", "::1", 1),
            ("0.0.0.0:0", "0.0.0.0", 0),
            ("localhost:7", "localhost", 7),
        ] {
            let host = host.to_owned();
            assert_eq!(
                address(text, 0o600).unwrap(),
                Address::Tcp { host, port },
                "{text}"
            );
        }
        for text in [
            "50051",
            "localhost:",
            "localhost:70000",
            "localhost:http",
            "unix:",
        ] {
            assert!(address(text, 0o600).is_err(), "{text}");
        }
    }

    #[test]
    fn tcp_and_unix_addresses_can_be_mixed() {
        let config = config(&[
            "--data",
            "x",
            "--listen",
            ":1",
            "--listen",
            "unix:/run/x,unix:///run/y",
        ]);
        let unix = |path: &str| Address::Unix {
            path: path.into(),
            mode: 0o600,
        };
        let tcp = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 1,
        };
        assert_eq!(config.unwrap().listen, [tcp, unix("/run/x"), unix("/run/y")]);
    }

    #[test]
    fn caches_are_a_part_of_the_memory() {
        let memory = |args: &[&str]| {
            let engine = config(&[&["--data", "x"], args].concat()).unwrap().engine;
            (
                engine.memory_bytes >> 20,
                engine.cache_bytes >> 20,
                engine.encoded_cache_bytes >> 20,
            )
        };
        assert_eq!(memory(&["--memory-bytes", "1GiB"]), (1024, 256, 0));
        assert_eq!(memory(&["--memory-bytes", "5GiB"]), (5120, 2048, 0));
        assert_eq!(memory(&["--memory-bytes", "64GiB"]), (65_536, 32_768, 0));
        let both = ["--memory-bytes", "1GiB", "--cache-bytes", "900MiB"];
        assert_eq!(memory(&both), (1024, 900, 0));
        let (total, cache, files) = memory(&["--cache-bytes", "900GiB", "--encoded-cache-bytes", "1GiB"]);
        assert_eq!(
            (total, cache, files),
            (902 * 1024, 900 * 1024, 1024),
            "the default grows with explicit caches"
        );
        let short = ["--data", "x", "--memory-bytes", "1GiB", "--cache-bytes", "1GiB"];
        assert!(
            config(&short)
                .unwrap_err()
                .to_string()
                .starts_with("--memory-bytes")
        );
    }

    #[test]
    fn usage_errors_name_the_flag() {
        for (args, option) in [
            (&["--data", "=x"][..], "--data"),
            (&["--data", "a=x", "--data", "a=y"], "--data"),
            (&["--data", "x", "--valid-fraction", "1.5"], "--valid-fraction"),
            (&["--data", "x", "--valid-fraction", "NaN"], "--valid-fraction"),
            (&["--data", "x", "--max-batch-bytes", "5GiB"], "--max-batch-bytes"),
            (&["--data", "x", "--max-image-size", "4097"], "--max-image-size"),
            (&["--data", "x", "--listen", "here"], "--listen"),
            (&["--data", "x", "--socket-mode", "888"], "--socket-mode"),
            (&["--data", "x", "--admin", "unix:x"], "--admin"),
            (&["--data", "x", "--log", "loud"], "--log"),
        ] {
            let error = config(args).unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
    }
}
