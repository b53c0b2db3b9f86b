//! The receiving half of a stream: batches into memory that a program can compute on, with as few copies as the transport allows.
//!
//! tonic's generated code collects each message in a newly allocated buffer, in which the tensor lies at an arbitrary offset. Here each
//! frame of the tensor is copied straight into its final place: an aligned buffer from a pool.
//!
//! A crate of its own, because clients and the server's benchmarks share it.
//!
//! # Layout
//!
//! - [`BatchReceiver`]: receives the responses to one request; [`Damaged`]: a batch whose checksum differs; `tensor_field`: finds the tensor in an encoded batch.
//! - [`SharedBatchReceiver`]: the same for tensors in the server's shared memory; `fd_receiver`: the connection that this needs.
//! - `flow_control`: frame size and windows, and why.

mod batch_receiver;
mod fd_receiver;
mod flow_control;
mod shared_batch_receiver;
mod tensor_field;

pub use self::{
    batch_receiver::{BatchReceiver, Damaged, SizeLimits},
    fd_receiver::{FdReceiver, connect},
    flow_control::{MAX_FRAME_SIZE, with_flow_control},
    shared_batch_receiver::SharedBatchReceiver,
};
