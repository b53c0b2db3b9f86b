//! One file, read whole.

use std::{error::Error, fs, io, io::Cursor, path::Path};

use ::image::{ImageDecoder as _, ImageReader, metadata::Orientation as Turn};

use super::{Finding, FindingKind, VerifyOptions, perceptual_hash::PerceptualHash};
use crate::channel_stats::ChannelStats;
use equibatch_engine::{
    dataset::Quarantined,
    decode::{self, Blame, DecodeOptions},
    header::{self, Format},
    image::Image,
};

/// Standard deviation, of 255 levels, below which an image shows nothing: the noise of a covered lens is above it.
const BLANK: f64 = 2.0;

/// What there is to know of an image.
#[derive(Debug)]
pub(super) struct FileReport {
    /// Of the file's bytes.
    pub(super) hash: [u8; 32],
    pub(super) perceptual_hash: PerceptualHash,
    pub(super) blank: bool,
    /// See [`super::Convertible`].
    pub(super) plain: Option<u32>,
    format: Format,
    size: (u32, u32),
}

/// Reads and decodes the file at `path` below `root`.
pub(super) fn inspect(root: &Path, path: &str, options: &DecodeOptions) -> Result<FileReport, Finding> {
    let finding = |kind, detail| Finding {
        kind,
        path: path.to_owned(),
        detail,
    };
    let bytes = read(&root.join(path), options).map_err(|error| match error {
        decode::Error::Io { source, .. } => finding(FindingKind::Unreadable, source.to_string()),
        error => finding(FindingKind::Refused, error.to_string()),
    })?;
    let image = decode::decode(&bytes, options).map_err(|error| {
        let kind = match error.blame() {
            Blame::Data | Blame::Unsupported => FindingKind::Broken,
            Blame::Limit => FindingKind::Refused,
            Blame::Io => FindingKind::Unreadable,
        };
        finding(kind, clause(&error))
    })?;
    let format = Format::of(&bytes).expect("an image that was decoded has a format");
    let blank = ChannelStats::of(&image)
        .std()
        .iter()
        .all(|std| std * 255.0 < BLANK);
    let is_plain = format == Format::Jpeg && is_plain(&bytes);
    Ok(FileReport {
        hash: *blake3::hash(&bytes).as_bytes(),
        perceptual_hash: PerceptualHash::of(&image),
        blank,
        plain: is_plain.then(|| longer_side(&image)),
        format,
        size: (image.width(), image.height()),
    })
}

/// A file that is refused by its name alone, such as one that is a link out of the root, stays refused: it is not served.
pub(super) fn keep_scan_error(report: &mut Result<FileReport, Finding>, file: &Quarantined) {
    if report.is_ok() || matches!(report, Err(finding) if finding.kind == FindingKind::Unreadable) {
        *report = Err(Finding {
            kind: FindingKind::Unreadable,
            path: file.path.clone(),
            detail: file.reason.clone(),
        });
    }
}

fn read(path: &Path, options: &DecodeOptions) -> Result<Vec<u8>, decode::Error> {
    let failed = |source| decode::Error::Io {
        path: path.to_owned(),
        source,
    };
    // Looked at before it is opened: opening a named pipe would block for ever.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    match options.limits.check_file(metadata.len()) {
        // Decoding will say so.
        Err(header::Error::Empty) | Ok(()) => fs::read(path).map_err(failed),
        Err(error) => Err(error.into()),
    }
}

/// Says whether a JPEG has three channels and no orientation to be turned by.
fn is_plain(jpeg: &[u8]) -> bool {
    let mut reader = ImageReader::new(Cursor::new(jpeg));
    reader.set_format(::image::ImageFormat::Jpeg);
    let turn = reader
        .into_decoder()
        .and_then(|mut decoder| decoder.orientation());
    let channels = header::jpeg_channels(Cursor::new(jpeg));
    matches!(turn, Ok(Turn::NoTransforms)) && matches!(channels, Ok(3))
}

pub(super) fn longer_side(image: &Image) -> u32 {
    image.width().max(image.height())
}

/// An error and its causes in one clause.
fn clause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", clause(source)),
        None => error.to_string(),
    }
}

impl FileReport {
    /// What is wrong with the image at `path`.
    pub(super) fn findings(&self, path: &str, options: &VerifyOptions) -> Vec<Finding> {
        let mut found = vec![];
        let mut add = |kind, detail| {
            found.push(Finding {
                kind,
                path: path.to_owned(),
                detail,
            });
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase());
        let said = extension.as_deref().and_then(Format::of_extension);
        if said != Some(self.format) {
            let content = self.format.name();
            add(
                FindingKind::Extension,
                match said {
                    Some(said) => format!("the content is {content}, the name says {}", said.name()),
                    None => format!("the content is {content}, but files of such a name are never read"),
                },
            );
        }
        let (width, height) = self.size;
        if width.min(height) < options.min_side {
            add(FindingKind::Tiny, format!("{width}x{height} pixels"));
        }
        if self.blank {
            add(FindingKind::Blank, "all pixels are alike".to_owned());
        }
        found
    }
}
