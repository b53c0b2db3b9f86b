use equibatch_proto::v1::StreamBatchesRequest;
use prost::Message as _;

use super::service::ask;

/// A request for batches, as on the wire: converted, checked, planned, and its first batch rendered.
pub fn stream_request(data: &[u8]) {
    if let Ok(request) = StreamBatchesRequest::decode(data) {
        ask(&request);
    }
}
