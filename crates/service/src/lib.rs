//! The gRPC service over an engine: sockets, TLS, tokens, limits, and messages to domain types and back. The program `server` serves it, and
//! a Python process, to the other processes on its machine.

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
mod message_framer;
mod open_stream;
mod pages;
mod request_body;
mod request_budget;
mod service_config;
pub mod socket;
mod status;
mod stream_span;
mod trace;
mod track_requests;
mod traffic;

pub use self::{
    access::{Access, AccessError, AccessFiles, ClientId, TlsFiles},
    admission::{ConnectionInfo, PeerInfo, ServerIo, admit},
    listen::serve,
    service_config::ServiceConfig,
    traffic::{Refusal, Traffic},
};
