//! What training sees, drawn for a person: labelled pictures of batches, and one image beside its augmentations.

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

use crate::sheet::{Cell, Sheet};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is none.
    #[error("--recipe")]
    Recipe(#[source] augment::Error),
    /// The size is none.
    #[error("--size {0}: it must be from 1 to 4096 pixels")]
    Size(u32),
    /// The image cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The image is broken.
    #[error("cannot show {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: decode::Error,
    },
    /// The picture cannot be written.
    #[error("cannot write {}; choose another --out", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// How an image is augmented.
#[derive(Clone, Copy, Debug)]
pub struct Augmentations<'a> {
    /// As text.
    pub recipe: &'a str,
    /// Equal seeds draw equal augmentations.
    pub seed: u64,
    /// How many.
    pub times: u32,
    /// Height and width, in pixels.
    pub size: u32,
}

/// Pictures in a row beside one image's own.
const COLUMNS: u32 = 6;

/// The image in the file at `path` as validation sees it, and its augmentations, each with what was drawn for it.
///
/// # Errors
///
/// [`Error`].
pub fn of_image(path: &Path, augmentations: &Augmentations<'_>) -> Result<Sheet, Error> {
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
    let cell = |(number, variation): (usize, Variation)| {
        let (label, words) = match number {
            0 => ("as validation sees it".to_owned(), vec![]),
            number => (format!("augmentation {number}"), variation.draw.describe()),
        };
        let words = match (number, words.is_empty()) {
            (1.., true) => vec!["only cropped".to_owned()],
            _ => words,
        };
        Cell {
            picture: picture(variation.pixels, size),
            lines: std::iter::once(label).chain(words).collect(),
        }
    };
    Ok(Sheet {
        title: vec![name(path), format!("recipe {recipe}, seed {seed}")],
        columns: COLUMNS,
        cells: seen.into_iter().enumerate().map(cell).collect(),
    })
}

/// `u8[S, S, 3]` as a picture.
///
/// # Panics
///
/// Where there are other than `size * size * 3` bytes.
#[must_use]
pub fn picture(pixels: Vec<u8>, size: u32) -> RgbImage {
    RgbImage::from_raw(size, size, pixels).expect("three bytes for every pixel")
}

/// The soft label of an image that is of one class, and by `weight` of another: `62 % birds, 38 % flowers`.
#[must_use]
pub fn shares(own: &str, other: &str, weight: f32) -> String {
    let percent = (weight * 100.0).round();
    match percent {
        0.0 => own.to_owned(),
        _ => format!("{} % {own}, {percent} % {other}", 100.0 - percent),
    }
}

/// The last part of a path.
#[must_use]
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Writes the sheet as a PNG file, and shows it in the terminal where that can.
///
/// # Errors
///
/// [`Error::Write`].
pub fn save(sheet: &Sheet, path: &Path) -> Result<(), Error> {
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
    // A picture that the terminal did not take is in its file all the same.
    let _shown = terminal::show(png.get_ref());
    Ok(())
}
