//! Server and client on one machine: Unix sockets.

use std::{fs, os::unix::fs::PermissionsExt as _};

use equibatch_harness::{
    images::pictures,
    process::{ServerProcess, arguments, client, server, text},
    receive::{receive, small},
};

/// `unix:` and a path in `folder`.
fn address_in(folder: &tempfile::TempDir) -> String {
    format!("unix:{}", folder.path().join("server.socket").display())
}

#[tokio::test]
async fn a_unix_socket_carries_the_same_bytes_as_tcp() {
    let (images, folder) = (pictures(), tempfile::tempdir().unwrap());
    let unix = address_in(&folder);
    let both = format!("{unix},127.0.0.1:0");
    let mut server = ServerProcess::listening(images.root(), &both, &[]);
    let announced = server.address.clone();
    let (first, second) = announced.split_once(", ").unwrap();
    assert_eq!(first, unix);
    let path = unix.strip_prefix("unix:").unwrap();
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut digests = vec![];
    for address in [first, second] {
        address.clone_into(&mut server.address);
        let received = receive(&mut server.client().await, small("train", 2)).await;
        digests.push(received.unwrap().digests());
    }
    assert!(!digests[0].is_empty());
    assert_eq!(digests[0], digests[1]);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        !fs::exists(path).unwrap(),
        "the socket is removed with the server"
    );
}

#[test]
fn the_client_connects_to_a_unix_socket() {
    let (images, folder) = (pictures(), tempfile::tempdir().unwrap());
    let address = address_in(&folder);
    let _server = ServerProcess::listening(images.root(), &address, &[]);
    let listed = client(&["datasets", "--server", &address]);
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(text.contains("pictures") && text.contains("birds"), "{text}");
}

#[test]
fn the_socket_of_a_killed_server_is_replaced_and_that_of_a_live_one_is_not() {
    let (images, folder) = (pictures(), tempfile::tempdir().unwrap());
    let address = address_in(&folder);
    let mut first = ServerProcess::listening(images.root(), &address, &[]);
    first.kill();
    first.wait();
    assert!(fs::exists(address.strip_prefix("unix:").unwrap()).unwrap());
    let missing = client(&["datasets", "--server", &address]);
    assert_eq!(missing.status.code(), Some(69), "{missing:?}");
    let _second = ServerProcess::listening(images.root(), &address, &[]);
    let data = images.root().to_str().unwrap();
    let third = server(&["serve", "--data", data, "--listen", &address]);
    let complaint = String::from_utf8_lossy(&third.stderr);
    assert_eq!(third.status.code(), Some(74), "{complaint}");
    assert!(
        complaint.contains("another server listens at this path"),
        "{complaint}"
    );
    let listed = client(&["datasets", "--server", &address]);
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn the_client_prints_the_transport() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::listening(images.root(), &address_in(&folder), &[]);
    for (option, words) in [(None, "shared memory"), (Some("--no-shared-memory"), "socket")] {
        let run = folder.path().join(format!("by {words}"));
        let train = "train --arch resnet18@8 --size 32 --batch-size 8 --epochs 1 --threads 1 --server";
        let mut train = arguments(train, &[&server.address, "--out", text(&run)]);
        train.extend(option);
        let output = client(&train);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("batches come by {words}")), "{text}");
    }
}
