//! Decoding, and resizing to the canonical size.

mod cpu_time;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use equibatch_engine::{
    decode::{DecodeOptions, canonical, canonical_short_side, canonical_size, decode, decode_canonical},
    image::Image,
    random::{Purpose, generator, uniform},
};
use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use image::{ExtendedColorType, ImageEncoder as _, codecs::jpeg::JpegEncoder};

/// Width and height: of typical photos of the reference experiment, and of a 12-megapixel camera.
const SIZES: [(&str, (u32, u32)); 2] = [("500x375", (500, 375)), ("4000x3000", (4000, 3000))];

/// Gradients with some noise.
fn picture((width, height): (u32, u32)) -> Image {
    let mut generator = generator(1, Purpose::DRAWING, &[]);
    let pixels = (0..width * height * 3)
        .map(|index| {
            let (column, row, channel) = (index / 3 % width, index / 3 / width, index % 3);
            ((column + 2 * row + 40 * channel) % 240) as u8 + uniform(&mut generator, 0.0, 8.0) as u8
        })
        .collect();
    Image::new(width, height, pixels)
}

fn jpeg(image: &Image) -> Vec<u8> {
    let mut file = vec![];
    let encoder = JpegEncoder::new_with_quality(&mut file, 90);
    let written = encoder.write_image(
        image.pixels(),
        image.width(),
        image.height(),
        ExtendedColorType::Rgb8,
    );
    written.expect("writing to memory does not fail");
    file
}

fn decoding(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(20);
    for (name, size) in SIZES {
        let file = jpeg(&picture(size));
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(&file, &DecodeOptions::default()).expect("a JPEG file"));
        });
    }
}

fn resizing(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("canonical size for 224");
    group.sample_size(20);
    let short_side = Some(canonical_short_side(224));
    for (name, size) in SIZES {
        let image = picture(size);
        group.throughput(Throughput::Bytes(image.pixels().len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_with_setup(|| image.clone(), |image| canonical(image, short_side));
        });
        let mut resizer = Resizer::new();
        group.bench_function(format!("{name} by fast_image_resize"), |bencher| {
            bencher.iter(|| by_library(&mut resizer, &image, canonical_size(size.0, size.1, short_side)));
        });
    }
}

/// The same resize by fast_image_resize.
fn by_library(resizer: &mut Resizer, image: &Image, (width, height): (u32, u32)) -> Vec<u8> {
    let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.pixels());
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut pixels).expect("room for all");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer
        .resize_typed(
            &source.expect("three bytes for every pixel"),
            &mut target,
            &options,
        )
        .expect("equal pixel types");
    pixels
}

fn decoding_canonical(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decode to the canonical size for 224");
    group.sample_size(20);
    let short_side = Some(canonical_short_side(224));
    for (name, size) in SIZES {
        let file = jpeg(&picture(size));
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function(name, |bencher| {
            let options = DecodeOptions::default();
            bencher.iter(|| decode_canonical(&file, &options, short_side).expect("a JPEG file"));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime::THREAD);
    targets = decoding, resizing, decoding_canonical
}
criterion_main!(benches);
