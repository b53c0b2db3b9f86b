//! The gRPC face of the engine: messages in, messages out, nothing decided.

mod access;
mod convert;
mod direct;
mod door;
mod drain;
mod frames;
mod health;
mod lending;
mod listen;
mod loader;
mod presence;
mod responses;
pub mod socket;
mod status;

pub use self::{
    access::{Access, AccessError, AccessFiles, Guest, TlsFiles, Tokens},
    door::{Arrival, Guarded, Visit, door},
    health::{HealthError, ask_health},
    listen::{ServiceConfig, serve},
    loader::Loader,
    responses::Responses,
};
