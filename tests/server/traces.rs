//! OpenTelemetry traces of requests, streams and batches.

use std::collections::BTreeSet;

use equibatch_harness::{
    collector::{Collector, attributes},
    images::pictures,
    process::ServerProcess,
};
use equibatch_stream::{Batch, BatchRequest, RetryPolicy, Servers, Split, TraceId};

/// Reads a short stream within a trace; returns its batches and the trace's id.
fn receive(address: &str) -> (TraceId, Vec<Batch>) {
    let servers = Servers::open(address, RetryPolicy::default()).expect("a server is there");
    let request = BatchRequest {
        epochs: 2,
        seed: u64::MAX,
        ..BatchRequest::evaluation("", Split::Train, 6, 32)
    };
    let mut stream = servers.stream(&request, 1).expect("a stream");
    let batches = std::iter::from_fn(|| stream.next_batch().expect("no error")).collect();
    (servers.trace(), batches)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_and_its_servers_share_one_trace() {
    let images = pictures();
    let collector = Collector::start().await;
    let address = format!("http://{}", collector.address);
    let mut servers = [0, 1].map(|_| ServerProcess::start(images.root(), &["--otlp", &address]));
    let addresses = servers.each_ref().map(|server| server.address.clone()).join(",");
    let (trace, batches) = tokio::task::spawn_blocking(move || receive(&addresses))
        .await
        .unwrap();
    // The server sends the last spans when it exits.
    servers.iter().for_each(ServerProcess::terminate);
    tokio::task::spawn_blocking(move || servers.each_mut().map(ServerProcess::wait))
        .await
        .unwrap();

    let streams = collector.spans("stream");
    assert_eq!(streams.len(), 2, "one of each server");
    for stream in &streams {
        let attributes = attributes(stream);
        assert_eq!(hexadecimal(&stream.trace_id), trace.to_string());
        for (key, value) in [
            ("dataset", "pictures"),
            ("split", "train"),
            ("client", "127.0.0.1"),
            ("seed", "18446744073709551615"),
            ("epochs", "2"),
        ] {
            assert_eq!(
                attributes.get(key).map(String::as_str),
                Some(value),
                "{attributes:?}"
            );
        }
        let token = batches[0].next.clone();
        assert_eq!(attributes["fingerprint"], token.fingerprint);
        assert_eq!(attributes["spec_hash"], token.spec_hash);
    }
    // Each batch once, under its stream.
    let spans = collector.spans("batch");
    let place = |epoch: &dyn ToString, step: &dyn ToString| (epoch.to_string(), step.to_string());
    let found: Vec<_> = spans
        .iter()
        .map(|span| {
            let attributes = attributes(span);
            place(&attributes["epoch"], &attributes["step"])
        })
        .collect();
    let expected: BTreeSet<_> = batches
        .iter()
        .map(|batch| place(&batch.epoch, &batch.step))
        .collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(BTreeSet::from_iter(found), expected);
    for span in &spans {
        assert_eq!(hexadecimal(&span.trace_id), trace.to_string());
        assert!(streams.iter().any(|stream| stream.span_id == span.parent_span_id));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    let requests = collector.spans("request");
    let asked = |path: &str| {
        requests
            .iter()
            .any(|span| attributes(span)["path"].ends_with(path))
    };
    assert!(asked("/StreamBatches"), "{requests:?}");
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_collector_loses_only_traces() {
    let images = pictures();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = format!("http://{closed}");
    let mut server = ServerProcess::start(images.root(), &["--otlp", &address, "--log", "off"]);
    let of = server.address.clone();
    let (_trace, batches) = tokio::task::spawn_blocking(move || receive(&of)).await.unwrap();
    assert_eq!(batches.len(), 10);
    server.terminate();
    let ended = tokio::task::spawn_blocking(move || server.wait()).await.unwrap();
    assert_eq!(ended.code(), Some(0));
}
