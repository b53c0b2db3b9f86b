//! Batches, fetched ahead.

use std::sync::Arc;

use bytes::Bytes;
use equibatch_proto::v1::{self, batch_loader_client::BatchLoaderClient, stream_batches_response::Message};
use tokio::{runtime::Runtime, sync::mpsc, task::AbortHandle};
use tonic::{Streaming, transport::Channel};

use super::{BatchRequest, Error, Position, position::hexadecimal};

/// Batches in order, some of them ready before they are asked for.
///
/// Memory: `prefetch` batches wait in the queue, one is being received, and one is in the caller's hands.
#[derive(Debug)]
pub struct BatchStream {
    description: StreamDescription,
    queue: mpsc::Receiver<Result<Batch, Error>>,
    task: AbortHandle,
    /// The network stops when its last user is gone.
    _threads: Arc<Runtime>,
}

/// What the server says before the first batch.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDescription {
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<String>,
    /// Batches per epoch.
    pub steps_per_epoch: u64,
    /// Images per epoch.
    pub images_per_epoch: u64,
    /// How often each class is drawn per epoch, in label order.
    pub draws_per_class: Vec<u64>,
    /// Epochs of the stream.
    pub epochs: u32,
    /// Per channel: red, green, blue.
    pub mean: [f32; 3],
    /// Per channel: red, green, blue.
    pub std: [f32; 3],
    /// Short side of the images that augmentation starts from, in pixels; 0: as decoded.
    pub canonical_short_side: u32,
}

/// Images and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// From 0.
    pub epoch: u64,
    /// Within the epoch, from 0.
    pub step: u64,
    /// Where the stream continues after this batch.
    pub next: Position,
    /// One per image.
    pub labels: Vec<u32>,
    /// One per image: index into the dataset's samples.
    pub samples: Vec<u32>,
    /// Images that stand in the place of a broken file.
    pub replaced: usize,
    /// `f32[N, 3, S, S]`, little-endian, at any alignment.
    pub tensor: Bytes,
}

impl BatchStream {
    pub(super) fn open(
        address: &str,
        threads: Arc<Runtime>,
        mut client: BatchLoaderClient<Channel>,
        request: &BatchRequest,
        prefetch: usize,
    ) -> Result<Self, Error> {
        let refused = |status: tonic::Status| Error::from_status(address, &status);
        let (stream, first) = threads.block_on(async {
            let mut stream = client
                .stream_batches(request.to_wire())
                .await
                .map_err(refused)?
                .into_inner();
            let first = stream.message().await.map_err(refused)?;
            Ok::<_, Error>((stream, first))
        })?;
        let contract = |reason: &str| Error::Contract {
            address: address.to_owned(),
            reason: reason.to_owned(),
        };
        let Some(Message::Description(description)) = first.and_then(|response| response.message) else {
            return Err(contract("its stream does not begin with a description"));
        };
        let shape = [request.batch_size, 3, request.image_size, request.image_size];
        if description.shape != shape || description.element_type() != v1::ElementType::F32 {
            return Err(contract(
                "its stream has another shape or element type than asked for",
            ));
        }
        let description = StreamDescription::from_wire(description)
            .ok_or_else(|| contract("its normalization has not three channels"))?;
        let (sender, queue) = mpsc::channel(prefetch.max(1));
        let receiver = Receiver {
            address: address.to_owned(),
            request: request.clone(),
            classes: description.classes.len(),
        };
        let task = threads.spawn(receiver.run(stream, sender)).abort_handle();
        Ok(Self {
            description,
            queue,
            task,
            _threads: threads,
        })
    }

    /// What the server said before the first batch.
    #[must_use]
    pub fn description(&self) -> &StreamDescription {
        &self.description
    }

    /// Waits for the next batch. `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the server went away, [`Error::Data`] where too many of its files are broken; nothing follows an error.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        self.queue.blocking_recv().transpose()
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The background half of a stream.
struct Receiver {
    address: String,
    request: BatchRequest,
    classes: usize,
}

impl Receiver {
    /// Receives until the end, an error, or nobody listens any more. A full queue stops the reading, and with it, by flow control, the
    /// server.
    async fn run(
        self,
        mut stream: Streaming<v1::StreamBatchesResponse>,
        queue: mpsc::Sender<Result<Batch, Error>>,
    ) {
        let mut at = "before the first batch".to_owned();
        loop {
            let received = match stream.message().await {
                Ok(None) => return,
                Ok(Some(response)) => self.check(response),
                Err(status) => Err(Error::from_stream_status(&self.address, at.clone(), &status)),
            };
            let is_last = received.is_err();
            if let Ok(batch) = &received {
                at = format!("after epoch {} step {}", batch.epoch + 1, batch.step + 1);
            }
            if queue.send(received).await.is_err() || is_last {
                return;
            }
        }
    }

    fn check(&self, response: v1::StreamBatchesResponse) -> Result<Batch, Error> {
        let contract = |reason: &str| Error::Contract {
            address: self.address.clone(),
            reason: reason.to_owned(),
        };
        let Some(Message::Batch(batch)) = response.message else {
            return Err(contract("a message of its stream is no batch"));
        };
        let images = batch.labels.len();
        let bytes_per_image = self.request.tensor_bytes() / self.request.batch_size as usize;
        if images == 0
            || images > self.request.batch_size as usize
            || batch.tensor.len() != images * bytes_per_image
        {
            return Err(contract("a batch has another size than its labels"));
        }
        if batch.labels.iter().any(|&label| label as usize >= self.classes) {
            return Err(contract("a label is not among the classes"));
        }
        Ok(Batch {
            epoch: batch.epoch,
            step: batch.step,
            next: batch
                .next
                .as_ref()
                .map(Position::from_wire)
                .ok_or_else(|| contract("a batch has no position"))?,
            labels: batch.labels,
            samples: batch.sample_ids,
            replaced: batch.replacements.len(),
            tensor: batch.tensor,
        })
    }
}

impl StreamDescription {
    fn from_wire(description: v1::StreamDescription) -> Option<Self> {
        let normalization = description.normalization?;
        Some(Self {
            dataset: description.dataset,
            fingerprint: hexadecimal(&description.fingerprint),
            classes: description.classes,
            steps_per_epoch: description.steps_per_epoch,
            images_per_epoch: description.images_per_epoch,
            draws_per_class: description.draws_per_class,
            epochs: description.epochs,
            mean: normalization.mean.try_into().ok()?,
            std: normalization.std.try_into().ok()?,
            canonical_short_side: description.canonical_short_side,
        })
    }
}
