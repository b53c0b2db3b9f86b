//! Positions in a stream.

use std::fmt;

pub(super) use equibatch_engine::pipeline::Position as Due;
use equibatch_proto::v1;
use serde::{Deserialize, Serialize};

use super::hex::{from_hexadecimal, hexadecimal, short};

/// A position in a stream: saved with a model, and accepted by any server that holds the same files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Hash of the request, in hexadecimal.
    pub spec_hash: String,
    /// Fingerprint of the dataset, in hexadecimal.
    pub fingerprint: String,
    /// Seed of the stream.
    pub seed: u64,
    /// From 0.
    pub epoch: u64,
    /// Batch within the epoch, from 0.
    pub step: u64,
    /// Number of shards.
    pub world: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {} epoch {} step {} (spec {}, fingerprint {})",
            self.seed,
            self.epoch,
            self.step,
            short(&self.spec_hash),
            short(&self.fingerprint)
        )
    }
}

impl Position {
    /// Epoch and step, without the identity of the stream.
    pub(super) fn due(&self) -> Due {
        Due {
            epoch: self.epoch,
            step: self.step,
        }
    }

    pub(super) fn from_wire(token: &v1::PositionToken) -> Self {
        Self {
            spec_hash: hexadecimal(&token.spec_hash),
            fingerprint: hexadecimal(&token.fingerprint),
            seed: token.seed,
            epoch: token.epoch,
            step: token.step,
            world: token.world,
        }
    }

    /// The wire form. Text that is not hexadecimal becomes an empty hash, which servers do not check.
    pub(super) fn to_wire(&self) -> v1::PositionToken {
        v1::PositionToken {
            spec_hash: from_hexadecimal(&self.spec_hash).unwrap_or_default(),
            fingerprint: from_hexadecimal(&self.fingerprint).unwrap_or_default(),
            seed: self.seed,
            epoch: self.epoch,
            step: self.step,
            world: self.world,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::bytes::Bytes;

    use super::*;

    #[test]
    fn a_position_round_trips_through_protobuf_and_json() {
        let token = v1::PositionToken {
            spec_hash: Bytes::from_static(&[0, 1, 254, 255]),
            fingerprint: Bytes::from_static(&[9; 32]),
            seed: u64::MAX,
            epoch: 3,
            step: 14,
            world: 2,
        };
        let position = Position::from_wire(&token);
        assert_eq!(position.to_wire(), token);
        let json = serde_json::to_string(&position).expect("serialisable");
        assert_eq!(
            serde_json::from_str::<Position>(&json).expect("readable"),
            position
        );
    }
}
