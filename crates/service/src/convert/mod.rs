//! Converts between messages of the wire and domain types.

mod report;
mod response;

pub(super) use self::{
    report::{spent, usage},
    response::{batch_fields, description},
};
pub(super) use equibatch_transport::stream_spec::{Error, stream_spec};
