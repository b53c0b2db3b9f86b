/// Maximum number of images in an epoch.
pub(super) const MAX_IMAGES: u64 = 1 << 31;

/// Why a request cannot be planned. All of these are errors of the request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The split has no images.
    #[error("cannot plan an epoch of a split without images")]
    NoImages,
    /// Every class with images has weight zero.
    #[error("cannot plan an epoch in which no class is drawn: every class with images has weight 0")]
    NothingDrawn,
    /// A parameter of a policy is outside its range.
    #[error("cannot balance by {parameter} {value}: it must be {range}")]
    OutOfRange {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
        /// The accepted range.
        range: &'static str,
    },
    /// The number of weights is not that of the classes.
    #[error("cannot balance {classes} classes by {weights} weights")]
    WeightCount {
        /// Classes of the dataset.
        classes: usize,
        /// Weights in the request.
        weights: usize,
    },
    /// A schedule over all epochs of a stream whose number is not known.
    #[error(
        "a schedule changes the balance over the epochs of the stream, and their number is not known: set epochs (--epochs)"
    )]
    ScheduleWithoutEpochs,
    /// A schedule over fewer than two epochs.
    #[error(
        "a schedule over {epochs} epoch: it needs at least 2, one for each of its policies (epochs; --epochs)"
    )]
    ScheduleTooShort {
        /// Its epochs.
        epochs: u64,
    },
    /// A policy of a schedule is a schedule itself.
    #[error("a schedule changes from one policy to another, and neither can be a schedule itself")]
    NestedSchedule,
    /// No batch would be full, and short batches are dropped.
    #[error(
        "cannot fill a batch of {batch_size} from an epoch of {images} images: use a batch size of at most {images}, or keep short batches"
    )]
    EpochSmallerThanBatch {
        /// Images in the epoch.
        images: u64,
        /// Images in a batch.
        batch_size: u64,
    },
    /// Sequential order uses each image once, which requires the natural balance, over all images, not wrapped.
    #[error(
        "{must}: each image is shown once, in order (sequential, as the splits valid and test are unless asked for otherwise)"
    )]
    SequentialOrder {
        /// The other setting, and what it must be.
        must: &'static str,
    },
    /// The epoch has too many images.
    #[error(
        "cannot plan an epoch of {images} images: at most {} are supported",
        MAX_IMAGES
    )]
    EpochTooLarge {
        /// Images in the epoch.
        images: f64,
    },
}
