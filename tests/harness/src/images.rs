//! Small folders of image files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use equibatch_engine::decode::{DecodeOptions, decode};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// A root of class folders, removed when dropped.
#[derive(Debug)]
pub struct ImageFolder {
    root: TempDir,
}

impl ImageFolder {
    /// `classes` are names and numbers of images. All images and their sizes differ; every third is a PNG, the others are JPEGs.
    ///
    /// # Panics
    ///
    /// If the system refuses to write.
    #[must_use]
    pub fn new(classes: &[(&str, usize)]) -> Self {
        let folder = Self {
            root: TempDir::with_prefix("equibatch-images-").expect("a temporary folder"),
        };
        for (class, (name, count)) in classes.iter().enumerate() {
            fs::create_dir_all(folder.root().join(name)).expect("a class folder");
            for index in 0..*count {
                let size = (40 + (index as u32 * 13) % 29, 36 + (index as u32 * 7) % 37);
                let image = picture(size, (class * 1000 + index) as u32);
                image.save(folder.file(name, index)).expect("an image file");
            }
        }
        folder
    }

    /// Two classes of two small files, of `side` x `side` pixels each.
    ///
    /// # Panics
    ///
    /// If the system refuses to write.
    #[must_use]
    pub fn of_bombs(side: u32) -> Self {
        let folder = Self::new(&[("a", 0), ("b", 0)]);
        let image = RgbImage::from_pixel(side, side, Rgb([9, 99, 199]));
        for file in ["a/1.png", "a/2.png", "b/1.png", "b/2.png"] {
            image.save(folder.root().join(file)).expect("an image file");
        }
        folder
    }

    /// The root of the class folders.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The file of image `index` of `class`, whose name counts from 1: by default one of every five images is in the validation split.
    #[must_use]
    pub fn file(&self, class: &str, index: usize) -> PathBuf {
        let extension = if index % 3 == 2 { "png" } else { "jpg" };
        self.root()
            .join(class)
            .join(format!("{:04}.{extension}", index + 1))
    }

    /// Overwrites half an image file with zeros; its header and size stay, so that only decoding fails.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn corrupt(&self, class: &str, index: usize) -> io::Result<()> {
        let path = self.file(class, index);
        let mut bytes = fs::read(&path)?;
        let half = bytes.len() / 2;
        bytes[half..].fill(0);
        fs::write(path, bytes)
    }
}

/// 5 birds and 20 flowers: one of every five images is in the validation split.
///
/// # Panics
///
/// If the system refuses to write.
#[must_use]
pub fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}

/// Waves of several lengths and directions, with phase `number`: detail at every scale and border.
#[must_use]
pub fn picture((width, height): (u32, u32), number: u32) -> RgbImage {
    let phase = f64::from(number) * 0.7;
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        Rgb([0.05, 0.11, 0.23].map(|frequency| {
            let wave = (x * frequency + phase).sin()
                + (y * frequency * 1.7 - phase).cos()
                + ((x + y) * 0.31).sin() * 0.4;
            (127.5 + wave * 50.0).clamp(0.0, 255.0) as u8
        }))
    })
}

/// The pixels of a file, as the server decodes it.
///
/// # Panics
///
/// If it cannot be read or decoded.
pub fn decoded(path: &Path) -> RgbImage {
    let bytes = fs::read(path).expect("a file");
    let image = decode(&bytes, &DecodeOptions::default()).expect("an image");
    RgbImage::from_raw(image.width(), image.height(), image.pixels().to_vec()).expect("all pixels")
}
