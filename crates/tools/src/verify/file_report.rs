//! Inspection of one file.

use std::{error::Error, fs, io, io::Cursor, path::Path};

use ::image::{ImageDecoder as _, ImageReader, metadata::Orientation as ExifOrientation};

use super::{
    perceptual_hash::PerceptualHash,
    report::{Finding, FindingKind, VerifyOptions},
};
use crate::channel_stats::ChannelStats;
use equibatch_engine::{
    dataset::Quarantined,
    decode::{self, Blame, DecodeOptions},
    header::{self, Format},
    image::Image,
};

/// Images whose standard deviation is below this, in 8-bit levels, are blank. The sensor noise of a covered lens is above it.
const BLANK: f64 = 2.0;

/// The result of inspecting an image.
#[derive(Debug)]
pub(super) struct FileReport {
    /// BLAKE3 of the file.
    pub(super) hash: [u8; 32],
    pub(super) perceptual_hash: PerceptualHash,
    pub(super) blank: bool,
    /// See [`Convertible`](super::report::Convertible).
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

/// Keeps the scan's reason for a file that it refused without reading, such as a symbolic link out of the root: such a file is never served.
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
    // Checked before opening, which would block on a named pipe.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    match options.limits.check_file(metadata.len()) {
        // Decoding reports empty files.
        Err(header::Error::Empty) | Ok(()) => fs::read(path).map_err(failed),
        Err(error) => Err(error.into()),
    }
}

/// Whether a JPEG has three channels and an upright orientation.
fn is_plain(jpeg: &[u8]) -> bool {
    let mut reader = ImageReader::new(Cursor::new(jpeg));
    reader.set_format(::image::ImageFormat::Jpeg);
    let orientation = reader
        .into_decoder()
        .and_then(|mut decoder| decoder.orientation());
    let channels = header::jpeg_channels(Cursor::new(jpeg));
    matches!(orientation, Ok(ExifOrientation::NoTransforms)) && matches!(channels, Ok(3))
}

pub(super) fn longer_side(image: &Image) -> u32 {
    image.width().max(image.height())
}

/// An error and its sources as one clause.
fn clause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", clause(source)),
        None => error.to_string(),
    }
}

impl FileReport {
    /// Findings of the image at `path`.
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
        let named = extension.as_deref().and_then(Format::of_extension);
        if named != Some(self.format) {
            let content = self.format.name();
            add(
                FindingKind::Extension,
                match named {
                    Some(named) => format!(
                        "the content is {content}, but the extension is of {}",
                        named.name()
                    ),
                    None => {
                        format!("the content is {content}, but files without an image extension are not read")
                    }
                },
            );
        }
        let (width, height) = self.size;
        if width.min(height) < options.min_side {
            add(FindingKind::Tiny, format!("{width}x{height} pixels"));
        }
        if self.blank {
            add(FindingKind::Blank, "uniform colour".to_owned());
        }
        found
    }
}
