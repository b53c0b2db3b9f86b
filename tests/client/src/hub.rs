//! A server that answers as a model hub does, and files of weights.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use equibatch_harness::http::{HttpServer, Reply};
use equibatch_training::program::{Backbone, Head, ModelSpec, ResNet, Tensor, initial_state};
use safetensors::{Dtype, tensor::TensorView};
use sha2::{Digest as _, Sha256};

/// The commit that `main` names at first.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// A safetensors file of a narrow ResNet18 with another number of classes, named as torchvision does.
///
/// # Panics
///
/// Never: the model is valid.
#[must_use]
pub fn weights_file(seed: u64) -> Vec<u8> {
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

/// Tensors as a safetensors file.
///
/// # Panics
///
/// If a shape does not fit its data.
#[must_use]
pub fn serialized(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
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

/// A hub with one repository, `birds/net`, whose large file is on a second server, as on the Hugging Face hub.
#[derive(Debug)]
pub struct HubServer {
    /// The server that redirects to the file.
    pub hub: HttpServer,
    files: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct State {
    commit: &'static str,
    announced: Vec<u8>,
    /// What is sent instead.
    sent: Vec<u8>,
}

impl HubServer {
    /// Starts a hub with this file at [`COMMIT`].
    #[must_use]
    pub fn start(content: Vec<u8>) -> Self {
        let state = State {
            commit: COMMIT,
            sent: content.clone(),
            announced: content,
        };
        let state = Arc::new(Mutex::new(state));
        let of_files = Arc::clone(&state);
        let files = HttpServer::start(move |_, _| {
            let sent = lock(&of_files).sent.clone();
            let range = format!("bytes 0-{}/{}", sent.len() - 1, sent.len());
            Reply::new("200 OK", &[("Content-Range", range.as_str())], &sent)
        });
        let (of_hub, at) = (Arc::clone(&state), files.url("/large"));
        let hub = HttpServer::start(move |path, _| {
            let State {
                commit, announced, ..
            } = lock(&of_hub).clone();
            let hash = sha256(&announced);
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

    /// Moves `main` to another commit, with this file.
    pub fn publish(&self, content: Vec<u8>) {
        *lock(&self.state) = State {
            commit: LATER,
            announced: content.clone(),
            sent: content,
        };
    }

    /// Sends other bytes than the announced checksum belongs to.
    pub fn send_instead(&self, content: Vec<u8>) {
        lock(&self.state).sent = content;
    }

    /// Requests for the file's content so far.
    #[must_use]
    pub fn downloads(&self) -> usize {
        self.files.requests().values().sum()
    }

    /// Requests to the hub itself so far.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.hub.requests().values().sum()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
