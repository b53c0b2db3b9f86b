//! A fake server.

use std::pin::Pin;

use equibatch_proto::v1::{
    batch_loader_server::{BatchLoader, BatchLoaderServer},
    stream_batches_response::Message,
};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};

use super::*;

/// Streams batches of one black image, with configurable faults.
#[derive(Clone)]
pub(super) struct FakeServer {
    pub(super) batches: u64,
    /// Image size of the description.
    pub(super) size: u32,
    /// Bytes missing from each tensor.
    pub(super) missing: usize,
    /// Second labels and their weights.
    pub(super) mixed: (Vec<u32>, Vec<f32>),
    /// Every byte of the fingerprint.
    pub(super) files: u8,
    /// Batches from this step on are never sent.
    pub(super) stalls_at: Option<u64>,
    /// Batches from this step on are refused, as by a server that shuts down.
    pub(super) stops_at: Option<u64>,
    /// Status code of the refusal.
    pub(super) refusal: Code,
    /// The requests received.
    pub(super) requests: Arc<Mutex<Vec<v1::StreamBatchesRequest>>>,
}

impl Default for FakeServer {
    fn default() -> Self {
        Self {
            batches: 3,
            size: 8,
            missing: 0,
            mixed: (vec![], vec![]),
            files: 7,
            stalls_at: None,
            stops_at: None,
            refusal: Code::Unavailable,
            requests: Arc::default(),
        }
    }
}

type Responses = Pin<Box<dyn Stream<Item = Result<v1::StreamBatchesResponse, Status>> + Send>>;

fn response(message: Message) -> v1::StreamBatchesResponse {
    v1::StreamBatchesResponse {
        message: Some(message),
    }
}

#[tonic::async_trait]
impl BatchLoader for FakeServer {
    async fn list_datasets(
        &self,
        _: Request<v1::ListDatasetsRequest>,
    ) -> Result<Response<v1::ListDatasetsResponse>, Status> {
        let summary = v1::DatasetSummary {
            name: "garden".to_owned(),
            fingerprint: vec![7; 32].into(),
            classes: vec!["bird".to_owned(), "flower".to_owned()],
            images_per_split: [("train".to_owned(), 3)].into(),
        };
        Ok(Response::new(v1::ListDatasetsResponse {
            datasets: vec![summary],
        }))
    }

    async fn describe_dataset(
        &self,
        request: Request<v1::DescribeDatasetRequest>,
    ) -> Result<Response<v1::DescribeDatasetResponse>, Status> {
        let dataset = request.into_inner().dataset;
        if dataset != "garden" {
            return Err(Status::not_found(format!(
                "no dataset `{dataset}`; there is: garden"
            )));
        }
        let class = |name: &str, images| v1::ClassDescription {
            name: name.to_owned(),
            images_per_split: [("train".to_owned(), images)].into(),
            ..v1::ClassDescription::default()
        };
        Ok(Response::new(v1::DescribeDatasetResponse {
            name: dataset,
            fingerprint: vec![self.files; 32].into(),
            classes: vec![class("bird", u32::from(self.files)), class("flower", 20)],
            ..v1::DescribeDatasetResponse::default()
        }))
    }

    async fn report_epoch(
        &self,
        _request: Request<v1::ReportEpochRequest>,
    ) -> Result<Response<v1::ReportEpochResponse>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn stream_shared_batches(
        &self,
        _request: Request<Streaming<v1::StreamSharedBatchesRequest>>,
    ) -> Result<Response<Responses>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn stream_batches(
        &self,
        request: Request<v1::StreamBatchesRequest>,
    ) -> Result<Response<Responses>, Status> {
        let request = request.into_inner();
        self.requests.lock().expect("no panic").push(request.clone());
        let description = v1::StreamDescription {
            dataset: "garden".to_owned(),
            fingerprint: vec![self.files; 32].into(),
            classes: vec!["bird".to_owned(), "flower".to_owned()],
            steps_per_epoch: self.batches,
            shape: vec![1, 3, self.size, self.size],
            element_type: v1::ElementType::F32.into(),
            normalization: Some(v1::Normalization {
                mean: vec![0.5; 3],
                std: vec![0.25; 3],
            }),
            ..v1::StreamDescription::default()
        };
        let bytes = (3 * self.size * self.size * 4) as usize - self.missing;
        let start = request.start.map_or(0, |start| start.step);
        let stride = request.stride.unwrap_or(v1::Stride { of: 1, index: 0 });
        let steps =
            (start..self.batches).filter(move |step| step % u64::from(stride.of) == u64::from(stride.index));
        let end = self.batches;
        let (mixed_labels, mixed_weights) = self.mixed.clone();
        let batch = move |step: u64| {
            Ok(response(Message::Batch(v1::Batch {
                step,
                next: Some(v1::PositionToken {
                    epoch: u64::from(step + 1 == end),
                    step: (step + 1) % end,
                    ..v1::PositionToken::default()
                }),
                labels: vec![1],
                sample_ids: vec![u32::try_from(step).expect("few steps")],
                mixed_labels: mixed_labels.clone(),
                mixed_weights: mixed_weights.clone(),
                tensor: vec![0; bytes].into(),
                ..v1::Batch::default()
            })))
        };
        let (stops_at, stalls_at) = (self.stops_at, self.stalls_at);
        let reached = |at: Option<u64>, step: u64| at.is_some_and(|at| step >= at);
        let served = steps
            .clone()
            .take_while(move |&step| !reached(stops_at, step) && !reached(stalls_at, step));
        let batches = served.map(batch);
        let stopped = reached(stops_at, end).then(|| Status::new(self.refusal, "stopping"));
        let first = Ok(response(Message::Description(description)));
        let ending = stopped.map(Err);
        let told = tokio_stream::iter(std::iter::once(first).chain(batches).chain(ending));
        Ok(Response::new(if stalls_at.is_some() {
            Box::pin(told.chain(tokio_stream::pending()))
        } else {
            Box::pin(told)
        }))
    }
}

/// A running server; dropping it closes its connections.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(fake_server: FakeServer) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), fake_server)
    }

    /// Like [`Running::start`], at an address that was used before.
    pub(super) fn start_at(address: SocketAddr, fake_server: FakeServer) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let threads = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            threads.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
                let server = tonic::transport::Server::builder()
                    .add_service(BatchLoaderServer::new(fake_server))
                    .serve_with_incoming(incoming);
                tokio::select! {
                    result = server => result.expect("serving"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends without a panic");
        }
    }
}
