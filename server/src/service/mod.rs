//! The gRPC face of the engine: messages in, messages out, nothing decided.

mod convert;
mod direct;
mod drain;
mod frames;
mod listen;
mod loader;
mod responses;
pub mod socket;
mod status;

pub use self::{
    listen::{ServiceConfig, serve},
    loader::Loader,
    responses::Responses,
};
