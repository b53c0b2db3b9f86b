//! The spans of a stream and of its batches, in the log and in traces.

use std::task::Poll;

use equibatch_engine::pipeline::{Batch, Description, Error};
use tracing::{Span, field::Empty};

use super::{access::ClientId, trace::attribute};

/// A span with the client, and the request's attributes: together with a batch's epoch and step, all that is in its position token.
pub(super) fn stream_span(client: &ClientId, description: &Description) -> Span {
    let span = tracing::info_span!("stream", client = %client);
    let spec = &description.spec;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    attribute(&span, "stream", description.id.to_string());
    attribute(&span, "dataset", spec.dataset.clone());
    attribute(&span, "split", spec.split.name());
    attribute(
        &span,
        "fingerprint",
        description.served.dataset().fingerprint.to_string(),
    );
    attribute(&span, "spec_hash", format!("{:?}", description.spec_hash));
    // Seeds use all 64 bits; numeric attributes are signed.
    attribute(&span, "seed", spec.seed.to_string());
    attribute(&span, "world", i64::from(spec.shard.world));
    attribute(&span, "rank", i64::from(spec.shard.rank));
    attribute(&span, "start.epoch", number(spec.start.position.epoch));
    attribute(&span, "start.step", number(spec.start.position.step));
    attribute(&span, "epochs", i64::from(spec.epochs));
    span
}

/// Each batch is a span of the stream's trace, from the demand for it to its delivery. Called with the result of each poll for it.
pub(super) fn record_batch(span: &mut Option<Span>, polled: &Poll<Option<Result<Batch, Error>>>) {
    if matches!(polled, Poll::Ready(None)) {
        return;
    }
    let begin = || tracing::debug_span!("batch", epoch = Empty, step = Empty, images = Empty);
    let begun = span.get_or_insert_with(begin);
    if let Poll::Ready(Some(Ok(batch))) = polled {
        begun.record("epoch", batch.position.epoch);
        begun.record("step", batch.position.step);
        begun.record("images", batch.labels.len());
    }
    if polled.is_ready() {
        *span = None;
    }
}
