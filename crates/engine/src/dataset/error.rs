use std::io;
use std::path::PathBuf;

/// Why a folder cannot be used as a dataset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root does not exist.
    #[error("no such folder: {}", root.display())]
    Missing {
        /// As configured.
        root: PathBuf,
    },
    /// The root is not a folder.
    #[error("not a folder: {}", root.display())]
    NotAFolder {
        /// As configured.
        root: PathBuf,
    },
    /// The root cannot be listed.
    #[error("cannot read the folder {}", root.display())]
    Unreadable {
        /// As configured.
        root: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A folder below the root cannot be listed, so that classes or images would be missing.
    #[error(
        "cannot read the folder {folder:?} of {}: {reason}; without it, classes or images would be missing and labels might shift",
        root.display()
    )]
    UnreadableFolder {
        /// As configured.
        root: PathBuf,
        /// Relative to the root.
        folder: String,
        /// The error of the operating system.
        reason: String,
    },
    /// The class folders have no usable image.
    #[error("no usable image in the class folders of {} ({quarantined} quarantined, {stray} outside of class folders)", root.display())]
    NoImages {
        /// As configured.
        root: PathBuf,
        /// Images that are quarantined.
        quarantined: usize,
        /// Images outside class folders.
        stray: usize,
    },
    /// There is only one class.
    #[error("{} has images of one class only, {class:?}", root.display())]
    SingleClass {
        /// As configured.
        root: PathBuf,
        /// The class.
        class: String,
    },
    /// The validation fraction is out of range.
    #[error("cannot hold out the fraction {fraction}: it is not in 0..1")]
    ValidFraction {
        /// As configured.
        fraction: f64,
    },
    /// The index does not fit the memory.
    #[error(
        "the index of the {images} images of {} takes {bytes} bytes, which --memory-bytes does not leave beside --cache-bytes and \
         --encoded-cache-bytes: raise it, or lower these",
        root.display()
    )]
    NoMemory {
        /// The root.
        root: PathBuf,
        /// Usable images.
        images: usize,
        /// Size of the index.
        bytes: u64,
    },
    /// Sample ids have 32 bits.
    #[error("{} has more than 4294967295 images", root.display())]
    TooManyImages {
        /// As configured.
        root: PathBuf,
    },
}
