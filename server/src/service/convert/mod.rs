//! Between the wire's messages and the domain's types.

mod request;
mod response;

pub(super) use self::{
    request::{Error, stream_spec},
    response::{batch, description},
};
