//! `server preview` and `client show-batch`: contact sheets of labelled batches.

use std::{fs, path::PathBuf};

use equibatch_harness::{
    images::ImageFolder,
    process::{ServerProcess, arguments, client, server, text},
};
use image::{RgbImage, imageops};

/// Large enough that a sheet shows images unscaled.
const SIZE: u32 = 160;

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 6), ("flowers", 24)])
}

fn opened(path: PathBuf) -> RgbImage {
    image::open(path).unwrap().to_rgb8()
}

/// How often `tile` occurs in a sheet with `columns` columns. A sheet has rows of images, 12 pixels apart, with a caption below each.
fn tiles(sheet: &RgbImage, tile: &RgbImage, columns: u32) -> u32 {
    let first = tile.get_pixel(0, 0);
    let (mut found, step) = (0, SIZE + 12);
    for column in 0..columns {
        let x = 20 + column * step;
        for y in 0..sheet.height().saturating_sub(SIZE - 1) {
            if sheet.get_pixel(x, y) == first
                && *imageops::crop_imm(sheet, x, y, SIZE, SIZE).to_image() == **tile
            {
                found += 1;
            }
        }
    }
    found
}

#[test]
fn a_preview_shows_the_images_of_the_batch() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let [plain, labelled] = ["plain.png", "labelled.png"].map(|name| folder.path().join(name));
    let size = SIZE.to_string();
    let common = [
        text(images.root()),
        "--size",
        &size,
        "--batch-size",
        "4",
        "--step",
        "1",
        "--seed",
        "7",
        "--out",
    ];
    let explained = server(&[&["explain"][..], &common, &[text(&plain)]].concat());
    assert!(explained.status.success(), "{explained:?}");
    let previewed = server(&[&["preview", "--rows", "2"][..], &common, &[text(&labelled)]].concat());
    assert!(previewed.status.success(), "{previewed:?}");
    assert!(String::from_utf8_lossy(&previewed.stdout).contains("written: "));
    let (plain, sheet) = (opened(plain), opened(labelled));
    for place in 0..4 {
        let tile = imageops::crop_imm(&plain, place % 2 * SIZE, place / 2 * SIZE, SIZE, SIZE).to_image();
        assert_eq!(tiles(&sheet, &tile, 2), 1, "picture {place}");
    }
}

#[test]
fn show_batch_and_preview_give_the_same_sheet() {
    let images = pictures();
    let server_process = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let [here, there] = ["here.png", "there.png"].map(|name| folder.path().join(name));
    let size = SIZE.to_string();
    for split in ["train", "valid"] {
        let common = [
            "--size",
            &size,
            "--batch-size",
            "4",
            "--seed",
            "7",
            "--rows",
            "2",
            "--out",
        ];
        let shown = client(
            &[
                &[
                    "show-batch",
                    "--server",
                    &server_process.address,
                    "--split",
                    split,
                ][..],
                &common,
                &[text(&there)],
            ]
            .concat(),
        );
        assert!(shown.status.success(), "{shown:?}");
        let previewed = server(
            &[
                &["preview", text(images.root()), "--part", split][..],
                &common,
                &[text(&here)],
            ]
            .concat(),
        );
        assert!(previewed.status.success(), "{previewed:?}");
        let (here, there) = (opened(here.clone()), opened(there.clone()));
        assert_eq!(here.dimensions(), there.dimensions());
        // Below the title, which contains the dataset's name. The client converts floats back to bytes, within one level.
        let top = 20 + 2 * 28 + 12;
        let differing = here
            .enumerate_pixels()
            .filter(|&(x, y, pixel)| {
                let other = there.get_pixel(x, y);
                y >= top
                    && pixel
                        .0
                        .iter()
                        .zip(other.0)
                        .any(|(&one, other)| one.abs_diff(other) > 1)
            })
            .count();
        assert_eq!(differing, 0, "{split}");
    }
}

#[test]
fn both_programs_give_the_same_sheet_of_augmentations_of_one_image() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let image = images.file("birds", 0);
    let files = ["server.png", "client.png"].map(|name| folder.path().join(name));
    let common = [
        "--of",
        text(&image),
        "--times",
        "7",
        "--size",
        "160",
        "--recipe",
        "fastai p_affine=1",
        "--out",
    ];
    let shown = server(&[&["preview"][..], &common, &[text(&files[0])]].concat());
    assert!(shown.status.success(), "{shown:?}");
    let shown = client(&[&["show-batch"][..], &common, &[text(&files[1])]].concat());
    assert!(shown.status.success(), "{shown:?}");
    let [one, other] = files.map(|path| fs::read(path).unwrap());
    assert!(one == other, "the files differ");
    let sheet = image::load_from_memory(&one).unwrap();
    assert_eq!(sheet.width(), 2 * 20 + 6 * SIZE + 5 * 12);
    assert!(sheet.height() > 2 * SIZE + 100);
}

#[test]
fn invalid_arguments_and_files_are_rejected_by_name() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("x.png");
    let root = text(images.root());
    let (broken, nowhere) = (images.file("birds", 1), folder.path().join("no/folder/x.png"));
    images.corrupt("birds", 1).unwrap();
    for (arguments, code, word) in [
        (vec!["preview", "--out", text(&out)], 64, "DIR"),
        (
            vec!["preview", root, "--part", "all", "--out", text(&out)],
            64,
            "--part",
        ),
        (
            vec![
                "preview",
                root,
                "--batch-size",
                "4",
                "--step",
                "900",
                "--out",
                text(&out),
            ],
            64,
            "step",
        ),
        (
            vec!["preview", "--of", text(&broken), "--out", text(&out)],
            66,
            text(&broken),
        ),
        (
            vec![
                "preview",
                "--of",
                text(&broken),
                "--recipe",
                "spin",
                "--out",
                text(&out),
            ],
            64,
            "--recipe",
        ),
        (
            vec!["preview", root, "--batch-size", "4", "--out", text(&nowhere)],
            74,
            "--out",
        ),
    ] {
        let refused = server(&arguments);
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(word), "{arguments:?}: {message}");
    }
    assert!(!out.exists());
    let refused = client(&["show-batch", "--of", text(&broken), "--out", text(&out)]);
    assert_eq!(refused.status.code(), Some(65), "{refused:?}");
}

#[test]
fn show_batch_refuses_invalid_options_with_the_accepted_values() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let server = arguments("show-batch --size 32 --batch-size 8 --server", &[&server.address]);
    for (arguments, words) in [
        (&["--out", "x.gif"][..], "ends in .png"),
        (&["--step", "999"], "--step 999: expected a number from 0 to 3"),
        (
            &["--split", "valid", "--balance", "natural"],
            "--balance is for the train split",
        ),
    ] {
        let output = client(&[&server[..], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
