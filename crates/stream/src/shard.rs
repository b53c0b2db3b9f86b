//! One part of each global batch, and what becomes of a last batch that is not full.

use equibatch_proto::v1;

/// Part `rank` of `world` parts of each global batch: its images `rank`, `rank + world`, `rank + 2 world`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Number of parts, at least 1.
    pub world: u32,
    /// This part, below `world`.
    pub rank: u32,
}

impl Shard {
    /// The whole batch.
    pub const WHOLE: Self = Self { world: 1, rank: 0 };

    /// Number of this shard's images among `images`.
    #[must_use]
    pub fn share(self, images: u32) -> u32 {
        images.saturating_sub(self.rank).div_ceil(self.world.max(1))
    }
}

/// Treatment of a last batch that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBatch {
    /// Not sent.
    Drop,
    /// Sent as a short batch; a shard without an image in it gets an empty one.
    Keep,
}

impl LastBatch {
    pub(super) fn to_wire(self) -> v1::LastBatch {
        match self {
            Self::Drop => v1::LastBatch::Drop,
            Self::Keep => v1::LastBatch::Keep,
        }
    }
}
