//! Rendering of an image and a draw to a tensor, compared with a reference in double precision.

use equibatch_engine::augment::{Crop, Draw, Recipe};
use equibatch_engine::geometry::Projective;
use equibatch_engine::image::Image;
use equibatch_engine::lighting::Lighting;
use equibatch_engine::random::{Purpose, generator, uniform};
use equibatch_engine::tensor::{ElementType, Layout, Normalization, TensorSpec, area_shrink, write_image};

/// Independent random bytes: the worst case for interpolation.
fn noise(width: u32, height: u32, seed: u64) -> Image {
    let mut generator = generator(seed, Purpose::DRAWING, &[u64::from(width), u64::from(height)]);
    let length = width as usize * height as usize * 3;
    Image::new(
        width,
        height,
        (0..length)
            .map(|_| uniform(&mut generator, 0.0, 256.0) as u8)
            .collect(),
    )
}

/// Smooth gradients with dark and bright regions, as in photographs.
fn shades(width: u32, height: u32) -> Image {
    let wave = |phase: f64| (127.5 + 140.0 * phase.sin()).clamp(0.0, 255.0).round() as u8;
    let pixels = (0..height)
        .flat_map(|row| {
            (0..width).flat_map(move |column| {
                let (x, y) = (f64::from(column) / 23.0, f64::from(row) / 17.0);
                [wave(x), wave(y + x / 3.0), wave(x - y)]
            })
        })
        .collect();
    Image::new(width, height, pixels)
}

/// The reference in double precision, after PyTorch's grid sampler with reflection padding and `align_corners=True`.
fn reference(image: &Image, map: &Projective, lighting: &Lighting, size: u32) -> Vec<f64> {
    let fold = |position: f64, length: u32| {
        let span = f64::from(length - 1);
        if span == 0.0 {
            return 0.0;
        }
        let (flips, rest) = ((position.abs() / span).floor(), position.abs() % span);
        (if flips % 2.0 == 0.0 { rest } else { span - rest }).clamp(0.0, span)
    };
    let pixel = |column: f64, row: f64, channel: usize| {
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        if column >= width || row >= height {
            return 0.0;
        }
        f64::from(image.pixels()[(row * width + column) as usize * 3 + channel]) / 255.0
    };
    let mut values = Vec::new();
    for channel in 0..3 {
        for row in 0..size {
            for column in 0..size {
                let (x, y) = map.apply(f64::from(column), f64::from(row));
                let (x, y) = (fold(x, image.width()), fold(y, image.height()));
                let (left, top) = (x.floor(), y.floor());
                let (fx, fy) = (x - left, y - top);
                let upper = pixel(left, top, channel) * (1.0 - fx) + pixel(left + 1.0, top, channel) * fx;
                let lower =
                    pixel(left, top + 1.0, channel) * (1.0 - fx) + pixel(left + 1.0, top + 1.0, channel) * fx;
                let value = upper * (1.0 - fy) + lower * fy;
                values.push(apply_lighting(value, lighting));
            }
        }
    }
    values
}

fn apply_lighting(x: f64, lighting: &Lighting) -> f64 {
    if lighting.is_identity() {
        return x;
    }
    let x = x.clamp(1e-7, 1.0 - 1e-7);
    let mut z = -(1.0 / x - 1.0).ln();
    if let Some(brightness) = lighting.brightness.map(f64::from) {
        z += (brightness / (1.0 - brightness)).ln();
    }
    if let Some(contrast) = lighting.contrast.map(f64::from) {
        z *= contrast;
    }
    1.0 / (1.0 + (-z).exp())
}

/// Maximum and mean difference from the reference, in grey levels.
fn errors(image: &Image, draw: &Draw, size: u32) -> (f64, f64) {
    let map = draw.map((image.width(), image.height()), size);
    let lighting = draw.lighting();
    let spec = TensorSpec {
        size,
        element_type: ElementType::F32,
        layout: Layout::Nchw,
        normalization: Normalization::NONE,
    };
    let mut bytes = vec![0; spec.image_bytes()];
    write_image(image, &map, &lighting, &spec, &mut bytes);
    let got: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|chunk| f32::from_le_bytes(chunk.try_into().expect("four bytes")))
        .collect();
    let want = reference(image, &map, &lighting, size);
    let differences: Vec<f64> = got
        .iter()
        .zip(&want)
        .map(|(got, want)| (f64::from(*got) - want).abs() * 255.0)
        .collect();
    assert!(differences.iter().all(|difference| difference.is_finite()));
    (
        differences.iter().copied().fold(0.0, f64::max),
        differences.iter().sum::<f64>() / differences.len() as f64,
    )
}

