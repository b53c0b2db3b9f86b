//! The canonical encoding of a [`StreamSpec`], from which its hash is made.
//!
//! Two requests have the same hash if and only if they specify the same tensors of the same files. Not encoded are: the seed and the files (a token
//! holds them separately), start, end, stride and shard (a stream may be continued with others), and the dataset's name (another server may use
//! another).
//!
//! The encoding is little-endian and fixed: a field is never moved, a new one is appended. [`VERSION`] changes whenever the same
//! request would give other bytes than before, so that a stream is not continued across such a change.

use super::{
    position::SpecHash,
    spec::{Canonical, StreamSpec},
};
use crate::{
    augment::Numbers,
    dataset::Split,
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout},
};

/// Version of the encoding and of the function from requests to bytes.
const VERSION: u8 = 4;

impl StreamSpec {
    /// Hash of everything that the tensors depend on, other than seed and files.
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
        self.encode_balance(&self.balance, &mut out);
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

    fn encode_balance(&self, balance: &Balance, out: &mut Encoder) {
        match balance {
            Balance::Oversample => out.byte(1),
            Balance::Undersample => out.byte(2),
            Balance::Natural => out.byte(3),
            // Tags 4 and 6 were used with the system's `pow`, whose counts may differ by an image.
            Balance::Power(power) => out.tagged(7, &[*power]),
            Balance::Weights(weights) => out.tagged(5, weights),
            Balance::Effective(beta) => out.tagged(8, &[*beta]),
            Balance::RepeatFactor(threshold) => out.tagged(9, threshold.as_slice()),
            Balance::Schedule(schedule) => {
                let epochs = schedule.epochs.clone().unwrap_or(0..self.epochs);
                out.tagged(10, schedule.at.as_slice());
                out.whole(epochs.start.into());
                out.whole(epochs.end.into());
                self.encode_balance(&schedule.from, out);
                self.encode_balance(&schedule.to, out);
            }
        }
    }

