use half::f16;
use proptest::prelude::*;

use super::*;
use crate::geometry::Projective;
use crate::image::Image;
use crate::lighting::Lighting;
use crate::random::{Purpose, generator, uniform};

const PLAIN: TensorSpec = TensorSpec {
    size: 1,
    element_type: ElementType::F32,
    layout: Layout::Nchw,
    normalization: Normalization::NONE,
};

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

/// A map that covers about the whole of a source of `(width, height)`: perspective, rotation, zoom, shift and, with probability 0.5, a
/// flip.
fn random_map(seed: u64, (width, height): (u32, u32), size: u32) -> Projective {
    let mut generator = generator(seed, Purpose::AUGMENT, &[u64::from(width), u64::from(size)]);
    let mut draw = |limit: f64| uniform(&mut generator, -limit, limit);
    let (sin, cos) = draw(0.5).sin_cos();
    let (zoom, mirror) = (1.0 + draw(0.2), draw(1.0).signum());
    let warp = Projective([
        [zoom * cos * mirror, -zoom * sin, draw(0.2)],
        [zoom * sin * mirror, zoom * cos, draw(0.2)],
        [draw(0.2), draw(0.2), 1.0],
    ]);
    let middle = f64::from(size) / 2.0;
    let to_unit = Projective::scale_then_offset([1.0 / middle; 2], [-1.0; 2]);
    let half = [f64::from(width) / 2.0, f64::from(height) / 2.0];
    Projective::scale_then_offset(half, half).compose(&warp.compose(&to_unit))
}

fn random_tone(seed: u64) -> Lighting {
    let mut generator = generator(seed, Purpose::AUGMENT, &[]);
    let brightness = uniform(&mut generator, 0.4, 0.6) as f32;
    let contrast = uniform(&mut generator, 0.8, 1.25) as f32;
    Lighting {
        brightness: (!seed.is_multiple_of(3)).then_some(brightness),
        contrast: (!seed.is_multiple_of(2)).then_some(contrast),
    }
}

fn render(image: &Image, map: &Projective, lighting: &Lighting, spec: &TensorSpec) -> Vec<u8> {
    let mut out = vec![0; spec.image_bytes()];
    write_image(image, map, lighting, spec, &mut out);
    out
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap()))
        .collect()
}

#[test]
fn integer_coordinates_are_normalised_exactly() {
    let pixels: Vec<u8> = (0..=255u8)
        .flat_map(|value| [value, value.wrapping_add(85), value.wrapping_add(170)])
        .collect();
    let image = Image::new(16, 16, pixels.clone());
    let spec = TensorSpec {
        size: 16,
        normalization: Normalization::IMAGENET,
        ..PLAIN
    };
    let tensor = floats(&render(&image, &Projective::IDENTITY, &Lighting::IDENTITY, &spec));
    for (index, value) in tensor.iter().enumerate() {
        let (channel, pixel) = (index / 256, index % 256);
        let x = f64::from(pixels[pixel * 3 + channel]) / 255.0;
        let want =
            (x - f64::from(spec.normalization.mean[channel])) / f64::from(spec.normalization.std[channel]);
        assert!(
            (f64::from(*value) - want).abs() < 1e-5,
            "channel {channel} of {pixel}: {value}, not {want}"
        );
    }
}

#[test]
fn integer_coordinates_keep_their_bytes() {
    let image = noise(32, 32, 1);
    let spec = TensorSpec {
        size: 32,
        element_type: ElementType::U8,
        layout: Layout::Nhwc,
        ..PLAIN
    };
    assert_eq!(
        render(&image, &Projective::IDENTITY, &Lighting::IDENTITY, &spec),
        image.pixels()
    );
    let flip = Projective::scale_then_offset([-1.0, 1.0], [31.0, 0.0]);
    let flipped = render(&image, &flip, &Lighting::IDENTITY, &spec);
    for (row, expected) in flipped.chunks_exact(96).zip(image.pixels().chunks_exact(96)) {
        let mirrored: Vec<u8> = expected.chunks_exact(3).rev().flatten().copied().collect();
        assert_eq!(row, mirrored);
    }
}

#[test]
fn a_uniform_image_stays_uniform_under_any_map() {
    let image = Image::new(40, 30, [10u8, 100, 200].repeat(40 * 30));
    let spec = TensorSpec {
        size: 24,
        element_type: ElementType::U8,
        layout: Layout::Nhwc,
        ..PLAIN
    };
    for seed in 0..40 {
        let map = random_map(seed, (40, 30), 24);
        let bytes = render(&image, &map, &Lighting::IDENTITY, &spec);
        assert!(
            bytes.chunks_exact(3).all(|pixel| pixel == [10, 100, 200]),
            "{map:?}"
        );
    }
}

