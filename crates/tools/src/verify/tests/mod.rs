use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use ::image::{
    DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, codecs::jpeg::JpegEncoder, imageops,
};
use tempfile::TempDir;
use walkdir::{DirEntry, WalkDir};

use super::*;
use crate::sample_data;
use clap::ValueEnum as _;
use equibatch_engine::dataset::{ScanOptions, scan_lenient};
use equibatch_engine::header::DecodeLimits;

mod findings;
mod fixes;

/// A wave pattern; wavelength and direction depend on `number`.
fn picture(width: u32, height: u32, number: u32) -> RgbImage {
    let turn = f64::from(number) * 1.7;
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let wave = |k: f64| ((x * turn.sin() + y * turn.cos()) * k + turn).sin() + (x * y * k).cos();
        Rgb([5.0, 9.0, 14.0].map(|k| (128.0 + 60.0 * wave(k + f64::from(number % 5))) as u8))
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = vec![];
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(image)
        .unwrap();
    bytes
}

fn write(root: &TempDir, path: &str, bytes: &[u8]) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Two classes of two valid JPEGs each, in the train split.
fn good() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (number, path) in ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"].iter().enumerate() {
        write(
            &root,
            &format!("train/{path}"),
            &jpeg(&picture(80, 60, number as u32), 90),
        );
    }
    root
}

fn scanned(root: &Path, limits: DecodeLimits) -> Dataset {
    let options = ScanOptions {
        valid_fraction: 0.0,
        limits,
        ..ScanOptions::default()
    };
    scan_lenient("pictures", root, &options).unwrap()
}

const OPTIONS: VerifyOptions = VerifyOptions {
    min_side: 32,
    near: Some(6),
};

fn verified(root: &TempDir) -> (Dataset, VerifyReport) {
    let dataset = scanned(root.path(), DecodeLimits::default());
    let report = verify(&dataset, &OPTIONS, &|| {});
    (dataset, report)
}

fn found(report: &VerifyReport) -> Vec<(FindingKind, &str)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.kind, finding.path.as_str()))
        .collect()
}

fn paths(group: &DuplicateGroup) -> Vec<&str> {
    group.members.iter().map(|member| member.path.as_str()).collect()
}

/// Every file below a folder, sorted.
fn files(root: &Path) -> Vec<String> {
    let entries = WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    let relative = |file: DirEntry| {
        file.path()
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let mut found: Vec<String> = files.map(relative).collect();
    found.sort();
    found
}

fn fix_options(removal: Removal, conversion: Conversion) -> FixOptions {
    FixOptions {
        removal,
        kinds: BTreeSet::from([FindingKind::Broken]),
        conversion,
        max_side: None,
        quality: 90,
        dry_run: false,
    }
}
