use std::fs;
use std::io::Cursor;
use std::path::Path;

use ::image::{DynamicImage, ImageFormat, RgbImage};
use tempfile::TempDir;

use super::*;

mod faults;
mod identity;
mod layout;
#[cfg(unix)]
mod unix;

/// A folder with these files, each a valid image.
fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        add(root.path(), file);
    }
    root
}

fn add(root: &Path, file: &str) {
    write(root, file, &image(8, 6));
}

fn write(root: &Path, file: &str, bytes: &[u8]) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn image(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(RgbImage::new(width, height))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn scanned(root: &TempDir) -> Dataset {
    Dataset::scan("birds", root.path(), &ScanOptions::default()).unwrap()
}

fn paths(dataset: &Dataset, split: Split) -> Vec<&str> {
    let of_split = |sample: &&Sample| sample.split == split;
    dataset
        .samples
        .iter()
        .filter(of_split)
        .map(|sample| &*sample.path)
        .collect()
}

fn quarantined(dataset: &Dataset) -> Vec<(&str, &str)> {
    dataset
        .quarantine
        .iter()
        .map(|file| (file.path.as_str(), file.reason.as_str()))
        .collect()
}

/// `class` with images 1.png to `count`.png.
fn class(root: &TempDir, class: &str, count: usize) {
    for i in 1..=count {
        add(root.path(), &format!("{class}/{i}.png"));
    }
}
