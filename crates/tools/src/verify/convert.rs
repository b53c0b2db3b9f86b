//! Copies and converts images.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::Path,
};

use ::image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use equibatch_cli::files;
use equibatch_engine::{
    dataset::Dataset,
    decode::{DecodeOptions, decode, resized},
    header::Format,
    image::Image,
};

use super::{
    file_report::longer_side,
    fix_options::{Action, ActionKind, Conversion, FixOptions},
    report::{Convertible, VerifyReport},
};

/// An image to write.
pub(super) struct WriteTask<'a> {
    image: &'a Convertible,
    to: String,
    /// Copy the bytes instead of re-encoding.
    as_is: bool,
}

/// The images to write and their unique target paths, none of which exists.
pub(super) fn plan<'a>(
    root: &Path,
    report: &'a VerifyReport,
    removed: &BTreeSet<&str>,
    fix_options: &FixOptions,
) -> Vec<WriteTask<'a>> {
    let in_place = match fix_options.conversion {
        Conversion::Keep => return vec![],
        Conversion::InPlace => true,
        Conversion::Out(_) => false,
    };
    let images = || {
        report
            .convertible
            .iter()
            .filter(|image| !removed.contains(image.path.as_str()))
    };
    // Images that keep their names are reserved first. Lower case, since some file systems ignore case.
    let mut taken: HashSet<String> = images()
        .filter(|image| jpeg_name(&image.path) == image.path)
        .map(|image| image.path.to_lowercase())
        .collect();
    let mut tasks = vec![];
    for image in images() {
        let as_is = image
            .plain
            .is_some_and(|side| fix_options.max_side.is_none_or(|max_side| side <= max_side));
        let name = jpeg_name(&image.path);
        let to = if name == image.path {
            name
        } else {
            let is_free = |name: &String| {
                let is_there = in_place && root.join(name).symlink_metadata().is_ok();
                !is_there && !taken.contains(&name.to_lowercase())
            };
            let longer = format!("{}.jpg", image.path);
            let mut names = [name, longer].into_iter();
            // If even the longer name exists, writing fails with an error.
            let free = names
                .find(is_free)
                .unwrap_or_else(|| format!("{}.jpg", image.path));
            taken.insert(free.to_lowercase());
            free
        };
        if !(in_place && as_is && to == image.path) {
            tasks.push(WriteTask { image, to, as_is });
        }
    }
    tasks
}

/// The path with the extension of a JPEG: replaces that of another image format, and is appended otherwise.
fn jpeg_name(path: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name..].rfind('.').map(|dot| name + dot);
    let format = |dot: usize| Format::of_extension(&path[dot + 1..].to_ascii_lowercase());
    match dot.and_then(|dot| Some((dot, format(dot)?))) {
        Some((_, Format::Jpeg)) => path.to_owned(),
        Some((dot, _)) => format!("{}.jpg", &path[..dot]),
        None => format!("{path}.jpg"),
    }
}

impl WriteTask<'_> {
    pub(super) fn run(&self, dataset: &Dataset, fix_options: &FixOptions) -> Action {
        let done = if fix_options.dry_run {
            Ok(())
        } else {
            self.write(dataset, fix_options)
        };
        Action {
            kind: if self.as_is {
                ActionKind::Copied
            } else {
                ActionKind::Converted
            },
            path: self.image.path.clone(),
            to: Some(self.to.clone()),
            error: done.err().map(|error| error.to_string()),
        }
    }

    fn write(&self, dataset: &Dataset, fix_options: &FixOptions) -> io::Result<()> {
        let from = dataset.root.join(&self.image.path);
        if let Conversion::Out(folder) = &fix_options.conversion {
            return files::create(&folder.join(&self.to), &self.bytes(&from, dataset, fix_options)?);
        }
        let to = dataset.root.join(&self.to);
        if to == from {
            files::replace(&to, &self.bytes(&from, dataset, fix_options)?)
        } else if self.as_is {
            files::relocate(&from, &to)
        } else {
            files::create(&to, &self.bytes(&from, dataset, fix_options)?)?;
            files::remove(&from)
        }
    }

    fn bytes(&self, from: &Path, dataset: &Dataset, fix_options: &FixOptions) -> io::Result<Vec<u8>> {
        let bytes = fs::read(from)?;
        if self.as_is {
            return Ok(bytes);
        }
        let options = DecodeOptions {
            orientation: dataset.options.orientation,
            limits: dataset.options.limits,
        };
        let image = decode(&bytes, &options).map_err(io::Error::other)?;
        jpeg(&shrunk(image, fix_options.max_side), fix_options.quality)
    }
}

/// Downscales the image so that its longer side is `max_side`, the shorter one rounded down; never enlarges.
fn shrunk(image: Image, max_side: Option<u32>) -> Image {
    let longer = longer_side(&image);
    match max_side {
        Some(max_side) if max_side < longer => {
            let scaled =
                |side: u32| (u64::from(side) * u64::from(max_side) / u64::from(longer)).max(1) as u32;
            resized(&image, (scaled(image.width()), scaled(image.height())))
        }
        _ => image,
    }
}

fn jpeg(image: &Image, quality: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(
            image.pixels(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_a_jpeg_extension() {
        for (path, expected) in [
            ("a/b.jpg", "a/b.jpg"),
            ("a/b.JPEG", "a/b.JPEG"),
            ("a.b/c.Png", "a.b/c.jpg"),
            ("a.jpg/c", "a.jpg/c.jpg"),
            ("a/b.php", "a/b.php.jpg"),
            ("b.jpg:large", "b.jpg:large.jpg"),
        ] {
            assert_eq!(jpeg_name(path), expected);
        }
    }

    #[test]
    fn max_side_limits_the_longer_side_and_never_enlarges() {
        for ((width, height), max_side, expected) in [
            ((1000, 667), Some(500), (500, 333)),
            ((333, 501), Some(500), (332, 500)),
            ((9, 4000), Some(40), (1, 40)),
            ((40, 30), Some(500), (40, 30)),
            ((40, 30), None, (40, 30)),
        ] {
            let image = Image::new(width, height, vec![7; (width * height * 3) as usize]);
            let image = shrunk(image, max_side);
            assert_eq!((image.width(), image.height()), expected);
        }
    }
}
