//! Contact sheets of batches, and of one image beside its augmentations.

use std::{
    fs,
    io::{self, Cursor},
    path::{Path, PathBuf},
};

use equibatch_cli::{files, terminal};
use equibatch_engine::{
    augment::{self, Recipe},
    decode::{self, DecodeOptions, decode},
    pipeline::{Variation, variations},
};
use image::{ImageFormat, RgbImage};

use crate::contact_sheet::{ContactSheet, Tile};

/// Why a preview cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is invalid.
    #[error("--recipe")]
    Recipe(#[source] augment::Error),
    /// The size is out of range.
    #[error("--size {0}: expected a number of pixels from 1 to 4096")]
    Size(u32),
    /// The image cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The image cannot be decoded.
    #[error("cannot decode {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The decoding error.
        #[source]
        source: decode::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {}; choose another --out", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
}

/// Which augmentations of an image to render.
#[derive(Clone, Copy, Debug)]
pub struct Augmentations<'a> {
    /// The recipe.
    pub recipe: &'a str,
    /// Seed of the augmentations.
    pub seed: u64,
    /// Number of augmentations.
    pub times: u32,
    /// Height and width, in pixels, from 1 to 4096.
    pub size: u32,
}

/// Columns of the sheet of augmentations.
const COLUMNS: u32 = 6;

/// A sheet of the image at `path` as in validation, and its augmentations, each labelled with the parameters drawn.
///
/// # Errors
///
/// Every variant of [`Error`] but [`Error::Write`].
pub fn augmented(path: &Path, augmentations: &Augmentations<'_>) -> Result<ContactSheet, Error> {
    let Augmentations {
        recipe,
        seed,
        times,
        size,
    } = *augmentations;
    if !(1..=4096).contains(&size) {
        return Err(Error::Size(size));
    }
    let parsed: Recipe = recipe.parse().map_err(Error::Recipe)?;
    let bytes = fs::read(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let image = decode(&bytes, &DecodeOptions::default()).map_err(|source| Error::Decode {
        path: path.to_path_buf(),
        source,
    })?;
    let seen = variations(image, &parsed, (seed, times.into()), size);
    let tile = |(number, variation): (usize, Variation)| {
        let (label, words) = match number {
            0 => ("validation".to_owned(), vec![]),
            number => (format!("augmentation {number}"), variation.draw.describe()),
        };
        let words = match (number, words.is_empty()) {
            (1.., true) => vec!["crop only".to_owned()],
            _ => words,
        };
        Tile {
            picture: picture(variation.pixels, size),
            lines: std::iter::once(label).chain(words).collect(),
        }
    };
    Ok(ContactSheet {
        title: vec![name(path), format!("recipe {recipe}, seed {seed}")],
        columns: COLUMNS,
        tiles: seen.into_iter().enumerate().map(tile).collect(),
    })
}

/// Converts pixels `u8[S, S, 3]` to an image.
///
/// # Panics
///
/// If `pixels` does not have `size * size * 3` bytes.
#[must_use]
pub fn picture(pixels: Vec<u8>, size: u32) -> RgbImage {
    RgbImage::from_raw(size, size, pixels).expect("three bytes for every pixel")
}

/// The soft label of a mixed image, `weight` being that of the other class: `62 % birds, 38 % flowers`.
#[must_use]
pub fn mixed_label(own: &str, other: &str, weight: f32) -> String {
    let percent = (weight * 100.0).round();
    match percent {
        0.0 => own.to_owned(),
        _ => format!("{} % {own}, {percent} % {other}", 100.0 - percent),
    }
}

/// The last component of a path.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Writes the sheet as a PNG file, and shows it in terminals that support inline images.
///
/// # Errors
///
/// [`Error::Write`].
pub fn save(sheet: &ContactSheet, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write {
        path: path.to_path_buf(),
        source,
    };
    let mut png = Cursor::new(vec![]);
    sheet
        .draw()
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| failed(io::Error::other(error)))?;
    files::replace(path, png.get_ref()).map_err(failed)?;
    // Failing to show the image is not an error: the file is written.
    let _shown = terminal::show(png.get_ref());
    Ok(())
}
