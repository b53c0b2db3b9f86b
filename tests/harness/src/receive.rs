//! Requests for batches, and their responses.

use std::fmt;

use equibatch_proto::v1::{
    Batch, StreamBatchesRequest, StreamBatchesResponse, StreamDescription,
    batch_loader_client::BatchLoaderClient, stream_batches_response::Message,
};
use equibatch_stream as stream;
use equibatch_stream::{Balance, BatchRequest, BatchStream, Split};
use tonic::{IntoRequest, Request, Status, Streaming, transport::Channel};

use crate::{
    process::TokenClient,
    wait::{eventually, within},
};

/// A request for small images in small batches.
#[must_use]
pub fn small(split: &str, epochs: u32) -> StreamBatchesRequest {
    StreamBatchesRequest {
        split: split.to_owned(),
        seed: 7,
        epochs: Some(epochs),
        batch_size: Some(6),
        image_size: Some(32),
        ..StreamBatchesRequest::default()
    }
}

/// A request of the client library: five batches per epoch, of 288 KiB each.
#[must_use]
pub fn borrowed(epochs: u32) -> BatchRequest {
    BatchRequest {
        seed: 7,
        epochs,
        balance: Some(Balance::Oversample),
        ..BatchRequest::evaluation("", Split::Train, 6, 64)
    }
}

/// All messages of a stream.
pub struct Received {
    /// The first message.
    pub description: StreamDescription,
    /// The others.
    pub batches: Vec<Batch>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the tensors, which would be too long.
        write!(
            f,
            "{} batches of {} {}",
            self.batches.len(),
            self.description.dataset,
            self.description.split
        )
    }
}

impl Received {
    /// A digest of each batch without its token.
    #[must_use]
    pub fn digests(&self) -> Vec<String> {
        self.batches.iter().map(digest).collect()
    }
}

/// A digest of a batch without its token.
#[must_use]
pub fn digest(batch: &Batch) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(
        format!(
            "{} {} {:?} {:?}",
            batch.epoch, batch.step, batch.labels, batch.sample_ids
        )
        .as_bytes(),
    );
    hasher.update(format!("{:?}", batch.replacements).as_bytes());
    if !batch.mixed_labels.is_empty() {
        hasher.update(format!("{:?} {:?}", batch.mixed_labels, batch.mixed_weights).as_bytes());
    }
    hasher.update(&batch.tensor);
    format!(
        "epoch {} step {} {}",
        batch.epoch,
        batch.step,
        hasher.finalize().to_hex()
    )
}

/// A message with the authorization of `token`.
///
/// # Panics
///
/// If the token has characters that a header cannot have.
pub fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("characters of a header");
    request.metadata_mut().insert("authorization", value);
    request
}

/// Opens a stream and reads its description.
///
/// # Errors
///
/// The status that the server answers with.
///
/// # Panics
///
/// If the first message is not a description.
pub async fn open(
    client: &mut BatchLoaderClient<Channel>,
    request: impl IntoRequest<StreamBatchesRequest>,
) -> Result<(StreamDescription, Streaming<StreamBatchesResponse>), Status> {
    let opened = within("the stream opens", client.stream_batches(request)).await;
    let mut stream = opened?.into_inner();
    let first = within("the stream is described", stream.message()).await?;
    match first.and_then(|response| response.message) {
        Some(Message::Description(description)) => Ok((description, stream)),
        other => panic!("the first message is {other:?}"),
    }
}

/// A stream of small batches that does not end, with its description read.
///
/// # Panics
///
/// If it cannot be opened.
pub async fn endless(client: &mut TokenClient) -> Streaming<StreamBatchesResponse> {
    let opened = client.stream_batches(small("train", 1_000_000)).await;
    let mut stream = opened.expect("a stream").into_inner();
    let first = stream.message().await.expect("no error");
    assert!(first.is_some(), "a description comes first");
    stream
}

/// The next batch of a stream.
///
/// # Errors
///
/// The status that the server answers with.
///
/// # Panics
///
/// If a message is not a batch.
pub async fn next(stream: &mut Streaming<StreamBatchesResponse>) -> Result<Option<Batch>, Status> {
    let message = within("the next batch comes", stream.message()).await?;
    match message.map(|response| response.message) {
        None => Ok(None),
        Some(Some(Message::Batch(batch))) => Ok(Some(batch)),
        Some(other) => panic!("a later message is {other:?}"),
    }
}

/// The status that ends a stream; the batches before it go to `take`.
///
/// # Panics
///
/// If the stream ends without an error, or does not end.
pub async fn failure(stream: &mut Streaming<StreamBatchesResponse>, mut take: impl FnMut(Batch)) -> Status {
    let failure = async {
        loop {
            match next(stream).await {
                Ok(Some(batch)) => take(batch),
                Ok(None) => panic!("the stream ended without an error"),
                Err(status) => return status,
            }
        }
    };
    within("the stream fails", failure).await
}

/// The error that ends a stream of the client library, after any number of batches.
///
/// # Panics
///
/// If the stream ends without an error.
pub fn error(stream: &mut BatchStream) -> stream::Error {
    eventually("the stream fails", || match stream.next_batch() {
        Ok(Some(_batch)) => None,
        Ok(None) => panic!("the stream ended without an error"),
        Err(error) => Some(error),
    })
}

/// All messages of the stream of a request.
///
/// # Errors
///
/// The status that the server answers with.
pub async fn receive(
    client: &mut BatchLoaderClient<Channel>,
    request: StreamBatchesRequest,
) -> Result<Received, Status> {
    let (description, mut stream) = open(client, request).await?;
    let mut batches = vec![];
    while let Some(batch) = next(&mut stream).await? {
        batches.push(batch);
    }
    Ok(Received { description, batches })
}

/// The elements of a float tensor.
#[must_use]
pub fn floats(batch: &Batch) -> Vec<f32> {
    let (elements, rest) = batch.tensor.as_chunks::<4>();
    assert!(rest.is_empty(), "whole elements");
    elements.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
