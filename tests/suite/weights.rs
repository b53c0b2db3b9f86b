//! Weights from a hub: a server of the test's own, with files that the test makes.

use equibatch_client::weights::{Error, Hub, Source, Weights};
use equibatch_training::program::{Backbone, Head, ModelSpec, ResNet, Tensor, initial_state};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use equibatch_tests::http::{HttpServer, Reply};
use safetensors::{Dtype, tensor::TensorView};
use sha2::{Digest as _, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// A safetensors file of a narrow ResNet18 with another number of classes, named as torchvision does.
pub(crate) fn file(seed: u64) -> Vec<u8> {
    let backbone = Backbone {
        width: 8,
        ..Backbone::RESNET18
    };
    let spec = ModelSpec::ResNet(ResNet {
        head: Head::Plain,
        ..ResNet::new(backbone, 7)
    });
    serialized(&initial_state(&spec, seed).expect("a valid model"))
}

pub(crate) fn serialized(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let bytes = |tensor: &Tensor| tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| (name, tensor, bytes(tensor)))
        .collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.to_vec(), bytes);
        (name.as_str(), view.expect("a view"))
    });
    safetensors::serialize(views, None).expect("bytes")
}

/// A hub with one repository, `birds/net`, whose large file lies on a server of its own, as they do.
pub(crate) struct HubServer {
    pub(crate) hub: HttpServer,
    files: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
struct State {
    commit: &'static str,
    announced: Vec<u8>,
    /// What is sent in its place, if anything else.
    sent: Vec<u8>,
}

impl HubServer {
    pub(crate) fn start(content: Vec<u8>) -> Self {
        let state = State {
            commit: COMMIT,
            sent: content.clone(),
            announced: content,
        };
        let state = Arc::new(Mutex::new(state));
        let of_files = Arc::clone(&state);
        let files = HttpServer::start(move |_, _| {
            let sent = of_files.lock().unwrap().sent.clone();
            let range = format!("bytes 0-{}/{}", sent.len() - 1, sent.len());
            Reply::new("200 OK", &[("Content-Range", range.as_str())], &sent)
        });
        let (of_hub, at) = (Arc::clone(&state), files.url("/large"));
        let hub = HttpServer::start(move |path, _| {
            let State {
                commit, announced, ..
            } = of_hub.lock().unwrap().clone();
            let hash = hash(&announced);
            let headers = [
                ("Location", at.as_str()),
                ("X-Repo-Commit", commit),
                ("X-Linked-Etag", hash.as_str()),
                ("ETag", "\"another\""),
            ];
            let of_revision = |revision: &str| format!("/birds/net/resolve/{revision}/model.safetensors");
            match path {
                "/secret/net/resolve/main/model.safetensors" => Reply::new("401 Unauthorized", &[], b""),
                path if path == of_revision("main") || path == of_revision(commit) => {
                    Reply::new("302 Found", &headers, b"")
                }
                _ => Reply::new("404 Not Found", &[], b""),
            }
        });
        Self { hub, files, state }
    }

    fn downloads(&self) -> usize {
        self.files.requests().values().sum()
    }

    fn questions(&self) -> usize {
        self.hub.requests().values().sum()
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

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
    let server = HubServer::start(file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let first = read("hf:birds/net", &hub).expect("weights");
    assert_eq!(first.tensors.len(), 102);
    assert_eq!(first.hash, blake3::hash(&file(1)).to_hex().to_string());
    // The size is asked for, and again by the download, and then the content.
    assert_eq!(server.downloads(), 3);
    let questions = server.questions();
    assert_eq!(read("hf:birds/net", &hub).expect("weights"), first);
    assert_eq!((server.questions(), server.downloads()), (questions + 1, 4));

    // A commit cannot change, so nobody is asked.
    let by_commit = read(&format!("hf:birds/net@{COMMIT}"), &hub).expect("weights");
    assert_eq!(by_commit.tensors, first.tensors);
    assert_eq!((server.questions(), server.downloads()), (questions + 1, 4));
}

#[test]
fn a_branch_that_moved_is_fetched_anew() {
    let server = HubServer::start(file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let first = read("hf:birds/net", &hub).expect("weights");
    *server.state.lock().unwrap() = State {
        commit: LATER,
        announced: file(2),
        sent: file(2),
    };
    let second = read("hf:birds/net", &hub).expect("weights");
    assert_ne!(first.hash, second.hash);
    // The old commit is still there for those who name it.
    let old = read(&format!("hf:birds/net@{COMMIT}"), &hub).expect("weights");
    assert_eq!(old.hash, first.hash);
}

#[test]
fn what_is_in_the_cache_serves_without_a_hub() {
    let server = HubServer::start(file(1));
    let home = tempfile::tempdir().expect("a folder");
    let fetched = read("hf:birds/net", &hub(home.path(), &server.hub.url(""))).expect("weights");
    // A port that nobody listens at any more.
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
fn damaged_bytes_are_refused_and_do_not_stay() {
    let server = HubServer::start(file(1));
    let home = tempfile::tempdir().expect("a folder");
    let hub = hub(home.path(), &server.hub.url(""));
    let mut damaged = file(1);
    *damaged.last_mut().expect("a byte") ^= 1;
    server.state.lock().unwrap().sent = damaged;
    let error = read("hf:birds/net", &hub).expect_err("damaged");
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(error.to_string().contains(&hash(&file(1))), "{error}");
    server.state.lock().unwrap().sent = file(1);
    let good = read("hf:birds/net", &hub).expect("weights");
    assert_eq!(good.hash, blake3::hash(&file(1)).to_hex().to_string());
}

#[test]
fn what_the_hub_has_not_got_or_does_not_give_is_a_sentence() {
    let server = HubServer::start(file(1));
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
