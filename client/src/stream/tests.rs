//! Against servers made by hand, over real sockets on the loopback.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, Instant},
};

use equibatch_proto::v1::{
    self,
    batch_loader_server::{BatchLoader, BatchLoaderServer},
    stream_batches_response::Message,
};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::*;

/// Streams batches of one black image, and misbehaves as told.
#[derive(Clone)]
struct Hand {
    batches: u64,
    /// Shape of the description.
    size: u32,
    /// Bytes to leave out of each tensor.
    missing: usize,
    /// Second labels and their weights.
    mixed: (Vec<u32>, Vec<f32>),
    /// Every byte of the fingerprint.
    files: u8,
    /// Batches of this step and behind it never come.
    stalls_at: Option<u64>,
    /// Batches of this step and behind it are refused as a server does that is about to stop.
    stops_at: Option<u64>,
    /// What was asked for.
    requests: Arc<Mutex<Vec<v1::StreamBatchesRequest>>>,
}

impl Default for Hand {
    fn default() -> Self {
        Self {
            batches: 3,
            size: 8,
            missing: 0,
            mixed: (vec![], vec![]),
            files: 7,
            stalls_at: None,
            stops_at: None,
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
impl BatchLoader for Hand {
    type StreamBatchesStream = Responses;
    type StreamSharedBatchesStream = Responses;

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
        let stopped = reached(stops_at, end).then(|| Status::unavailable("stopping"));
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

/// A running server; dropping it cuts its connections.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(hand: Hand) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), hand)
    }

    /// Like [`Running::start`], where one ran before.
    fn start_at(address: SocketAddr, hand: Hand) -> Self {
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

/// Without second tries.
const AT_ONCE: Patience = Patience {
    retry_for: Duration::ZERO,
    stall: Duration::from_secs(60),
};

fn open(address: SocketAddr) -> Result<Servers, Error> {
    Servers::open(&address.to_string(), AT_ONCE)
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
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_eq!(stream.description().classes, ["bird", "flower"]);
    for step in 0..3 {
        let batch = stream.next_batch().expect("no error").expect("a batch");
        assert_eq!(
            (batch.step, batch.next.step, batch.labels.as_slice()),
            (step, (step + 1) % 3, [1].as_slice())
        );
        assert_eq!(batch.tensor.len(), 3 * 8 * 8 * 4);
    }
    assert_eq!(stream.next_batch().expect("no error"), None);
}

#[test]
fn the_next_batch_is_looked_at_only_where_it_has_come() {
    let server = Running::start(Hand {
        stalls_at: Some(2),
        ..many(3)
    });
    let mut stream = open(server.address)
        .expect("connected")
        .stream(&request(8), 2)
        .expect("a stream");
    let first = stream.next_batch().expect("no error").expect("a batch");
    assert_eq!(first.step, 0);
    let until = Instant::now() + Duration::from_secs(60);
    let looked_at = loop {
        match stream.peek() {
            Some(batch) => break batch.clone(),
            None if Instant::now() < until => std::thread::yield_now(),
            None => panic!("the second batch was sent and is not there"),
        }
    };
    assert_eq!((looked_at.step, stream.peek()), (1, Some(&looked_at)));
    let Poll::Ready(Ok(Some(taken))) = stream.next_batch_within(Duration::ZERO) else {
        panic!("it was there to be looked at");
    };
    assert_eq!(taken, looked_at);
    // The third one never comes: this returns all the same.
    assert_eq!(stream.peek(), None);
    assert!(stream.next_batch_within(Duration::ZERO).is_pending());
}

#[test]
fn what_ends_a_stream_is_met_by_taking_and_not_by_looking() {
    let ending = Running::start(many(1));
    let breaking = Running::start(Hand {
        stops_at: Some(1),
        ..many(3)
    });
    for (server, is_ended) in [(ending, true), (breaking, false)] {
        let servers = open(server.address).expect("connected");
        let mut stream = servers.stream(&request(8), 2).expect("a stream");
        let until = Instant::now() + Duration::from_secs(60);
        while stream.peek().is_none() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(stream.peek().map(|batch| batch.step), Some(0));
        assert_eq!(stream.next_batch().expect("no error").expect("a batch").step, 0);
        assert_eq!(stream.peek(), None);
        let end = stream.next_batch();
        assert_eq!(matches!(end, Ok(None)), is_ended, "{end:?}");
        assert_eq!(stream.peek(), None);
        assert!(matches!(stream.next_batch(), Ok(None)));
    }
}

#[test]
fn of_a_server_that_takes_no_reports_it_is_known_only_that_batches_were_late_or_not() {
    let running = Running::start(Hand::default());
    let servers = open(running.address).expect("a server");
    let mut stream = servers.stream(&request(8), 1).expect("a stream");
    assert_eq!(stream.end_epoch(0), None, "nothing was used yet");
    while stream.next_batch().expect("no error").is_some() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let verdict = stream.end_epoch(0).expect("a verdict");
    assert!(
        matches!(verdict.bottleneck, Bottleneck::Trainer | Bottleneck::Batches),
        "{verdict}"
    );
}

#[test]
fn batches_larger_than_grpc_allows_by_default_are_received() {
    let server = Running::start(Hand {
        size: 640,
        batches: 1,
        ..Hand::default()
    });
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(640), 1).expect("a stream");
    let batch = stream.next_batch().expect("no error").expect("a batch");
    assert!(batch.tensor.len() > 4 << 20, "{} bytes", batch.tensor.len());
}

#[test]
fn datasets_are_listed() {
    let server = Running::start(Hand::default());
    let datasets = open(server.address)
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
    let servers = open(server.address).expect("connected");
    let error = servers.describe("zoo").expect_err("unknown");
    assert_eq!(
        error.to_string(),
        format!("{} refuses: no dataset `zoo`; there is: garden", server.address)
    );
    assert!(!error.is_unavailable());
}

#[test]
fn a_closed_port_is_one_sentence_with_the_address() {
    let address = closed_port();
    let error = open(address).expect_err("closed");
    assert_eq!(
        error.to_string(),
        format!("cannot reach {address}: connection refused; is the server running, and is --server right?")
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
        let message = Servers::open(address, AT_ONCE)
            .expect_err("malformed")
            .to_string();
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
    let result = open(address).and_then(|servers| servers.datasets());
    let error = result.expect_err("no Equibatch server");
    assert!(matches!(error, Error::NotAServer { .. }), "{error:?}: {error}");
}

#[test]
fn a_server_that_breaks_off_is_named_with_the_last_batch() {
    let server = Running::start(Hand {
        stops_at: Some(3),
        ..many(4)
    });
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 8).expect("a stream");
    for _ in 0..3 {
        stream.next_batch().expect("no error").expect("a batch");
    }
    let error = stream.next_batch().expect_err("broken off");
    assert_eq!(
        error.to_string(),
        format!(
            "lost the server at {} after epoch 1 step 3: stopping",
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
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 1).expect("a stream");
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
    let servers = open(server.address).expect("connected");
    let message = servers
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
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(8), 1).expect("a stream");
    let message = stream.next_batch().expect_err("too short").to_string();
    assert!(message.contains("another size than its labels"), "{message}");
}

#[test]
fn soft_labels_are_received_where_they_make_sense() {
    let first = |mixed: (Vec<u32>, Vec<f32>)| {
        let server = Running::start(Hand {
            mixed,
            ..Hand::default()
        });
        let servers = open(server.address).expect("connected");
        let mut stream = servers.stream(&request(8), 1).expect("a stream");
        stream
            .next_batch()
            .map(|batch| batch.expect("a batch").mixed)
            .map_err(|error| error.to_string())
    };
    assert_eq!(first((vec![], vec![])), Ok(None));
    let mixed = Mixed {
        label: 0,
        weight: 0.25,
    };
    assert_eq!(first((vec![0], vec![0.25])), Ok(Some(vec![mixed])));
    for (mixed, word) in [
        ((vec![0], vec![]), "as many mixed labels"),
        ((vec![0, 1], vec![0.5, 0.5]), "as many mixed labels"),
        ((vec![2], vec![0.25]), "among the classes"),
        ((vec![0], vec![1.5]), "from 0 to 1"),
        ((vec![0], vec![f32::NAN]), "from 0 to 1"),
    ] {
        let message = first(mixed).expect_err("refused");
        assert!(message.contains(word), "{message}");
    }
}

/// A little patience, for servers that come back at once.
const PATIENT: Patience = Patience {
    retry_for: Duration::from_secs(60),
    stall: Duration::from_secs(60),
};

fn open_all(running: &[Running], patience: Patience) -> Result<Servers, Error> {
    let addresses: Vec<String> = running.iter().map(|server| server.address.to_string()).collect();
    Servers::open(&addresses.join(","), patience)
}

fn steps(stream: &mut BatchStream) -> Vec<u64> {
    std::iter::from_fn(|| stream.next_batch().expect("no error"))
        .map(|batch| batch.step)
        .collect()
}

fn many(batches: u64) -> Hand {
    Hand {
        batches,
        ..Hand::default()
    }
}

#[test]
fn servers_share_out_the_steps_which_come_in_order() {
    let hands = [many(10), many(10), many(10)];
    let running = hands.clone().map(Running::start);
    let servers = open_all(&running, PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    assert_eq!(steps(&mut stream), (0..10).collect::<Vec<_>>());
    for (index, hand) in (0..).zip(&hands) {
        let requests = hand.requests.lock().expect("no panic");
        let strides: Vec<_> = requests.iter().map(|request| request.stride).collect();
        assert_eq!(strides, [Some(v1::Stride { of: 3, index })]);
    }
}

#[test]
fn the_steps_of_a_server_that_stops_are_asked_of_another() {
    let stopping = Hand {
        stops_at: Some(20),
        ..many(100)
    };
    let running = [many(100), stopping, many(100)].map(Running::start);
    let servers = open_all(&running, PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 3).expect("a stream");
    assert_eq!(steps(&mut stream), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_server_that_is_not_there_at_first_is_left_out_and_used_when_it_comes() {
    let late = closed_port();
    let first = Running::start(many(100_000));
    let servers = Servers::open(&format!("{},{late}", first.address), PATIENT).expect("one is there");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    for step in 0..10 {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
    }
    let hand = many(100_000);
    let requests = Arc::clone(&hand.requests);
    let _second = Running::start_at(late, hand);
    let is_asked = || !requests.lock().expect("no panic").is_empty();
    let mut step = 10;
    while !is_asked() {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
        step += 1;
    }
}

#[test]
fn the_only_server_may_be_restarted() {
    let first = Running::start(Hand {
        stops_at: Some(5),
        ..many(9)
    });
    let servers = open_all(std::slice::from_ref(&first), PATIENT).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    for step in 0..5 {
        assert_eq!(
            stream.next_batch().expect("no error").expect("a batch").step,
            step
        );
    }
    let address = first.address;
    drop(first);
    let _second = Running::start_at(address, many(9));
    assert_eq!(steps(&mut stream), [5, 6, 7, 8]);
}

#[test]
fn a_server_that_owes_a_batch_is_overtaken_by_another() {
    let stalling = Hand {
        stalls_at: Some(4),
        ..many(30)
    };
    let running = [many(30), stalling].map(Running::start);
    let impatient = Patience {
        stall: Duration::from_millis(50),
        ..PATIENT
    };
    let servers = open_all(&running, impatient).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    assert_eq!(steps(&mut stream), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_server_with_other_files_is_refused_with_what_differs() {
    let other = Hand { files: 8, ..many(10) };
    let running = [many(10), other].map(Running::start);
    let servers = open_all(&running, PATIENT).expect("connected");
    let message = servers.stream(&request(8), 2).expect_err("different").to_string();
    assert!(message.contains("class bird has"), "{message}");
    assert!(message.contains("images in its train split"), "{message}");
}

#[test]
fn a_server_that_comes_back_with_other_files_is_not_used() {
    let stopping = Hand {
        stops_at: Some(5),
        ..many(9)
    };
    let first = Running::start(stopping);
    let hasty = Patience {
        retry_for: Duration::from_secs(1),
        ..PATIENT
    };
    let servers = open_all(std::slice::from_ref(&first), hasty).expect("connected");
    let mut stream = servers.stream(&request(8), 2).expect("a stream");
    let address = first.address;
    drop(first);
    let hand = Hand { files: 8, ..many(9) };
    let requests = Arc::clone(&hand.requests);
    let _second = Running::start_at(address, hand);
    let error = std::iter::repeat_with(|| stream.next_batch())
        .find_map(Result::err)
        .expect("an error, not an end");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
    assert!(requests.lock().expect("no panic").is_empty());
}
