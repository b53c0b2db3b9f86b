//! The other end of a stream: batches into memory where a program can use them, with as few copies as the way allows.
//!
//! The generated code of gRPC collects a message in one buffer that is new each time, and cuts the tensor out of it wherever it happens to
//! lie. Here the tensor is written, frame by frame as it comes, to the place where it stays: an aligned buffer that is used again.
//!
//! It is part of the server because `bench` measures both ends, and clients in Rust use what is measured.
//!
//! # Layout
//!
//! - [`Messages`]: the responses to one request; [`Damaged`]: a batch whose checksum differs; `tensor`: where the tensor of a batch begins.
//! - [`SharedMessages`]: the same where the tensors are read where the server made them; [`connect`]: the connection that this takes.
//! - `flow`: sizes of frames and windows, and why.

mod flow;
mod local;
mod messages;
mod shared;
mod tensor;

pub use self::{
    flow::{FRAME, with_windows},
    local::{Mailbox, connect},
    messages::{Damaged, Messages, Sizes},
    shared::SharedMessages,
};
