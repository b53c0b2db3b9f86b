//! Failover: every step once, in order, with the bytes of an undisturbed run, while servers and network fail.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use equibatch_harness::{
    certificates::{Authority, NAME},
    images::{ImageFolder, pictures},
    process::{ClientProcess, ServerProcess, arguments, text},
    proxy::Proxy,
    receive,
};
use equibatch_stream::{
    Balance, Batch, BatchRequest, BatchStream, Credentials, Resolver, RetryPolicy, Servers, Split,
};
use serde_json::Value;

use super::setup;

const EPOCHS: u32 = 30;

fn request() -> BatchRequest {
    BatchRequest {
        seed: 7,
        epochs: EPOCHS,
        balance: Some(Balance::Oversample),
        ..BatchRequest::evaluation("", Split::Train, 6, 64)
    }
}

/// A long time to reconnect, and a short one for a stalled batch.
const RETRY: RetryPolicy = RetryPolicy {
    retry_for: Duration::from_secs(120),
    stall: Duration::from_millis(500),
};

fn open(addresses: &[&str]) -> BatchStream {
    let servers = Servers::open(&addresses.join(","), RETRY).expect("a server is there");
    servers.stream(&request(), 3).expect("a stream")
}

fn digest(batch: &Batch) -> String {
    let tensor = blake3::hash(&batch.tensor).to_hex();
    format!(
        "epoch {} step {} {:?} {:?} {tensor}",
        batch.epoch, batch.step, batch.labels, batch.samples
    )
}

/// The digests of the next `count` batches, or of all that remain.
fn take(stream: &mut BatchStream, count: usize) -> Vec<String> {
    std::iter::from_fn(|| stream.next_batch().expect("no error"))
        .take(count)
        .map(|batch| digest(&batch))
        .collect()
}

/// The digests from an undisturbed server.
fn undisturbed(images: &ImageFolder) -> Vec<String> {
    let server = ServerProcess::start(images.root(), &["--threads", "1"]);
    let all = take(&mut open(&[&server.address]), usize::MAX);
    assert_eq!(all.len(), 5 * EPOCHS as usize);
    all
}

/// Compares step by step, so that a failure names the step.
fn assert_same(found: &[String], expected: &[String]) {
    for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "batch {step}");
    }
    assert_eq!(found.len(), expected.len(), "number of batches");
}

/// Streams from `count` servers, of which `event` disturbs some after ten batches; checks that the stream is that of an undisturbed one.
fn assert_survives(
    count: u32,
    event: impl FnOnce(&mut [ServerProcess], &mut BatchStream) -> Vec<String>,
) -> Vec<ServerProcess> {
    let images = pictures();
    let expected = undisturbed(&images);
    let start = |threads: u32| ServerProcess::start(images.root(), &["--threads", &threads.to_string()]);
    let mut servers: Vec<ServerProcess> = (1..=count).map(start).collect();
    let addresses: Vec<&str> = servers.iter().map(|server| server.address.as_str()).collect();
    let mut stream = open(&addresses);
    let mut found = take(&mut stream, 10);
    found.extend(event(&mut servers, &mut stream));
    found.extend(take(&mut stream, usize::MAX));
    assert_same(&found, &expected);
    servers
}

#[test]
fn one_of_three_servers_is_killed() {
    assert_survives(3, |servers, _stream| {
        servers[1].kill();
        vec![]
    });
}

#[test]
fn the_only_server_is_killed_and_started_again() {
    let images = pictures();
    let expected = undisturbed(&images);
    let mut first = ServerProcess::start(images.root(), &[]);
    let mut stream = open(&[&first.address]);
    let mut found = take(&mut stream, 10);
    first.kill();
    first.wait();
    let again = ServerProcess::listening(images.root(), &first.address, &[]);
    found.extend(take(&mut stream, usize::MAX));
    drop(again);
    assert_same(&found, &expected);
}

#[test]
fn a_server_is_suspended_and_continued() {
    assert_survives(2, |servers, stream| {
        servers[0].stand_still();
        let found = take(stream, 60);
        servers[0].go_on();
        found
    });
}

#[test]
fn a_server_is_stopped() {
    let mut servers = assert_survives(2, |servers, _stream| {
        servers[1].terminate();
        vec![]
    });
    assert_eq!(servers[1].wait().code(), Some(0));
}

#[test]
fn a_connection_stalls_silently() {
    let images = pictures();
    let expected = undisturbed(&images);
    let running = [0, 1].map(|_| ServerProcess::start(images.root(), &[]));
    let proxy = Proxy::to(&running[0].address);
    let mut stream = open(&[&proxy.address.to_string(), &running[1].address]);
    let mut found = take(&mut stream, 10);
    assert!(proxy.carried() > 0, "the stream goes through the proxy");
    proxy.fall_silent();
    found.extend(take(&mut stream, usize::MAX));
    assert_same(&found, &expected);
}

#[test]
fn batches_with_flipped_bits_are_not_trained_on() {
    let images = pictures();
    let expected = undisturbed(&images);
    let server = ServerProcess::start(images.root(), &[]);
    let proxy = Proxy::to(&server.address);
    let address = proxy.address.to_string();
    let servers = Servers::open(&address, RETRY).expect("a server is there");
    let mut stream = servers.stream(&request(), 3).expect("a stream");
    let mut found = take(&mut stream, 10);
    for _ in 0..5 {
        proxy.flip_bits(2);
        found.extend(take(&mut stream, 20));
    }
    assert_eq!(proxy.flips_left(), 0, "bits were flipped");
    found.extend(take(&mut stream, usize::MAX));
    assert_same(&found, &expected);
    // A flipped bit may be in a batch that is dropped for another reason, or outside a tensor.
    let damaged = servers.take_damaged();
    assert!((1..=10).contains(&damaged[&address]), "{damaged:?}");
    assert!(servers.take_damaged().is_empty(), "each is counted once");
}

