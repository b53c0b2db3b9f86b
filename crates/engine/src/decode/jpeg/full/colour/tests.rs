use super::*;

/// All pairs of chroma values, with luma values that cover all levels.
fn all_chroma() -> [Vec<u8>; 3] {
    let pairs = || (0..=u8::MAX).flat_map(|blue| (0..=u8::MAX).map(move |red| (blue, red)));
    let luma = pairs().map(|(blue, red)| blue.wrapping_mul(31).wrapping_add(red.wrapping_mul(7)));
    [
        luma.collect(),
        pairs().map(|(blue, _)| blue).collect(),
        pairs().map(|(_, red)| red).collect(),
    ]
}

fn converted(by: impl Convert, [luma, blue, red]: &[Vec<u8>; 3], count: usize) -> Vec<u8> {
    let mut pixels = vec![0; count * 3];
    by.rgb(Samples { luma, blue, red }, &mut pixels);
    pixels
}

#[test]
fn colours_are_the_rounded_values_of_the_formula() {
    let samples = all_chroma();
    let pixels = converted(Portable, &samples, samples[0].len());
    let [luma, blue, red] = &samples;
    for (at, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
        let (y, cb, cr) = (
            f64::from(luma[at]),
            f64::from(blue[at]) - 128.0,
            f64::from(red[at]) - 128.0,
        );
        let exact = [
            y + 1.402 * cr,
            y - (0.299 * 1.402 * cr + 0.114 * 1.772 * cb) / 0.587,
            y + 1.772 * cb,
        ];
        for (found, exact) in pixel.iter().zip(exact) {
            // Factors are rounded to 65536ths, an error of a thousandth of a level.
            let off = f64::from(*found) - exact.clamp(0.0, 255.0);
            assert!(off.abs() <= 0.502, "{found}, {exact}");
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vector_instructions_give_the_same_colours() {
    let samples = all_chroma();
    let all = samples[0].len();
    for count in [all, all - 1, 191, 64, 63, 47, 33, 16, 15, 1, 0] {
        let expected = converted(Portable, &samples, count);
        if let Some(avx2) = crate::cpu::Avx2::detect() {
            assert!(converted(avx2, &samples, count) == expected, "AVX2, {count}");
        }
        if let Some(wide) = crate::decode::jpeg::full::Wide::detect() {
            assert!(converted(wide, &samples, count) == expected, "AVX-512, {count}");
        }
    }
}
