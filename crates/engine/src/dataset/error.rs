use std::io;
use std::path::PathBuf;

/// Why a root is not a data set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Request: there is no such folder.
    #[error("no such folder: {}", root.display())]
    Missing {
        /// As configured.
        root: PathBuf,
    },
    /// Request: a file, not a folder.
    #[error("not a folder: {}", root.display())]
    NotAFolder {
        /// As configured.
        root: PathBuf,
    },
    /// Io: the root cannot be listed.
    #[error("cannot read the folder {}", root.display())]
    Unreadable {
        /// As configured.
        root: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// Io: a folder below the root cannot be listed, so that classes or images would be missing without anybody noticing.
    #[error(
        "cannot read the folder {folder:?} of {}: {reason}; without it, classes or images would be missing and labels might shift",
        root.display()
    )]
    UnreadableFolder {
        /// As configured.
        root: PathBuf,
        /// Relative to the root.
        folder: String,
        /// What the operating system says.
        reason: String,
    },
    /// Data: not one usable image in a class folder.
    #[error("no usable image in the class folders of {} ({quarantined} quarantined, {stray} outside of class folders)", root.display())]
    NoImages {
        /// As configured.
        root: PathBuf,
        /// Images that are broken or refused.
        quarantined: usize,
        /// Images that lie beside the class folders.
        stray: usize,
    },
    /// Data: nothing to tell apart.
    #[error("{} has images of one class only, {class:?}", root.display())]
    SingleClass {
        /// As configured.
        root: PathBuf,
        /// The class.
        class: String,
    },
    /// Request: a fraction out of range.
    #[error("cannot hold out the fraction {fraction}: it is not in 0..1")]
    ValidFraction {
        /// As configured.
        fraction: f64,
    },
    /// Limit: its index does not fit the memory.
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
        /// Of the index.
        bytes: u64,
    },
    /// Limit: sample ids have 32 bits.
    #[error("{} has more than 4294967295 images", root.display())]
    TooManyImages {
        /// As configured.
        root: PathBuf,
    },
}
