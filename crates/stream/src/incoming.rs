//! One stream from one server.

use std::sync::Arc;

use equibatch_engine::memory::Pool;
use equibatch_proto::v1::{self, stream_batches_response::Message};
use equibatch_transport::{BatchReceiver, FdReceiver, SharedBatchReceiver, SizeLimits};
use tonic::{Code, Status};

use super::{
    Batch, BatchRequest, Error, Position, Shard, StreamDescription, Transport, batch::Mixed,
    credentials::Connection,
};

/// The batches of one request from one server; every message is checked against the request.
#[derive(Debug)]
pub(super) struct Incoming {
    address: String,
    request: BatchRequest,
    classes: usize,
    /// The server's id of the stream.
    id: Vec<u8>,
    receiver: Receiver,
    /// The last batch received, as text.
    at: String,
}

/// Source of the messages.
#[derive(Debug)]
enum Receiver {
    /// Over the connection.
    Sent(BatchReceiver),
    /// With tensors in the server's shared memory.
    Lent(Box<SharedBatchReceiver>),
}

impl Receiver {
    async fn message(&mut self) -> Result<Option<v1::StreamBatchesResponse>, Status> {
        match self {
            Self::Sent(receiver) => receiver.message().await,
            Self::Lent(receiver) => receiver.message().await,
        }
    }
}

fn sizes(request: &BatchRequest) -> SizeLimits {
    SizeLimits {
        tensor: request.tensor_bytes(),
        message: request.message_limit(),
    }
}

impl Incoming {
    /// Sends the request, and waits for the description.
    pub(super) async fn open(
        address: &str,
        connection: Connection,
        request: &BatchRequest,
        slots: Option<Arc<Pool>>,
    ) -> Result<(StreamDescription, Self), Error> {
        let refused = |status: Status| Error::from_status(address, &status);
        let opened = BatchReceiver::open(connection, &request.to_wire(), sizes(request)).await;
        let mut receiver = opened.map_err(refused)?.into_slots(slots);
        let first = receiver.message().await.map_err(refused)?;
        Self::begin(address, Receiver::Sent(receiver), first, request)
    }

    /// Like [`Incoming::open`], with batches in the server's shared memory, of which the caller holds `held` at a time. `None` if shared
    /// memory is unavailable.
    pub(super) async fn borrow(
        address: &str,
        connection: (Connection, FdReceiver),
        request: &BatchRequest,
        (held, slots): (u32, Option<Arc<Pool>>),
    ) -> Result<Option<(StreamDescription, Self)>, Error> {
        let opened = async {
            let (connection, fd_receiver) = connection;
            let request = (request.to_wire(), sizes(request));
            let opened = SharedBatchReceiver::open(connection, fd_receiver, request, held).await?;
            let mut receiver = opened.into_slots(slots);
            let first = receiver.message().await?;
            Ok::<_, Status>((receiver, first))
        };
        match opened.await {
            Ok((receiver, first)) => {
                let receiver = Receiver::Lent(Box::new(receiver));
                Self::begin(address, receiver, first, request).map(Some)
            }
            Err(status) if status.code() == Code::Unimplemented => {
                tracing::info!(
                    server = address,
                    reason = status.message(),
                    "shared memory unavailable: using the socket"
                );
                Ok(None)
            }
            Err(status) => Err(Error::from_status(address, &status)),
        }
    }

    /// Checks the description.
    fn begin(
        address: &str,
        receiver: Receiver,
        first: Option<v1::StreamBatchesResponse>,
        request: &BatchRequest,
    ) -> Result<(StreamDescription, Self), Error> {
        let contract = |reason: &str| Error::Contract {
            address: address.to_owned(),
            reason: reason.to_owned(),
        };
        let Some(Message::Description(description)) = first.and_then(|response| response.message) else {
            return Err(contract("the first message of its stream is not a description"));
        };
        if description.shape != request.shape() || description.element_type() != request.wire.to_wire() {
            return Err(contract(
                "its stream has another shape or element type than requested",
            ));
        }
        let id = description.stream_id.to_vec();
        let description = StreamDescription::from_wire(description)
            .ok_or_else(|| contract("its normalization does not have three channels"))?;
        let incoming = Self {
            address: address.to_owned(),
            request: request.clone(),
            classes: description.classes.len(),
            id,
            receiver,
            at: "before the first batch".to_owned(),
        };
        tracing::info!(server = address, transport = %incoming.transport(), "streaming");
        Ok((description, incoming))
    }

    /// The server's id of the stream; empty if it has none.
    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    /// The transport of its batches.
    pub(super) fn transport(&self) -> Transport {
        match &self.receiver {
            Receiver::Lent(_) => Transport::SharedMemory,
            Receiver::Sent(_) => {
                let is_socket = ["unix:", "unix-abstract:"]
                    .iter()
                    .any(|kind| self.address.starts_with(kind));
                if is_socket {
                    Transport::Socket
                } else {
                    Transport::Network
                }
            }
        }
    }

    /// Receives the next batch; `None` after the last one. Nothing follows an error. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Result<Batch, Error>> {
        let received = match self.receiver.message().await {
            Ok(message) => self.check(message?),
            Err(status) => Err(Error::from_stream_status(&self.address, self.at.clone(), &status)),
        };
        if let Ok(batch) = &received {
            self.at = format!("after epoch {} step {}", batch.epoch + 1, batch.step + 1);
        }
        Some(received)
    }

    fn check(&self, response: v1::StreamBatchesResponse) -> Result<Batch, Error> {
        let contract = |reason: &str| Error::Contract {
            address: self.address.clone(),
            reason: reason.to_owned(),
        };
        let Some(Message::Batch(batch)) = response.message else {
            return Err(contract("a message of its stream is not a batch"));
        };
        let images = batch.labels.len();
        // A short last batch may leave nothing to a shard.
        let least = usize::from(self.request.shard == Shard::WHOLE);
        let most = self.request.images_per_batch() as usize;
        if !(least..=most).contains(&images) || batch.tensor.len() != images * self.request.image_bytes() {
            return Err(contract("the size of a batch's tensor does not match its labels"));
        }
        if batch.labels.iter().any(|&label| label as usize >= self.classes) {
            return Err(contract("a label exceeds the number of classes"));
        }
        let mixed = self.mixed(&batch).map_err(contract)?;
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
            mixed,
            replacements: batch
                .replacements
                .iter()
                .map(|replacement| (replacement.slot, replacement.broken_sample_id))
                .collect(),
            tensor: batch.tensor,
        })
    }

    /// The mixed parts of the soft labels, or the reason why they are invalid.
    fn mixed(&self, batch: &v1::Batch) -> Result<Option<Vec<Mixed>>, &'static str> {
        let (labels, weights) = (&batch.mixed_labels, &batch.mixed_weights);
        if labels.is_empty() && weights.is_empty() {
            return Ok(None);
        }
        if [labels.len(), weights.len()] != [batch.labels.len(); 2] {
            return Err("a batch does not have as many mixed labels and weights as images");
        }
        if labels.iter().any(|&label| label as usize >= self.classes) {
            return Err("a mixed label exceeds the number of classes");
        }
        if !weights.iter().all(|weight| (0.0..=1.0).contains(weight)) {
            return Err("the weight of a mixed label is outside 0 to 1");
        }
        let mixed = labels
            .iter()
            .zip(weights)
            .map(|(&label, &weight)| Mixed { label, weight });
        Ok(Some(mixed.collect()))
    }
}
