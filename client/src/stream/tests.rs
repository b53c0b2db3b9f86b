//! Against servers made by hand, over real sockets on the loopback.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    pin::Pin,
    time::Duration,
};

use equibatch_proto::v1::{
    self,
    batch_loader_server::{BatchLoader, BatchLoaderServer},
    stream_batches_response::Message,
};
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::*;

/// Streams batches of one black image, and ends as told.
#[derive(Clone)]
struct Hand {
    batches: u64,
    ending: Option<Status>,
    /// Shape of the description.
    size: u32,
    /// Bytes to leave out of each tensor.
    missing: usize,
}

impl Default for Hand {
    fn default() -> Self {
        Self {
            batches: 3,
            ending: None,
            size: 8,
            missing: 0,
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
impl BatchLoader for Hand {
    type StreamBatchesStream = Responses;

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
        Err(Status::not_found(format!(
            "no dataset `{}`; there is: garden",
            request.into_inner().dataset
        )))
    }

    async fn stream_batches(
        &self,
        _: Request<v1::StreamBatchesRequest>,
    ) -> Result<Response<Responses>, Status> {
        let description = v1::StreamDescription {
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
        let batches = (0..self.batches).map(move |step| {
            Ok(response(Message::Batch(v1::Batch {
                step,
                next: Some(v1::PositionToken {
                    step: step + 1,
                    ..v1::PositionToken::default()
                }),
                labels: vec![1],
                sample_ids: vec![u32::try_from(step).expect("few steps")],
                tensor: vec![0; bytes].into(),
                ..v1::Batch::default()
            })))
        });
        let first = Ok(response(Message::Description(description)));
        let ending = self.ending.clone().map(Err);
        Ok(Response::new(Box::pin(tokio_stream::iter(
            std::iter::once(first).chain(batches).chain(ending),
        ))))
    }
}

/// A running server; dropping it cuts its connections.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(hand: Hand) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
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
                    .add_service(BatchLoaderServer::new(hand))
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

fn request(size: u32) -> BatchRequest {
    BatchRequest::evaluation("garden", Split::Train, 1, size)
}

/// A port of the loopback on which nobody listens.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound")
}

#[test]
fn batches_come_in_order_with_their_positions_and_end() {
    let server = Running::start(Hand::default());
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let mut stream = connection.stream(&request(8), 2).expect("a stream");
    assert_eq!(stream.description().classes, ["bird", "flower"]);
    for step in 0..3 {
        let batch = stream.next_batch().expect("no error").expect("a batch");
        assert_eq!(
            (batch.step, batch.next.step, batch.labels.as_slice()),
            (step, step + 1, [1].as_slice())
        );
        assert_eq!(batch.tensor.len(), 3 * 8 * 8 * 4);
    }
    assert_eq!(stream.next_batch().expect("no error"), None);
}

#[test]
fn batches_larger_than_grpc_allows_by_default_are_received() {
    let server = Running::start(Hand {
        size: 640,
        batches: 1,
        ..Hand::default()
    });
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let mut stream = connection.stream(&request(640), 1).expect("a stream");
    let batch = stream.next_batch().expect("no error").expect("a batch");
    assert!(batch.tensor.len() > 4 << 20, "{} bytes", batch.tensor.len());
}

#[test]
fn datasets_are_listed() {
    let server = Running::start(Hand::default());
    let datasets = Connection::open(&server.address.to_string())
        .expect("connected")
        .datasets()
        .expect("a list");
    assert_eq!(datasets.len(), 1);
    assert_eq!(
        (datasets[0].name.as_str(), datasets[0].images_per_split["train"]),
        ("garden", 3)
    );
}

#[test]
fn an_unknown_dataset_is_the_servers_sentence() {
    let server = Running::start(Hand::default());
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let error = connection.describe("zoo").expect_err("unknown");
    assert_eq!(
        error.to_string(),
        format!("{} refuses: no dataset `zoo`; there is: garden", server.address)
    );
    assert!(!error.is_unavailable());
}

#[test]
fn a_closed_port_is_one_sentence_with_the_address() {
    let address = closed_port();
    let error = Connection::open(&address.to_string()).expect_err("closed");
    assert_eq!(
        error.to_string(),
        format!("cannot reach {address}: connection refused; is the server running?")
    );
    assert!(error.is_unavailable());
}

#[test]
fn an_address_without_a_port_is_refused_before_any_connection() {
    for address in [
        "localhost",
        "localhost:",
        ":50051",
        "localhost:port",
        "localhost:99999",
        "",
    ] {
        let message = Connection::open(address).expect_err("malformed").to_string();
        assert!(message.contains("HOST:PORT"), "{message}");
    }
}

#[test]
fn a_web_server_is_recognised_as_something_else() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    // Ends with the process: it answers however often a client tries.
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let result = Connection::open(&address.to_string()).and_then(|connection| connection.datasets());
    let error = result.expect_err("no Equibatch server");
    assert!(matches!(error, Error::NotAServer { .. }), "{error:?}: {error}");
}

#[test]
fn a_server_that_breaks_off_is_named_with_the_last_batch() {
    let server = Running::start(Hand {
        ending: Some(Status::unavailable("shutting down")),
        ..Hand::default()
    });
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let mut stream = connection.stream(&request(8), 8).expect("a stream");
    for _ in 0..3 {
        stream.next_batch().expect("no error").expect("a batch");
    }
    let error = stream.next_batch().expect_err("broken off");
    assert_eq!(
        error.to_string(),
        format!(
            "lost the server at {} after epoch 1 step 3: shutting down",
            server.address
        )
    );
    assert!(stream.next_batch().expect("nothing follows an error").is_none());
}

#[test]
fn a_server_that_dies_ends_the_stream_with_an_error() {
    let server = Running::start(Hand {
        batches: 100_000,
        ..Hand::default()
    });
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let mut stream = connection.stream(&request(8), 1).expect("a stream");
    stream.next_batch().expect("no error").expect("a batch");
    drop(server);
    let error = std::iter::repeat_with(|| stream.next_batch())
        .find_map(Result::err)
        .expect("an error, not an end");
    assert!(matches!(error, Error::Lost { .. }), "{error}");
}

#[test]
fn a_stream_of_another_shape_is_refused() {
    let server = Running::start(Hand::default());
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let message = connection
        .stream(&request(16), 1)
        .expect_err("another shape")
        .to_string();
    assert!(message.contains("another shape"), "{message}");
}

#[test]
fn a_tensor_of_another_length_than_its_labels_is_refused() {
    let server = Running::start(Hand {
        missing: 4,
        ..Hand::default()
    });
    let connection = Connection::open(&server.address.to_string()).expect("connected");
    let mut stream = connection.stream(&request(8), 1).expect("a stream");
    let message = stream.next_batch().expect_err("too short").to_string();
    assert!(message.contains("another size than its labels"), "{message}");
}