#[test]
fn a_run_reports_damaged_batches_and_their_server() {
    let images = setup::pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let proxy = Proxy::to(&server.address);
    let address = proxy.address.to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let typed = setup::train(&address, &["--epochs", "40", "--out", text(&run)]);
    let mut trainer = ClientProcess::start(&typed);
    // Earlier batches also belong to a stream that is opened for its description and dropped.
    trainer.wait_for_line("2 ");
    proxy.flip_bits(3);
    let named = format!("a batch from {address} is not used: epoch ");
    trainer.wait_for_errors(&[&named, "CRC-32C"]);
    assert_eq!(trainer.finish().0, Some(0));
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("lines");
    let lines = metrics
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"));
    let count: u64 = lines
        .filter_map(|line: Value| line["damaged"][&address].as_u64())
        .sum();
    assert!((1..=3).contains(&count), "{metrics}");
    let page = fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains("arrived damaged"), "the report has the line");
}

#[test]
fn the_network_is_interrupted_and_restored() {
    let images = pictures();
    let expected = undisturbed(&images);
    let server = ServerProcess::start(images.root(), &[]);
    let proxy = Proxy::to(&server.address);
    let mut stream = open(&[&proxy.address.to_string()]);
    let mut found = take(&mut stream, 10);
    proxy.cut();
    let carried = proxy.carried();
    let reader = thread::spawn(move || take(&mut stream, usize::MAX));
    proxy.wait_until_refused();
    proxy.heal();
    found.extend(reader.join().expect("no panic"));
    assert_same(&found, &expected);
    assert!(proxy.carried() > carried, "it went on through the proxy");
}

#[test]
fn the_error_names_the_only_server_that_did_not_come_back() {
    let images = pictures();
    let mut server = ServerProcess::start(images.root(), &[]);
    let impatient = RetryPolicy {
        retry_for: Duration::from_secs(1),
        ..RETRY
    };
    let servers = Servers::open(&server.address, impatient).expect("a server is there");
    let mut stream = servers.stream(&request(), 1).expect("a stream");
    stream.next_batch().expect("no error").expect("a batch");
    server.kill();
    let message = receive::error(&mut stream).to_string();
    assert!(message.contains(&server.address), "{message}");
    assert!(message.contains("did not come back within 1 s"), "{message}");
}

#[test]
fn the_client_logs_how_long_it_retries_and_when_a_server_is_back() {
    let images = pictures();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let mut first = ServerProcess::start(images.root(), &[]);
    let train = "train --arch resnet18@4 --size 32 --batch-size 8 --epochs 500 --threads 1 --server";
    let mut trainer = ClientProcess::start(&arguments(train, &[&first.address, "--out", text(&out)]));
    trainer.wait_for_line("7 ");
    first.kill();
    first.wait();
    let again = ServerProcess::listening(images.root(), &first.address, &[]);
    let words = ["waiting up to 300 s", "the server is back after"];
    trainer.wait_for_errors(&words);
    drop(again);
}

#[test]
fn an_unused_port_is_refused_at_once() {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let error = Servers::open(&address.to_string(), RETRY).expect_err("no server is there");
    assert!(error.is_unavailable(), "{error}");
}

/// One server, then three, then two others, under one name that the test's own resolver looks up.
fn servers_come_and_go_under_a_name(scheme: &str, options: &[&str], credentials: &Credentials) {
    let images = pictures();
    let expected = undisturbed(&images);
    let zone: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let looked_up = Arc::clone(&zone);
    let resolver = Resolver::new(
        move |host, _port| {
            assert_eq!(host, NAME);
            let found = looked_up.lock().expect("no panic").clone();
            Box::pin(async move { Ok(found) })
        },
        Duration::from_millis(20),
    );
    let start = |listen: &str| ServerProcess::listening(images.root(), listen, options);
    let first = start("127.0.0.1:0");
    let first_address: SocketAddr = first.address.parse().expect("an address");
    let port = first_address.port();
    let at = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
    zone.lock().expect("no panic").push(first_address);
    let servers = Servers::open_resolving(&format!("{scheme}{NAME}:{port}"), RETRY, credentials, &resolver)
        .expect("a server is there");
    let mut stream = servers.stream(&request(), 3).expect("a stream");
    let mut found = take(&mut stream, 20);

    let [mut second, third] = [2, 3].map(|last| start(&at(last).to_string()));
    *zone.lock().expect("no panic") = vec![first_address, at(2), at(3)];
    found.extend(take(&mut stream, 40));

    // One of three is killed, one is removed from the name, and others are added.
    let others = [4, 5].map(|last| start(&at(last).to_string()));
    second.kill();
    *zone.lock().expect("no panic") = vec![at(4), at(5)];
    found.extend(take(&mut stream, 20));
    drop((first, second, third));
    found.extend(take(&mut stream, usize::MAX));
    drop(others);
    assert_same(&found, &expected);
}

#[test]
fn servers_behind_a_name_change() {
    servers_come_and_go_under_a_name("", &[], &Credentials::default());
}

#[test]
fn servers_behind_a_name_with_certificates_change() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let credentials = Credentials {
        roots: Some(fs::read(authority.root()).expect("a file")),
        ..Credentials::default()
    };
    let options = ["--tls-cert", &certificate, "--tls-key", &key];
    servers_come_and_go_under_a_name("https://", &options, &credentials);
}
