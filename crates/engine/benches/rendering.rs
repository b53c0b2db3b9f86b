//! Rendering of decoded images to tensors, by instruction set and element type, with and without a checksum, in CPU time of this thread.
//!
//! Sources and batch together exceed the L2 cache, as in a running server.

mod cpu_time;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use equibatch_engine::augment::{Draw, Recipe};
use equibatch_engine::checksum::{crc32c, joined};
use equibatch_engine::geometry::Projective;
use equibatch_engine::image::Image;
use equibatch_engine::lighting::Lighting;
use equibatch_engine::random::{Purpose, generator, uniform};
use equibatch_engine::tensor::{
    ElementType, InstructionSet, Layout, Normalization, Rendering, TensorSpec, area_shrink,
};

/// Images of a batch, and their canonical size.
const COUNT: usize = 64;
const SOURCE: (u32, u32) = (341, 256);

/// Gradients with some noise.
fn picture(seed: u64, (width, height): (u32, u32)) -> Image {
    let mut generator = generator(seed, Purpose::DRAWING, &[]);
    let pixels = (0..width * height * 3)
        .map(|index| {
            let (column, row, channel) = (index / 3 % width, index / 3 / width, index % 3);
            ((column + 2 * row + 40 * channel) % 240) as u8 + uniform(&mut generator, 0.0, 16.0) as u8
        })
        .collect();
    Image::new(width, height, pixels)
}

/// The inputs of rendering for one batch.
struct Batch {
    images: Vec<Image>,
    maps: Vec<(Projective, Lighting)>,
}

impl Batch {
    fn new(recipe: Recipe) -> Self {
        let draw = |position| recipe.draw(&mut generator(1, Purpose::AUGMENT, &[0, position as u64]));
        Self {
            images: (0..COUNT as u64).map(|seed| picture(seed, SOURCE)).collect(),
            maps: (0..COUNT)
                .map(draw)
                .map(|draw: Draw| (draw.map(SOURCE, 224), draw.lighting()))
                .collect(),
        }
    }

    /// Renders the images, and computes their checksums if `is_checked`.
    fn render(
        &self,
        instructions: InstructionSet,
        spec: &TensorSpec,
        is_checked: bool,
        out: &mut [u8],
    ) -> u32 {
        let mut checksum = crc32c(&[]);
        let outs = out.chunks_exact_mut(spec.image_bytes());
        for ((image, (map, lighting)), out) in self.images.iter().zip(&self.maps).zip(outs) {
            Rendering {
                image,
                map,
                lighting,
                spec,
            }
            .write_with(instructions, out);
            if is_checked {
                checksum = joined(checksum, crc32c(out), out.len());
            }
        }
        checksum
    }
}

fn rendering(criterion: &mut Criterion<CpuTime>) {
    let augmented = Batch::new(Recipe::reference());
    let plain = Batch::new(Recipe::none());
    let spec = |element_type, layout| TensorSpec {
        size: 224,
        element_type,
        layout,
        normalization: Normalization::IMAGENET,
    };
    for (name, batch, spec) in [
        (
            "reference f32 nchw",
            &augmented,
            spec(ElementType::F32, Layout::Nchw),
        ),
        (
            "reference f16 nchw",
            &augmented,
            spec(ElementType::F16, Layout::Nchw),
        ),
        (
            "reference u8 nchw",
            &augmented,
            spec(ElementType::U8, Layout::Nchw),
        ),
        (
            "reference f32 nhwc",
            &augmented,
            spec(ElementType::F32, Layout::Nhwc),
        ),
        (
            "reference u8 nhwc",
            &augmented,
            spec(ElementType::U8, Layout::Nhwc),
        ),
        ("none f32 nchw", &plain, spec(ElementType::F32, Layout::Nchw)),
    ] {
        let mut group = criterion.benchmark_group(name);
        group
            .throughput(Throughput::Elements(COUNT as u64))
            .sample_size(20);
        let mut out = vec![0.0f32; COUNT * spec.image_bytes() / size_of::<f32>()];
        for instructions in InstructionSet::available() {
            for (is_checked, with) in [(false, ""), (true, ", with checksum")] {
                group.bench_function(format!("{}{with}", instructions.name()), |bencher| {
                    bencher.iter(|| {
                        batch.render(
                            *instructions,
                            &spec,
                            is_checked,
                            bytemuck::cast_slice_mut(&mut out),
                        )
                    });
                });
            }
        }
        group.finish();
    }
}

fn drawing(criterion: &mut Criterion<CpuTime>) {
    let recipe = Recipe::reference();
    let mut position = 0;
    criterion.bench_function("draw and map", |bencher| {
        bencher.iter(|| {
            position += 1;
            recipe
                .draw(&mut generator(1, Purpose::AUGMENT, &[0, position]))
                .map(SOURCE, 224)
        });
    });
    let large = picture(1, (2016, 1512));
    criterion.bench_function("area shrink of 3 megapixels", |bencher| {
        bencher.iter(|| area_shrink(&large, 224));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime::THREAD);
    targets = rendering, drawing
}
criterion_main!(benches);
