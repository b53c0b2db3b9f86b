//! Converts between messages of the wire and domain types.

mod report;
mod request;
mod response;

pub(super) use self::{
    report::{spent, usage},
    request::{Error, stream_spec},
    response::{batch_fields, description},
};
