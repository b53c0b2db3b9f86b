//! The gRPC face of the engine: messages in, messages out, nothing decided.

mod access;
mod admission;
mod batch_body;
mod batch_service;
mod control_frames;
mod convert;
mod in_flight;
mod leases;
mod listen;
mod loader;
mod request_body;
mod response_stream;
pub mod socket;
mod status;
mod traffic;

pub use self::{
    access::{Access, AccessError, AccessFiles, ClientId, TlsFiles},
    admission::{ConnectionInfo, PeerInfo, ServerIo, admit},
    listen::{ServiceConfig, serve},
    loader::Loader,
    response_stream::ResponseStream,
    traffic::{Refusal, Traffic},
};
