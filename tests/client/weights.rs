//! Weights from a hub, served by the test itself.

use equibatch_client::weights::{Error, Hub, Source, Weights};
use equibatch_client_tests::hub::{COMMIT, HubServer, sha256, weights_file};
use std::path::Path;

fn hub(home: &Path, endpoint: &str) -> Hub {
    Hub {
        home: Some(home.to_path_buf()),
        endpoint: Some(endpoint.to_owned()),
        ..Hub::default()
    }
}

fn read(source: &str, hub: &Hub) -> Result<Weights, Error> {
    let source: Source = source.parse().expect("a source");
    source.read(hub).map(|weights| weights.expect("weights"))
}

#[test]
fn a_file_of_the_hub_is_fetched_once() {
    let server = HubServer::start(weights_file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let first = read("hf:birds/net", &hub).expect("weights");
    assert_eq!(first.tensors.len(), 102);
    assert_eq!(first.hash, blake3::hash(&weights_file(1)).to_hex().to_string());
    // Two requests for the size, one of them by the download, and one for the content.
    assert_eq!(server.downloads(), 3);
    let questions = server.questions();
    assert_eq!(read("hf:birds/net", &hub).expect("weights"), first);
    assert_eq!((server.questions(), server.downloads()), (questions + 1, 4));

    // A commit cannot change, so no request is made.
    let by_commit = read(&format!("hf:birds/net@{COMMIT}"), &hub).expect("weights");
    assert_eq!(by_commit.tensors, first.tensors);
    assert_eq!((server.questions(), server.downloads()), (questions + 1, 4));
}

#[test]
fn a_moved_branch_is_fetched_again() {
    let server = HubServer::start(weights_file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let first = read("hf:birds/net", &hub).expect("weights");
    server.publish(weights_file(2));
    let second = read("hf:birds/net", &hub).expect("weights");
    assert_ne!(first.hash, second.hash);
    // The old commit is still available by its name.
    let old = read(&format!("hf:birds/net@{COMMIT}"), &hub).expect("weights");
    assert_eq!(old.hash, first.hash);
}

#[test]
fn cached_files_are_read_without_a_hub() {
    let server = HubServer::start(weights_file(1));
    let home = tempfile::tempdir().expect("a folder");
    let fetched = read("hf:birds/net", &hub(home.path(), &server.hub.url(""))).expect("weights");
    // A port without a listener.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let unreachable = hub(home.path(), &gone);
    assert_eq!(read("hf:birds/net", &unreachable).expect("weights"), fetched);
    let error = read("hf:birds/other", &unreachable).expect_err("nothing to use");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let text = error.to_string();
    for part in [
        "hf:birds/other",
        "without a network",
        "--weights FILE",
        "--offline",
    ] {
        assert!(text.contains(part), "{text}");
    }

    let offline = Hub {
        offline: true,
        ..hub(home.path(), &server.hub.url(""))
    };
    let questions = server.questions();
    assert_eq!(read("hf:birds/net", &offline).expect("weights"), fetched);
    let error = read("hf:birds/net@v2", &offline)
        .expect_err("never fetched")
        .to_string();
    assert!(
        error.contains("hf:birds/net@v2") && error.contains("--offline"),
        "{error}"
    );
    assert_eq!(server.questions(), questions);
}

#[test]
fn damaged_files_are_refused_and_not_cached() {
    let server = HubServer::start(weights_file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let mut damaged = weights_file(1);
    *damaged.last_mut().expect("a byte") ^= 1;
    server.send_instead(damaged);
    let error = read("hf:birds/net", &hub).expect_err("damaged");
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(error.to_string().contains(&sha256(&weights_file(1))), "{error}");
    server.send_instead(weights_file(1));
    let good = read("hf:birds/net", &hub).expect("weights");
    assert_eq!(good.hash, blake3::hash(&weights_file(1)).to_hex().to_string());
}

#[test]
fn missing_and_denied_files_are_reported() {
    let server = HubServer::start(weights_file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let refusal = |source: &str| read(source, &hub).expect_err("refused");
    let missing = refusal("hf:birds/net/other.safetensors@main");
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    assert!(
        missing.to_string().contains("hf:birds/net/other.safetensors"),
        "{missing}"
    );
    let secret = refusal("hf:secret/net");
    assert!(matches!(secret, Error::Denied { status: 401, .. }), "{secret}");
    assert!(secret.to_string().contains("HF_TOKEN"), "{secret}");
    let nowhere = read("hf:birds/net", &Hub::default()).expect_err("no home");
    assert!(nowhere.to_string().contains("HF_HOME"), "{nowhere}");
}