#[test]
fn noise_is_rendered_within_one_level_of_the_reference() {
    let (mut total, mut count) = (0.0, 0.0);
    for (case, (width, height)) in [
        (64, 64),
        (97, 61),
        (61, 97),
        (256, 300),
        (33, 200),
        (1, 50),
        (50, 1),
        (2, 2),
        (1, 1),
        (3, 5),
        (400, 9),
        (700, 448),
    ]
    .into_iter()
    .enumerate()
    {
        let image = noise(width, height, 7);
        for position in 0..8 {
            let draw =
                Recipe::reference().draw(&mut generator(11, Purpose::AUGMENT, &[case as u64, position]));
            let (greatest, mean) = errors(&image, &draw, 56);
            assert!(
                greatest <= 1.0,
                "{greatest} levels at {width}x{height} by {draw:?}"
            );
            total += mean;
            count += 1.0;
        }
    }
    assert!(total / count <= 0.1, "{} levels in the mean", total / count);
}

#[test]
fn smooth_images_are_rendered_within_half_a_level_of_the_reference() {
    let image = shades(320, 256);
    let (mut worst, mut total) = (0.0f64, 0.0);
    for position in 0..40 {
        let draw = Recipe::reference().draw(&mut generator(13, Purpose::AUGMENT, &[position]));
        let (greatest, mean) = errors(&image, &draw, 112);
        worst = worst.max(greatest);
        total += mean;
    }
    assert!(
        worst < 0.5 && total / 40.0 < 0.03,
        "{worst} levels at worst, {} in the mean",
        total / 40.0
    );
}

#[test]
fn crops_of_a_very_wide_image_are_exact() {
    let image = noise(10_000, 12, 3);
    for column in [0.0, 0.31, 0.77, 1.0] {
        let draw = Draw {
            crop: Crop { row: 0.0, column },
            ..Draw::identity()
        };
        let (greatest, mean) = errors(&image, &draw, 64);
        assert!(greatest < 0.1 && mean < 0.02, "{greatest} {mean} at {column}");
    }
}

#[test]
fn area_averaged_images_are_rendered_within_half_a_level_of_the_reference() {
    let image = area_shrink(&shades(1301, 977), 112).unwrap();
    for position in 0..8 {
        let draw = Recipe::reference().draw(&mut generator(17, Purpose::AUGMENT, &[position]));
        let (greatest, mean) = errors(&image, &draw, 112);
        assert!(greatest < 0.5 && mean < 0.05, "{greatest} {mean} by {draw:?}");
    }
}

/// Holds on every CPU: coordinates are a fixed sequence of IEEE operations, interpolation is in integers, and logarithm, exponential and
/// sine come from `libm`.
#[test]
fn renderings_have_the_same_bytes_on_every_machine() {
    let image = noise(120, 90, 1);
    let mut hasher = blake3::Hasher::new();
    for position in 0..24 {
        let draw = Recipe::reference().draw(&mut generator(19, Purpose::AUGMENT, &[0, position]));
        let element_type = [ElementType::F32, ElementType::F16, ElementType::U8][position as usize % 3];
        let spec = TensorSpec {
            size: 72,
            element_type,
            layout: Layout::Nchw,
            normalization: Normalization::IMAGENET,
        };
        let mut bytes = vec![0; spec.image_bytes()];
        write_image(
            &image,
            &draw.map((120, 90), 72),
            &draw.lighting(),
            &spec,
            &mut bytes,
        );
        hasher.update(&bytes);
    }
    assert_eq!(
        hasher.finalize().to_hex().as_str(),
        "6fc2162eae0431e9a09ab3ae7619b4c0573885c2efe66a56f3db49d4a6298837"
    );
}
