//! Signals during a scan, during an unread stream, and after a failure to accept.

use equibatch_engine::{
    dataset::Dataset,
    pipeline::{Engine, Files},
};
use equibatch_server::{
    Error,
    admin::Admin,
    run,
    service::{ServiceConfig, socket::Connection},
};
use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use equibatch_harness::{
    admin::get,
    process::{Lines, ServerProcess},
    receive::{open, receive, small},
    wait::{eventually, eventually_async, within},
};
use equibatch_server_tests::memory::{MemoryServer, config, dataset, engine};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::pictures;

/// The operator port's address, from the log.
fn operator(lines: &mut Lines) -> SocketAddr {
    let line = lines.find(|line| line.contains("admin endpoint listening"));
    let line = line.expect("a line about the operator");
    let (_, address) = line.rsplit_once("address=").expect("an address");
    address.trim().parse().expect("an address")
}

/// Two classes of a thousand images whose headers are 32 MB of empty comments: scanning them takes about an hour.
fn slow_to_scan(folder: &Path) {
    let file = folder.join("slow");
    let mut out = File::create(&file).unwrap();
    out.write_all(&[0xFF, 0xD8]).unwrap();
    let comments = [0xFF, 0xFE, 0, 2].repeat(1 << 20);
    (0..8).for_each(|_| out.write_all(&comments).unwrap());
    for class in ["a", "b"] {
        fs::create_dir_all(folder.join("data").join(class)).unwrap();
        for image in 0..1000 {
            fs::hard_link(&file, folder.join(format!("data/{class}/{image}.jpg"))).unwrap();
        }
    }
}

#[test]
fn sigterm_during_a_scan_ends_the_process_and_health_answers_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    slow_to_scan(folder.path());
    let (data, socket) = (folder.path().join("data"), folder.path().join("socket"));
    let (data, listen) = (
        format!("slow={}", data.display()),
        format!("unix:{}", socket.display()),
    );
    let options = [
        "--data",
        &data,
        "--listen",
        &listen,
        "--admin",
        "127.0.0.1:0",
        "--log",
        "info",
    ];
    let (mut server, mut lines) = ServerProcess::starting(&options);
    let operator = operator(&mut lines);
    let (status, text) = get(operator, "/readyz");
    assert_eq!(status, 503);
    assert!(text.starts_with("scanning datasets (slow: "), "{text}");
    eventually("the port answers", || {
        let output = equibatch_harness::process::server(&["health", &listen]);
        let errors = String::from_utf8(output.stderr).unwrap();
        errors.contains("is not serving").then_some(())
    });
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(!socket.exists(), "the socket's file is removed");
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let images = pictures();
    let root = format!("pictures={}", images.root().display());
    let socket = images.root().with_extension("socket");
    let listen = format!("unix:{}", socket.display());
    let options = [
        "--data",
        &root,
        "--listen",
        &listen,
        "--admin",
        "127.0.0.1:0",
        "--shutdown-grace",
        "100000",
        "--log",
        "info",
    ];
    let (mut server, mut lines) = ServerProcess::starting(&options);
    let operator = operator(&mut lines);
    eventually("it is ready", || {
        (get(operator, "/readyz").0 == 200).then_some(())
    });
    server.address.clone_from(&listen);
    let mut client = server.client().await;
    let mut request = small("train", 1_000_000);
    (request.batch_size, request.image_size) = (Some(16), Some(224));
    let (_description, unread) = open(&mut client, request).await.unwrap();
    server.terminate();
    // Its grace period, for an open stream, is a day.
    eventually("it stops", || {
        (get(operator, "/readyz").1 == "stopping\n").then_some(())
    });
    server.terminate();
    assert_eq!(server.wait().code(), Some(128 + 15));
    drop(unread);
    let _left_behind = fs::remove_file(socket);
}

#[tokio::test(flavor = "multi_thread")]
async fn scanned_datasets_are_served_during_the_scan_of_others() {
    let images = pictures();
    let names = vec!["pictures".to_owned(), "later".to_owned()];
    let engine = Engine::awaiting(config(1, 1 << 26), names, Arc::new(Files)).unwrap();
    engine.add(dataset(images.root())).unwrap();
    let server = MemoryServer::start(engine.clone());
    let admin = Admin::default();
    admin.ready(engine.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin.serve(listener));
    let ready = async || {
        let answer = tokio::task::spawn_blocking(move || get(address, "/readyz"));
        answer.await.unwrap()
    };
    let mut health = HealthClient::new(server.channel().await);
    let mut check = async || {
        let answer = health.check(HealthCheckRequest::default()).await;
        answer.unwrap().into_inner().status
    };
    let mut client = server.client().await;
    let mut ask = async |name: &str| {
        let request = small("train", 1);
        let dataset = name.to_owned();
        receive(
            &mut client,
            equibatch_proto::v1::StreamBatchesRequest { dataset, ..request },
        )
        .await
    };

    assert_eq!(check().await, 2, "NOT_SERVING");
    let progress = "scanning datasets (later: 0 of 0 files)\n";
    assert_eq!(ready().await, (503, progress.to_owned()));
    assert!(!ask("pictures").await.unwrap().batches.is_empty());
    let status = ask("later").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("still being scanned"), "{status}");

    let later = Dataset {
        name: "later".to_owned(),
        ..dataset(images.root())
    };
    engine.add(later).unwrap();
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    assert!(!ask("later").await.unwrap().batches.is_empty());
    let serving = async || (check().await == 1).then_some(());
    eventually_async("health reports SERVING", serving).await;
}

/// Runs a server on these connections until it ends by itself.
async fn ends_with(
    incoming: impl Stream<Item = std::io::Result<Connection>> + Send + 'static,
) -> Result<(), Error> {
    let images = pictures();
    let engine = engine(images.root(), config(1, 1 << 26));
    let config = ServiceConfig::default();
    let served = run(engine, &config, incoming, std::future::pending());
    within("the server exits", served).await
}

#[tokio::test]
async fn a_server_that_cannot_accept_exits_with_an_error() {
    let ended = ends_with(tokio_stream::empty()).await;
    assert!(matches!(ended, Err(Error::Accept)), "{ended:?}");
    let panics = tokio_stream::once(()).map(|()| panic!("while it accepts"));
    let ended = ends_with(panics).await;
    assert!(matches!(ended, Err(Error::Accept)), "{ended:?}");
}
