//! What both ends of a stream share: batches from the sender's memory into memory that a program can compute on, with as few copies as the
//! transport allows.
//!
//! tonic's generated code assembles each message in one buffer to send it, and collects it in a newly allocated one, in which the tensor lies
//! at an arbitrary offset. Here the sender's tensor is sent from where it was rendered, and the receiver copies each frame of it straight into
//! its final place: an aligned buffer from a pool.
//!
//! # Layout
//!
//! - `message`: encodes messages, and the fields before a tensor: [`encode`], [`encode_batch_head`]; `tensor_field`: finds the tensor in an
//!   encoded batch.
//! - [`BatchReceiver`]: receives the responses to one request; `call`: sends it; [`Damaged`]: a batch whose checksum differs.
//! - [`SharedBatchReceiver`]: the same for tensors in the server's shared memory.
//! - [`FdSender`], [`FdReceiver`]: the file descriptor of that memory, over a Unix socket.
//! - `flow_control`: frame size and windows, and why.
//! - [`mod@stream_spec`]: a request of the wire as the engine's specification of a stream, for servers and for an engine in process.

mod batch_receiver;
mod call;
mod damaged;
mod fd_receiver;
mod fd_sender;
mod flow_control;
mod message;
mod shared_batch_receiver;
pub mod stream_spec;
mod tensor_field;

pub use self::{
    batch_receiver::{BatchReceiver, SizeLimits},
    damaged::Damaged,
    fd_receiver::{FdReceiver, connect},
    fd_sender::{AlreadySent, FdSender},
    flow_control::{MAX_FRAME_SIZE, with_flow_control},
    message::{PREFIX, encode, encode_batch_head},
    shared_batch_receiver::SharedBatchReceiver,
};
