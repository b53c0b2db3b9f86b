use std::fmt;

use super::{Orientation, Samples};

/// A hash of the class names, of the path, size, class and split of every sample, and of the options that change decoded pixels. Independent of
/// the machine and the root; the contents of the files are not read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The fingerprint of sorted `classes` and `samples`. Strings are hashed with their lengths, so that the input is unambiguous.
pub(super) fn fingerprint(classes: &[String], samples: &Samples, orientation: Orientation) -> Fingerprint {
    let mut hasher = blake3::Hasher::new_derive_key("equibatch 1 dataset");
    hasher.update(&[u8::from(orientation == Orientation::Apply)]);
    hasher.update(&(classes.len() as u64).to_le_bytes());
    for class in classes {
        text(&mut hasher, class);
    }
    for sample in samples.iter() {
        text(&mut hasher, &sample.path);
        text(&mut hasher, &classes[sample.class as usize]);
        text(&mut hasher, sample.split.name());
        hasher.update(&sample.bytes.to_le_bytes());
    }
    Fingerprint(*hasher.finalize().as_bytes())
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}
