use std::fmt;

use super::Split;

/// A defect of the folders that does not prevent their use. Paths are relative to the root; the root itself is `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Images outside class folders, which belong to no class.
    StrayImages {
        /// The folder with the images.
        folder: String,
        /// How many.
        count: usize,
    },
    /// A folder beside `train/` that is not read.
    IgnoredFolder {
        /// The folder.
        folder: String,
    },
    /// A class folder without a usable image.
    EmptyClass {
        /// The folder.
        folder: String,
    },
    /// A class without an image in a split that has images.
    AbsentClass {
        /// The class.
        class: String,
        /// The split.
        split: Split,
    },
    /// Two classes whose names differ in case only.
    SimilarClasses {
        /// The first, in label order.
        first: String,
        /// The other.
        second: String,
    },
    /// Images of an unsupported format in class folders.
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// How many.
        count: usize,
        /// The first of them, by path.
        first: String,
    },
    /// A folder that cannot be listed.
    Unreadable {
        /// The folder.
        folder: String,
        /// The error of the operating system.
        reason: String,
    },
    /// A link that is not followed.
    Link {
        /// The link.
        path: String,
        /// The reason.
        fault: LinkFault,
    },
}

/// Why a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// Its target is outside the root.
    LeavesRoot,
    /// Its target does not exist or cannot be accessed.
    LeadsNowhere,
    /// Its target is a folder that contains it, or that was already read for the same class.
    AlreadyRead,
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeavesRoot => "the link leaves the root",
            Self::LeadsNowhere => "the link leads nowhere",
            Self::AlreadyRead => "the link leads to a folder already read",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StrayImages { folder, count } => {
                write!(f, "{count} images in {folder:?} lie in no class folder")
            }
            Self::IgnoredFolder { folder } => {
                write!(f, "the folder {folder:?} beside \"train\" is not read")
            }
            Self::EmptyClass { folder } => write!(f, "the class folder {folder:?} has no usable image"),
            Self::AbsentClass { class, split } => {
                write!(
                    f,
                    "the class {class:?} has no image in the {} split",
                    split.name()
                )
            }
            Self::SimilarClasses { first, second } => {
                write!(f, "the classes {first:?} and {second:?} differ in case only")
            }
            Self::Unsupported {
                format,
                count: 1,
                first,
            } => write!(
                f,
                "1 {format} file is not read, {first:?}: convert it to JPEG or PNG"
            ),
            Self::Unsupported { format, count, first } => write!(
                f,
                "{count} {format} files are not read, the first is {first:?}: convert them to JPEG or PNG"
            ),
            Self::Unreadable { folder, reason } => write!(f, "cannot read the folder {folder:?}: {reason}"),
            Self::Link { path, fault } => write!(f, "skipped {path:?}: {fault}"),
        }
    }
}
