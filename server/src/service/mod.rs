//! The gRPC face of the engine: messages in, messages out, nothing decided.

mod access;
mod bodies;
mod convert;
mod direct;
mod door;
mod drain;
mod flood;
mod frames;
mod health;
mod lending;
mod listen;
mod loader;
mod presence;
mod responses;
pub mod socket;
mod status;
mod traffic;

pub use self::{
    access::{Access, AccessError, AccessFiles, Guest, TlsFiles},
    door::{Arrival, Guarded, Visit, door},
    health::{HealthError, ask_health},
    listen::{ServiceConfig, serve},
    loader::Loader,
    responses::Responses,
    traffic::{Refusal, Traffic},
};
