//! How images are downloaded.

use std::{net::IpAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

/// Policy for non-public addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// Refuse all of them.
    Refused,
    /// Allow only these.
    Only(Vec<IpAddr>),
    /// Allow all of them.
    Allowed,
}

/// How images are downloaded.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// Folder of the class folders.
    pub out: PathBuf,
    /// Largest number of lines read of each list; `None`: all.
    pub max_pics: Option<usize>,
    /// Concurrent connections.
    pub jobs: NonZeroUsize,
    /// Concurrent connections per host.
    pub per_host: NonZeroUsize,
    /// Retries after a transient error.
    pub retries: u32,
    /// Delay before the first retry, doubled for each further one. A longer Retry-After is honoured up to
    /// [`DownloadOptions::longest_wait`].
    pub backoff: Duration,
    /// Longest Retry-After that is honoured.
    pub longest_wait: Duration,
    /// Timeout of name resolution, connecting, and each read and write.
    pub timeout: Duration,
    /// Total timeout of one attempt.
    pub max_time: Duration,
    /// Largest file, in bytes.
    pub max_bytes: u64,
    /// Policy for non-public addresses.
    pub private: PrivateAddresses,
    /// Value of the User-Agent header.
    pub user_agent: String,
}

impl DownloadOptions {
    /// Defaults: 16 connections, 4 per host, 3 retries.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>) -> Self {
        let few = |count| NonZeroUsize::new(count).expect("not zero");
        Self {
            out: out.into(),
            max_pics: None,
            jobs: few(16),
            per_host: few(4),
            retries: 3,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            max_time: Duration::from_secs(120),
            max_bytes: 32 << 20,
            private: PrivateAddresses::Refused,
            user_agent: concat!("equibatch/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
