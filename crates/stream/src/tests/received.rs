//! Batches of one server.

use std::{task::Poll, time::Instant};

use super::*;

#[test]
fn batches_come_in_order_with_their_positions_and_end() {
    let server = Running::start(FakeServer::default());
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
fn peek_returns_only_batches_that_have_arrived() {
    let server = Running::start(FakeServer {
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
            None => panic!("the second batch was sent, but did not arrive"),
        }
    };
    assert_eq!((looked_at.step, stream.peek()), (1, Some(&looked_at)));
    let Poll::Ready(Ok(Some(taken))) = stream.next_batch_within(Duration::ZERO) else {
        panic!("it was peeked at");
    };
    assert_eq!(taken, looked_at);
    // The third one is never sent: peeking returns nevertheless.
    assert_eq!(stream.peek(), None);
    assert!(stream.next_batch_within(Duration::ZERO).is_pending());
}

#[test]
fn the_end_of_a_stream_is_returned_by_next_batch_and_not_by_peek() {
    let ending = Running::start(many(1));
    let breaking = Running::start(FakeServer {
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
fn without_epoch_reports_the_bottleneck_is_the_trainer_or_batches() {
    let running = Running::start(FakeServer::default());
    let servers = open(running.address).expect("a server");
    let mut stream = servers.stream(&request(8), 1).expect("a stream");
    assert_eq!(stream.end_epoch(0), None, "no batch was consumed yet");
    while stream.next_batch().expect("no error").is_some() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let bottleneck = stream.end_epoch(0).expect("a verdict");
    assert!(
        matches!(bottleneck.bottleneck, Bottleneck::Trainer | Bottleneck::Batches),
        "{bottleneck}"
    );
}

#[test]
fn batches_larger_than_grpc_allows_by_default_are_received() {
    let server = Running::start(FakeServer {
        size: 640,
        batches: 1,
        ..FakeServer::default()
    });
    let servers = open(server.address).expect("connected");
    let mut stream = servers.stream(&request(640), 1).expect("a stream");
    let batch = stream.next_batch().expect("no error").expect("a batch");
    assert!(batch.tensor.len() > 4 << 20, "{} bytes", batch.tensor.len());
}

#[test]
fn datasets_are_listed() {
    let server = Running::start(FakeServer::default());
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
fn invalid_soft_labels_are_refused() {
    let first = |mixed: (Vec<u32>, Vec<f32>)| {
        let server = Running::start(FakeServer {
            mixed,
            ..FakeServer::default()
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
        ((vec![2], vec![0.25]), "exceeds the number of classes"),
        ((vec![0], vec![1.5]), "outside 0 to 1"),
        ((vec![0], vec![f32::NAN]), "outside 0 to 1"),
    ] {
        let message = first(mixed).expect_err("refused");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_stream_is_an_iterator_and_can_be_polled_by_async_code() {
    let server = Running::start(FakeServer::default());
    let servers = open(server.address).expect("connected");
    let stream = servers.stream(&request(8), 2).expect("a stream");
    let steps: Result<Vec<u64>, Error> = stream.map(|batch| batch.map(|batch| batch.step)).collect();
    assert_eq!(steps.expect("no error"), [0, 1, 2]);
    drop(servers);
    let polled = async {
        let (credentials, resolver) = (Credentials::default(), Resolver::default());
        let address = server.address.to_string();
        let servers = Servers::open_async(&address, NO_RETRY, &credentials, &resolver).await?;
        let mut stream = servers.stream_async(&request(8), 2).await?;
        let mut steps = vec![];
        while let Some(batch) = std::future::poll_fn(|context| stream.poll_next(context)).await {
            steps.push(batch?.step);
        }
        assert!(stream.end_epoch_async(0).await.is_some());
        // The network thread ends here, in async code.
        drop((stream, servers));
        Ok::<_, Error>(steps)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let steps = runtime.expect("a runtime").block_on(polled);
    assert_eq!(steps.expect("no error"), [0, 1, 2]);
}
