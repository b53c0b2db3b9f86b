//! The other end of a stream: batches into memory where a program can use them, with as few copies as the way allows.
//!
//! The generated code of gRPC collects a message in one buffer that is new each time, and cuts the tensor out of it wherever it happens to
//! lie. Here the tensor is written, frame by frame as it comes, to the place where it stays: an aligned buffer that is used again.
//!
//! It is part of the server because `bench` measures both ends, and clients in Rust use what is measured.
//!
//! # Layout
//!
//! - [`BatchReceiver`]: the responses to one request; `tensor`: where the tensor of a batch begins.
//! - [`SharedBatchReceiver`]: the same where the tensors are read where the server made them; [`connect`]: the connection that this takes.
//! - `flow`: sizes of frames and windows, and why.

mod batch_receiver;
mod fd_receiver;
mod flow_control;
mod shared_batch_receiver;
mod tensor_field;

pub use self::{
    batch_receiver::{BatchReceiver, SizeLimits},
    fd_receiver::{FdReceiver, connect},
    flow_control::{MAX_FRAME_SIZE, with_flow_control},
    shared_batch_receiver::SharedBatchReceiver,
};
