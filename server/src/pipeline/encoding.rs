//! The canonical encoding of a [`StreamSpec`], from which its hash is made.
//!
//! Two requests have the same hash exactly when they ask for the same tensors of the same files: left out are the seed and the files
//! (which a token names by themselves), where the stream starts and ends, the shard (a stream may be continued with another number of
//! them) and the dataset's name (which another server may choose differently).
//!
//! The encoding is little-endian and fixed: a field is never moved, a new one is appended. [`VERSION`] changes whenever the same
//! request would give other bytes than before, so that a stream is not continued across such a change.

use super::{
    position::SpecHash,
    spec::{Canonical, StreamSpec},
};
use crate::{
    dataset::Split,
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout},
};

/// Version of the encoding and of the function from requests to bytes.
const VERSION: u8 = 1;

impl StreamSpec {
    /// Hash of all that the tensors depend on, besides seed and files.
    #[must_use]
    pub fn hash(&self) -> SpecHash {
        let digest = blake3::Hasher::new_derive_key("equibatch 1 stream specification")
            .update(&self.encoding())
            .finalize();
        let (half, _) = digest.as_bytes().split_at(16);
        SpecHash(half.try_into().expect("a digest has 32 bytes"))
    }

    fn encoding(&self) -> Vec<u8> {
        let mut out = Encoder(vec![VERSION]);
        out.byte(match self.split {
            Split::Train => 0,
            Split::Valid => 1,
            Split::Test => 2,
        });
        out.whole(self.batch_size.into());
        match &self.balance {
            Balance::Oversample => out.byte(1),
            Balance::Undersample => out.byte(2),
            Balance::Natural => out.byte(3),
            Balance::Power(power) => out.tagged(4, &[*power]),
            Balance::Weights(weights) => out.tagged(5, weights),
            Balance::Effective(beta) => out.tagged(6, &[*beta]),
        }
        out.whole(self.images_per_epoch.map_or(0, |images| images.saturating_add(1)));
        out.byte(match self.order {
            Order::Shuffled => 1,
            Order::Sequential => 2,
        });
        out.byte(match self.last_batch {
            LastBatch::Drop => 1,
            LastBatch::Keep => 2,
            LastBatch::Wrap => 3,
        });
        self.encode_pixels(&mut out);
        out.0
    }

    fn encode_pixels(&self, out: &mut Encoder) {
        let recipe = &self.recipe;
        out.byte(recipe.flip.into());
        for number in [
            recipe.max_rotate,
            recipe.max_zoom,
            recipe.max_warp,
            recipe.max_lighting,
            recipe.p_affine,
            recipe.p_lighting,
        ] {
            out.real(number.into());
        }
        out.byte(recipe.random_crop.into());
        out.byte(match self.canonical {
            Canonical::ShortSide => 1,
            Canonical::Native => 2,
        });
        let tensor = &self.tensor;
        out.whole(tensor.size.into());
        out.byte(match tensor.element_type {
            ElementType::F32 => 1,
            ElementType::F16 => 2,
            ElementType::U8 => 3,
        });
        out.byte(match tensor.layout {
            Layout::Nchw => 1,
            Layout::Nhwc => 2,
        });
        // Bytes are sent as they are: what they would be normalised by is not in them.
        if tensor.element_type != ElementType::U8 {
            for number in tensor
                .normalization
                .mean
                .into_iter()
                .chain(tensor.normalization.std)
            {
                out.real(number.into());
            }
        }
    }
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    fn whole(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Negative zero is written as zero: the two ask for the same.
    fn real(&mut self, value: f64) {
        self.0.extend_from_slice(&(value + 0.0).to_le_bytes());
    }

    fn tagged(&mut self, tag: u8, values: &[f64]) {
        self.byte(tag);
        self.whole(values.len() as u64);
        values.iter().for_each(|&value| self.real(value));
    }
}
