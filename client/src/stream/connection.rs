//! Connecting, listing and describing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use equibatch_proto::v1::{self, batch_loader_client::BatchLoaderClient};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use super::{BatchRequest, BatchStream, Error, error::root, position::hexadecimal};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take to answer a question that needs no images.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle connection is probed, and how long the answer may take: a server that vanished without a word is noticed
/// within the sum of both.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// Bounds of the flow-control window of one stream. Below the lower one a long way to the server limits the rate; above the upper one
/// memory is wasted, since more than one batch in flight gains nothing.
const WINDOW: (usize, usize) = (2 << 20, 64 << 20);
/// The largest frame that the server may send: a large batch then needs a sixteenth of the system calls of the default.
const FRAME: u32 = 256 << 10;

/// A server, ready to be asked.
#[derive(Debug)]
pub struct Connection {
    address: String,
    endpoint: Endpoint,
    threads: Arc<Runtime>,
    client: BatchLoaderClient<Channel>,
}

impl Connection {
    /// Connects to `address`: a host and a port, or `unix:` and the path of a socket.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] where `address` is malformed, [`Error::Unreachable`] where nobody answers within five seconds,
    /// [`Error::NotAServer`] where the answer is not HTTP/2.
    pub fn open(address: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Address {
            address: address.to_owned(),
            reason: reason.to_owned(),
        };
        let (bare, uri) = if let Some(path) = address.strip_prefix("unix:") {
            if path.trim_start_matches('/').is_empty() {
                return Err(refused("use unix:PATH, with the path of the server's socket"));
            }
            (address, address.to_owned())
        } else {
            let bare = address
                .strip_prefix("http://")
                .unwrap_or(address)
                .trim_end_matches('/');
            let is_host_and_port = bare
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            if !is_host_and_port {
                return Err(refused(
                    "use HOST:PORT, for example localhost:50051, or unix:PATH",
                ));
            }
            (bare, format!("http://{bare}"))
        };
        let endpoint = Endpoint::from_shared(uri)
            .map_err(|error| refused(&root(&error)))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .keep_alive_timeout(PROBE_TIMEOUT)
            .keep_alive_while_idle(true)
            .max_frame_size(FRAME)
            .tcp_nodelay(true);
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("stream")
            .enable_all()
            .build();
        let threads = Arc::new(threads.map_err(Error::Threads)?);
        let channel = connect(bare, &endpoint, &threads)?;
        Ok(Self {
            address: bare.to_owned(),
            endpoint,
            threads,
            client: BatchLoaderClient::new(channel),
        })
    }

    /// Host and port, or `unix:` and a path.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The server's datasets.
    ///
    /// # Errors
    ///
    /// [`Error::NotAServer`] and [`Error::Unreachable`].
    pub fn datasets(&self) -> Result<Vec<DatasetSummary>, Error> {
        let mut client = self.client.clone();
        let answer = self.ask(async move { client.list_datasets(v1::ListDatasetsRequest {}).await })?;
        Ok(answer
            .datasets
            .into_iter()
            .map(DatasetSummary::from_wire)
            .collect())
    }

    /// One dataset; an empty name means the only one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the server has no such dataset.
    pub fn describe(&self, dataset: &str) -> Result<DatasetDescription, Error> {
        let mut client = self.client.clone();
        let request = v1::DescribeDatasetRequest {
            dataset: dataset.to_owned(),
            effective_number_beta: None,
        };
        let answer = self.ask(async move { client.describe_dataset(request).await })?;
        Ok(DatasetDescription::from_wire(answer))
    }

    /// Starts a stream that keeps up to `prefetch` batches ready. It has a connection of its own, whose windows fit its batches.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the server does not accept the request, with the field that it objects to.
    pub fn stream(&self, request: &BatchRequest, prefetch: usize) -> Result<BatchStream, Error> {
        let window =
            u32::try_from(request.message_limit().clamp(WINDOW.0, WINDOW.1)).expect("the upper bound fits");
        let endpoint = self
            .endpoint
            .clone()
            .initial_stream_window_size(window)
            .initial_connection_window_size(window);
        let channel = connect(&self.address, &endpoint, &self.threads)?;
        let client = BatchLoaderClient::new(channel).max_decoding_message_size(request.message_limit());
        BatchStream::open(
            &self.address,
            Arc::clone(&self.threads),
            client,
            request,
            prefetch,
        )
    }

    fn ask<T>(
        &self,
        question: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Error> {
        let answer = self
            .threads
            .block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, question).await });
        match answer {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Error::from_status(&self.address, &status)),
            Err(_) => Err(Error::Unreachable {
                address: self.address.clone(),
                reason: format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
            }),
        }
    }
}

fn connect(address: &str, endpoint: &Endpoint, threads: &Runtime) -> Result<Channel, Error> {
    threads
        .block_on(endpoint.connect())
        .map_err(|error| Error::Unreachable {
            address: address.to_owned(),
            reason: root(&error),
        })
}

/// A line of the server's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// Its name.
    pub name: String,
    /// Hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<String>,
    /// Images in each split.
    pub images_per_split: BTreeMap<String, u32>,
}

impl DatasetSummary {
    fn from_wire(summary: v1::DatasetSummary) -> Self {
        Self {
            name: summary.name,
            fingerprint: hexadecimal(&summary.fingerprint),
            classes: summary.classes,
            images_per_split: summary.images_per_split,
        }
    }
}

/// All that the server says of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetDescription {
    /// Its name.
    pub name: String,
    /// Hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<ClassCounts>,
    /// Split names in use.
    pub splits: Vec<String>,
    /// Files that are never served: path and reason.
    pub quarantined: Vec<(String, String)>,
}

/// One class of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCounts {
    /// Its name.
    pub name: String,
    /// Usable images in each split.
    pub images_per_split: BTreeMap<String, u32>,
}

impl DatasetDescription {
    fn from_wire(description: v1::DescribeDatasetResponse) -> Self {
        let class = |class: v1::ClassDescription| ClassCounts {
            name: class.name,
            images_per_split: class.images_per_split,
        };
        Self {
            name: description.name,
            fingerprint: hexadecimal(&description.fingerprint),
            classes: description.classes.into_iter().map(class).collect(),
            splits: description.splits,
            quarantined: description
                .quarantined
                .into_iter()
                .map(|file| (file.path, file.reason))
                .collect(),
        }
    }
}
