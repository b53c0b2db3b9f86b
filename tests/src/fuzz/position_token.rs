use equibatch_proto::v1::{PositionToken, StreamBatchesRequest};
use equibatch_stream::Position;
use prost::Message as _;

use super::service::ask;
use equibatch_harness::receive::small;

/// A position token: as JSON, as clients store it, if the data begins with `{`; otherwise as on the wire.
///
/// # Panics
///
/// If a stored position does not read as it was written.
pub fn position_token(data: &[u8]) {
    if data.starts_with(b"{") {
        if let Ok(position) = serde_json::from_slice::<Position>(data) {
            let kept = serde_json::to_vec(&position).expect("a position is plain data");
            let read = serde_json::from_slice::<Position>(&kept).expect("a position");
            assert_eq!(read.to_string(), position.to_string());
        }
    } else if let Ok(token) = PositionToken::decode(data) {
        ask(&StreamBatchesRequest {
            start: Some(token),
            ..small("train", 2)
        });
    }
}
