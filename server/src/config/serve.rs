//! Conversion of the arguments of `serve`.

use std::time::Duration;

use equibatch_engine::{
    dataset::ScanOptions,
    memory::available,
    pipeline::{EngineConfig, Limits},
    tensor::TensorSpec,
};

use super::{
    address::{addresses, host_and_port},
    dataset::{DatasetConfig, datasets},
    error::{Error, invalid},
    number::{bytes, fraction, threads},
};
use crate::{
    args::Serve,
    service::{AccessFiles, ServiceConfig, TlsFiles, socket::Address},
    telemetry,
};

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
            scan: ScanOptions::try_from(&args.scan)?,
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

fn image_size(value: u32) -> Result<u32, Error> {
    if (1..=TensorSpec::MAX_SIZE).contains(&value) {
        return Ok(value);
    }
    Err(invalid(
        "--max-image-size",
        &value,
        "expected a number from 1 to 4096",
    ))
}

/// Parses `--max-batch-bytes`. gRPC frames a message with a 32-bit length; 16 MiB are reserved for the fields beside the tensor.
fn batch_bytes(text: &str) -> Result<u64, Error> {
    let option = "--max-batch-bytes";
    let value = bytes(option, text)?;
    if (1..=u64::from(u32::MAX) - (16 << 20)).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(
            option,
            &text,
            "expected a size from 1 byte to 4GiB less 16MiB",
        ))
    }
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
