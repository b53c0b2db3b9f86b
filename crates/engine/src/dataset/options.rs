use crate::header::DecodeLimits;

/// How a root is scanned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanOptions {
    /// Probability of an image to be held out for validation where the folders do not say which are. Range 0..1; default 0.2.
    pub valid_fraction: f64,
    /// Chooses which, together with each image's path. Default 42.
    pub split_seed: u64,
    /// How they are chosen.
    pub split_method: SplitMethod,
    /// Whether EXIF orientation turns the images. Part of the fingerprint.
    pub orientation: Orientation,
    /// What a file may cost; others are quarantined.
    pub limits: DecodeLimits,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            valid_fraction: 0.2,
            split_seed: 42,
            split_method: SplitMethod::default(),
            orientation: Orientation::default(),
            limits: DecodeLimits::default(),
        }
    }
}

/// How validation images are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitMethod {
    /// Each image by its path and the seed; and of a class that would lie on one side, one image on the other: for validation if its share
    /// rounds to one or more, for training in any case.
    #[default]
    Stratified,
    /// Each image by its path and the seed alone, whatever its class.
    Random,
}

/// What becomes of the orientation in EXIF data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// The image is turned upright, as every viewer shows it.
    #[default]
    Apply,
    /// The pixels are taken as they are stored.
    Ignore,
}