#[test]
fn singular_and_infinite_maps_write_every_element() {
    let image = noise(20, 10, 5);
    let spec = TensorSpec { size: 19, ..PLAIN };
    for entry in [f64::NAN, f64::INFINITY, 1e300, 0.0, -1.0] {
        let values = floats(&render(
            &image,
            &Projective([[entry; 3]; 3]),
            &Lighting::IDENTITY,
            &spec,
        ));
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{entry}");
    }
}

/// The bytes from every instruction set that this CPU has.
fn render_with_each(rendering: Rendering<'_>) -> Vec<(InstructionSet, Vec<u8>)> {
    InstructionSet::available()
        .iter()
        .map(|instructions| {
            let mut out = vec![0xAA; rendering.spec.image_bytes()];
            rendering.write_with(*instructions, &mut out);
            (*instructions, out)
        })
        .collect()
}

#[test]
fn the_scalar_kernel_is_always_available() {
    assert_eq!(InstructionSet::available().last(), Some(&InstructionSet::SCALAR));
    assert_eq!(InstructionSet::best(), InstructionSet::available()[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_instruction_set_gives_the_same_bytes(
        seed in any::<u64>(), width in 1u32..90, height in 1u32..90, size in 1u32..70, kind in 0usize..6, affine in any::<bool>(),
    ) {
        let image = noise(width, height, seed);
        let mut map = random_map(seed, (width, height), size);
        if affine {
            map.0[2] = [0.0, 0.0, 1.0];
        }
        let spec = TensorSpec {
            size,
            element_type: [ElementType::F32, ElementType::F16, ElementType::U8][kind % 3],
            layout: [Layout::Nchw, Layout::Nhwc][kind / 3],
            normalization: Normalization::IMAGENET,
        };
        let lighting = Lighting { contrast: (seed % 5 == 1).then_some(0.5).or(random_tone(seed).contrast), ..random_tone(seed) };
        let results = render_with_each(Rendering { image: &image, map: &map, lighting: &lighting, spec: &spec });
        let (_, expected) = results.last().unwrap();
        for (instructions, bytes) in &results {
            prop_assert!(bytes == expected, "{:?} differs from scalar", instructions);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn half_precision_and_bytes_follow_from_single_precision(seed in any::<u64>(), size in 1u32..40) {
        let image = noise(50, 37, seed);
        let (map, lighting) = (random_map(seed, (50, 37), size), random_tone(seed));
        let single = TensorSpec { size, normalization: Normalization::IMAGENET, ..PLAIN };
        let singles = floats(&render(&image, &map, &lighting, &single));
        let halves = render(&image, &map, &lighting, &TensorSpec { element_type: ElementType::F16, ..single });
        for (half, single) in halves.chunks_exact(2).zip(&singles) {
            prop_assert_eq!(half, f16::from_f32(*single).to_le_bytes());
        }
        let plain = floats(&render(&image, &map, &lighting, &TensorSpec { size, ..PLAIN }));
        let bytes = render(&image, &map, &lighting, &TensorSpec { size, element_type: ElementType::U8, ..PLAIN });
        for (byte, plain) in bytes.iter().zip(&plain) {
            // Half a level of rounding, plus the error of single precision near a tie.
            prop_assert!((f32::from(*byte) - plain * 255.0).abs() < 0.501, "{} for {}", byte, plain);
        }
    }

    #[test]
    fn interleaved_is_planar_transposed(seed in any::<u64>(), size in 1usize..40, kind in 0..3) {
        let image = noise(31, 45, seed);
        let (map, lighting) = (random_map(seed, (31, 45), size as u32), random_tone(seed));
        let element_type = [ElementType::F32, ElementType::F16, ElementType::U8][kind as usize];
        let planar = TensorSpec { size: size as u32, element_type, normalization: Normalization::IMAGENET, ..PLAIN };
        let interleaved = TensorSpec { layout: Layout::Nhwc, ..planar };
        let (planes, pixels) = (render(&image, &map, &lighting, &planar), render(&image, &map, &lighting, &interleaved));
        let bytes = element_type.byte_size();
        for index in 0..size * size {
            for channel in 0..3 {
                prop_assert_eq!(
                    &planes[(channel * size * size + index) * bytes..][..bytes],
                    &pixels[(index * 3 + channel) * bytes..][..bytes]
                );
            }
        }
    }

    #[test]
    fn alignment_does_not_matter(seed in any::<u64>(), shift in 1usize..8) {
        let image = noise(20, 20, seed);
        let (map, lighting) = (random_map(seed, (20, 20), 18), random_tone(seed));
        let spec = TensorSpec { size: 18, ..PLAIN };
        let mut buffer = vec![0u8; spec.image_bytes() + 8];
        write_image(&image, &map, &lighting, &spec, &mut buffer[shift..][..spec.image_bytes()]);
        prop_assert_eq!(&buffer[shift..][..spec.image_bytes()], render(&image, &map, &lighting, &spec));
    }
}
