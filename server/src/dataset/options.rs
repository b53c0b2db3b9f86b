use crate::header::Limits;

/// How a root is scanned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanOptions {
    /// Fraction of the images held out for validation where the folders do not say which. Range 0..1; default 0.2.
    pub valid_fraction: f64,
    /// Chooses which. Default 42.
    pub split_seed: u64,
    /// How they are chosen.
    pub split_method: SplitMethod,
    /// Whether EXIF orientation turns the images. Part of the fingerprint.
    pub orientation: Orientation,
    /// What a file may cost; others are quarantined.
    pub limits: Limits,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            valid_fraction: 0.2,
            split_seed: 42,
            split_method: SplitMethod::default(),
            orientation: Orientation::default(),
            limits: Limits::default(),
        }
    }
}

/// How validation images are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitMethod {
    /// Of each class its share, halves rounded up, with at least one image left for training.
    #[default]
    Stratified,
    /// Of all images the share, rounded down, whatever their classes.
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