    fn encode_pixels(&self, out: &mut Encoder) {
        match Numbers::of(&self.recipe) {
            Some(recipe) => {
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
            }
            // The text of a recipe contains all of its numbers.
            None => {
                let text = self.recipe.to_string();
                out.byte(2);
                out.whole(text.len() as u64);
                out.0.extend_from_slice(text.as_bytes());
            }
        }
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
        // Tensors of bytes do not depend on the normalization.
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

    /// Encodes negative zero as zero: they mean the same.
    fn real(&mut self, value: f64) {
        self.0.extend_from_slice(&(value + 0.0).to_le_bytes());
    }

    fn tagged(&mut self, tag: u8, values: &[f64]) {
        self.byte(tag);
        self.whole(values.len() as u64);
        values.iter().for_each(|&value| self.real(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        augment::Recipe,
        dataset::Fingerprint,
        pipeline::{Position, Shard, Stride},
    };

    fn spec() -> StreamSpec {
        StreamSpec::train("pictures").seed(1).epochs(2)
    }

    fn changed(change: impl FnOnce(&mut StreamSpec)) -> StreamSpec {
        let mut spec = spec();
        change(&mut spec);
        spec
    }

    fn schedule(text: &str, epochs: std::ops::Range<u32>) -> Balance {
        let Balance::Schedule(mut schedule) = text.parse().unwrap() else {
            panic!("{text} is no schedule")
        };
        schedule.epochs = Some(epochs);
        Balance::Schedule(schedule)
    }

    /// The default recipe with one operation replaced.
    fn with(part: &str) -> Recipe {
        format!("fastai {part}").parse().unwrap()
    }

    #[test]
    fn fields_that_change_tensors_change_the_hash() {
        let specs = [
            spec(),
            changed(|s| s.split = Split::Valid),
            changed(|s| s.batch_size = 63),
            changed(|s| s.balance = Balance::Natural),
            changed(|s| s.balance = Balance::Power(0.5)),
            changed(|s| s.balance = Balance::Power(0.25)),
            changed(|s| s.balance = Balance::Effective(0.5)),
            changed(|s| s.balance = Balance::RepeatFactor(None)),
            changed(|s| s.balance = Balance::RepeatFactor(Some(0.5))),
            changed(|s| s.balance = Balance::RepeatFactor(Some(0.25))),
            changed(|s| s.balance = schedule("progressive", 0..2)),
            changed(|s| s.balance = schedule("progressive", 0..3)),
            changed(|s| s.balance = schedule("progressive", 1..3)),
            changed(|s| s.balance = schedule("natural>oversample@0.8", 0..2)),
            changed(|s| s.balance = schedule("natural>oversample@0.7", 0..2)),
            changed(|s| s.balance = schedule("oversample>natural@0.8", 0..2)),
            changed(|s| s.balance = Balance::Weights(vec![0.5])),
            changed(|s| s.balance = Balance::Weights(vec![0.5, 0.5])),
            changed(|s| s.images_per_epoch = Some(0)),
            changed(|s| s.images_per_epoch = Some(100)),
            changed(|s| s.order = Order::Sequential),
            changed(|s| s.last_batch = LastBatch::Keep),
            changed(|s| s.last_batch = LastBatch::Wrap),
            changed(|s| s.recipe = with("flip(0)")),
            changed(|s| s.recipe = with("flip(0.4)")),
            changed(|s| s.recipe = with("rotate(10)")),
            changed(|s| s.recipe = with("rotate(25,p=0.5)")),
            changed(|s| s.recipe = with("zoom(1.2)")),
            changed(|s| s.recipe = with("zoom(1.1,min=0.9)")),
            changed(|s| s.recipe = with("warp(0.1)")),
            changed(|s| s.recipe = with("lighting(0.1)")),
            changed(|s| s.recipe = with("contrast(0.1)")),
            changed(|s| s.recipe = with("p_affine=0.1")),
            changed(|s| s.recipe = with("p_lighting=0.1")),
            changed(|s| s.recipe = with("crop(0.5,0.5,0.5,0.5)")),
            changed(|s| s.recipe = with("augment=repeats")),
            changed(|s| s.recipe = with("mixup")),
            changed(|s| s.recipe = with("mixup(from=natural)")),
            changed(|s| s.recipe = with("cutmix")),
            changed(|s| s.recipe = with("cutmix(from=natural)")),
            changed(|s| s.recipe = Recipe::none()),
            changed(|s| s.canonical = Canonical::Native),
            changed(|s| s.tensor.size = 225),
            changed(|s| s.tensor.element_type = ElementType::F16),
            changed(|s| s.tensor.element_type = ElementType::U8),
            changed(|s| s.tensor.layout = Layout::Nhwc),
            changed(|s| s.tensor.normalization.mean[2] = 0.5),
            changed(|s| s.tensor.normalization.std[0] = 0.5),
        ];
        for (index, a) in specs.iter().enumerate() {
            for b in &specs[..index] {
                assert_ne!(a.hash(), b.hash(), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn other_fields_do_not_change_the_hash() {
        for same in [
            changed(|s| s.dataset = "other".into()),
            changed(|s| s.seed = 9),
            changed(|s| s.epochs = 9),
            changed(|s| s.start.position = Position { epoch: 1, step: 2 }),
            changed(|s| s.shard = Shard { world: 2, rank: 1 }),
            changed(|s| s.stride = Stride { of: 2, index: 1 }),
            changed(|s| s.expected_fingerprint = Some(Fingerprint([1; 32]))),
            changed(|s| s.weight = 7),
            changed(|s| s.reports = true),
        ] {
            assert_eq!(same.hash(), spec().hash(), "{same:?}");
        }
        // A schedule over all epochs of the stream, and one over as many epochs.
        assert_eq!(
            changed(|s| s.balance = "progressive".parse().unwrap()).hash(),
            changed(|s| s.balance = schedule("progressive", 0..2)).hash(),
        );
        let bytes = |mean| {
            changed(|s| {
                s.tensor.element_type = ElementType::U8;
                s.tensor.normalization.mean[0] = mean;
            })
        };
        assert_eq!(bytes(0.1).hash(), bytes(0.2).hash(), "bytes are not normalised");
    }

    /// Tokens of earlier versions must stay valid, or the version must change.
    #[test]
    fn the_encoding_is_stable() {
        assert_eq!(format!("{:?}", spec().hash()), "9493dae0d87381b73ef39f4ffeed8a3f");
        let mixed = changed(|s| s.recipe = with("mixup cutmix"));
        assert_eq!(format!("{:?}", mixed.hash()), "8b33665810e2b0b883b0d8556169b4e5");
    }
}
