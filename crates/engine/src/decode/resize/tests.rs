use fast_image_resize::CpuExtensions;
use proptest::prelude::*;

use super::*;
use crate::decode::canonical::tests::noise;

#[allow(unsafe_code, reason = "`set_cpu_extensions` is unsafe")]
fn by_instructions(set: CpuExtensions, source: ResizeInput<'_>, size: (u32, u32)) -> Vec<u8> {
    let mut library = LibraryResizer::new();
    assert!(set.is_supported());
    // SAFETY: the CPU has the instructions, as was just asserted.
    unsafe { library.set_cpu_extensions(set) };
    let mut pixels = vec![];
    resize_with_library(&mut library, source, size, &mut pixels);
    pixels
}

fn check(pixels: &[u8], size: (u32, u32), part: (f64, f64), to: (u32, u32)) {
    let source = ResizeInput { pixels, size, part };
    let expected = by_instructions(CpuExtensions::None, source, to);
    #[cfg(target_arch = "x86_64")]
    for set in [CpuExtensions::Sse4_1, CpuExtensions::Avx2] {
        if set.is_supported() {
            assert!(by_instructions(set, source, to) == expected, "{set:?}");
        }
    }
    let mut resizer = Resizer::default();
    for turn in ["first", "second"] {
        let found = resizer.resize(source, to);
        assert_eq!((found.width(), found.height()), to);
        assert!(
            found.pixels() == expected,
            "{size:?}, {part:?} of it, to {to:?}, {turn} time"
        );
    }
}

#[test]
fn every_instruction_set_gives_the_same_pixels() {
    for (size, to) in [
        ((211, 160), (135, 102)),
        ((500, 375), (341, 256)),
        ((375, 500), (256, 341)),
        ((640, 480), (341, 256)),
        ((100, 100), (99, 50)),
        ((100, 100), (100, 50)),
        ((1, 1), (1, 1)),
        ((2, 3), (1, 2)),
        ((64, 64), (22, 22)),
        ((64, 640), (63, 64)),
    ] {
        check(
            noise(size.0, size.1).pixels(),
            size,
            (size.0.into(), size.1.into()),
            to,
        );
    }
}

#[test]
fn black_and_white_are_preserved() {
    for level in [0, 255] {
        let shrunk = Resizer::default().resize(
            ResizeInput {
                pixels: &vec![level; 300 * 200 * 3],
                size: (300, 200),
                part: (300.0, 200.0),
            },
            (211, 140),
        );
        assert!(shrunk.pixels().iter().all(|&found| found == level), "{level}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn photographs_are_resized_by_our_kernel_if_the_cpu_has_avx512() {
    let size = (500, 375);
    let image = noise(500, 375);
    let source = ResizeInput {
        pixels: image.pixels(),
        size,
        part: (500.0, 375.0),
    };
    let mut done = vec![];
    let can = crate::cpu::Avx512::detect().is_some();
    assert_eq!(
        plan_cache::PlanCache::default().resize(source, (341, 256), &mut done),
        can
    );
    assert_eq!(done.len(), if can { 341 * 256 * 3 } else { 0 });
}

proptest! {
    #[test]
    fn any_size_and_any_part_give_the_same_pixels(
        (width, height) in (1u32..120, 1u32..120),
        (across, down) in (0.34f64..1.1, 0.34f64..1.1),
        (missing_across, missing_down) in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let part = (f64::from(width) - missing_across, f64::from(height) - missing_down);
        let shrunk = |length: f64, by: f64| ((length * by) as u32).max(1);
        let to = (shrunk(part.0, across), shrunk(part.1, down));
        check(noise(width, height).pixels(), (width, height), part, to);
    }
}
