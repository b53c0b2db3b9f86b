use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context as _, anyhow};
use equibatch_engine::{
    augment::Draw,
    mix::{Mix, Rectangle},
    pipeline::Explained,
};
use image::{RgbImage, imageops};

use super::exit::{Failure, SYSTEM, USAGE};
use super::{explain_batch, print};
use crate::args::Explain;

/// Prints the samples of a batch and the augmentation parameters drawn for each.
pub(crate) fn explain(args: &Explain) -> Result<(), Failure> {
    let (spec, mut batch) = explain_batch(&args.dir, &args.selector)?;
    let size = spec.tensor.size;
    if let Some(slot) = args.slot {
        let images = batch.len();
        batch.retain(|explained| explained.slot == slot);
        if batch.is_empty() {
            return Err(USAGE.failure(anyhow!(
                "--slot {slot}: expected less than {images}, the number of images in the batch"
            )));
        }
    }
    if let Some(path) = &args.out {
        write(&batch, size, path).map_err(|error| SYSTEM.failure(error))?;
    }
    print(&batch, args.json, |batch| {
        let shown = if batch.iter().any(|explained| explained.mixture.is_some()) {
            label_weights(batch)
        } else {
            String::new()
        };
        batch.iter().map(text).collect::<String>() + &shown
    })
}

/// Writes the images as a nearly square grid.
fn write(batch: &[Explained], size: u32, path: &Path) -> anyhow::Result<()> {
    let count = batch.len() as u32;
    let columns = (1..).find(|columns| columns * columns >= count).unwrap_or(1);
    let mut sheet = RgbImage::new(columns * size, count.div_ceil(columns) * size);
    for (place, explained) in (0..).zip(batch) {
        let picture = RgbImage::from_raw(size, size, explained.pixels.clone()).context("a whole picture")?;
        let (x, y) = (place % columns * size, place / columns * size);
        imageops::replace(&mut sheet, &picture, x.into(), y.into());
    }
    sheet
        .save_with_format(path, image::ImageFormat::Png)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn text(explained: &Explained) -> String {
    let mut text = format!(
        "{:>4}  {}  {}  (sample {}, use {} in this epoch)\n",
        explained.slot,
        explained.class,
        explained.path,
        explained.sample,
        explained.repetition + 1
    );
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "      {name:<13} {value}");
    };
    if let Some(broken) = &explained.replaces {
        line("replaces", format!("{broken}, which is broken"));
    }
    let Draw {
        pad,
        warp,
        rotate,
        zoom,
        brightness,
        contrast,
        flip,
        affine_ops,
        pixel_ops,
        ..
    } = &explained.draw;
    if let Some(value) = pad {
        line(
            "pad",
            format!("to a square of {:?} pixels with {value}", explained.source),
        );
    }
    match explained.resized_crop {
        Some([left, top, width, height]) => line(
            "resized crop",
            format!(
                "{width:.1} x {height:.1} pixels of {:?} from ({left:.1}, {top:.1})",
                explained.source
            ),
        ),
        None => line(
            "crop",
            format!(
                "from {:?} of a canvas of {:?} pixels",
                explained.crop_start, explained.canvas
            ),
        ),
    }
    if *flip {
        line("flip", "left and right".to_owned());
    }
    if let Some(rotate) = rotate {
        line(
            "rotate",
            format!("{:.2} degrees counter-clockwise", rotate.degrees),
        );
    }
    if let Some(zoom) = zoom {
        line(
            "zoom",
            format!(
                "{:.4} towards column {:.3}, row {:.3}",
                zoom.scale, zoom.column, zoom.row
            ),
        );
    }
    if let Some(warp) = warp {
        let [right, left, bottom, top] = warp.magnitudes;
        line(
            "warp",
            format!("right {right:.4}, left {left:.4}, bottom {bottom:.4}, top {top:.4}"),
        );
    }
    if let Some(brightness) = brightness {
        line("brightness", format!("{brightness:.4} (0.5 changes nothing)"));
    }
    if let Some(contrast) = contrast {
        line("contrast", format!("{contrast:.4} (1 changes nothing)"));
    }
    for step in affine_ops {
        line("move", format!("{step:?}"));
    }
    for touch in pixel_ops {
        line("touch", format!("{touch:?}"));
    }
    if let Some(mixture) = &explained.mixture {
        let part = match mixture.blend {
            Mix::Mixup(_) => "of every pixel".to_owned(),
            Mix::Cutmix(Rectangle {
                top,
                left,
                height,
                width,
            }) => format!(
                "rows {top} to {}, columns {left} to {}",
                top + height,
                left + width
            ),
        };
        let other = match mixture.partner {
            Some(slot) => slot.to_string(),
            None => mixture.path.clone(),
        };
        line(
            "mixed with",
            format!(
                "{other} of {}, by {:.2} %: {part}",
                mixture.class,
                100.0 * mixture.weight
            ),
        );
    }
    for (name, row) in ["map", "", ""].iter().zip(explained.map) {
        line(name, row.map(|entry| format!("{entry:>12.6}")).join(" "));
    }
    text
}

/// The sum of the label weights of each class.
fn label_weights(batch: &[Explained]) -> String {
    let mut classes: BTreeMap<&str, f64> = BTreeMap::new();
    for explained in batch {
        let weight = explained
            .mixture
            .as_ref()
            .map_or(0.0, |mixture| f64::from(mixture.weight));
        *classes.entry(&explained.class).or_default() += 1.0 - weight;
        if let Some(mixture) = &explained.mixture {
            *classes.entry(&mixture.class).or_default() += weight;
        }
    }
    let each = |(class, shown): (&&str, &f64)| format!("{class} {}", (shown * 100.0).round() / 100.0);
    let classes: Vec<String> = classes.iter().map(each).collect();
    format!("sum of label weights: {}\n", classes.join(", "))
}
