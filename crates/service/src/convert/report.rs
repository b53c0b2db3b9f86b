//! Epoch reports and their answers.

use std::time::Duration;

use equibatch_proto::v1;

use equibatch_engine::pipeline::{ClientReport, StreamId, TimeBreakdown};
use equibatch_transport::stream_spec::{Error, optional_bytes};

/// The stream that a report is about, and its timings.
///
/// # Errors
///
/// If a time is out of range, or `stream_id` is missing or of the wrong length.
pub(crate) fn usage(request: &v1::ReportEpochRequest) -> Result<(StreamId, ClientReport), Error> {
    let id = optional_bytes("stream_id", &request.stream_id)?;
    let id = id.ok_or(Error::Length {
        field: "stream_id",
        found: 0,
        expected: 8,
        unit: "bytes",
    })?;
    let usage = ClientReport {
        steps: request.steps,
        working: seconds("working_seconds", request.working_seconds)?,
        waiting: seconds("waiting_seconds", request.waiting_seconds)?,
    };
    Ok((StreamId(u64::from_be_bytes(id)), usage))
}

/// Longest time that a client may report, in seconds: about 30 years. Sums of such times do not overflow.
const LONGEST: f64 = 1e9;

fn seconds(field: &'static str, value: f64) -> Result<Duration, Error> {
    if (0.0..=LONGEST).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(Error::Seconds { field, value })
    }
}

/// The response.
#[must_use]
pub(crate) fn spent(spent: &TimeBreakdown) -> v1::ReportEpochResponse {
    v1::ReportEpochResponse {
        trainer_seconds: spent.trainer.as_secs_f64(),
        network_seconds: spent.network.as_secs_f64(),
        processor_seconds: spent.rendering.as_secs_f64(),
        disk_seconds: spent.disk.as_secs_f64(),
        decoding_seconds: spent.decoding.as_secs_f64(),
        cache_seconds: spent.cache.as_secs_f64(),
    }
}
