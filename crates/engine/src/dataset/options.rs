use crate::header::DecodeLimits;

/// Options of a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanOptions {
    /// Probability that an image is held out for validation, if the folders do not give the split. Range 0..1; default 0.2.
    pub valid_fraction: f64,
    /// Chooses the validation images, together with their paths. Default 42.
    pub split_seed: u64,
    /// How validation images are chosen, within a class.
    pub split_method: SplitMethod,
    /// Treatment of EXIF orientation. Part of the fingerprint.
    pub orientation: Orientation,
    /// Limits on files; those that exceed them are quarantined.
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
    /// By path and seed; in addition, a class of which all images would be on one side gets one image on the other: for validation if its expected
    /// number rounds to one or more, for training always.
    #[default]
    Stratified,
    /// By path and seed only, whatever the class.
    Random,
}

/// Treatment of EXIF orientation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// Images are rotated and mirrored upright.
    #[default]
    Apply,
    /// Pixels are used as stored.
    Ignore,
}
